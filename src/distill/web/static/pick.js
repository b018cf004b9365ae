// A sound to begin from: a file that is dropped, a recording, or a piece.
import { useState } from "./vendor/hooks.js";
import { send } from "./api.js";
import { html, Choice } from "./parts.js";
import { sayWrong, usePolled } from "./store.js";
import { Sound } from "./wave.js";

/** What is behind a reference, without the folder or the model that it is in. */
export const nameOf = (reference) => reference.replace(/^[a-z]+:/, "").split("/").slice(/^(recording|learned):/.test(reference) ? 1 : 0).join("/");

/** Drop, choose or take one from the model's recordings; `onPick` gets a reference, "" for none. */
export function Pick({ label, hint, reference, onPick, model, pieces, selection, onSelect }) {
  const [over, set] = useState(false);
  const [busy, wait] = useState(false);
  const { data: about } = usePolled(model ? `/api/models/${model}` : null, 60000);
  const take = async (file) => {
    if (!file) return;
    wait(true);
    await send(`/api/uploads/sounds/${encodeURIComponent(file.name)}`, file).then((taken) => onPick(taken.reference), sayWrong);
    wait(false);
  };
  const drop = (event) => {
    event.preventDefault();
    set(false);
    const dragged = event.dataTransfer.getData("text/x-distill");
    if (dragged) onPick(dragged);
    else take(event.dataTransfer.files[0]);
  };
  const offered = [["", "Drop audio here, or choose …"], ...(about?.recordings ?? []).map((name) => [`learned:${model}/${name}`, name]), ...pieces.slice(0, 30).map((piece) => [`piece:${piece.id}`, `${piece.name} (piece ${piece.id})`])];
  if (reference && !offered.some(([key]) => key === reference)) offered.push([reference, nameOf(reference)]);
  return html`<div class=${`pick${over ? " over" : ""}`} aria-busy=${busy} onDragOver=${(event) => { event.preventDefault(); set(true); }} onDragLeave=${() => set(false)} onDrop=${drop}>
    <${Choice} label=${label} hint=${hint} value=${reference} onInput=${onPick} options=${offered} />
    <div class="actions"><label class="button small">Choose a file<input type="file" class="unseen" accept="audio/*" aria-label=${`${label}: choose a file`} onChange=${(event) => { const [file] = event.target.files; event.target.value = ""; take(file); }} /></label>
      ${reference && html`<button type="button" class="quiet small" onClick=${() => onPick("")}>Clear</button>`}</div>
    ${reference && html`<${Sound} key=${reference} reference=${reference} label=${nameOf(reference)} mel=${Boolean(onSelect)} selection=${selection} onSelect=${onSelect} />`}
  </div>`;
}
