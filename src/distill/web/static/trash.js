// Deleting models and pieces, and taking that back: the message's "Undo", and the list of what is in the trash.
import { del, post } from "./api.js";
import { html, Action, size, when } from "./parts.js";
import { attempt, refresh, say, usePolled } from "./store.js";

const LISTS = ["/api/models", "/api/pieces", "/api/trash"];
const again = (gone) => LISTS.forEach((start) => refresh(start, gone));

/** Moves what the server has at this path into the trash; `name` is what it is called, `model` its id where it is one. */
export async function remove(path, name, model) {
  const item = await del(path);
  again(model);
  say(item ? `${name} is in the trash` : `${name} is off the list; its file was gone already`, { undo: item && { act: () => attempt(() => restore(item)) } });
}
async function restore(item) {
  const back = await post(`/api/trash/${encodeURIComponent(item.key)}/restore`);
  again();
  say(`${back.name} is back`);
}

export function Trash() {
  const { data: items } = usePolled("/api/trash", 10000);
  if (!items?.length) return null;
  return html`<details class="card"><summary>Trash (${items.length})</summary><table><tbody>${items.map((item) => html`<tr key=${item.key}><th scope="row">${item.name}<small class="path">${item.kind}, was ${item.was ?? "somewhere unknown"}</small></th>
    <td>${when(item.deleted)}</td><td class="number">${size(item.size)}</td><td class="number"><${Action} kind="small" label=${`Restore ${item.name}`} act=${() => restore(item)}>Restore<//></td></tr>`)}</tbody></table></details>`;
}
