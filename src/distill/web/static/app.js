// The shell: the tabs, what is at work now, and messages. Each tab is a module of its own, loaded when it is first opened.
import { render } from "./vendor/preact.js";
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.js";
import { keepFocus } from "./focus.js";
import { html, about, percent } from "./parts.js";
import { Deck } from "./player.js";
import { address, message, undoes, useAddress, usePolled, useShared } from "./store.js";

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

// What is said for a while stands in the head of the page where it has room for it, and otherwise as near to the foot as there is
// a place without anything to press.
const PRESSED = "a[href],button,input,select,textarea,summary,label,canvas,[role=button],.options,.deck";
const EDGE = 16, GAP = 4, STEP = 6;  // pixels: to the edge of the window, to a control, from one place that is tried to the next
const LEAST = 240;  // pixels that a message needs in the head
const LOOK_MS = 300;

const headEnds = () => document.querySelector(".top").getBoundingClientRect().bottom;
/** Where something is that can be pressed, as far as it is in the window and not under its head. */
const pressed = () => [...document.querySelectorAll(PRESSED)].filter((one) => !one.closest(".messages") && one.checkVisibility({ visibilityProperty: true })).map((one) => {
  const { left, right, top, bottom, width } = one.getBoundingClientRect();
  return { left, right, top: one.closest(".top") ? top : Math.max(top, headEnds()), bottom, width };
}).filter(({ top, bottom, width }) => bottom > top && top < innerHeight && width > 1);
const isFree = (x, y, { width, height }, taken) => !taken.some((box) => box.left < x + width + GAP && box.right > x - GAP && box.top < y + height + GAP && box.bottom > y - GAP);

/** In the head, between the tabs and what is at work; null where that is too little. */
function inHead(own) {
  const head = document.querySelector(".top > div"), box = head.getBoundingClientRect();
  const from = head.querySelector(".tabs a:last-child").getBoundingClientRect().right + EDGE;
  const to = head.querySelector(".now")?.getBoundingClientRect().left - EDGE || box.right - parseFloat(getComputedStyle(head).paddingRight);
  own.style.maxWidth = `${to - from}px`;
  const { width, height } = own.getBoundingClientRect();
  return to - from >= LEAST && height < box.height ? [to - width, (box.height - height) / 2] : null;
}
/** The lowest place that is free: in the middle, or else at a side. */
function below(own, taken) {
  const size = own.getBoundingClientRect(), wide = document.documentElement.clientWidth;
  for (let y = innerHeight - EDGE - size.height; y > headEnds(); y -= STEP) {
    for (const x of [(wide - size.width) / 2, EDGE, wide - EDGE - size.width]) if (isFree(x, y, size, taken)) return [x, y];
  }
  return null;
}
function settle(own) {
  own.className = "messages in-head";
  let place = inHead(own);
  if (!place) {
    own.style.maxWidth = "";
    const taken = pressed();
    for (const form of ["messages", "messages slim"]) {
      own.className = form;
      place ??= below(own, taken);
      if (place) break;
    }
  }
  if (!place) {
    own.className = "messages over";  // what is pressed through it is what is meant
    const { width, height } = own.getBoundingClientRect(), deck = document.querySelector(".deck")?.getBoundingClientRect().height ?? 0;
    place = [(document.documentElement.clientWidth - width) / 2, innerHeight - EDGE - deck - height];
  }
  own.style.translate = place.map((one) => `${Math.round(one)}px`).join(" ");
}
/** It stays where it is for as long as it may: not while somebody is at it, or while the page is being moved below it. */
function useFreePlace(own, said) {
  useLayoutEffect(() => {
    if (!said) return undefined;
    const { current } = own;
    settle(current);
    let before = scrollY;
    const look = () => {
      const isMoving = scrollY !== before;
      before = scrollY;
      if (isMoving || current.matches(":hover, :focus-within")) return;
      const { left, top, width, height } = current.getBoundingClientRect();
      if (current.matches(".over") || !isFree(left, top, { width, height }, pressed())) settle(current);
    };
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [said]);
}

function Messages() {
  const { wrong } = usePolled("/api/now", 1500);
  const told = useShared(message);
  // That the server is silent is said once, however often something is tried, and no longer than it is so.
  const silence = wrong?.status === 0 ? wrong.message : "";
  const before = useRef("");
  useEffect(() => { if (before.current && !silence && message.get()?.text === before.current) message.set(null); before.current = silence; }, [silence]);
  const own = useRef(null);
  useFreePlace(own, silence + (told?.text ?? ""));
  return html`<div class="messages" role="status" aria-live="polite" ref=${own}>
    ${silence && html`<div class="message bad"><span>${silence}</span></div>`}
    ${told && told.text !== silence && html`<div class=${`message ${told.tone}`}><span>${told.text}</span>
      ${told.undo && html`<button type="button" title=${told.undo.label ? undefined : "Ctrl+Z"} onClick=${() => { message.set(null); told.undo.act(); }}>${told.undo.label ?? "Undo"}</button>`}
      <button type="button" class="quiet" aria-label="Dismiss" onClick=${() => message.set(null)}>✕</button></div>`}
  </div>`;
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
