// What the page kept and cannot read any more: said in a sentence, and never deleted.
import { html, Alert } from "./parts.js";
import { usePolled } from "./store.js";

/** `tab`: "recordings" or "codes". */
export function Damaged({ tab }) {
  const { data } = usePolled("/api/damaged", 15000);
  return (data?.[tab] ?? []).map((one) => html`<${Alert} tone="bad" key=${one.what}>${one.what} ${one.fix}<//>`);
}
