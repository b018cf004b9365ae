// Deleting models and pieces, and taking that back: the message's "Undo", and the list of what is in the trash, until it is emptied.
import { useState } from "./vendor/hooks.js";
import { del, post } from "./api.js";
import { html, Action, Dialog, count, size, when } from "./parts.js";
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

const whole = (items) => size(items.reduce((sum, one) => sum + one.size, 0));
async function empty() {
  const gone = await del("/api/trash");
  again();
  say(`The trash is empty: ${whole(gone)} are free again`);
}

export function Trash() {
  const { data: items } = usePolled("/api/trash", 10000);
  const [isAsking, ask] = useState(false);
  if (!items?.length) return null;
  const asked = html`<${Dialog} title="Empty the trash?" onClose=${() => ask(false)}>
    <p>${items.length === 1 ? items[0].name : `All ${count(items.length, "thing")} in it`}, ${whole(items)}, would be gone for good. That cannot be undone.</p>
    <div class="actions"><button type="button" onClick=${() => ask(false)}>Keep</button><${Action} kind="danger" act=${async () => { await empty(); ask(false); }}>Delete for good<//></div><//>`;
  return html`<details class="card"><summary>Trash (${items.length})</summary><table><tbody>${items.map((item) => html`<tr key=${item.key}><th scope="row">${item.name}<small class="path">${item.kind}, was ${item.was ?? "somewhere unknown"}</small></th>
    <td>${when(item.deleted)}</td><td class="number">${size(item.size)}</td><td class="number"><${Action} kind="small" label=${`Restore ${item.name}`} act=${() => restore(item)}>Restore<//></td></tr>`)}</tbody></table>
    <p class="others"><button type="button" class="small" onClick=${() => ask(true)}>Empty the trash (${whole(items)})</button></p>${isAsking && asked}</details>`;
}
