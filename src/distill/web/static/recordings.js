// The tab Recordings: folders that were named or dropped, and the import's verdict on every file.
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.js";
import { del, post, put } from "./api.js";
import { html, Action, Alert, Badge, Bar, Damaged, count, minus, percent, duration } from "./parts.js";
import { address, attempt, go, refresh, say, usePolled, useRemembered } from "./store.js";
import { AddRecordings, Drop, addDemo, isDemo, upload } from "./folder.js";
import { Sound } from "./wave.js";

const AGAIN_MS = 2000;  // longer than from one look to the next: a file that is still being copied differs at each
const REFUSED_MS = 10000;
const SHOWN = 40;  // rows at once: each has a picture to draw
const TONES = { used: "good", unreadable: "bad" };

function First() {
  return html`<section class="first">
    <h2>What should Distill learn from?</h2>
    <p>Five to five hundred of your recordings: loops, takes of an instrument, a walk in the rain. In minutes they become an instrument that makes new sound of their kind. Nothing leaves this computer.</p>
    <${AddRecordings} />
    <p class="no-recordings">Nothing at hand? <${Action} act=${addDemo} doing="Making them …" data-test="demo">Try the demo corpus<//> <span>21 short recordings that Distill makes itself.</span></p>
  </section>`;
}

function Folders({ all, chosen, isAdding, add, opener }) {
  const list = useRef(null);
  useEffect(() => { const item = list.current.querySelector("[aria-current]"); if (item) list.current.scrollLeft = item.offsetLeft - list.current.firstElementChild.offsetLeft; }, [chosen]);  // on a phone they stand in a row
  return html`<aside class="stack" aria-label="Folders of recordings">
    <div class="list" ref=${list}>${all.map((one) => html`<a href=${address("recordings", one.id)} class="item" aria-current=${one.id === chosen && !isAdding ? "true" : undefined}>
      <b title=${one.name}>${one.name}</b><small>${one.is_there ? count(one.files, "audio file") : "gone from its place"}${one.left_out.length ? ` · ${one.left_out.length} left out` : ""}</small></a>`)}</div>
    <div class="actions"><button type="button" ref=${opener} disabled=${isAdding} onClick=${add}>Add a folder</button>
      ${!all.some(isDemo) && html`<${Action} kind="quiet" act=${addDemo} doing="Making it …">Demo corpus<//>`}</div>
  </aside>`;
}

function Add({ onClose, onDone }) {
  const own = useRef(null);
  // Before anything is drawn: a moment later it would take the focus from whoever types already.
  useLayoutEffect(() => { own.current.querySelector(".drop button").focus(); }, []);
  return html`<section class="stack" ref=${own} aria-label="Add recordings" onKeyDown=${(event) => { if (event.key === "Escape") onClose(); }}>
    <div class="head"><h2>Add recordings</h2><div class="actions"><button type="button" class="quiet" onClick=${onClose}>Cancel</button></div></div>
    <${AddRecordings} onDone=${onDone} /></section>`;
}

function Totals({ report }) {
  const split = report.split;
  const { channels } = report;
  const rows = [
    [`${report.usable} of ${report.files.length}`, "files are usable"],
    [duration(report.seconds), "of sound"],
    [channels === 2 ? "stereo" : "mono", "is learned"],
    split.held_out.length || !split.held_out_in_part?.length ? [split.held_out.length ? `${split.held_out.length}` : "–", "held out to measure with"] : [`${split.held_out_in_part.length}`, "held out in part, to measure with"],
    [`${report.settings["rvq-levels"] ?? ""} × ${report.settings["codebook-size"] ?? ""}`, "levels × codes of the codec"],
  ];
  return html`<dl class="tiles">${rows.map(([value, words]) => html`<div><dd>${value}</dd><dt>${words}</dt></div>`)}</dl>`;
}

function Row({ file, collection, isOut, isHeld, isPartHeld, onLeave }) {
  const used = file.verdict === "used" && !isOut;
  const reference = `recording:${collection.id}/${file.name}`;
  return html`<tr class=${used ? "" : "unused"}>
    <th scope="row"><span title=${file.name}>${file.name}</span>${file.sample_rate > 0 && html`<small>${[`${+(file.sample_rate / 1000).toFixed(1)} kHz`, file.peak_db > -200 && `peak ${minus(file.peak_db.toFixed(1))} dB`, file.silence >= 0.01 && `${percent(file.silence)} silence`.replaceAll(" ", "\u00a0")].filter(Boolean).join(" · ")}</small>`}${(file.reason || file.remark) && html`<small class="remark">${file.reason || file.remark} ${file.fix}</small>`}</th>
    <td class="heard-here">${file.verdict !== "unreadable" && html`<${Sound} reference=${reference} label=${file.name} mel=${false} length=${file.seconds} />`}</td>
    <td class="verdict">${isHeld ? html`<${Badge} tone="aside" title="Never trained on: what is measured on it is honest">held out<//>` : html`<${Badge} tone=${isOut ? "aside" : TONES[file.verdict] ?? "warn"}>${isOut ? "left out" : file.verdict}<//>`}${isPartHeld && html` <${Badge} tone="aside" title="A stretch of it is never trained on: what is measured on that is honest">held out in part<//>`}</td>
    <td class="number">${file.seconds ? duration(file.seconds) : ""}</td>
    <td class="number"><button type="button" class="quiet small" aria-label=${`${isOut ? "Take back" : "Leave out"} ${file.name}`} onClick=${onLeave}>${isOut ? "Take back" : "Leave out"}</button></td>
  </tr>`;
}

/** Every file that was ever judged here; those left out are not read any more, and stay as they were. `reading` says that all is read again. */
function Table({ collection, report, reading, again }) {
  const known = useRef(new Map()).current;
  const [shown, show] = useState("all");
  const [words, search] = useState("");
  const [isAll, showAll] = useState(false);
  const out = new Set(collection.left_out);
  const held = new Set(report?.split.held_out ?? []);
  const partHeld = new Set(report?.split.held_out_in_part ?? []);
  const judged = report?.files ?? [];
  for (const file of judged) known.set(file.name, file);
  const names = new Set(judged.map((file) => file.name));
  const others = new Set([...collection.left_out, ...(reading ? known.keys() : [])]);  // what was just taken back is not read yet
  const missing = [...others].filter((name) => !names.has(name))
    .map((name) => known.get(name) ?? ({ name, verdict: "left out", reason: "", fix: "", seconds: 0, sample_rate: 0, peak_db: -200 }));
  const files = [...judged, ...missing].sort((a, b) => a.name.localeCompare(b.name));
  const isUsable = (file) => file.verdict === "used" && !out.has(file.name);
  const isUsed = (file) => isUsable(file) && !held.has(file.name);
  const isHeld = (file) => isUsable(file) && (held.has(file.name) || partHeld.has(file.name));
  const fits = { all: () => true, used: isUsed, unused: (file) => !isUsable(file), held: isHeld }[shown];
  const wanted = files.filter((file) => fits(file) && file.name.toLowerCase().includes(words.toLowerCase()));
  const leave = (name) => attempt(async () => {
    await post(`/api/collections/${encodeURIComponent(collection.id)}/left-out`, { name, is_out: !out.has(name) });
    refresh("/api/collections");
    again();
  });
  return html`<section class="card" aria-label="Recordings">
    <header><h3>${count(files.length, "file")} <small role="status">${reading}</small></h3><div class="actions">
      <input class="search" type="search" placeholder="Search" aria-label="Search recordings" value=${words} onInput=${(event) => search(event.target.value)} />
      <select aria-label="Which recordings are shown" value=${shown} onChange=${(event) => show(event.target.value)}><option value="all">All</option><option value="used">Used</option><option value="unused">Not used</option>${held.size + partHeld.size > 0 && html`<option value="held">Held out</option>`}</select>
    </div></header>
    <table class="recordings"><thead><tr><th scope="col">File</th><th scope="col">Sound</th><th scope="col">Verdict</th><th scope="col" class="number">Length</th><th scope="col"><span class="unseen">Use</span></th></tr></thead>
      <tbody>${(isAll ? wanted : wanted.slice(0, SHOWN)).map((file) => html`<${Row} key=${file.name} file=${file} collection=${collection} isOut=${out.has(file.name)} isHeld=${held.has(file.name) && !out.has(file.name)} isPartHeld=${partHeld.has(file.name) && !out.has(file.name)} onLeave=${() => leave(file.name)} />`)}</tbody></table>
    ${!isAll && wanted.length > SHOWN && html`<p class="others"><button type="button" onClick=${() => showAll(true)}>Show the other ${wanted.length - SHOWN}</button></p>`}
    ${!wanted.length && html`<p class="soft">No recording matches.</p>`}
  </section>`;
}

function Reading({ job, files }) {
  const { share, detail } = job?.progress ?? { share: 0, detail: "" };
  return html`<div class="card" role="status"><header><h3>Listening to every file</h3><span class="soft">${detail || (share ? "" : `Getting ready to read ${count(files, "file")} …`)}</span></header><${Bar} share=${share} waits=${!share} label="Files read" /></div>`;
}

const allOut = (one) => one.files > 0 && one.left_out.length >= one.files;
/** Whether there is nothing in a folder to learn from, as far as it was read. */
export const unusable = (one) => Boolean(one && (!one.files || allOut(one) || (!one.report && one.job?.state === "failed")));

function Folder({ id }) {
  const { data: one, wrong, again } = usePolled(`/api/collections/${encodeURIComponent(id)}`, 1500);
  const [refused, refuse] = useState(null);  // what came of it when the server was asked to read the folder and did not
  const before = useRef(null), asked = useRef(false);
  if (one?.report) before.current = one.report;
  const report = one?.report ?? before.current;  // while it is read again, what was read before stays
  const needed = one && one.is_there && one.files > 0 && !allOut(one) && !one.report && !one.job;
  const key = needed ? `${one.id} ${one.stamp}` : "";
  useEffect(() => {
    if (!key) return undefined;
    const ask = () => { asked.current = true; post(`/api/collections/${encodeURIComponent(id)}/check`).then(() => refuse(null), refuse).then(again); };
    // Whoever leaves out one recording may leave out several.
    const timer = setTimeout(ask, refused ? REFUSED_MS : report || asked.current ? AGAIN_MS : 0);
    return () => clearTimeout(timer);
  }, [key, refused]);
  if (wrong && !one) return html`<${Alert} tone="bad">${wrong.message}<//>`;
  if (!one) return html`<div aria-busy="true"></div>`;
  const forget = async () => {
    await del(`/api/collections/${encodeURIComponent(id)}`);
    refresh("/api/collections", encodeURIComponent(id));
    go("recordings");
    const takeBack = async () => {
      await post("/api/collections", { folder: one.folder });
      if (one.left_out.length) await put(`/api/collections/${encodeURIComponent(id)}/left-out`, { names: one.left_out });
      refresh("/api/collections");
      go("recordings", id);
    };
    say(`${one.name} is off the list; the folder stays as it is`, { undo: { act: () => attempt(takeBack) } });
  };
  const share = one.job?.progress.share;
  const failed = one.job && ["failed", "interrupted"].includes(one.job.state);
  const isRead = needed ? !refused : one.job && !failed;
  return html`<div class="stack">
    <div class="head"><div><h2>${one.name}</h2><small class="path">${one.folder}</small></div>
      <div class="actions"><${Action} kind="quiet" act=${forget}>Remove from the list<//>
        ${unusable(one) ? html`<span class="soft">No usable recording</span>` : html`<a class="button primary" href=${address("train", "new", one.id)} data-test="to-train">Train on these</a>`}</div></div>
    ${report && html`<${Totals} report=${report} />`}
    ${!one.is_there && html`<${Alert} tone="bad">The folder is gone from its place. Put it back, or remove it from the list.<//>`}
    ${one.is_there && !one.files && html`<${Alert}>There is no audio in this folder yet. Put recordings in it; they show up here by themselves.<//>`}
    ${one.is_there && allOut(one) && html`<${Alert}>Every recording is left out. Take back those to learn from.<//>`}
    ${failed && html`<${Alert} tone="bad">${one.job.what} ${one.job.fix} <${Action} kind="small" act=${async () => { await post(`/api/collections/${encodeURIComponent(id)}/check`); again(); }}>Read again<//><//>`}
    ${needed && refused && html`<${Alert} tone="bad">${refused.message} It is tried again by itself.<//>`}
    ${!report && isRead && html`<${Reading} job=${one.job} files=${one.files} />`}
    ${(report?.warnings ?? []).map((warning) => html`<${Alert}>${warning}<//>`)}
    ${one.is_own && html`<${Drop} label=${`More recordings for ${one.name}`} onFiles=${async (files, _, tell) => { await upload(files, one, "", tell); again(); }}>Drop more files here to add them to this folder.<//>`}
    ${(report || one.left_out.length > 0) && html`<${Table} collection=${one} report=${report} again=${again} reading=${report && isRead ? `reading again …${share ? ` ${percent(share)}` : ""}` : ""} />`}
    ${report && html`<details><summary>What is held out, and why these sizes</summary><p class="soft">${report.split.explanation} ${report.together.join(" ")}</p><p class="soft">${report.why}</p></details>`}
  </div>`;
}

function Recordings({ path }) {
  const { data: all, wrong } = usePolled("/api/collections", 4000);
  const [isAdding, set] = useState(false);
  const opener = useRef(null);
  const [last, remember] = useRemembered("folder", "");
  useEffect(() => { set(false); if (path[0]) remember(path[0]); }, [path[0]]);
  // Whoever came by keyboard goes on where they were.
  const leave = () => { set(false); requestAnimationFrame(() => requestAnimationFrame(() => opener.current?.focus())); };
  if (wrong && !all) return html`<${Alert} tone="bad">${wrong.message}<//>`;
  if (!all) return html`<div aria-busy="true"></div>`;
  const chosen = path[0] ?? (all.find((one) => one.id === last) ?? all.find((one) => !unusable(one)) ?? all[0])?.id;
  if (!chosen) return html`<${Damaged} tab="recordings" /><${First} />`;
  return html`<${Damaged} tab="recordings" /><div class="split"><${Folders} all=${all} chosen=${chosen} isAdding=${isAdding} add=${() => set(true)} opener=${opener} />
    ${isAdding ? html`<${Add} onClose=${leave} onDone=${() => set(false)} />` : html`<${Folder} key=${chosen} id=${chosen} />`}</div>`;
}

export const tab = { id: "recordings", title: "Recordings", view: Recordings };
