// Naming a folder, with completion, and dropping files.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { get, post, query, send, unreadable } from "./api.js";
import { html, Action, count } from "./parts.js";
import { address, attempt, forgetWrong, goOn, refresh, say, sayWrong, shared, useShared } from "./store.js";

/** A path that completes itself: arrow keys and Enter, or Tab, take what is offered. */
function FolderField({ onAdd }) {
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
  const add = async () => { forgetWrong(); onAdd(await post("/api/collections", { folder: text }).catch((error) => { sayWrong(error); return null; })); };
  const isOpen = offered.length > 0 && text !== "";
  return html`<div class="folder-field">
    <input id="folder-path" ref=${input} value=${text} placeholder="~/Music/my recordings" autocomplete="off" spellcheck="false" role="combobox"
      aria-expanded=${isOpen} aria-controls="folder-offers" aria-activedescendant=${at >= 0 ? `offer-${at}` : undefined} onInput=${(event) => set(event.target.value)} onKeyDown=${keys} />
    <${Action} act=${add} disabled=${!text.trim()} doing="Adding …">Add folder<//>
    ${isOpen && html`<ul id="folder-offers" role="listbox" aria-label="Folders">${offered.map((folder, number) => html`<li id=${`offer-${number}`} role="option" aria-selected=${number === at}
      onMouseDown=${(event) => { event.preventDefault(); take(folder); }}>${folder}</li>`)}</ul>`}
  </div>`;
}

const AUDIO = ".wav,.wave,.bwf,.rf64,.w64,.aif,.aiff,.aifc,.flac,.ogg,.oga,.opus,.mp3,.mpga,.caf,.au,.snd,.m4a,.m4b,.m4p,.aac,.wma,.ape,.wv,.amr,.3ga,.mka,.dsf,.tta,.spx,audio/*";
const isAudio = (file) => file.type.startsWith("audio/") || AUDIO.split(",").some((ending) => file.name.toLowerCase().endsWith(ending));
const isHidden = (path) => path.split("/").some((part) => part.startsWith("."));

/** What is below a folder of this name, where all is below it: its name is that of the new folder already. */
const inside = (files, name) => (files.every(({ below }) => `${below}/`.startsWith(`${name}/`)) ? files.map(({ file, below }) => ({ file, below: below.slice(name.length + 1) })) : files);

/** What is being copied, in words; it goes on wherever the page is meanwhile. */
const copying = shared("");
/** Whoever closes the window meanwhile is asked first: the files that are left would not come. */
const hold = (event) => event.preventDefault();
copying.watch((words) => (words ? addEventListener : removeEventListener)("beforeunload", hold));

/**
 * Uploads files into a folder of Distill's own, one after the other, and gives that folder; null where none was taken.
 * Each of them is `{ file, below }`, with the folders it was in, so that two of one name stay apart.
 */
export async function upload(files, collection, name, tell) {
  const taken = files.filter(({ file }) => isAudio(file));
  const others = files.length - taken.length;
  if (!taken.length) {
    say(files.length === 1 ? `${files[0].file.name} is not audio, going by its name.` : `None of these ${files.length} files is audio, going by their names.`, { tone: "bad" });
    return null;
  }
  const into = collection ?? (await post("/api/collections/new", { name }));
  const wrong = [];
  for (const [number, { file, below }] of taken.entries()) {
    tell?.(`Copying ${number + 1} of ${taken.length}: ${file.name}`);
    await send(query(`/api/uploads/recordings/${encodeURIComponent(into.id)}/${encodeURIComponent(file.name)}`, { below }), file).catch(({ what }) => wrong.push(what.startsWith(file.name) ? what : `${file.name}: ${what}`));
  }
  refresh("/api/collections");
  const left = others ? `; ${count(others, "other file")} skipped: not audio, going by ${others === 1 ? "its name" : "their names"}` : "";
  say(wrong.length ? `${wrong.length} of ${count(taken.length, "file")} could not be copied. ${wrong[0]}` : `${count(taken.length, "file")} copied into Distill's folder${left}`, { tone: wrong.length ? "bad" : "good" });
  return into;
}

/** Files with their paths below what was given, as `upload` takes them; what is hidden stays behind. */
const placed = (paths) => paths.filter(([, path]) => !isHidden(path)).map(([file, path]) => ({ file, below: path.split("/").slice(0, -1).join("/") }));

const alone = (files) => [[...files].map((file) => ({ file, below: "" })), ""];

/** All files below what was dropped, folders opened, and the name of the folder where it was one. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return alone(transfer.files);
  const files = [];
  const open = async (entry, path) => {
    if (entry.isFile) {
      files.push([await new Promise((done, failed) => { entry.file(done, () => failed(unreadable(entry.name))); }), path]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {  // it gives a hundred at a time
      const some = await new Promise((done, failed) => { reader.readEntries(done, () => failed(unreadable(entry.name))); });
      if (!some.length) return;
      for (const one of some) await open(one, `${path}/${one.name}`);
    }
  };
  for (const entry of entries) await open(entry, entry.name);
  return [placed(files), entries.find((entry) => entry.isDirectory).name];
}
function picked(list) {
  const all = [...list].map((file) => [file, file.webkitRelativePath]);
  return all[0][1] ? [placed(all), all[0][1].split("/")[0]] : alone(list);
}

/** Takes files or folders that are dropped on it or chosen: `onFiles(files, name of the folder, tell)`. */
export function Drop({ onFiles, label, children, big = false }) {
  const [over, set] = useState(false);
  const busy = useShared(copying);
  const single = useRef(null);
  const folder = useRef(null);
  const take = async (gather) => {
    if (copying.get()) return;
    copying.set("Looking …");
    forgetWrong();
    await attempt(async () => {
      const [files, name] = await gather();
      if (files.length) await onFiles(files, name, copying.set);
      else say(name ? `There are no files in ${name}.` : "That holds no files.", { tone: "bad" });
    });
    copying.set("");
    for (const input of [single, folder]) if (input.current) input.current.value = "";
  };
  const chosen = (event) => { const { files } = event.target; if (files.length) take(async () => picked(files)); };
  return html`<div class=${`drop${over ? " over" : ""}${big ? " big" : ""}`} aria-busy=${Boolean(busy)}
    onDragOver=${(event) => { event.preventDefault(); set(true); }} onDragLeave=${(event) => { if (!event.currentTarget.contains(event.relatedTarget)) set(false); }}
    onDrop=${(event) => { event.preventDefault(); set(false); const { dataTransfer } = event; take(() => dropped(dataTransfer)); }}>
    <span role="status">${busy || children}</span>
    <div class="actions"><button type="button" class=${big ? "primary" : "small"} disabled=${Boolean(busy)} onClick=${() => folder.current.click()}>Choose a folder</button>
      <button type="button" class=${big ? "" : "small"} disabled=${Boolean(busy)} onClick=${() => single.current.click()}>Choose files</button></div>
    <input ref=${folder} type="file" webkitdirectory class="unseen" tabindex="-1" aria-label=${`${label}: a folder`} onChange=${chosen} />
    <input ref=${single} type="file" multiple accept=${AUDIO} class="unseen" tabindex="-1" aria-label=${label} onChange=${chosen} />
  </div>`;
}

export function AddRecordings({ onDone }) {
  const show = (one) => {
    if (!one) return;
    refresh("/api/collections");
    if (location.hash === address("recordings", one.id)) onDone?.();
    else goOn("recordings", one.id);  // the form goes when that has come, so that no other folder is shown in between
  };
  return html`<div class="add">
    <${Drop} big=${true} label="Recordings" onFiles=${async (files, name, tell) => show(await upload(inside(files, name), null, name || "recordings", tell))}>
      <b>Drop a folder or audio files here</b>They are copied into Distill's own folder.<//>
    <div class="in-place"><label for="folder-path">Or use a folder where it is: nothing is copied, and nothing is ever written to it</label><${FolderField} onAdd=${show} /></div>
  </div>`;
}
export const isDemo = (one) => one.is_own && one.name === "demo";
export const addDemo = async () => {
  const one = await post("/api/collections/demo");
  refresh("/api/collections");
  goOn("recordings", one.id);
};
