// A piece of new audio: how it looks and sounds, where each second is from, how it was made, and what to do with it.
import { useEffect, useState } from "./vendor/hooks.js";
import { get, post, put, query } from "./api.js";
import { html, Action, Badge, percent, when } from "./parts.js";
import { pause, play, playing, position } from "./player.js";
import { address, attempt, refresh, say, usePolled, useShared } from "./store.js";
import { Menu } from "./menu.js";
import { Named } from "./rename.js";
import { remove } from "./trash.js";
import { Sound } from "./wave.js";

const AGAIN_MS = 10000;
const FORMATS = [["wav", "WAV"], ["flac", "FLAC"], ["ogg", "OGG"], ["mp3", "MP3"]];
/** What a job says while it makes pieces. */
export const MAKING = ["Composing", "Writing the report"];
export const download = (reference, format) => query("/api/sound/download", { ref: reference, format });
const number = (value) => `${+Number(value).toFixed(3)}`;

/** How it was made, part by part. */
function how(piece) {
  const { request } = piece;
  const sampling = request.sampling ?? {};
  const temperature = [].concat(sampling.temperature ?? 1).map(number).join(", ");
  const what = { loop: `loop, ${piece.length}`, infill: `${number(request.begin)} to ${number(request.end)} s redrawn`, audio: request.given ? "goes on from a prompt" : "" }[request.kind] ?? "";
  return [`seed ${piece.seed}`, what, `${request.voice === "recordings" ? "recordings'" : "codec's"} voice`, temperature !== "1" && `temperature ${temperature}`, sampling.top_k ? `top-k ${sampling.top_k}` : "", sampling.top_p != null && `top-p ${number(sampling.top_p)}`, sampling.variety ? `variety ${number(sampling.variety)}` : "", request.max_similarity != null && `similarity limit ${number(request.max_similarity)} %`].filter(Boolean);
}

const details = new Map();
function useVerdicts(piece) {
  const [found, set] = useState(details.get(piece.id));
  useEffect(() => {
    if (details.has(piece.id) || !piece.is_there) return undefined;
    let timer, gone = false;
    const taken = (one) => { details.set(piece.id, one.seconds ?? []); set(one.seconds ?? []); };
    // Where nothing answers, the head of the page says so.
    const ask = () => get(`/api/pieces/${piece.id}`).then(taken, () => { if (!gone) timer = setTimeout(ask, AGAIN_MS); });
    ask();
    return () => { gone = true; clearTimeout(timer); };
  }, [piece.id]);
  return found;
}

function Save({ piece }) {
  return html`<${Menu} words="Save" label=${`Save ${piece.name}`} kind="small">${FORMATS.map(([format, words]) => html`<a href=${download(`piece:${piece.id}`, format)} download=${`${piece.name}.${format}`}>${words}</a>`)}<//>`;
}

/** Something to take hold of with the mouse: a DAW or a folder takes the file, a form of the page the piece. */
function Handle({ piece }) {
  const drag = (event) => {
    const url = new URL(download(`piece:${piece.id}`, "wav"), location.href).href;
    event.dataTransfer.setData("DownloadURL", `audio/wav:${piece.name}.wav:${url}`);
    event.dataTransfer.setData("text/x-distill", `piece:${piece.id}`);
    event.dataTransfer.setData("text/uri-list", url);
  };
  return html`<span class="handle" draggable="true" onDragStart=${drag} title="Drag it into a DAW, a folder, or a form of this page" aria-hidden="true"><i></i><span>Drag</span></span>`;
}

function Keep({ piece }) {
  const keep = async () => { await put(`/api/pieces/${piece.id}/kept`, { kept: !piece.kept }); refresh("/api/pieces"); };
  return html`<${Action} kind=${`small quiet keep${piece.kept ? " kept" : ""}`} act=${keep} title=${piece.kept ? "Take it out of Kept" : "Find it again under Kept"}>${piece.kept ? "★ Kept" : "☆ Keep"}<//>`;
}

function Title({ piece }) {
  const act = async (name) => { const { remark } = await post(`/api/pieces/${piece.id}/rename`, { name }); refresh("/api/pieces"); return remark; };
  const name = html`<h3>${piece.name}</h3>`;
  return piece.is_there ? html`<${Named} name=${piece.name} thing=${piece.name} act=${act}>${name}<//>` : name;
}

export function Piece({ piece, side, onSide, onUse, options, isNew = false }) {
  const verdicts = useVerdicts(piece);
  const { kind, begin, end } = piece.request;
  const { original = 0, close = 0, copy = 0 } = piece.shares;
  const isJudged = "original" in piece.shares;
  const isSilent = isJudged && !(original + close + copy);  // no second of it can be judged
  const tone = isSilent ? "" : copy > 0.1 ? "bad" : close > 0.25 ? "warn" : "good";
  const again = async () => {
    const job = await post(`/api/pieces/${piece.id}/again`);
    refresh("/api/jobs");
    say("It is being made again from model, seed and settings.");
    return job;
  };
  return html`<article class=${`card piece${isNew ? " new" : ""}`} aria-label=${`Piece ${piece.name}`} data-piece=${piece.id}>
    <header><div><div class="title"><${Title} piece=${piece} />${isJudged && html`<${Badge} tone=${tone} title=${piece.verdict}>${isSilent ? "silent" : percent(original) + " original"}${kind === "infill" ? " where it is new" : ""}<//>`}</div><small>${piece.model} · ${when(piece.made)}</small></div>
      ${onSide && piece.is_there && html`<div class="sides" role="group" aria-label="Compare"><small aria-hidden="true">Compare</small>${["A", "B"].map((one) => html`<button type="button" class=${`small round${side === one ? " primary" : ""}`} aria-pressed=${side === one} aria-label=${`Compare as ${one}`} onClick=${() => onSide(side === one ? "" : one)}>${one}</button>`)}</div>`}</header>
    ${piece.is_there ? html`<${Sound} reference=${`piece:${piece.id}`} label=${piece.name} verdicts=${verdicts} judged=${kind === "infill" ? [begin, end] : undefined} options=${() => ({ ...options?.(), loop: kind === "loop" })} />` : html`<p class="soft">The file is gone from ${piece.file}.${piece.model_id ? " It can be made again." : ""}</p>`}
    <p class="how">${how(piece).map((part, at) => html`${at ? " · " : ""}<span>${part}</span>`)}</p>
    <div class="actions">
      <${Keep} piece=${piece} />
      ${!piece.is_there && piece.model_id && html`<${Action} kind="small" act=${again}>Make again<//>`}
      ${piece.is_there && html`<${Save} piece=${piece} />`}
      ${piece.is_there && piece.model_id && html`<a class="button small quiet" href=${address("codes", `piece:${piece.id}`)}>Edit codes</a>`}
      ${piece.is_there && html`<${Handle} piece=${piece} />`}
      <${Menu} words="More" label=${`More to do with ${piece.name}`} kind="small quiet" place="end">
        ${onUse && html`<${Action} act=${() => onUse(piece)}>Use these settings<//>`}
        ${piece.is_there && piece.model_id && html`<${Action} act=${again}>Make again<//>`}
        <${Action} label=${piece.is_there ? `Delete ${piece.name}` : `Remove from the list: ${piece.name}`} act=${() => remove(`/api/pieces/${piece.id}`, piece.name)}>${piece.is_there ? "Delete" : "Remove from the list"}<//><//>
    </div>
  </article>`;
}

/** Two pieces at the same level, switched while they play. */
export function Compare({ a, b, onClear }) {
  const level = (piece) => usePolled(piece ? query("/api/sound/level", { ref: `piece:${piece.id}` }) : null, 600000).data?.decibels;
  const [one, other] = [level(a), level(b)];
  const now = useShared(playing);
  useEffect(() => {
    const softest = Math.min(one ?? 0, other ?? 0);
    levels.clear();
    if (a && one != null) levels.set(a.id, 10 ** ((softest - one) / 20));
    if (b && other != null) levels.set(b.id, 10 ** ((softest - other) / 20));
  }, [a?.id, b?.id, one, other]);
  if (!a && !b) return null;
  const isHeard = (piece) => Boolean(piece) && now.isPlaying && now.reference === `piece:${piece.id}`;
  const hear = (piece) => (isHeard(piece) ? pause() : attempt(() => play(`piece:${piece.id}`, { from: now.isPlaying ? position() : 0, level: levels.get(piece.id) ?? 1, label: piece.name, loop: piece.request.kind === "loop" })));
  return html`<div class="card compare" role="group" aria-label="A and B at the same level"><b>Compare</b>
    ${[["A", a], ["B", b]].map(([side, piece]) => html`<button type="button" class=${isHeard(piece) ? "primary" : ""} aria-pressed=${isHeard(piece)} disabled=${!piece} onClick=${() => hear(piece)}>${side}: ${piece ? piece.name : "choose one below"}</button>`)}
    <span class="soft">${a && b && one != null && other != null ? `levels matched, ${Math.abs(one - other).toFixed(1)} dB apart` : ""}</span><button type="button" class="quiet small" onClick=${onClear}>Clear</button></div>`;
}
/** How much softer each of the two is played, so that both are at the level of the softer one. */
export const levels = new Map();
