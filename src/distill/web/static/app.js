// The shell: the tabs, and what is at work now. Each tab is a module of its own, loaded when it is first opened.
import { render } from "./vendor/preact.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { keepFocus } from "./focus.js";
import { about } from "./durations.js";
import { html, percent } from "./parts.js";
import { Messages } from "./messages.js";
import { Deck } from "./player.js";
import { address, message, undoes, useAddress, usePolled } from "./store.js";

const TABS = [
  ["recordings", "Recordings"],
  ["train", "Train"],
  ["generate", "Generate"],
  ["codes", "Codes"],
  ["library", "Library"],
];
const loaded = new Map();
const styles = new Map();

/** A tab's module and its styles. */
async function load(id) {
  if (!styles.has(id)) {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `/static/${id}.css` });
    styles.set(id, { style, ready: new Promise((done, failed) => { style.onload = done; style.onerror = () => { style.remove(); styles.delete(id); failed(); }; }) });
    document.head.append(style);
  }
  const [module] = await Promise.all([import(`./${id}.js`), styles.get(id).ready]);
  loaded.set(id, module.tab);
  return module.tab;
}
/** The styles of one tab apply, those of the others rest: a name means something else in each. */
const dress = (id) => { for (const [one, { style }] of styles) style.media = one === id ? "all" : "not all"; };

/** The picture of icon.svg, drawn in the page: as an image it would be asked for again. */
function Mark() {
  const bars = [[6, 13, 6], [11.3, 8, 16], [16.6, 11, 10], [22, 14, 4]];
  return html`<svg class="mark" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="8" />
    ${bars.map(([x, y, height]) => html`<rect class="bar" x=${x} y=${y} width="3" height=${height} rx="1.5" />`)}</svg>`;
}

function Tabs({ current }) {
  return html`<nav class="tabs" aria-label="Tabs">
    ${TABS.map(([id, title]) => html`<a href=${address(id)} aria-current=${id === current ? "page" : undefined}>${title}</a>`)}
  </nav>`;
}

function Page({ path }) {
  const [id, ...rest] = path;
  const [tab, set] = useState(null);
  const [wrong, setWrong] = useState(false);
  const { data, wrong: silent } = usePolled("/api/now", 1500);
  useEffect(() => {
    let gone = false;
    load(id).then((found) => { if (!gone) { dress(id); set(found); } }, () => { if (!gone) setWrong(true); });
    return () => { gone = true; };
  }, [id]);
  // What a browser could not load it may not ask for again; and there is nothing on the page that could be lost.
  const wasAway = useRef(false);
  if (silent) wasAway.current = true;
  const isBack = wrong && wasAway.current && !silent && data !== undefined;
  useEffect(() => { if (isBack) { const timer = setTimeout(() => location.reload(), 1000); return () => clearTimeout(timer); } return undefined; }, [isBack]);
  if (wrong) return html`<main><p class="alert bad">This tab could not be loaded. It comes by itself when Distill answers again; or reload the page.</p></main>`;
  if (!tab || tab.id !== id) return html`<main aria-busy="true"></main>`;
  return html`<main id="main" class=${`tab-${id}`}><h1 class="unseen">${tab.title}</h1><${tab.view} path=${rest} /></main>`;
}

/** The window's title: how far the work is, for whoever waits elsewhere, and the tab. */
function Title({ id }) {
  const share = usePolled("/api/now", 1500).data?.share;
  useEffect(() => { document.title = `${share == null ? "" : `${percent(share)} · `}${TABS.find(([name]) => name === id)[1]} – Distill`; }, [id, share]);
  return null;
}

/** What is at work, in every tab. */
function Now() {
  const { data: now, wrong } = usePolled("/api/now", 1500);
  if (wrong?.status === 0) return html`<span class="now gone" role="alert"><span class="what">${wrong.what}</span></span>`;
  if (!now) return null;
  const left = now.remaining_s == null || now.remaining_s < 1 ? "" : ` · ${about(now.remaining_s)} left`;
  return html`<a class="now" href=${now.run ? address("train", now.run) : address("train")}><span class="what"><span class="unseen">At work: </span>${now.title}</span>${now.share > 0 && html` <b>${percent(now.share)}</b>`}<i>${left}${now.waiting ? ` · ${now.waiting} waiting` : ""}</i></a>`;
}

function App() {
  const path = useAddress();
  const known = TABS.some(([id]) => id === path[0]);
  useEffect(() => { if (!known) location.replace(address("recordings")); }, [known]);
  if (!known) return null;
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector("main")?.querySelector("a,button,input,select,textarea")?.focus(); }}>To the contents</a>
    <header class="top"><div>
      <a class="brand" href=${address("recordings")}><${Mark} /><b>Distill</b></a>
      <${Tabs} current=${path[0]} />
      <${Now} />
    </div></header>
    <${Title} id=${path[0]} />
    <${Page} path=${path} key=${path[0]} />
    <${Deck} />
    <${Messages} />`;
}

// A file that misses the place where it was to be dropped must not replace the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });

// A double click puts a slider back, as it does a knob.
addEventListener("dblclick", ({ target }) => {
  if (!target.matches("input[type=range][data-usual]")) return;
  target.value = target.dataset.usual;
  target.dispatchEvent(new Event("input", { bubbles: true }));
});

// What can be taken back is taken back by the usual keys, wherever the focus is, but in a field or a grid of codes.
addEventListener("keydown", (event) => {
  const undo = message.get()?.undo;
  if (event.defaultPrevented || !undo || undo.label || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.key.toLowerCase() !== "z" || undoes(event.target) || document.querySelector("canvas[role=application]")) return;
  event.preventDefault();
  message.set(null);
  undo.act();
});

keepFocus();
render(html`<${App} />`, document.getElementById("app"));
