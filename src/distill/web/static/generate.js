// The tab Generate.
import { html, Empty } from "./parts.js";

const Generate = () => html`<${Empty} title="Generate">Nothing is here yet.<//>`;

export const tab = { id: "generate", title: "Generate", view: Generate };
