// The tab Train.
import { html, Empty } from "./parts.js";

const Train = () => html`<${Empty} title="Train">Nothing is here yet.<//>`;

export const tab = { id: "train", title: "Train", view: Train };
