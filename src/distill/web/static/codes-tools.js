// What can be done with what is selected: edits, a blend of two sounds, and the prior's proposals.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { post } from "./api.js";
import { Action, Field, Tick, count, html, percent } from "./parts.js";
import { attempt, say, useRemembered, useShared } from "./store.js";
import { decode } from "./codes-sheet.js";
import { inNames } from "./codes-pane.js";
import { play } from "./codes-sound.js";

const CONTEXT_S = 0.5;  // a proposal is heard with so much of what is around it

/** A stretch with a little of what is around it, and with other codes in it. */
const hearThere = (sheet, { first, stop }, instead) => {
  const around = Math.round(CONTEXT_S * sheet.rate);
  return play(sheet, Math.max(0, first - around), Math.min(sheet.columns, stop + around), { instead });
};
const clipboard = { current: null };

/** The bar and the beat that begin at a column, four beats to a bar; empty between beats. */
function beatAt(column, sheet, tempo) {
  const length = (60 / tempo) * sheet.rate, number = Math.round(column / length);
  return tempo && Math.abs(number * length - column) < 1 ? `${Math.floor(number / 4) + 1}.${(number % 4) + 1}` : "";
}

/** The selection in words. */
function inWords(sheet, selection, names, tempo) {
  if (!selection) return "Nothing is selected. Click a cell to hear it, drag to select.";
  const { first, stop, levels } = selection, columns = stop - first;
  const on = levels.length === sheet.levels ? "all levels" : levels.map((level) => names[level]).join(", ");
  if (columns === 1 && levels.length === 1) return `${names[levels[0]]} at ${(first / sheet.rate).toFixed(2)} s: code ${sheet.code(first, levels[0])}`;
  const [from, to] = [first, stop].map((column) => beatAt(column, sheet, tempo));
  return `${from && to && from !== to ? `Beats ${from} to ${to}: ` : ""}${(first / sheet.rate).toFixed(2)} to ${Math.min(stop / sheet.rate, sheet.seconds).toFixed(2)} s (${count(columns, "column")}), ${on}`;
}

/** Edits by their names; each is given the sheet and its selection. Also what the keys do. */
export const edits = {
  mirror: (sheet, selection) => sheet.edit({ do: "mirror", ...selection }),
  later: (sheet, selection) => sheet.edit({ do: "rotate", by: 1, ...selection }),
  earlier: (sheet, selection) => sheet.edit({ do: "rotate", by: -1, ...selection }),
  repeat: (sheet, selection, times) => sheet.edit({ do: "repeat", times, ...selection }),
  fill: (sheet, selection, code) => sheet.edit({ do: "fill", code, ...selection }),
  remove: (sheet, { first, stop }) => sheet.edit({ do: "delete", first, stop }),
  lock: (sheet, selection) => sheet.edit({ do: isLocked(sheet, selection) ? "unlock" : "lock", ...selection }),
  copy: (sheet, selection) => {
    clipboard.current = { ...sheet.cells(selection), codec: sheet.told.codec };
    say(`Copied ${count(clipboard.current.columns, "column")}.`);
  },
  paste: (sheet, { first }) => paste(sheet, first, "paste"),
  insert: (sheet, { first }) => paste(sheet, first, "insert"),
};
function paste(sheet, column, way) {
  if (!clipboard.current) { say("Nothing was copied yet.", { tone: "bad" }); return undefined; }
  const { codes, levels, codec } = clipboard.current;
  if (codec !== sheet.told.codec) { say("What was copied are codes of another model, which mean other sounds here.", { tone: "bad" }); return undefined; }
  return sheet.edit({ do: way, codes, levels, column });
}
export const isLocked = (sheet, selection) => {
  for (let column = selection.first; column < selection.stop; column += 1) for (const level of selection.levels) if (!sheet.isLocked(column, level)) return false;
  return true;
};

/** From a grid to the tools, however much there is between them. */
export const toTools = () => document.querySelector(".tools button:not(:disabled)")?.focus();
/** Along the tools, and back to the grid. */
function along(event, onLeave) {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (event.key === "Escape") onLeave();
  else if (by && event.target.matches("button")) {
    const tools = [...event.currentTarget.querySelectorAll("button:not(:disabled)")];
    tools[Math.max(0, Math.min(tools.length - 1, tools.indexOf(event.target) + by))].focus();
  } else return;
  event.preventDefault();
}

export function Toolbar({ sheet, selection, names, other, tempo, onLeave }) {
  const [times, setTimes] = useState(2);
  const [code, setCode] = useState("");
  const said = useShared(sheet.said);
  const none = !selection;
  const key = none ? "" : `${selection.first}:${selection.levels[0]}:${sheet.version.get()}`;
  useEffect(() => { if (selection) setCode(String(sheet.code(Math.min(selection.first, sheet.columns - 1), selection.levels[0]))); }, [key]);
  const tool = (name, words, title, ...more) => html`<${Action} kind="small" disabled=${none} title=${title} data-test=${name} act=${() => edits[name](sheet, selection, ...more)}>${words}<//>`;
  const from = other && selection ? { other: other.sheet.id, other_first: other.selection?.first ?? selection.first } : null;
  const across = (way) => sheet.edit({ do: way, ...selection, ...from });
  const number = Number.parseInt(code, 10);
  return html`<div class="tools">
    <div class="row"><p class="chosen" aria-live="polite" data-test="chosen">${inWords(sheet, selection, names, tempo)}</p><p class="soft" role="status" data-test="said">${inNames(said, sheet, names)}</p></div>
    <div class="actions" role="toolbar" aria-label="Edit what is selected" onKeyDown=${(event) => along(event, onLeave)}>
      <${Action} kind="small" disabled=${none} title="Enter" data-test="hear" act=${() => play(sheet, selection.first, selection.stop, selection.levels.length === sheet.levels ? {} : { levels: selection.levels })}>Hear<//>
      <span class="group">${tool("copy", "Copy", "Ctrl+C")}${tool("paste", "Paste", "Over what is there: Ctrl+V")}${tool("insert", "Insert", "Before the selection, which comes later: Ctrl+Shift+V")}</span>
      <span class="group">${tool("mirror", "Mirror", "Turn it around in time: M")}
        ${tool("earlier", "◂ Rotate", "Move it one column earlier; what leaves comes in at the end: [")}${tool("later", "Rotate ▸", "Move it one column later; what leaves comes in at the beginning: ]")}</span>
      <span class="group">${tool("repeat", "Repeat", "On all levels it is inserted; on some it takes the place of what follows", times)}
        <label class="inline">× <input type="number" min="2" max="64" value=${times} aria-label="How many times" onInput=${(event) => setTimes(Math.max(2, Number(event.target.value) || 2))} /></label></span>
      <span class="group">${tool("fill", "Set", "Put this code into every cell of the selection", Number.isFinite(number) ? number : 0)}
        <label class="inline">to <input type="number" min="0" max=${sheet.told.entries - 1} value=${code} aria-label="Code" data-test="code" onInput=${(event) => setCode(event.target.value)} /></label></span>
      <span class="group">${tool("lock", selection && isLocked(sheet, selection) ? "Unlock" : "Lock", "Keep these cells whatever is done: L")}${tool("remove", "Delete", "Take these columns out: Delete")}</span>
      ${from && html`<span class="group">
        <${Action} kind="small" data-test="graft" title=${`Take these levels from ${other.sheet.told.name}`} act=${() => across("graft")}>Take from ${other.letter}<//>
        <${Action} kind="small" data-test="swap" title=${`Exchange these cells with ${other.sheet.told.name}`} act=${() => across("swap")}>Swap with ${other.letter}<//></span>`}
    </div>
  </div>`;
}

/** A strip of what each column snapped to, and how far from what was asked for. */
function Snapped({ mix, letters }) {
  const canvas = useRef(null);
  useEffect(() => {
    const own = canvas.current, style = getComputedStyle(own), columns = mix.snapped.length;
    own.width = Math.max(columns, Math.min(1200, own.clientWidth));
    own.height = 48;
    const context = own.getContext("2d"), wide = own.width / columns;
    const tones = ["--train", "--aside", "--held"].map((name) => style.getPropertyValue(name));
    mix.snapped.forEach((kind, at) => {
      const high = 5 + 43 * Math.min(1, 2 * mix.off[at]);
      context.fillStyle = tones[kind];
      context.fillRect(at * wide, 48 - high, Math.max(1, wide - (wide > 4 ? 1 : 0)), high);
    });
  }, [mix]);
  const parts = [0, 1, 2].map((kind) => mix.snapped.filter((one) => one === kind).length);
  const off = mix.off.reduce((sum, one) => sum + one, 0) / mix.off.length;
  return html`<div class="snapped" data-test="snapped">
    <canvas ref=${canvas} aria-hidden="true"></canvas>
    <p><span class="key between">${count(parts[2], "column")} between the two</span> <span class="key one">${parts[0]} as ${letters[0]}</span> <span class="key other">${parts[1]} as ${letters[1]}</span></p>
    <p class="hint">The bars show how far each column is from the mix that was asked for: ${percent(off)} of the way between the two on average.</p>
  </div>`;
}

export function Blend({ sheet, selection, other, letter, setPreview }) {
  const [weight, setWeight] = useState(0.5);
  const [mix, setMix] = useState(null);
  const wanted = useRef({ weight: null, isBusy: false, key: "" }).current;
  const whole = { first: 0, stop: Math.min(sheet.columns, other?.sheet.columns ?? 0), levels: [...Array(sheet.levels).keys()] };
  const chosen = selection && selection.stop - selection.first > 1 ? selection : whole;
  const key = other ? JSON.stringify([chosen, other.sheet.id, other.selection?.first, sheet.version.get(), other.sheet.version.get()]) : "";
  const clear = () => { setMix(null); setPreview(null); };
  useEffect(() => { wanted.key = key; clear(); return () => { wanted.key = ""; clear(); }; }, [key]);
  if (!other) return html`<p class="hint">Open another sound beside this one first: the button “Beside…” above. Then its sound can be mixed in, and levels of it taken.</p>`;
  // While one answer is awaited, only the last place of the slider is remembered.
  const ask = async (to) => {
    setWeight(to);
    wanted.weight = to;
    if (wanted.isBusy) return;
    wanted.isBusy = true;
    await attempt(async () => {
      while (wanted.weight !== null) {
        const now = wanted.weight;
        wanted.weight = null;
        const answer = await post(sheet.url("blend"), { ...chosen, other: other.sheet.id, other_first: chosen === whole ? 0 : other.selection?.first ?? chosen.first, weight: now });
        if (wanted.key !== key) break;
        setMix(answer);
        setPreview({ first: chosen.first, codes: decode(answer.codes) });
      }
    });
    wanted.isBusy = false;
  };
  const instead = mix && { first: chosen.first, codes: mix.codes };
  return html`<div class="blend">
    <label class="slider"><b>${letter}</b><input type="range" min="0" max="1" step="0.01" value=${weight} data-usual="0.5" title="Double-click: half and half" aria-label=${`How much of ${other.letter}`} data-test="weight" onInput=${(event) => ask(Number(event.target.value))} /><b>${other.letter}</b><span class="number">${percent(weight)} ${other.letter}</span></label>
    ${mix ? html`<${Snapped} mix=${mix} letters=${[letter, other.letter]} />` : html`<p class="hint">Move the slider: the sounds of what is selected${chosen === whole ? " (everything)" : ""} are mixed where the codebooks live, and snap to the nearest codes there are.</p>`}
    <div class="actions">
      <${Action} disabled=${!mix} act=${() => hearThere(sheet, chosen, instead)}>Hear<//>
      <${Action} kind="primary" disabled=${!mix} data-test="take-blend" act=${async () => { await sheet.edit({ do: "take", first: chosen.first, codes: mix.codes, words: mix.words }); clear(); }}>Take<//>
      <button type="button" class="quiet" disabled=${!mix} onClick=${clear}>Discard</button>
    </div>
  </div>`;
}

export function Reimagine({ sheet, selection, hasPrior, setPreview }) {
  const [settings, set] = useRemembered("codes-reimagine", { count: 3, temperature: 1, isLocked: false });
  const [seed, setSeed] = useState(() => Math.floor(Math.random() * 1e6));
  const [found, setFound] = useState(null);
  const [shown, setShown] = useState(null);
  const wanted = useRef({ key: "" }).current;
  const key = JSON.stringify([sheet.id, selection, sheet.version.get()]);
  const show = (one) => { setShown(one); setPreview(one && { first: found.first, codes: decode(one.codes) }); };
  useEffect(() => { wanted.key = key; setFound(null); setShown(null); setPreview(null); return () => { wanted.key = ""; setPreview(null); }; }, [key]);
  if (!hasPrior) return html`<p class="hint">This model has no prior yet. Go on with its training in the tab Train: a prior learns what follows what, and can then re-imagine a passage.</p>`;
  const draw = async () => {
    if (!settings.isLocked) setSeed(Math.floor(Math.random() * 1e6));
    const proposals = await post(sheet.url("reimagine"), { ...selection, count: settings.count, seed, temperature: settings.temperature });
    if (wanted.key === key) setFound({ ...selection, proposals });
    else if (wanted.key) say("What was re-imagined was changed, or is not selected any more. Select it and re-imagine it again.", { tone: "bad" });
  };
  return html`<div class="reimagine">
    <div class="settings">
      <div class="fields">
        <${Field} label="Proposals" type="number" min="1" max="8" value=${settings.count} onInput=${(text) => set({ ...settings, count: Math.min(8, Math.max(1, Number(text) || 1)) })} />
        <${Field} label="Temperature" type="number" min="0" max="5" step="0.1" value=${settings.temperature} hint="1 is natural" onInput=${(text) => set({ ...settings, temperature: Math.min(5, Math.max(0, Number(text) || 0)) })} />
        <${Field} label="Seed" type="number" min="0" value=${seed} onInput=${(text) => setSeed(Math.max(0, Math.min(2 ** 31 - 100, Number.parseInt(text, 10) || 0)))} />
      </div>
      <div class="actions">
        <${Action} kind=${found ? "" : "primary"} disabled=${!selection} data-test="reimagine" act=${draw}>Re-imagine<//>
        <${Tick} label="Keep the seed" checked=${settings.isLocked} onInput=${(isLocked) => set({ ...settings, isLocked })} />
      </div>
    </div>
    ${!found && html`<p class="hint">${selection ? "The prior writes the selection anew, so that it follows what comes before and leads into what comes after. Locked cells stay as they are." : "Select what to re-imagine."}</p>`}
    ${found && html`<ol class="proposals" aria-label="Proposals">${found.proposals.map((one, number) => html`<li class=${shown === one ? "shown" : ""} key=${one.seed}>
      <button type="button" class="small" onClick=${() => { show(one); attempt(() => hearThere(sheet, found, { first: found.first, codes: one.codes })); }}>▸ Hear</button>
      <span>Proposal ${number + 1} <small>seed ${one.seed}</small></span>
      <${Action} kind=${shown === one ? "primary small" : "small"} data-test="take-proposal" act=${() => sheet.edit({ do: "take", first: found.first, codes: one.codes, words: one.words })}>Take<//></li>`)}
      <li class=${shown ? "" : "shown"}><button type="button" class="small" onClick=${() => { show(null); attempt(() => hearThere(sheet, found)); }}>▸ Hear</button><span>As it is</span></li>
    </ol>`}
  </div>`;
}
