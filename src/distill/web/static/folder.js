// Naming a folder, with completion, and dropping files.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { get, post, query, send } from "./api.js";
import { html, Action, count } from "./parts.js";
import { go, refresh, say, sayWrong } from "./store.js";

/** A path that completes itself: arrow keys and Enter, or Tab, take what is offered. */
export function FolderField({ onAdd }) {
  const [text, set] = useState("");
  const [offered, offer] = useState([]);
  const [at, move] = useState(-1);
  const input = useRef(null);
  useEffect(() => {
    if (!text) { offer([]); return undefined; }
    let gone = false;
    const timer = setTimeout(() => get(query("/api/folders", { text })).then((found) => { if (!gone) { offer(found.folders); move(-1); } }, () => {}), 120);
    return () => { gone = true; clearTimeout(timer); };
  }, [text]);
  const take = (folder) => { set(`${folder}/`); input.current.focus(); };
  const keys = (event) => {
    if (event.key === "ArrowDown") move(Math.min(offered.length - 1, at + 1));
    else if (event.key === "ArrowUp") move(Math.max(-1, at - 1));
    else if (event.key === "Enter" && at >= 0) take(offered[at]);
    else if (event.key === "Tab" && offered.length && text && !text.endsWith("/")) take(offered[Math.max(0, at)]);
    else if (event.key === "Enter") add();
    else return;
    event.preventDefault();
  };
  const add = async () => onAdd((await post("/api/collections", { folder: text }).catch((error) => { sayWrong(error); return null; })));
  const isOpen = offered.length > 0 && text !== "";
  return html`<div class="folder-field">
    <label class="unseen" for="folder-path">Path of a folder of recordings</label>
    <input id="folder-path" ref=${input} value=${text} placeholder="/path/to/my recordings" autocomplete="off" spellcheck="false" role="combobox"
      aria-expanded=${isOpen} aria-controls="folder-offers" aria-activedescendant=${at >= 0 ? `offer-${at}` : undefined} onInput=${(event) => set(event.target.value)} onKeyDown=${keys} />
    <${Action} act=${add} disabled=${!text.trim()}>Add folder<//>
    ${isOpen && html`<ul id="folder-offers" role="listbox" aria-label="Folders">${offered.map((folder, number) => html`<li id=${`offer-${number}`} role="option" aria-selected=${number === at}
      onMouseDown=${(event) => { event.preventDefault(); take(folder); }}>${folder}</li>`)}</ul>`}
  </div>`;
}

const AUDIO = ".wav,.aif,.aiff,.flac,.ogg,.opus,.mp3,.caf,.au,.m4a,audio/*";

/** Uploads files into a folder of Distill's own, one after the other, and gives that folder. */
export async function upload(files, collection, name, tell) {
  const into = collection ?? (await post("/api/collections/new", { name }));
  const wrong = [];
  for (const [number, file] of files.entries()) {
    tell?.(`${count(number, "file")} of ${files.length} copied`);
    await send(`/api/uploads/recordings/${encodeURIComponent(into.id)}/${encodeURIComponent(file.name)}`, file).catch((error) => wrong.push(`${file.name}: ${error.what}`));
  }
  refresh("/api/collections");
  say(wrong.length ? `${wrong.length} of ${files.length} could not be taken. ${wrong[0]}` : `${count(files.length, "file")} copied into Distill's folder`, { tone: wrong.length ? "bad" : "good" });
  return into;
}

/** Takes files that are dropped on it or chosen. */
export function Drop({ onFiles, label, children }) {
  const [over, set] = useState(false);
  const [busy, tell] = useState("");
  const input = useRef(null);
  const take = async (list) => {
    const files = [...list];
    if (!files.length || busy) return;
    tell("Copying …");
    await onFiles(files, tell).catch(sayWrong);
    tell("");
    if (input.current) input.current.value = "";
  };
  return html`<div class=${`drop${over ? " over" : ""}`} aria-busy=${Boolean(busy)}
    onDragOver=${(event) => { event.preventDefault(); set(true); }} onDragLeave=${() => set(false)}
    onDrop=${(event) => { event.preventDefault(); set(false); take(event.dataTransfer.files); }}>
    <span role="status">${busy || children}</span>
    <button type="button" class="small" onClick=${() => input.current.click()}>Choose files</button>
    <input ref=${input} type="file" multiple accept=${AUDIO} class="unseen" tabindex="-1" aria-label=${label} onChange=${(event) => take(event.target.files)} />
  </div>`;
}

export function AddRecordings() {
  const show = (one) => { if (one) { refresh("/api/collections"); go("recordings", one.id); } };
  return html`<div class="add">
    <${FolderField} onAdd=${show} />
    <${Drop} label="Recordings" onFiles=${async (files, tell) => show(await upload(files, null, "recordings", tell))}>Drop audio files here. They are copied into Distill's folder.<//>
  </div>`;
}
export const addDemo = async () => {
  const one = await post("/api/collections/demo");
  refresh("/api/collections");
  go("recordings", one.id);
};
