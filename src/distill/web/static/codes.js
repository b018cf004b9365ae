// The tab Codes: what is open, what can be opened, and the desk on which one sound or two are edited.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { get, post, send } from "./api.js";
import { Action, Choice, Damaged, Empty, html, when, duration, place } from "./parts.js";
import { address, attempt, go, refresh, say, usePolled, useRemembered } from "./store.js";
import { close, reopen } from "./codes-sheet.js";
import { Desk, unopened } from "./codes-desk.js";

const SHOWN = 200;

function Opener({ models, beside, onOpened }) {
  const [remembered, setModel] = useRemembered("codes-model", "");
  const there = models.filter((one) => one.is_there);
  const model = there.find((one) => one.id === (beside?.told.model_id ?? remembered)) ?? there[0];
  const [recordings, setRecordings] = useState([]);
  const [pieces, setPieces] = useState([]);
  const [search, setSearch] = useState("");
  const [over, setOver] = useState(false);
  const [opening, wait] = useState("");
  const busy = useRef(false), gone = useRef(false);
  useEffect(() => () => { gone.current = true; }, []);
  useEffect(() => {
    if (!model) return undefined;
    let gone = false;
    attempt(async () => {
      const [kept, made] = await Promise.all([get(`/api/codes/models/${model.id}/recordings`), get(`/api/pieces?model=${model.id}&whole=true`)]);
      if (!gone) { setRecordings(kept); setPieces(made.filter((one) => one.is_there)); }
    });
    return () => { gone = true; };
  }, [model?.id]);
  if (!model) return html`<p class="hint">The model of this sound is not where it was. Put it back, or import it in <a href=${address("library")}>Library</a>.</p>`;
  // One at a time: the model may have to be loaded first, and whoever sees nothing happen presses again.
  const begin = async (name, asked) => {
    if (busy.current) return;
    busy.current = true;
    wait(name);
    const sheet = await attempt(asked);
    busy.current = false;
    wait("");
    if (sheet && !gone.current) onOpened(sheet);  // whoever has gone elsewhere meanwhile is not fetched back
  };
  const open = (name, body) => begin(name, () => post("/api/codes/sheets", { model: model.id, anew: Boolean(beside), ...body }));
  const take = (files) => files[0] && begin(files[0].name, () => send(`/api/uploads/codes/${model.id}/${encodeURIComponent(files[0].name)}?anew=${Boolean(beside)}`, files[0]));
  const listed = (all, one) => {
    const fitting = all.filter(({ name }) => fits(name));
    const left = fitting.length - SHOWN;
    return html`<ul>${fitting.slice(0, SHOWN).map(one)}</ul>${left > 0 && html`<p class="hint">${left} more: search for a part of their names.</p>`}`;
  };
  const fits = (name) => name.toLowerCase().includes(search.trim().toLowerCase());
  const line = (key, name, detail, body) => html`<li key=${key}><button type="button" class="quiet" onClick=${() => open(name, body)} data-test="open"><span>${name}</span><small>${opening === name ? "opening …" : detail}</small></button></li>`;
  const where = (one) => (one.begin ? ` from ${place(one.begin)}` : "");
  return html`<div class="opener">
    <div class="fields">
      <${Choice} label="With the model" value=${model.id} options=${there.map((one) => [one.id, one.name])} onInput=${setModel} />
      <label class="field"><span>Search</span><input type="search" value=${search} placeholder="Name" onInput=${(event) => setSearch(event.target.value)} /></label>
    </div>
    <label class=${`drop ${over ? "over" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${(event) => { event.preventDefault(); setOver(false); take(event.dataTransfer.files); }}>
      <input type="file" class="unseen" accept="audio/*,.codes" aria-label="Choose an audio file or a .codes file" onChange=${(event) => { const files = [...event.target.files]; event.target.value = ""; take(files); }} />
      <span role="status">${opening ? `Opening ${opening} …` : html`Drop an audio file or a .codes file here, or <u>choose one</u>`}</span>
    </label>
    <div class="lists">
      <section><h3>Recordings it learned from${recordings.length ? ` (${recordings.length})` : ""}</h3>
        ${recordings.length ? listed(recordings, (one) => line(`r${one.index}`, `${one.name}${where(one)}`, duration(one.seconds), { recording: one.index })) : html`<p class="hint">A model keeps its recordings as codes once it has a prior.</p>`}
      </section>
      <section><h3>New audio made with it${pieces.length ? ` (${pieces.length})` : ""}</h3>
        ${pieces.length ? listed(pieces, (one) => line(`p${one.id}`, one.name, `piece ${one.id} · ${when(one.made)}`, { sound: `piece:${one.id}` })) : html`<p class="hint">None yet; make some in Generate.</p>`}
      </section>
    </div>
  </div>`;
}

/** What was closed can be opened again, with all that was done to it, for as long as it says. */
function Closed({ onOpened }) {
  const { data: all } = usePolled("/api/codes/closed", 15000);
  if (!all?.length) return null;
  const day = (moment) => new Date(moment).toLocaleDateString([], { month: "long", day: "numeric" });
  return html`<details class="card closed"><summary>Closed (${all.length})</summary><p class="hint">With all that was done to them. Each is kept for at least 30 days, then deleted for good.</p>
    <ul class="open-sheets">${all.map((one) => html`<li key=${one.id}><span><b>${one.name}</b><small>${duration(one.seconds)} · ${one.model} · kept until ${day(one.until)}</small></span>
      <${Action} kind="small" label=${`Open ${one.name} again`} act=${async () => { await reopen(one.id); onOpened(); }}>Open again<//></li>`)}</ul></details>`;
}

function Codes({ path }) {
  const models = usePolled("/api/models", 5000);
  const open = usePolled("/api/codes/sheets", 4000);
  const there = models.data?.filter((one) => one.is_there);
  // Other tabs come with the reference of a sound: #/codes/piece:12, or #/codes/REFERENCE/MODEL where it is no piece.
  const reference = path[0]?.includes(":") ? path[0] : "";
  useEffect(() => {
    if (!reference) return undefined;
    let gone = false;
    const opened = async () => {
      const model = path[1] ?? (await get(`/api/pieces/${reference.split(":")[1]}`)).model_id;
      return (await post("/api/codes/sheets", { model, sound: reference })).id;
    };
    opened().then((id) => { if (!gone) location.replace(address("codes", id)); }, (error) => { if (!gone) unopened(error); });
    return () => { gone = true; };
  }, [reference]);
  if (reference) return html`<p class="hint" aria-busy="true">Opening…</p>`;
  if (path[0]) return html`<${Desk} key=${path[0]} id=${path[0]} other=${path[1]} models=${models.data ?? []} Opener=${Opener} />`;
  if (!there || !open.data) return models.wrong ? html`<p class="alert bad">${models.wrong.message}</p>` : html`<div aria-busy="true"></div>`;
  if (!there.length) {
    return html`<${Empty} title="Play your sound like an instrument" actions=${html`<a class="button primary big" href=${address("train")}>Train a model</a>`}>
      Here any recording becomes a grid of codes. Hear it cell by cell; mirror, repeat, swap or blend parts of it, or let the model re-imagine them. First you need a model: training one on your recordings takes a few minutes.<//>`;
  }
  const look = () => { open.again(); refresh("/api/codes/closed"); };
  const shut = async (one) => {
    await close(one.id);
    look();
    say(`Closed ${one.name}.`, { undo: { act: () => attempt(async () => { await reopen(one.id); look(); }) } });
  };
  return html`<div class="stack">
    <${Damaged} tab="codes" />
    ${!open.data.length && html`<div class="head"><div><h2>Sound, cell by cell</h2><p class="hint">Open a recording or a piece to begin: it becomes a grid whose columns are time and whose rows are ${there[0] ? "Structure, Timbre, Texture and Detail" : "levels"}. Click a cell to hear it.</p></div></div>`}
    ${open.data.length > 0 && html`<section class="card"><header><h2>Open</h2></header><ul class="open-sheets">
      ${open.data.map((one) => html`<li key=${one.id}><a href=${address("codes", one.id)}><b>${one.name}</b><small>${duration(one.seconds)} · ${one.model} · ${when(one.made)}</small></a>
        <${Action} kind="quiet small" label=${`Close ${one.name}`} title="Close" act=${() => shut(one)}>✕<//></li>`)}</ul></section>`}
    <section class="card"><header><h2>${open.data.length ? "Open another" : "Open"}</h2></header><${Opener} models=${models.data} onOpened=${(sheet) => go("codes", sheet.id)} /></section>
    <${Closed} onOpened=${look} />
  </div>`;
}

export const tab = { id: "codes", title: "Codes", view: Codes };
