// The tab Recordings.
import { html, Empty } from "./parts.js";

const Recordings = () => html`<${Empty} title="Recordings">Nothing is here yet.<//>`;

export const tab = { id: "recordings", title: "Recordings", view: Recordings };
