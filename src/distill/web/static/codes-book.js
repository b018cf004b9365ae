// The codebooks: every entry of every level, how often it is used, and where in the recordings it sounds.
import { useEffect, useMemo, useState } from "./vendor/hooks.js";
import { get } from "./api.js";
import { Action, Segments, count, html, percent, place } from "./parts.js";
import { attempt } from "./store.js";
import { coloured, css } from "./palette.js";
import { hear, hearEntry } from "./codes-sound.js";

const SHOWN = 40;
const AROUND = 12;  // columns before and after a place that are heard with it

export function Codebook({ sheet, book, names, selection, onPut }) {
  const model = sheet.told.model_id;
  const [level, setLevel] = useState(0);
  const [code, setCode] = useState(null);
  const [order, setOrder] = useState("used");
  const [found, setFound] = useState(null);
  const chosen = selection && selection.levels.length === 1 && selection.stop - selection.first === 1 ? `${selection.levels[0]}:${sheet.code(selection.first, selection.levels[0])}` : "";
  useEffect(() => {  // a cell that is selected in the grid is shown here
    if (!chosen) return;
    const [its, number] = chosen.split(":").map(Number);
    setLevel(its);
    setCode(number);
  }, [chosen]);
  useEffect(() => {
    setFound(null);
    if (code === null || !model) return undefined;
    let gone = false;
    attempt(async () => {
      const places = await get(`/api/codes/models/${model}/entries/${level}/${code}/places`);
      if (!gone) setFound(places);
    });
    return () => { gone = true; };
  }, [model, level, code]);
  const colours = useMemo(() => coloured(book.colours[level]), [book, level]);
  const counts = book.counts[level], total = counts.reduce((sum, one) => sum + one, 0) || 1, most = Math.max(...counts, 1);
  const entries = [...counts.keys()];
  if (order === "used") entries.sort((a, b) => counts[b] - counts[a] || a - b);
  if (order === "alike") entries.sort((a, b) => book.colours[level][a][0] - book.colours[level][b][0]);
  if (!model) return html`<p class="hint">The model of this sound is not where it was; put it back to see its codebooks.</p>`;
  const sound = (number) => attempt(() => hearEntry(model, level, number));
  const here = code === null ? 0 : [...Array(sheet.columns).keys()].filter((column) => sheet.code(column, level) === code).length;
  return html`<div class="codebook">
    <div class="row">
      <${Segments} label="Level" value=${level} options=${names.map((name, number) => [number, name])} onInput=${(next) => { setLevel(next); setCode(null); }} />
      <${Segments} label="Order" value=${order} options=${[["used", "Most used"], ["alike", "Alike"], ["number", "Number"]]} onInput=${setOrder} />
    </div>
    <div class="entries" role="group" aria-label=${`Entries of ${names[level]}`}>
      ${entries.map((number) => html`<button type="button" key=${number} class=${`entry ${number === code ? "chosen" : ""} ${counts[number] ? "" : "unused"}`} aria-pressed=${number === code}
        aria-label=${`Code ${number}, used ${counts[number]} times`} title=${`Code ${number}: used ${counts[number]} times`} style=${{ "--colour": css(colours[number]), "--use": `${Math.round(100 * Math.sqrt(counts[number] / most))}%` }}
        onClick=${() => { setCode(number); sound(number); }}><span>${number}</span></button>`)}
    </div>
    ${code !== null && html`<div class="entry-detail" data-test="entry">
      <div class="row"><h3><i class="swatch" style=${{ background: css(colours[code]) }}></i>${names[level]} ${code}</h3>
        <div class="actions"><button type="button" class="small" onClick=${() => sound(code)}>▸ Hear</button>
        ${onPut && html`<${Action} kind="small" act=${() => onPut(level, code)}>Put into the selection<//>`}</div></div>
      <p class="hint">Used ${count(counts[code], "time")} in the recordings (${percent(counts[code] / total)} of this level), ${count(here, "time")} in this sound.</p>
      ${found && (found.count
        ? html`<p class="hint">${count(found.count, "place")} in the recordings${found.places.length < found.count || found.count > SHOWN ? `; the longest ${Math.min(SHOWN, found.places.length)}` : ""}:</p>
          <ul class="places">${found.places.slice(0, SHOWN).map((one) => html`<li><button type="button" class="quiet small" onClick=${() => attempt(() => hear(`/api/codes/models/${model}/recordings/${one.recording}/sound?first=${Math.max(0, one.first - AROUND)}&stop=${one.stop}`))}>▸ ${one.name} at ${place(one.seconds)}</button><span>${count(one.stop - one.first, "column")}</span></li>`)}</ul>`
        : html`<p class="hint">${book.has_prior ? "It sounds nowhere in the recordings as they are." : "Where it sounds is known once the model has a prior."}</p>`)}
    </div>`}
  </div>`;
}
