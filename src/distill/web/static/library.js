// The tab Library.
import { html, Empty } from "./parts.js";

const Library = () => html`<${Empty} title="Library">Nothing is here yet.<//>`;

export const tab = { id: "library", title: "Library", view: Library };
