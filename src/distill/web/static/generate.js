// The tab Generate: what to ask for, and what was made.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { del, get, post, put, query } from "./api.js";
import { html, Action, Alert, Bar, Choice, Empty, Field, Segments, Tick, count, isFilled } from "./parts.js";
import { address, attempt, go, isAtWork, refresh, say, sayWrong, usePolled, useRemembered } from "./store.js";
import { play } from "./player.js";
import { Pick, nameOf } from "./pick.js";
import { Compare, MAKING, Piece, levels } from "./piece.js";

const FRESH = {
  kind: "audio", seconds: "10", count: "3", originality: 0.5, voice: "auto", perLevel: false, temperature: ["1", "1", "1", "1"], top_k: "0", top_p: "",
  variety: "0", max_similarity: "", locked: false, seed: "1", byBeats: true, beats: "8", bpm: "120", given: "", selection: null, format: "wav",
};
const SHOWN = 40;  // pieces at once: each has a picture to draw
const optional = (text) => (text === "" ? null : Number(text));
/** The two places of a selection as they stand in the form, from those of a drag: to the millisecond, and never past the end. */
const marked = (places) => places.map((at) => String(Math.floor(1000 * at + 1e-6) / 1000));
/** And back; `[0, 0]` where there is none. */
const placesOf = (form) => (form.selection ?? [0, 0]).map(Number);

/** The form's values as the server wants them. */
function asked(form, levels) {
  const [begin, end] = form.kind === "infill" ? placesOf(form) : [0, 0];
  return {
    kind: form.kind, seconds: Number(form.seconds), count: Number(form.count), originality: Number(form.originality), voice: form.voice,
    temperature: (form.perLevel ? form.temperature.slice(0, levels) : form.temperature.slice(0, 1)).map(Number), top_k: Number(form.top_k), top_p: optional(form.top_p),
    variety: Number(form.variety), max_similarity: optional(form.max_similarity), seed: form.locked ? Number(form.seed) : null,
    beats: form.kind === "loop" && form.byBeats ? Number(form.beats) : null, bpm: form.kind === "loop" && form.byBeats ? Number(form.bpm) : null,
    given: form.kind === "loop" ? "" : form.given, begin, end, format: form.format,
  };
}
/** And back, from the settings of a piece or a preset. */
function fromSettings(settings) {
  const text = (value, otherwise = "") => String(value ?? otherwise);
  const { kind, temperature, seed, given, begin, end } = settings;
  return {
    ...FRESH, kind, seconds: text(settings.seconds), count: text(settings.count), voice: settings.voice, originality: settings.originality,
    perLevel: temperature.length > 1, temperature: [0, 1, 2, 3].map((level) => text(temperature[level], temperature[0])),
    top_k: text(settings.top_k), top_p: text(settings.top_p), variety: text(settings.variety), max_similarity: text(settings.max_similarity),
    locked: seed != null, seed: text(seed, FRESH.seed), format: settings.format, given, selection: kind === "infill" && given ? [text(begin), text(end)] : null,
    byBeats: kind !== "loop" || settings.beats != null, beats: text(settings.beats, FRESH.beats), bpm: text(settings.bpm, FRESH.bpm),
  };
}

const VOICES = { auto: "The one that is nearer to your recordings.", recordings: "Grains of your recordings, joined anew.", codec: "The model alone, without your recordings." };
function Dial({ value, onInput }) {
  const words = value < 0.25 ? "Keeps close to your recordings." : value > 0.75 ? "Keeps away from them, and draws again where it came too near." : "Yours, recombined.";
  return html`<div class="dial"><label for="originality">Originality</label>
    <input id="originality" type="range" min="0" max="1" step="0.05" value=${value} data-usual=${FRESH.originality} title="Double-click: balanced" aria-valuetext=${`${value}: ${words}`} onInput=${(event) => onInput(Number(event.target.value))} list="marks" />
    <div class="marks" aria-hidden="true"><span>close</span><span>balanced</span><span>original</span></div><small>${words}</small></div>`;
}

function Shape({ form, set, model, pieces }) {
  const field = (name) => ({ value: form[name], onInput: (value) => set({ [name]: value }) });
  const many = html`<${Field} label="Pieces" type="number" min="1" max="64" required ...${field("count")} />`;
  if (form.kind === "loop") {
    return html`<${Tick} label="By beats and tempo" checked=${form.byBeats} onInput=${(byBeats) => set({ byBeats })} />
      <div class="fields three">${form.byBeats ? html`<${Field} label="Beats" type="number" min="1" required ...${field("beats")} /><${Field} label="Tempo, BPM" type="number" min="20" max="400" step="any" required ...${field("bpm")} />` : html`<${Field} label="Seconds" type="number" min="0.5" max="600" step="any" required ...${field("seconds")} />`}${many}</div>`;
  }
  if (form.kind === "infill") {
    const [from, to] = form.selection ?? ["0", "0"];
    return html`<${Pick} label="Recording" hint="Drag over the waveform to mark what to replace." reference=${form.given} model=${model} pieces=${pieces} selection=${form.selection && placesOf(form)} onSelect=${(places) => set({ selection: marked(places) })} onPick=${(given) => set({ given, selection: null })} />
      <div class="fields three"><${Field} label="From, s" type="number" min="0" step="any" required value=${from} onInput=${(text) => set({ selection: [text, to] })} /><${Field} label="To, s" type="number" min="0" step="any" required value=${to} onInput=${(text) => set({ selection: [from, text] })} />${many}</div>`;
  }
  return html`<div class="fields"><${Field} label="Seconds" type="number" min="0.5" max="600" step="any" required ...${field("seconds")} />${many}</div>
    <details open=${Boolean(form.given)}><summary>Go on from ${form.given ? nameOf(form.given) : "a sound"}</summary><${Pick} label="Prompt" hint="New audio begins where it ends." reference=${form.given} model=${model} pieces=${pieces} onPick=${(given) => set({ given })} /></details>`;
}

function Finer({ form, set, names }) {
  const field = (name) => ({ value: form[name], onInput: (value) => set({ [name]: value }) });
  const level = (number) => ({ value: form.temperature[number], onInput: (value) => set({ temperature: form.temperature.map((one, at) => (at === number ? value : one)) }) });
  return html`<details><summary>Advanced</summary><div class="stack">
    <${Tick} label="A temperature for each level" checked=${form.perLevel} onInput=${(perLevel) => set({ perLevel })} />
    <div class="fields">${form.perLevel ? names.map((name, number) => html`<${Field} key=${name} label=${`Temp. ${name}`} type="number" min="0" max="5" step="0.05" required ...${level(number)} />`) : html`<${Field} label="Temperature" type="number" min="0" max="5" step="0.05" required hint="Below 1 safer, above 1 wilder" ...${level(0)} />`}
      <${Field} label="Top-k" type="number" min="0" max="1024" hint="Draws from this many likeliest codes; 0 is all" ...${field("top_k")} />
      <${Field} label="Top-p" type="number" min="0.01" max="1" step="any" placeholder="by the dial" hint="Draws from the likeliest codes, up to this share of the odds" ...${field("top_p")} />
      <${Field} label="Variety" type="number" min="0" max="5" step="0.1" hint="Keeps off the sounds of the last seconds" ...${field("variety")} />
      <${Choice} label="Format" ...${field("format")} options=${[["wav", "WAV, 24 bit"], ["flac", "FLAC"], ["ogg", "OGG"], ["mp3", "MP3"]]} />
      <div class="wide"><${Field} label="Similarity limit, %" type="number" min="0" max="100" step="any" placeholder="by the dial" hint="A piece is drawn again, up to eight times, while a second of it is closer to your recordings than this share of what was held out. 100 is no limit." ...${field("max_similarity")} /></div></div></div></details>`;
}

function Presets({ form, levels, onUse }) {
  const { data: all, again } = usePolled("/api/presets", 15000);
  const [name, setName] = useState("");
  const restore = async (preset) => { await put("/api/presets", preset); again(); };
  const keep = async () => {
    const before = all?.find((one) => one.name === name.trim());
    await restore({ name: name.trim(), settings: asked(form, levels) });
    setName("");
    say(before ? `Kept as ${before.name}, in place of what it was` : `Kept as ${name.trim()}`, before ? { undo: { act: () => attempt(() => restore(before)) } } : {});
  };
  const forget = async (preset) => {
    await del(`/api/presets/${encodeURIComponent(preset.name)}`);
    again();
    say(`Preset ${preset.name} deleted`, { undo: { act: () => attempt(() => restore(preset)) } });
  };
  return html`<details><summary>Presets${all?.length ? ` (${all.length})` : ""}</summary><div class="stack presets">
    ${(all ?? []).map((preset) => html`<div class="row"><button type="button" class="quiet small" onClick=${() => onUse(preset.settings)}>${preset.name}</button><${Action} kind="quiet small" label=${`Delete preset ${preset.name}`} act=${() => forget(preset)}>Delete<//></div>`)}
    <div class="row name"><input aria-label="Name of the preset" placeholder="Name" maxlength="60" value=${name} onInput=${(event) => setName(event.target.value)} /><${Action} kind="small" disabled=${!name.trim()} act=${keep}>Keep these<//></div></div></details>`;
}

/** Why another model is shown than the one that was asked for. */
function Instead({ one, shown }) {
  const why = !one ? "That model is not in the library any more." : one.is_there ? `${one.name} has no prior yet, and makes no new sound without: train it further.` : `The file of ${one.name} is gone. Move it back, or import it again.`;
  return html`<${Alert}>${why} ${shown} is shown instead.<//>`;
}

/** What is being made now; `children` where nothing is. A training makes its first pieces in a lane of its own. */
function Working({ model, onDone, children }) {
  const { data: all } = usePolled("/api/jobs?lane=making", 700);
  const { data: trainings } = usePolled("/api/jobs?lane=training&active=true", 1500);
  const first = (trainings ?? []).filter((job) => job.about.model === model?.file && MAKING.includes(job.progress.step));
  const before = useRef(new Set());
  useEffect(() => {
    for (const job of all ?? []) {
      if (isAtWork(job)) before.current.add(job.id);
      else if (before.current.delete(job.id)) {
        onDone(job);
        if (job.what) say(`${job.what} ${job.fix}`, { tone: "bad" });
      }
    }
  }, [all]);
  const atWork = (all ?? []).filter(isAtWork).reverse();  // in their turn: what is asked for next comes below
  // The first in line begins in a moment.
  const waits = (job) => job.state === "waiting" && job !== atWork[0];
  if (all && trainings && !atWork.length && !first.length) return children;
  return html`${first.map((job) => html`<div class="card working" role="status" key=${job.id}><header><h3>First pieces of ${model.name}</h3><span class="soft">${job.progress.step}</span></header><${Bar} share=${job.progress.share} waits=${!job.progress.share} label="First pieces" /></div>`)}
    ${atWork.map((job) => html`<div class="card working" role="status" key=${job.id}><header><h3>${job.title}</h3><div class="actions"><span class="soft">${waits(job) ? "queued" : job.state === "stopping" ? "stopping" : job.progress.step || "Opening the model"}</span><${Action} kind="small quiet" act=${() => post(`/api/jobs/${job.id}/stop`)}>${waits(job) ? "Cancel" : "Stop"}<//></div></header><${Bar} share=${job.progress.share} waits=${!waits(job) && !job.progress.share} label=${job.title} /></div>`)}`;
}

function Form({ models, model, pieces, form, set }) {
  const { data: about } = usePolled(`/api/models/${model}`, 60000);
  const names = about?.level_names.length ? about.level_names : ["Structure", "Timbre", "Texture", "Detail"];
  const own = useRef(null);
  const make = async () => {
    if (!isFilled(own.current)) return;
    const job = await post("/api/generate", { model, settings: asked(form, names.length) });
    refresh("/api/jobs");
    if (job.state === "failed") say(job.what, { tone: "bad" });
  };
  const [begin, end] = placesOf(form);
  const ready = form.kind !== "infill" || (form.given && end > begin);
  return html`<form class="card stack form" aria-label="What to make" ref=${own} onSubmit=${(event) => event.preventDefault()}>
    <${Choice} label="Model" value=${model} onInput=${(id) => go("generate", id)} options=${models.map((one) => [one.id, one.name])} />
    <${Segments} label="What" value=${form.kind} onInput=${(kind) => set({ kind })} options=${[["audio", "Piece"], ["loop", "Loop"], ["infill", "Infill"]]} />
    <${Shape} form=${form} set=${set} model=${model} pieces=${pieces} />
    <${Dial} value=${form.originality} onInput=${(originality) => set({ originality })} />
    <div><${Segments} label="Voice" value=${form.voice} onInput=${(voice) => set({ voice })} options=${[["auto", "Auto"], ["recordings", "Recordings"], ["codec", "Codec"]]} /><small>${VOICES[form.voice]}</small></div>
    <div class="seed" title="Chance begins from the seed: the same one with the same settings makes the same sound"><${Tick} label="Lock the seed" checked=${form.locked} onInput=${(locked) => set({ locked })} />${form.locked ? html`<input type="number" min="0" required aria-label="Seed" value=${form.seed} onInput=${(event) => set({ seed: event.target.value })} />` : html`<span class="soft">new each time</span>`}</div>
    <${Finer} form=${form} set=${set} names=${names} /><${Presets} form=${form} levels=${names.length} onUse=${(settings) => { set(fromSettings(settings)); say("The preset's settings are in the form"); }} />
    ${!ready && html`<small>Choose a recording, and drag over the part to replace.</small>`}
    <${Action} kind="primary big" act=${make} disabled=${!ready} data-test="make">Make sound<//>
  </form>`;
}

function Generate({ path }) {
  const { data: all } = usePolled("/api/models", 4000);
  const [form, change] = useRemembered("generate", FRESH);
  /** Changes a part of the form as it is by then: what is dragged or uploaded comes long after the form was drawn. */
  const set = (part) => change((before) => ({ ...FRESH, ...before, ...part }));
  const [sides, choose] = useState({});
  const [shown, show] = useState("all");
  const [most, more] = useState(SHOWN);
  const [isWhole, askWhole] = useState(false);  // the newest come without being asked for
  const [warned, warn] = useState([]);
  const opened = useRef(Date.now());
  const models = (all ?? []).filter((one) => one.has_prior && one.is_there);
  // The one that was worked with last, unless a newer one has been trained since.
  const [last, remember] = useRemembered("generate-model", { id: "", at: 0 });
  useEffect(() => { if (path[0]) remember({ id: path[0], at: Date.now() }); }, [path[0]]);
  const before = models.find((one) => one.id === last.id && !(Date.parse(models[0].created) > last.at));
  const model = (models.find((one) => one.id === path[0]) ?? before ?? models[0])?.id;
  const newest = usePolled(model ? `/api/pieces?model=${model}` : null, 4000);
  const every = usePolled(model && isWhole ? `/api/pieces?model=${model}&whole=true` : null, 4000);
  const pieces = every.data ?? newest.data;
  if (!all) return html`<div aria-busy="true"></div>`;
  if (!model) {
    return html`<${Empty} title="First, a model" actions=${html`<a class="button primary big" href=${address("train")}>Train a model</a>`}>
      New audio is made by a model that has learned your recordings. ${all.some((one) => one.is_there) ? "The models there are have no prior yet: let their training go on." : "A first one takes a few minutes."}<//>`;
  }
  const fresh = (one) => Date.parse(one.made) > opened.current;
  const done = async (job) => {
    await Promise.all([newest.again(), every.again()]);
    const maker = models.find((one) => one.file === job.about.model), isOthers = job.kind === "generate" && maker?.id !== model;
    if (!isOthers) warn(job.warnings);
    if (job.state !== "finished" || job.kind !== "generate") return;
    const made = job.about.settings?.count ?? 1;
    if (isOthers) {  // it was asked for before another model was looked at
      const whose = maker ? ` of ${maker.name}` : "";
      say([made === 1 ? `A new piece${whose} is made.` : `${made} new pieces${whose} are made.`, ...job.warnings].join(" "), { undo: maker && { label: "Show", act: () => go("generate", maker.id) } });
      return;
    }
    show("all");
    const latest = (await get(`/api/pieces?model=${model}`))[0];
    say(made === 1 ? "A new piece is here" : `${made} new pieces are here`, latest && { undo: { label: "Play", act: () => play(`piece:${latest.id}`, { from: 0, label: latest.name, loop: latest.request.kind === "loop" }).catch(sayWrong) } });
  };
  const kept = (pieces ?? []).filter((one) => one.kept);
  const listed = shown === "kept" ? kept : pieces ?? [];
  const inAll = shown === "kept" ? kept.length : Math.max(listed.length, models.find((one) => one.id === model).pieces);
  const earlier = () => { more(most + SHOWN); if (most + SHOWN > listed.length && inAll > listed.length) askWhole(true); };
  const piece = (side) => pieces?.find((one) => one.id === sides[side] && one.is_there);
  const use = async (one) => {
    const { settings } = await get(`/api/pieces/${one.id}`);
    set(fromSettings(settings));
    scrollTo({ top: 0, behavior: "smooth" });
    const lost = one.request.given && !settings.given && `; ${one.request.given.split(/[\\/]/).at(-1)} is not where it was: choose it again`;
    say(`Its settings and seed are in the form${lost || ""}`, lost ? { tone: "bad" } : {});
  };
  return html`<div class="split"><aside><${Form} models=${models} model=${model} pieces=${pieces ?? []} form=${{ ...FRESH, ...form }} set=${set} /></aside>
    <div class="stack results">
      ${path[0] && model !== path[0] && html`<${Instead} one=${all.find((one) => one.id === path[0])} shown=${models.find((one) => one.id === model).name} />`}
      <${Working} model=${models.find((one) => one.id === model)} onDone=${done}>
        ${pieces && !pieces.length && html`<${Empty} title="Nothing made yet">Press Make sound. Every piece stays here, with all that is needed to make it again, until you delete it.<//>`}<//>
      ${warned.map((text) => html`<${Alert}>${text}<//>`)}
      <${Compare} a=${piece("A")} b=${piece("B")} onClear=${() => choose({})} />
      ${pieces?.length > 0 && html`<div class="row"><h2 class="soft">${count(inAll, "piece")}, the newest first</h2>${(kept.length > 0 || shown === "kept") && html`<${Segments} label="Which pieces" value=${shown} onInput=${show} options=${[["all", "All"], ["kept", `Kept (${kept.length})`]]} />`}</div>`}
      ${shown === "kept" && kept.length > 0 && html`<p><a class="button small" download href=${query("/api/kept", { model })}>Save all kept pieces (ZIP)</a></p>`}
      ${listed.slice(0, most).map((one) => html`<${Piece} key=${one.id} piece=${one} side=${Object.keys(sides).find((side) => sides[side] === one.id) ?? ""} onSide=${(side) => choose((before) => ({ ...Object.fromEntries(Object.entries(before).filter(([, id]) => id !== one.id)), ...(side ? { [side]: one.id } : {}) }))} onUse=${use} isNew=${fresh(one)} options=${() => (levels.has(one.id) ? { level: levels.get(one.id) } : {})} />`)}
      ${inAll > most && html`<p><button type="button" onClick=${earlier} data-test="earlier">Earlier ones (${inAll - most})</button></p>`}
    </div></div>`;
}

export const tab = { id: "generate", title: "Generate", view: Generate };
