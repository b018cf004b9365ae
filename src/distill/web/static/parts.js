// Small parts that every tab is built of.
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { attempt, forgetWrong, say, usePolled } from "./store.js";

// What turns the letters behind it round, or cannot be seen: a name with it could pass for another one.
const UNSEEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;
const READ = /^(title|alt|placeholder|aria-.*)$/;
const seen = (shown) => (Array.isArray(shown) ? shown.map(seen) : typeof shown === "string" ? shown.replace(UNSEEN, "\ufffd") : shown);
const seenIn = (props) => props && Object.fromEntries(Object.entries(props).map(([key, value]) => [key, READ.test(key) ? seen(value) : value]));

/** Elements of the page; whatever a person reads in them is made safe here, and nowhere else. */
export const html = htm.bind((type, props, ...children) => h(type, seenIn(props), ...children.map(seen)));

// Words for numbers. Lengths of time are said as in the terminal (src/distill/durations.py).
/** `0 s`, `4.2 ms`, `0.42 s`, `12.3 s`, `2 min 37 s`, `3 h 5 min`; a dash where it is not known. */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.01) return `${+(1000 * seconds).toPrecision(2)} ms`;
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (Math.round(10 * seconds) < 600) return `${+seconds.toFixed(1)} s`;
  const whole = Math.round(seconds), minutes = Math.round(seconds / 60);
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

/** `45 s`, `1 minute`, `20 minutes`, `1.6 hours`: no finer than a guess is; a dash where it is not known. */
export function about(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds < 59.5) return `${seconds.toFixed(0)} s`;
  if (seconds < 90) return "1 minute";
  return seconds < 5400 ? `${(seconds / 60).toFixed(0)} minutes` : `${(Math.ceil(seconds / 360) / 10).toFixed(1)} hours`;
}

const two = (number) => String(number).padStart(2, "0");
/** `12.3 s`, `6:54.3`: where in a sound something is, as players show it. */
export function place(seconds) {
  const tenths = Math.round(10 * seconds), minutes = Math.floor(tenths / 600);
  if (!minutes) return `${(tenths / 10).toFixed(1)} s`;
  const rest = (tenths % 600 / 10).toFixed(1).padStart(4, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}

/** The same at a ruler whose marks are `step` seconds apart: no finer than these. */
export function mark(seconds, step) {
  const minutes = Math.floor(seconds / 60 + 1e-9), rest = seconds - 60 * minutes;
  const text = rest.toFixed(step < 0.1 ? 2 : step < 1 ? 1 : 0);
  return minutes ? `${minutes}:${rest < 10 ? "0" : ""}${text}` : `${text} s`;
}
export const percent = (share) => `${Math.round(100 * share)} %`;
export const size = (bytes) => (bytes < 999.5e3 ? `${Math.round(bytes / 1e3)} kB` : bytes < 999.95e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);
export const count = (number, one, many = `${one}s`) => `${number} ${Math.abs(number) === 1 ? one : many}`;
export const figure = (value, decimals = 2) => (value == null || !Number.isFinite(value) ? "–" : value.toFixed(decimals));
/** A number as it is set: with a minus for a hyphen, and none before a zero. */
export const minus = (text) => text.replace(/^-(?=[\d.]*[1-9])/, "−").replace(/^-/, "");
export const clock = (date) => date.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" }).replace(/\s/g, "\u00a0");
export function when(moment) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return moment ?? "";
  const today = new Date().toDateString() === date.toDateString();
  return today ? `today\u00a0${clock(date)}` : `${date.toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" })} ${clock(date)}`;
}

/** A button that waits for what it does, and as long as it `waits`, saying `doing` where it is given; and says what went wrong. */
export function Action({ act, kind = "", label, doing, waits = false, children, ...rest }) {
  const [isActing, set] = useState(false);
  const busy = isActing || waits;
  const press = async () => {
    if (busy) return;  // it is not disabled meanwhile, which would take the focus from it
    set(true);
    forgetWrong();
    await attempt(async () => act());
    set(false);
  };
  return html`<button type="button" class=${kind} aria-label=${label} aria-busy=${busy} aria-disabled=${busy || undefined} disabled=${!busy && rest.disabled} onClick=${press} title=${rest.title} data-test=${rest["data-test"]}>${busy && doing ? doing : children}</button>`;
}

/** On a button that renames. */
export const Pencil = () => html`<svg class="pen" viewBox="0 0 16 16" aria-hidden="true"><path d="M3 13l.7-3L10.6 3.1l2.3 2.3L6 12.3zM9.4 4.3l2.3 2.3" /></svg>`;

/** What a tab shows before there is anything to show: what to do first. */
export const Empty = ({ title, children, actions }) => html`
  <div class="empty">
    <h2>${title}</h2>
    <p>${children}</p>
    ${actions && html`<div class="actions">${actions}</div>`}
  </div>`;

export const Alert = ({ tone = "warn", children }) => html`<div class=${`alert ${tone}`} role="status">${children}</div>`;
/** What the page kept for a tab, "recordings" or "codes", and cannot read any more; nothing of it is ever deleted. */
export function Damaged({ tab }) {
  const [due, set] = useState(false);  // what is to be seen first is asked for first
  useEffect(() => { const timer = setTimeout(() => set(true), 1500); return () => clearTimeout(timer); }, []);
  const { data } = usePolled(due ? "/api/damaged" : null, 15000);
  return (data?.[tab] ?? []).map((one) => html`<${Alert} tone="bad" key=${one.what}>${one.what} ${one.fix}<//>`);
}
export const Badge = ({ tone = "", children, title }) => html`<span class=${`badge ${tone}`} title=${title}>${children}</span>`;
/** How far something is; `waits` where that is not known yet. */
export const Bar = ({ share, label, waits = false }) => html`
  <div class=${`bar${waits ? " waits" : ""}`} role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${waits ? undefined : Math.round(100 * share)}>
    <i style=${{ width: waits ? "" : `${(100 * share).toFixed(1)}%` }}></i>
  </div>`;

let fields = 0;
export const useId = (prefix) => useState(() => `${prefix}-${(fields += 1)}`)[0];
/** A labelled input; `hint` stands below it. */
export function Field({ label, hint, children, value, onInput, type = "text", ...rest }) {
  const id = useId("field");
  const described = hint ? `${id}-hint` : undefined;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children ? children(id, described) : html`<input id=${id} type=${type} value=${value} aria-describedby=${described} onInput=${(event) => onInput(event.target.value)} ...${rest} />`}
    ${hint && html`<small id=${described}>${hint}</small>`}
  </div>`;
}
const isWrong = ({ validity, type, attributes }) => type === "number" && (validity.valueMissing || validity.badInput || validity.rangeUnderflow || validity.rangeOverflow || (validity.stepMismatch && !attributes.step));
/** Whether all numbers of a form are what they may be. If not, the first that is not is shown, has the focus, and is named. */
export function isFilled(form) {
  const wrong = [...form.elements].find(isWrong);
  if (!wrong) return true;
  for (let around = wrong.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  wrong.focus();
  const [name, unit] = (wrong.labels[0]?.textContent ?? wrong.ariaLabel).split(", ");
  const { min, max, attributes } = wrong;
  say(`${name} must be a ${attributes.step ? "" : "whole "}number${max ? ` from ${min} to ${max}` : `, ${min} or more`}${unit ? ` (${unit})` : ""}.`, { tone: "bad" });
  return false;
}
export function Choice({ label, hint, value, options, onInput }) {
  return html`<${Field} label=${label} hint=${hint}>${(id, described) => html`
    <select id=${id} aria-describedby=${described} value=${value} onChange=${(event) => onInput(event.target.value)}>
      ${options.map(([key, words]) => html`<option value=${key} selected=${key === value}>${words}</option>`)}
    </select>`}<//>`;
}
/** One of a few, side by side. */
export function Segments({ label, value, options, onInput }) {
  const name = useId("segments");
  return html`<fieldset class="segments"><legend>${label}</legend><div>
    ${options.map(([key, words]) => html`<label class=${key === value ? "chosen" : ""}>
      <input type="radio" name=${name} value=${key} checked=${key === value} onChange=${() => onInput(key)} /><span>${words}</span></label>`)}
  </div></fieldset>`;
}
export const Tick = ({ label, checked, onInput, disabled }) => html`
  <label class="tick"><input type="checkbox" checked=${checked} disabled=${disabled} onChange=${(event) => onInput(event.target.checked)} /><span>${label}</span></label>`;

/** A dialog in the middle; Escape and the backdrop close it. What was pressed to open it has the focus again afterwards. */
export function Dialog({ title, onClose, children }) {
  const own = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    own.current.showModal();
    own.current.querySelector(".inside > :not(header) :is(input,select,button)")?.focus();
    return () => { if (before?.isConnected) before.focus(); };
  }, []);
  return html`<dialog ref=${own} aria-label=${title} onClose=${onClose} onClick=${(event) => { if (event.target === own.current) own.current.close(); }}>
    <div class="inside"><header><h2>${title}</h2><button type="button" class="quiet" aria-label="Close" onClick=${() => own.current.close()}>✕</button></header>${children}</div>
  </dialog>`;
}
