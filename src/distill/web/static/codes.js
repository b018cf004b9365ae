// The tab Codes.
import { html, Empty } from "./parts.js";

const Codes = () => html`<${Empty} title="Codes">Nothing is here yet.<//>`;

export const tab = { id: "codes", title: "Codes", view: Codes };
