// One sound as a grid: level names beside it, time above, the whole of it below.
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.js";
import { Pencil, html } from "./parts.js";
import { attempt, remembered, say, useShared } from "./store.js";
import { coloured } from "./palette.js";
import { Grid, heightOf } from "./grid.js";
import { encode } from "./codes-sheet.js";
import { hear, hearEntry, play, playhead, playing } from "./codes-sound.js";

const given = new Map();  // names by how many levels there are: all that is on the page changes with them
/** What the levels are called: as the person named them, else as Distill does. */
export function useNames(sheet) {
  const { levels } = sheet;
  if (!given.has(levels)) given.set(levels, remembered(`codes-names-${levels}`, []));
  const one = given.get(levels), names = useShared(one);
  const shown = sheet.told.level_names.map((name, level) => names[level] || name);
  return [shown, (level, name) => { const next = [...names]; next[level] = name.trim().slice(0, 24); one.set(next); }];
}

/** What was done, in words, with the levels called as the person named them. */
export function inNames(words, sheet, names) {
  const usual = sheet.told.level_names, one = `(?:${usual.join("|")})`;
  return words?.replace(new RegExp(` on (${one}(?:, ${one})*)`), (_, levels) => ` on ${levels.split(", ").map((name) => names[usual.indexOf(name)]).join(", ")}`);
}

/** One row alone, over the selection or from the left edge of what is in view on. */
const hearRow = (sheet, grid, level) => {
  const { selection } = grid;
  const first = selection && selection.stop - selection.first > 1 ? selection.first : Math.floor(grid.first);
  const stop = selection && selection.stop - selection.first > 1 ? selection.stop : Math.min(sheet.columns, Math.ceil(grid.first + grid.columnsShown));
  return play(sheet, first, stop, { levels: [level] });
};

/** A cell, or a moment, or all that a head selected, as the grid shows it: also where that is a preview. */
function hearShown(sheet, grid, { first, stop, levels: [level] }, isCell, original) {
  if (original && first >= sheet.originalColumns) { say("The original ends before this.", { tone: "bad" }); return undefined; }
  if (isCell) return hearEntry(sheet.told.model_id, level, original ? sheet.original[first * sheet.levels + level] : grid.code(first, level));
  const { preview } = grid, words = { original, instead: preview && !original ? { first: preview.first, codes: encode(preview.codes) } : null };
  return stop - first > 1 ? play(sheet, first, stop, words) : hear(sheet.url("sound"), { first, stop, held: true, ...words });
}

/** The levels' names, each with a button to hear it alone and one to rename it. Tab stops once here; the arrow keys go on. */
function Names({ sheet, grid, row }) {
  const [names, rename] = useNames(sheet);
  const [naming, setNaming] = useState(null);
  const [at, setAt] = useState(0);  // which of all these buttons Tab stops at
  const move = (event) => {
    const buttons = [...event.currentTarget.querySelectorAll("button")], from = buttons.indexOf(event.target);
    const to = { ArrowUp: from - 2, ArrowDown: from + 2, ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || from < 0 || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    event.preventDefault();
    buttons[to]?.focus();
  };
  const stop = (number) => ({ tabindex: at === number ? 0 : -1, onFocus: () => setAt(number) });
  return html`<div class="level-names" role="toolbar" aria-label="Levels" aria-orientation="vertical" style=${{ gridAutoRows: `${row}px` }} onKeyDown=${move}>
    ${names.map((name, level) => html`<div class="level-name" key=${level}>
      ${naming === level
        ? html`<input aria-label=${`Name of level ${level + 1}`} value=${name} ref=${(input) => input?.focus()}
            onBlur=${(event) => { rename(level, event.target.value); setNaming(null); }}
            onKeyDown=${(event) => { if (event.key === "Enter") event.target.blur(); if (event.key === "Escape") setNaming(null); event.stopPropagation(); }} />`
        : html`<button type="button" class="quiet small" title=${`Hear ${name} alone`} aria-label=${`Hear ${name} alone`} ...${stop(2 * level)} onClick=${() => attempt(() => hearRow(sheet, grid, level))}>${name}</button>
          <button type="button" class="quiet small rename" aria-label=${`Rename ${name}`} title="Rename" ...${stop(2 * level + 1)} onClick=${() => setNaming(level)}><${Pencil} /></button>`}
    </div>`)}
  </div>`;
}

/** The whole sound in one strip; what is framed is in view above. */
function Overview({ sheet, grid, view }) {
  const canvas = useRef(null);
  const version = useShared(sheet.version);
  useEffect(() => {
    if (!grid) return;
    const own = canvas.current, width = own.clientWidth;
    own.width = width;
    own.height = 4 * sheet.levels;
    const context = own.getContext("2d");
    context.imageSmoothingEnabled = false;
    let done = 0;
    for (const tile of grid.tiles) {
      context.drawImage(tile, (done / sheet.columns) * width, 0, (tile.width / sheet.columns) * width, own.height);
      done += tile.width;
    }
  }, [grid, version, view]);
  const drag = (event) => {
    if (event.type === "pointerdown") event.currentTarget.setPointerCapture(event.pointerId);
    else if (!event.buttons) return;
    const box = event.currentTarget.getBoundingClientRect();
    grid.scrollTo(((event.clientX - box.left) / box.width) * sheet.columns - grid.columnsShown / 2);
  };
  const left = grid ? grid.first / sheet.columns : 0, wide = grid ? Math.min(1, grid.columnsShown / sheet.columns) : 1;
  return html`<div class="overview" onPointerDown=${drag} onPointerMove=${drag} title="Drag to move">
    <canvas ref=${canvas} aria-hidden="true"></canvas>
    <i style=${{ left: `${100 * left}%`, width: `${100 * wide}%` }}></i>
  </div>`;
}

/**
 * The grid of a sheet. `link` is an object that gets `grid`; `onSelect` is told of every new selection, `onKey` of keys that
 * the grid does not know, `palette` colours it.
 */
export function Pane({ sheet, book, label, link, row, preview, original, tempo, onSelect, onKey }) {
  const canvas = useRef(null);
  const [grid, setGrid] = useState(null);
  const [view, setView] = useState(0);
  const version = useShared(sheet.version);
  const now = useShared(playing);

  // Before the page is painted, or the first keys of whoever comes by keyboard would meet a grid that has no sheet yet.
  useLayoutEffect(() => {
    const made = new Grid(canvas.current, row, { view: () => setView((count) => count + 1) });
    link.grid = made;
    setGrid(made);
    return () => { made.end(); link.grid = null; };
  }, [row]);

  useLayoutEffect(() => {
    if (!grid) return;
    grid.on.select = (selection, how) => {
      onSelect(selection);
      if (how === "cell" || how === "head") attempt(async () => hearShown(sheet, grid, selection, how === "cell", original));
    };
  }, [grid, sheet, original, onSelect]);

  useLayoutEffect(() => { if (grid && book) grid.show(sheet, book.colours.map(coloured)); }, [grid, sheet, book, version]);
  useEffect(() => { grid?.keepTime(tempo); }, [grid, sheet, tempo, version]);
  useEffect(() => { if (grid && book) grid.showInstead(preview); }, [grid, book, preview]);
  useEffect(() => {
    if (!grid) return undefined;
    let frame = 0;
    const step = () => { grid.follow(playhead(sheet)); frame = requestAnimationFrame(step); };
    if (now?.sheet === sheet) step(); else grid.follow(null);
    return () => cancelAnimationFrame(frame);
  }, [grid, sheet, now]);

  const hint = "Arrows move, Shift and arrows select, Enter is heard, Space plays, T goes to the tools, plus and minus zoom.";
  return html`<div class="pane">
    ${grid ? html`<${Names} sheet=${sheet} grid=${grid} row=${row} />` : html`<div class="level-names"></div>`}
    <div class="grid-place" style=${{ height: `${heightOf(sheet.levels, row)}px` }}>
      <canvas ref=${canvas} tabindex="0" data-first role="application" aria-roledescription="code grid" aria-label=${`${label}. ${hint}`} onKeyDown=${onKey}></canvas>
    </div>
    <span></span><${Overview} sheet=${sheet} grid=${grid} view=${view} />
  </div>`;
}
