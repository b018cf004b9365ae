// The desk: one sound or two beside each other, transport, undo, and the panels for what is selected.
import { useCallback, useEffect, useMemo, useRef, useState } from "./vendor/hooks.js";
import { Action, Dialog, Segments, Tick, html, duration } from "./parts.js";
import { address, attempt, go, sayWrong, undoes, useRemembered, useShared } from "./store.js";
import { book as bookOf, load } from "./codes-sheet.js";
import { play, playing, stop } from "./codes-sound.js";
import { Pane, inNames, useNames } from "./codes-pane.js";
import { Menu } from "./menu.js";
import { Named } from "./rename.js";
import { Volume, takesSpace } from "./player.js";
import { Blend, Reimagine, Toolbar, edits, toTools } from "./codes-tools.js";
import { Codebook } from "./codes-book.js";

const ROW = 40;  // pixels: what a finger meets
const PASSING = ["Tab", "Shift", "Control", "Alt", "Meta"];  // on its way to the tools the focus goes through the other grid
const FORMATS = [["wav", "WAV, 24 bit"], ["flac", "FLAC"], ["ogg", "OGG"], ["mp3", "MP3"], ["codes", ".codes"]];
const KEYS = [["Click, Enter", "hear a cell; a column's head: that moment"], ["Drag, Shift+click", "select; whole beats where a tempo is set, with Alt freely"], ["B", "widen to whole beats"], ["Arrows, Shift+arrows", "move, select"], ["Ctrl+A", "select everything"], ["Space", "play from the selection on, stop"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"], ["Ctrl+C, Ctrl+V", "copy, paste over; with Shift: insert"], ["M", "mirror"], ["[ ]", "rotate by a column"], ["L", "lock, unlock"], ["T", "to the tools: arrows go along them, Escape back to the grid"], ["Delete", "delete columns"], ["+ −, Ctrl+wheel", "zoom"]];

/** Says why something does not open, and goes where there is something to open. */
export function unopened(error) {
  sayWrong(error);
  location.replace(address("codes"));
}

/** A sheet by its id: `undefined` while it loads. */
function useSheet(id) {
  const [sheet, set] = useState();
  useEffect(() => {
    let gone = false;
    set(undefined);
    if (id) load(id).then((one) => { if (!gone) set(one); }, (error) => { if (!gone) unopened(error); });
    return () => { gone = true; };
  }, [id]);
  return sheet;
}

const Save = ({ sheet }) => html`<${Menu} words="Save" label=${`Save ${sheet.told.name}`} place="end">
  ${FORMATS.map(([format, words]) => html`<a download href=${`${sheet.url("file")}?format=${format}`} data-test=${`save-${format}`}>${words}</a>`)}<//>`;

function Title({ sheet, letter }) {
  return html`<div class="sheet-title">${letter && html`<span class="letter">${letter}</span>`}
    <${Named} name=${sheet.told.name} thing="this sound" act=${(name) => sheet.rename(name)}><h2>${sheet.told.name}</h2><//><small>${duration(sheet.seconds)} · ${sheet.told.model}</small></div>`;
}

/** Plays from the selection on, to the end. The original may be shorter than what has come of it. */
function playOn(sheet, selection, original) {
  const end = original ? sheet.originalColumns : sheet.columns;
  return play(sheet, Math.min(selection?.first ?? 0, end - 1), end, { original });
}

function Transport({ sheet, selection, original, setOriginal, grid }) {
  const now = useShared(playing);
  const isPlaying = now?.sheet === sheet;
  const compare = (wanted) => {
    setOriginal(wanted);
    if (!isPlaying) return;
    const at = Math.floor(grid()?.head ?? now.first), end = wanted ? sheet.originalColumns : sheet.columns;
    if (at < end) attempt(() => play(sheet, at, end, { original: wanted }));
  };
  return html`<button type="button" class="primary" data-test="play" title="Space" onClick=${() => (isPlaying ? stop() : attempt(() => playOn(sheet, selection, original)))}>${isPlaying ? "◼ Stop" : "▶ Play"}</button>
    <${Segments} label="What is heard" value=${original} options=${[[false, "Edited"], [true, "Original"]]} onInput=${compare} /><${Volume} />`;
}

function Steps({ sheet, names }) {
  const undo = inNames(sheet.past.at(-1), sheet, names), redo = inNames(sheet.future.at(-1), sheet, names);
  return html`<span class="group">
    <${Action} disabled=${!undo} title=${undo ? `Undo: ${undo} (Ctrl+Z)` : "Nothing to undo"} label="Undo" data-test="undo" act=${() => sheet.undo()}>↶<span class="wide"> Undo</span><//>
    <${Action} disabled=${!redo} title=${redo ? `Redo: ${redo} (Ctrl+Shift+Z)` : "Nothing to redo"} label="Redo" data-test="redo" act=${() => sheet.redo()}>↷<span class="wide"> Redo</span><//></span>`;
}

/** Keys that work on a grid. */
function keyed(event, sheet, selection, grid, original) {
  const control = event.ctrlKey || event.metaKey, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const all = { first: 0, stop: sheet.columns, levels: [...Array(sheet.levels).keys()] };
  const does = {
    "^z": () => (event.shiftKey ? sheet.redo() : sheet.undo()), "^y": () => sheet.redo(), "^a": () => grid.select(all, "key"),
    " ": () => (playing.get() ? stop() : attempt(() => playOn(sheet, selection, original))),
    Escape: stop, t: toTools,
  };
  if (selection) {
    Object.assign(does, {
      "^c": () => edits.copy(sheet, selection), "^v": () => edits[event.shiftKey ? "insert" : "paste"](sheet, selection),
      m: () => edits.mirror(sheet, selection), l: () => edits.lock(sheet, selection), "[": () => edits.earlier(sheet, selection), "]": () => edits.later(sheet, selection),
      Delete: () => edits.remove(sheet, selection), Backspace: () => edits.remove(sheet, selection),
      Enter: () => (selection.stop - selection.first === 1 ? grid.select(selection, selection.levels.length === 1 ? "cell" : "head")
        : attempt(() => play(sheet, selection.first, selection.stop, selection.levels.length === sheet.levels ? { original } : { original, levels: selection.levels }))),
    });
  }
  const act = does[`${control ? "^" : ""}${key}`];
  if (!act || (control && event.altKey)) return;
  event.preventDefault();
  act();
}

/** The selection where it still fits after an edit that made the sound shorter. */
function fitted(selection, sheet) {
  if (!selection || !sheet) return null;
  if (selection.stop <= sheet.columns) return selection;
  return selection.first < sheet.columns ? { ...selection, stop: sheet.columns } : null;
}

/** Two grids whose views move together, the first time to where the one called `leader` is; gives what parts them. */
function tied(grids, leader) {
  const views = grids.map(({ on }) => on.view), seen = [{}, {}];
  const note = (at) => { const { sheet, per, first } = grids[at]; seen[at] = { sheet, per, first }; };
  const lead = (from) => {
    const to = 1 - from, theirs = grids[to];
    Object.assign(theirs, { per: grids[from].per, first: grids[from].first });
    theirs.clamp();
    theirs.wake();
    views[to]();
    [0, 1].forEach(note);
  };
  for (const [at, one] of grids.entries()) {
    one.on.view = () => {
      views[at]();
      const before = seen[at], isNew = one.sheet !== before.sheet;
      // What was only drawn anew, as after an edit, leads nowhere: a shorter one may not have followed all the way.
      if (!one.sheet || !grids[1 - at].sheet || (!isNew && one.per === before.per && one.first === before.first)) return;
      lead(isNew ? 1 - at : at);
    };
  }
  if (grids[0].sheet && grids[1].sheet) lead(leader);
  return () => { for (const [at, one] of grids.entries()) one.on.view = views[at]; };
}

export function Desk({ id, other: otherId, models, Opener }) {
  const sheet = useSheet(id), other = useSheet(otherId);
  const [book, setBook] = useState(null);
  useEffect(() => {
    if (!sheet?.told.model_id) return undefined;
    let gone = false;
    bookOf(sheet.told.model_id).then((one) => { if (!gone) setBook(one); }, (error) => { if (!gone) unopened(error); });
    return () => { gone = true; };
  }, [sheet?.told.model_id]);
  useEffect(() => () => stop(), []);
  if (!sheet) return html`<p class="hint" aria-busy="true">Opening…</p>`;
  if (!sheet.told.model_id) return html`<p class="alert bad">The model that made these codes is not where it was. Put it back, or import it in <a href=${address("library")}>Library</a>; nothing of this sound is lost. <a href=${address("codes")}>All sounds that are open</a></p>`;
  if (!book) return html`<p class="hint" aria-busy="true">Opening…</p>`;
  return html`<${Workplace} sheet=${sheet} other=${other} book=${book} models=${models} Opener=${Opener} />`;
}

function Workplace({ sheet, other, book, models, Opener }) {
  useShared(sheet.version);
  const nothing = useMemo(() => ({ get: () => 0, watch: () => () => {} }), []);
  useShared(other?.version ?? nothing);
  const links = useRef([{}, {}]).current;
  const [chosen, setChosen] = useState([null, null]);
  const [active, setActive] = useState(0);
  const [preview, setPreview] = useState(null);
  const [original, setOriginal] = useState(false);
  const [panel, setPanel] = useState("reimagine");
  const [opening, setOpening] = useState(false);
  const [tempo, setTempo] = useRemembered("codes-tempo", "");
  const [isTied, setTied] = useState(true);
  const [names] = useNames(sheet);
  const wasOpened = useRef(false);
  useEffect(() => { if (other && wasOpened.current) { wasOpened.current = false; links[0].grid.canvas.focus(); } }, [other?.id]);  // to go on with what is selected there
  const both = other ? [sheet, other] : [sheet];
  const selections = both.map((one, at) => fitted(chosen[at], one));
  const select = useCallback((at, selection) => setChosen((before) => before.map((one, number) => (number === at ? selection : one))), []);
  const onSelects = useMemo(() => [0, 1].map((at) => (selection) => { setActive(at); select(at, selection); }), []);
  useEffect(() => {
    for (const [at, selection] of selections.entries()) {
      const { grid } = links[at], theirs = selections[1 - at];
      // Where nothing is selected in one, the same place as in the other is meant.
      const mark = theirs && theirs.stop <= both[at].columns ? theirs : null;
      if (grid && (grid.selection !== selection || grid.mark !== mark)) { Object.assign(grid, { selection, mark }); grid.wake(); }
    }
  });
  useEffect(() => {  // Space and Ctrl+Z work wherever the focus is, but where they do something else
    const press = (event) => {
      if (event.key === " " && !event.defaultPrevented && !takesSpace(event.target) && !document.querySelector("dialog[open]")) keyed(event, own, selection, grid(), original);
      if (!(event.ctrlKey || event.metaKey) || event.defaultPrevented || undoes(event.target)) return;
      if (event.key.toLowerCase() === "z") { event.preventDefault(); (event.shiftKey ? own.redo() : own.undo()); }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
  useEffect(() => {  // both grids show the same stretch of time
    if (!other || !isTied || !links[0].grid || !links[1].grid) return undefined;
    return tied(links.map(({ grid }) => grid), active);
  }, [other, isTied, links[0].grid, links[1].grid]);

  const at = other ? active : 0, own = both[at], selection = selections[at], letters = other ? ["A", "B"] : [""];
  const beside = other ? { sheet: both[1 - at], selection: selections[1 - at], letter: letters[1 - at] } : null;
  const bpm = tempo >= 20 && tempo <= 400 ? Number(tempo) : 0;
  const grid = () => links[at].grid;
  return html`<div class="stack codes">
    <div class="desk-head">
      <a class="button" href=${address("codes")} aria-label="All sounds that are open">← All</a>
      <div class="actions transport"><${Transport} sheet=${own} selection=${selection} original=${original} setOriginal=${setOriginal} grid=${grid} /></div>
      <div class="actions"><${Steps} sheet=${own} names=${names} /><${Save} sheet=${own} />
        <label class="inline" title="Shows bars and beats; what you drag snaps to them (with Alt it does not)">Tempo <input type="number" min="20" max="400" step="any" placeholder="BPM" value=${tempo} data-test="tempo" onInput=${(event) => setTempo(event.target.value)} /></label>
        <span class="group" role="group" aria-label="Zoom"><button type="button" aria-label="Zoom out" onClick=${() => grid().zoom(1 / 1.5)}>−</button><button type="button" title="Show all of it" onClick=${() => grid().fitAll()}>Fit</button><button type="button" aria-label="Zoom in" onClick=${() => grid().zoom(1.5)}>+</button></span>
        ${other ? html`<button type="button" onClick=${() => go("codes", sheet.id)}>Only A</button>` : html`<button type="button" data-test="beside" title="Open another sound beside this one" onClick=${() => setOpening(true)}>Beside…</button>`}</div>
    </div>
    ${both.map((one, number) => html`<section key=${one.id} class=${`card sheet ${other && number === at ? "active" : ""}`} aria-label=${`Sound ${letters[number]}`}>
      <header><${Title} sheet=${one} letter=${letters[number]} />${number === 1 && html`<${Tick} label="Scroll together" checked=${isTied} onInput=${setTied} />`}</header>
      <${Pane} sheet=${one} book=${book} label=${one.told.name} link=${links[number]} row=${ROW} preview=${number === at ? preview : null} tempo=${bpm} original=${original && number === at}
        onSelect=${onSelects[number]} onKey=${(event) => { if (!PASSING.includes(event.key)) setActive(number); keyed(event, one, selections[number], links[number].grid, original); }} />
    </section>`)}
    <section class="card"><${Toolbar} sheet=${own} selection=${selection} names=${names} other=${beside} tempo=${bpm} onLeave=${() => grid().canvas.focus()} /></section>
    <section class="card panels">
      <${Segments} label="Panel" value=${panel} options=${[["reimagine", "Re-imagine"], ["blend", "Blend"], ["book", "Codebook"]]} onInput=${(next) => { setPreview(null); setPanel(next); }} />
      ${panel === "reimagine" && html`<${Reimagine} sheet=${own} selection=${selection} hasPrior=${book.has_prior} setPreview=${setPreview} />`}
      ${panel === "blend" && html`<${Blend} sheet=${own} selection=${selection} other=${beside} letter=${letters[at]} setPreview=${setPreview} />`}
      ${panel === "book" && html`<${Codebook} sheet=${own} book=${book} names=${names} selection=${selection} onPut=${selection && ((level, code) => own.edit({ do: "fill", first: selection.first, stop: selection.stop, levels: [level], code }))} />`}
    </section>
    <details class="shortcuts"><summary>Keys</summary><dl>${KEYS.map(([keys, words]) => html`<div><dt>${keys}</dt><dd>${words}</dd></div>`)}</dl></details>
    ${opening && html`<${Dialog} title="Open beside" onClose=${() => setOpening(false)}><${Opener} models=${models.filter((one) => one.id === sheet.told.model_id)} beside=${sheet} onOpened=${(opened) => { wasOpened.current = true; setOpening(false); go("codes", sheet.id, opened.id); }} /><//>`}
  </div>`;
}
