// The tab Library: every model, what it learned from, how well, and what was made with it.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { get, post, query, send } from "./api.js";
import { html, Action, Alert, Badge, Empty, count, figure, size, when, duration } from "./parts.js";
import { address, attempt, goOn, isAtWork, refresh, say, shared, usePolled, useShared } from "./store.js";
import { STATES } from "./run.js";
import { Menu } from "./menu.js";
import { Piece } from "./piece.js";
import { Named } from "./rename.js";
import { remove, Trash } from "./trash.js";

const SHOWN = 20;  // of a model's pieces; all are in Generate
/** By what models are listed: the column, which way it runs, and the comparison. */
const SORTS = {
  created: ["Date", "descending", (a, b) => b.created.localeCompare(a.created)],
  name: ["Name", "ascending", (a, b) => a.name.localeCompare(b.name)],
  health: ["Codec", "ascending", (a, b) => (a.codec_distance ?? 99) - (b.codec_distance ?? 99)],
  perplexity: ["Prior", "ascending", (a, b) => (a.perplexity ?? 1e9) - (b.perplexity ?? 1e9)],
  seconds: ["Learned from", "descending", (a, b) => b.seconds - a.seconds],
  size: ["Size", "descending", (a, b) => b.size - a.size],
  pieces: ["Pieces", "descending", (a, b) => b.pieces - a.pieces],
};

/** How good a model is, as far as its figures say: distance of the codec, and whether there is a prior. */
function health(model) {
  if (!model.is_there) return ["bad", "file gone"];
  if (!model.has_prior) return ["warn", "codec only"];
  if (model.codec_distance == null) return ["", "not measured"];
  if (model.codec_distance < 1.5) return ["good", "faithful"];
  return model.codec_distance < 2.5 ? ["warn", "coarse"] : ["bad", "first sketch"];
}
const Health = ({ model }) => {
  const [tone, words] = health(model);
  const judged = model.is_there && model.has_prior && model.codec_distance != null;
  return html`<${Badge} tone=${tone} title=${judged ? "By the codec's distance, of what was held out where anything was: under 1.5 faithful, under 2.5 coarse" : undefined}>${words}<//>`;
};

/** What the figures of a model mean. */
const Meant = () => html`<p class="soft">Codec: how far decoded sound is from recordings that were held out, or from all where there was too little to hold any out (mel distance); lower is closer. Prior: between how many codes it hesitates at each step (perplexity); lower is surer.</p>`;

/** Waits for a job, however long it takes, also while the server is silent: what it makes is given to nobody else. Fails in its words. */
async function done(job) {
  let now = job;
  while (isAtWork(now)) {
    await new Promise((next) => { setTimeout(next, 300); });
    now = await get(`/api/jobs/${job.id}`).catch((wrong) => { if (wrong.status) throw wrong; return now; });
  }
  if (now.state !== "finished") throw new Error(`${now.what} ${now.fix}`);
  return now;
}

async function forget(model) {
  await remove(`/api/models/${model.id}`, model.name, model.id);
  goOn("library");
}

/** What is being imported, in words; it goes on wherever the page is meanwhile. */
const importing = shared("");
async function take(files) {
  const wrong = [];
  const taken = [];
  for (const [number, file] of files.entries()) {
    importing.set(files.length > 1 ? `Importing ${number + 1} of ${files.length} …` : "Importing …");
    await send(`/api/uploads/models/${encodeURIComponent(file.name)}`, file).then((model) => taken.push(model.name), (error) => wrong.push(error.message));
    refresh("/api/models");
  }
  importing.set("");
  if (wrong.length) say(wrong.slice(0, 3).join(" "), { tone: "bad" });
  else say(files.length === 1 ? `${taken[0]} is in the library` : `${files.length} models are in the library`);
}

function Import({ kind = "" }) {
  const input = useRef(null);
  const busy = useShared(importing);
  return html`<button type="button" class=${kind} aria-busy=${Boolean(busy)} aria-disabled=${Boolean(busy)} onClick=${() => busy || input.current.click()}>${busy || "Import models"}</button>
    <input ref=${input} type="file" class="unseen" tabindex="-1" accept=".distill" multiple aria-label="Model files to import" onChange=${(event) => { const files = [...event.target.files]; event.target.value = ""; if (files.length) take(files); }} />`;
}

function List() {
  const [words, search] = useState("");
  const [sort, by] = useState("created");
  const { data: models, wrong } = usePolled(query("/api/models", { search: words }), 4000);
  if (wrong && !models) return html`<${Alert} tone="bad">${wrong.message}<//>`;
  if (models && !models.length && !words) {
    return html`<${Empty} title="No models yet" actions=${html`<a class="button primary big" href=${address("train")}>Train a model</a><${Import} kind="big" />`}>
      Every model you train is listed here, with what it learned from and what was made with it. Models from elsewhere can be imported; they are safe to open.<//><${Trash} />`;
  }
  if (!models && !words) return html`<div aria-busy="true"></div>`;
  const sorted = [...(models ?? [])].sort(SORTS[sort][2]);
  const head = (key, numeric) => html`<th scope="col" class=${numeric ? "number" : ""} aria-sort=${sort === key ? SORTS[key][1] : undefined}><button type="button" class="sort" onClick=${() => by(key)}>${SORTS[key][0]}${sort === key ? (SORTS[key][1] === "ascending" ? " ↑" : " ↓") : ""}</button></th>`;
  return html`<div class="stack"><div class="head"><h2>Models</h2><div class="actions"><input class="search" type="search" aria-label="Search models" placeholder="Name, folder, recording" value=${words} onInput=${(event) => search(event.target.value)} />
      <select class="order" aria-label="Order of the models" value=${sort} onChange=${(event) => by(event.target.value)}>${Object.entries(SORTS).map(([key, [name]]) => html`<option value=${key} selected=${key === sort}>By ${name.toLowerCase()}</option>`)}</select><${Import} /></div></div>
    <section class="card" aria-label="Models"><table class="models"><thead><tr>${head("name")}<th scope="col">Health</th>${head("health", true)}${head("perplexity", true)}${head("seconds", true)}${head("size", true)}${head("pieces", true)}${head("created", true)}</tr></thead>
      <tbody>${sorted.map((model) => html`<tr key=${model.id} class=${model.is_there ? "" : "unused"}><th scope="row">${model.is_there ? html`<a href=${address("library", model.id)}>${model.name}</a>` : html`${model.name} <${Action} kind="small quiet" act=${() => forget(model)}>Remove from the list<//>`}</th>
        <td><${Health} model=${model} /></td><td class="number" data-label="codec">${figure(model.codec_distance)}</td><td class="number" data-label="prior">${figure(model.perplexity, 1)}</td><td class="number">${duration(model.seconds)}</td><td class="number">${size(model.size)}</td><td class="number" data-label="pieces">${model.pieces}</td><td class="number">${when(model.created)}</td></tr>`)}</tbody></table>
      ${models && !sorted.length && html`<p class="soft">No model matches “${words}”.</p>`}</section>
    <${Meant} /><${Trash} /></div>`;
}

/** Gives a model another name, and goes where it is shown then. */
async function rename(model, name) {
  const now = await post(`/api/models/${model.id}/rename`, { name });
  refresh("/api/models");
  goOn("library", now.id);
  return now;
}
function Title({ model }) {
  const last = useRef(model);
  const act = async (name) => { last.current = await rename(last.current, name); };
  return html`<div class="title"><${Named} name=${model.name} thing="this model" act=${act}><h2>${model.name}</h2><//><${Health} model=${model} /></div>`;
}

function Trainings({ runs }) {
  const kinds = { codec: "Codec", refinement: "Second stage", prior: "Prior" };
  return html`<section class="card" aria-label="Trainings"><header><h3>Trainings</h3></header>${runs.length ? html`<table class="trainings"><tbody>${runs.map((run) => html`<tr><th scope="row"><a href=${address("train", run.run)}>${kinds[run.kind]}</a></th><td>${when(run.started)}</td><td><${Badge} tone=${STATES[run.outcome]}>${run.outcome}<//></td>
    <td class="number">${run.settings.minutes ? duration(60 * run.settings.minutes) : run.settings.epochs ? count(run.settings.epochs, "epoch") : ""}</td></tr>`)}</tbody></table>` : html`<p class="soft">None on this computer.</p>`}</section>`;
}

/** The models into which their recordings are being put, wherever the page is meanwhile. */
const giving = shared([]);
/** The file without the recordings' sound, or with it. */
function Export({ model }) {
  const busy = useShared(giving).includes(model.id);
  const give = async () => {
    giving.set([...giving.get(), model.id]);
    await attempt(async () => {
      const job = await done(await post(`/api/models/${model.id}/gift`));
      const told = job.results[0];
      const link = Object.assign(document.createElement("a"), { href: `/api/gifts/${job.id}`, download: "" });
      link.click();
      say(`${model.name} with ${count(told.recordings, "recording")}, ${size(told.size)}. Whoever has this file has them.`);
    });
    giving.set(giving.get().filter((one) => one !== model.id));
  };
  return html`<${Menu} words=${busy ? "Putting the recordings in …" : "Export"} place="export end" busy=${busy}>
    <a href=${`/api/models/${model.id}/file`} download><b>The model, ${size(model.size - model.sound_size)}</b><small>It holds your recordings as codes, which can be decoded; it speaks with the codec's voice.${model.sound_size > 0 && " The recordings' own sound, which it was given with, is left out."}</small></a>
    ${model.has_prior && html`<button type="button" onClick=${give} disabled=${busy}><b>With its recordings</b><small>Their sound is in the file, so that their voice speaks elsewhere too. Whoever has the file has your recordings.</small></button>`}<//>`;
}

function Model({ id }) {
  const { data: model, wrong } = usePolled(`/api/models/${id}`, 5000);
  const { data: pieces } = usePolled(`/api/pieces?model=${id}`, 8000);
  useEffect(() => { scrollTo(0, 0); }, [id]);
  if (wrong && !model) return html`<${Alert} tone="bad">${wrong.message} <a href=${address("library")}>All models</a><//>`;
  if (!model) return html`<div aria-busy="true"></div>`;
  const facts = [["Codec distance", figure(model.codec_distance)], ["Prior perplexity", figure(model.perplexity, 1)], ["Learned from", `${count(model.file_count, "recording")}, ${duration(model.seconds)}`], ["Levels × codes", `${model.level_names.length} × ${model.codebook_size}`], ["Rate", `${(model.bitrate / 1000).toFixed(2)} kbit/s`], ["Size", size(model.size)]];
  return html`<div class="stack"><a class="back" href=${address("library")}>← All models</a>
    <div class="head"><div><${Title} model=${model} /><small class="path">${model.file} · ${when(model.created)}</small></div>
      <div class="actions"><${Export} model=${model} /><${Action} kind="quiet" act=${() => forget(model)} data-test="delete">Delete<//>
        ${model.has_prior && html`<a class="button primary" href=${address("generate", id)}>Make sound</a>`}</div></div>
    <dl class="tiles">${facts.map(([words, value]) => html`<div><dd>${value}</dd><dt>${words}</dt></div>`)}</dl><${Meant} />
    <div class="cards two"><${Trainings} runs=${model.runs} />
      <section class="card" aria-label="Where it comes from"><header><h3>Where it comes from</h3></header><dl class="facts"><dt>Began from</dt><dd>${model.base}</dd><dt>Nearer voice</dt><dd>${model.voice === "recordings" ? "grains of the recordings" : "the codec"}</dd>
        ${model.reports.length > 0 && html`<dt>Reports</dt><dd>${model.reports.map((page) => html`<a target="_blank" rel="noopener" href=${`/api/reports/${id}/${encodeURIComponent(page)}`}>${page.replace(/\.html$/, "")}</a> `)}</dd>`}</dl>
        ${model.recordings.length > 0 && html`<details><summary>${count(model.recordings.length, "recording")}</summary><ul class="names">${model.recordings.map((name) => html`<li>${name}</li>`)}</ul></details>`}</section></div>
    <div class="head"><h2>Made with it</h2><span class="soft">${pieces ? count(model.pieces, "piece") : ""}</span></div>
    ${pieces && !pieces.length && html`<p class="soft">Nothing yet. <a href=${address("generate", id)}>Make sound</a></p>`}
    <div class="cards two">${(pieces ?? []).slice(0, SHOWN).map((piece) => html`<${Piece} key=${piece.id} piece=${piece} />`)}</div>
    ${pieces?.length > SHOWN && html`<p><a href=${address("generate", id)}>All ${model.pieces} pieces</a></p>`}
  </div>`;
}

const Library = ({ path }) => (path[0] ? html`<${Model} key=${path[0]} id=${path[0]} />` : html`<${List} />`);

export const tab = { id: "library", title: "Library", view: Library };
