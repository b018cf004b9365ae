// One sound at a time, for the whole page: what plays, where it is, and how loud; its bar at the foot of every tab, and its keys.
import { useEffect, useRef } from "./vendor/hooks.js";
import { fetched, query, Wrong } from "./api.js";
import { html } from "./parts.js";
import { remembered, say, sayWrong, shared, useShared } from "./store.js";

const audio = new Audio();
audio.preload = "auto";
audio.id = "player";
audio.hidden = true;
document.body.append(audio);

const NOTHING = { reference: "", isPlaying: false, label: "", loop: false };
/** What is loaded, by its reference and its name; it plays also while it is made ready; `loop` says that it goes round by itself. */
export const playing = shared(NOTHING);
/** How loud everything is, from 0 to 1, and whether what ends begins again. */
export const volume = remembered("volume", 1);
export const repeats = shared(false);
let heard = { level: 1, loop: false };  // how what is loaded is heard, or will be once it is ready
let end = Infinity;
let then = null;
let round = null;  // what a loop is heard by
let wishes = 0;
let readied = 0;  // the wish that is made ready now
let frame = 0;

/** A slider that is halfway down sounds about half as loud. */
export const gain = () => volume.get() ** 2;
const loudness = () => heard.level * gain();
const goesRound = () => heard.loop || (repeats.get() && end === Infinity && !then);
volume.watch(() => { audio.volume = loudness(); round?.louder(loudness()); });
repeats.watch(() => { audio.loop = goesRound(); });

const tell = () => playing.set({ ...playing.get(), isPlaying: !audio.paused || readied === wishes });
for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, tell);
audio.addEventListener("ended", () => finish());
audio.addEventListener("error", () => {
  const { reference } = playing.get();
  playing.set(NOTHING);
  if (!reference || readied === wishes) return;  // what is made ready says itself what is wrong with it
  pause();
  unheard(heard.url).then(sayWrong);
});

function finish() {
  const next = then;
  then = null;
  end = Infinity;
  if (next) next();
}
function watch() {
  cancelAnimationFrame(frame);  // one watches, however often a place is sought
  if (audio.currentTime >= end) {
    audio.pause();
    finish();
  } else if (!audio.paused) frame = requestAnimationFrame(watch);
}

/** The address at which a sound is heard. */
const soundUrl = (reference) => query("/api/sound/audio", { ref: reference });
export const position = () => round?.position() ?? audio.currentTime;
/** Of what is loaded, in seconds; 0 until it is known. */
export const length = () => (Number.isFinite(audio.duration) ? audio.duration : 0);
function unwind() {
  if (!round) return;
  audio.currentTime = round.position();
  round.stop();
  round = null;
}
export const pause = () => { wishes += 1; then = null; unwind(); audio.pause(); tell(); };
/** Stops a sound whose button is no more on the page: nothing would be left to stop it by. */
export const leave = (reference) => { if (playing.get().reference === reference) { pause(); playing.set(NOTHING); } };

/** A loop made ready for Web Audio, which joins it to the sample; null where the browser cannot, which is said. */
const wind = (url) => import("./round.js").then(({ load }) => load(url)).catch((error) => {
  if (error instanceof Wrong) throw error;
  say("This browser cannot join the loop: where it begins again there is a gap, which the file does not have.", { tone: "bad" });
  return null;
});

/** Why the sound at this address is not heard: a player does not say, so the server is asked. */
const unheard = (url) => fetched(url, async (answer) => {
  await answer.body.cancel();
  return new Wrong("This browser cannot play that sound (any further).", "Try again, or open its file in another program.");
}).catch((wrong) => wrong);

/** Plays a sound from a moment on, to another if given, and calls `next` when it is over; or, with `loop`, round and round. */
export async function play(reference, { from, to = Infinity, next = null, url = soundUrl(reference), level = 1, loop = false, label = "" } = {}) {
  const wish = readied = (wishes += 1);
  then = null;
  unwind();
  heard = { url, level, loop };
  if (playing.get().reference !== reference) {
    audio.src = url;
    playing.set({ reference, isPlaying: true, label, loop });
  } else tell();
  try {
    // A loop is heard by Web Audio; the player is mute meanwhile, and only shows where it is.
    const wound = loop ? await wind(url) : null;
    if (wish !== wishes) return;  // something else was pressed meanwhile
    audio.muted = Boolean(wound);
    end = to;
    then = next;
    audio.loop = goesRound();
    audio.volume = loudness();
    if (from !== undefined) audio.currentTime = from;
    await audio.play().catch(async (error) => {
      const why = error.name === "AbortError" ? null : await unheard(url);
      if (why && wish === wishes) throw why;
    });
    if (wound && wish === wishes) round = wound(audio.currentTime, loudness());
    watch();
  } finally {
    if (readied === wish) readied = 0;
    tell();
  }
}
export function toggle(reference, options = {}) {
  const { reference: loaded, isPlaying } = playing.get();
  if (loaded === reference && isPlaying) pause();
  else play(reference, loaded === reference && audio.currentTime < (audio.duration || 0) - 0.05 ? options : { from: 0, ...options }).catch(sayWrong);
}
/** Goes on with what is loaded, or pauses it. */
const toggleLoaded = () => toggle(playing.get().reference, { ...heard, loop: playing.get().loop });
/** To a place in what is loaded, in seconds. */
function seek(place) {
  const { reference, isPlaying } = playing.get();
  const from = Math.min(length(), Math.max(0, place));
  if (isPlaying) play(reference, { ...heard, from }).catch(sayWrong);
  else audio.currentTime = from;
}

// The bar, and the keys.
const STEP_S = 1;
/** As a player shows it: minutes, seconds and tenths. */
export function time(seconds) {
  const tenths = Math.floor(10 * seconds + 1e-6);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}

/** The play buttons of all sounds that are shown, from top to bottom. */
const buttons = () => [...document.querySelectorAll("main .play")].filter((one) => one.checkVisibility());
const loaded = (all) => all.findIndex((one) => one.dataset.sound === encodeURIComponent(playing.get().reference));
function beside(by) {
  const all = buttons(), at = loaded(all);
  const next = all[at < 0 ? 0 : at + by];
  next?.click();
  next?.closest("article,tr,.sound").scrollIntoView({ block: "nearest" });
}
/** Plays or pauses what is loaded; where nothing is, the first sound in view begins. */
function playOrPause() {
  if (playing.get().reference) { toggleLoaded(); return true; }
  const seen = buttons().find((one) => { const { top, bottom } = one.getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; });
  seen?.click();
  return Boolean(seen);
}

// A field, a grid of codes and a dialog have keys of their own; so has a control that Space presses.
const TYPES = "input:not([type=range]),select,textarea";
const PRESSED = "button,summary,[role=button],input:is([type=checkbox],[type=radio])";
// What the mouse has pressed keeps the focus; Space plays then, as in a DAW. Whoever comes to it by Tab presses it.
let pressed = null;
addEventListener("pointerdown", ({ target }) => { pressed = target.closest("label")?.control ?? target.closest(PRESSED); }, true);
addEventListener("keydown", ({ key }) => { if (key === "Tab") pressed = null; }, true);
const isPressed = (element) => element === pressed && element.matches(PRESSED);
/** Whether Space does something of its own there. */
export const takesSpace = (element) => !isPressed(element) && Boolean(element.closest(`${TYPES},button,summary,[role=button]`));
addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open],canvas[role=application]")) return;
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (event.key === " " && !takesSpace(event.target)) { if (!event.repeat && !playOrPause() && !isPressed(event.target)) return; }
  else if (by && playing.get().reference && !event.target.closest(`${TYPES},input`)) { if (event.shiftKey) beside(by); else seek(position() + by * STEP_S); }
  else return;
  event.preventDefault();
});

export function Volume() {
  const value = useShared(volume);
  return html`<label class="volume" title="Volume of everything on this page; double-click: full"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 6v4h3l4 3V3L5 6zM11 5.5a3.5 3.5 0 0 1 0 5M12.8 3.5a6 6 0 0 1 0 9" /></svg>
    <input type="range" min="0" max="1" step="0.05" value=${value} data-usual="1" aria-label="Volume" aria-valuetext=${`${Math.round(100 * value)} %`} onInput=${(event) => volume.set(Number(event.target.value))} /></label>`;
}

/** Moved without rendering anything anew. */
function Place() {
  const slider = useRef(null), told = useRef(null);
  useEffect(() => {
    let frame, before = "";
    const follow = () => {
      if (!slider.current) return;  // it is gone already
      const whole = length(), at = Math.min(whole, position());
      const max = String(whole || 1);
      if (slider.current.max !== max) slider.current.max = max;  // an attribute: written at every frame, the page would never rest
      slider.current.value = at;
      const words = `${time(at)} / ${time(whole)}`;
      if (words !== before) {
        before = words;
        slider.current.setAttribute("aria-valuetext", words.replace("/", "of"));
        told.current.textContent = words;
      }
      frame = requestAnimationFrame(follow);
    };
    follow();
    return () => cancelAnimationFrame(frame);
  }, []);
  return html`<input class="place" type="range" min="0" step="0.01" aria-label="Place in the sound" ref=${slider} onInput=${(event) => seek(Number(event.target.value))} /><span class="time" ref=${told}></span>`;
}

const ICONS = { previous: "M4 3h2v10H4zM13 3v10L6 8z", next: "M10 3h2v10h-2zM3 3l7 5-7 5z", play: "M5 3l8 5-8 5z", pause: "M4 3h3v10H4zM9 3h3v10H9z" };
const Icon = ({ of }) => html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d=${ICONS[of]} /></svg>`;

export function Deck() {
  const now = useShared(playing);
  const isRepeated = useShared(repeats);
  if (!now.reference) return null;
  // Pressed by mouse they leave the focus where it is, so that Space still plays and pauses.
  const button = (icon, label, title, act, kind = "quiet") => html`<button type="button" class=${`round ${kind}`} aria-label=${label} title=${title} onMouseDown=${(event) => event.preventDefault()} onClick=${act}><${Icon} of=${icon} /></button>`;
  return html`<section class="deck" aria-label="Player"><div>
    <div class="keys-of">${button("previous", "Previous sound", "Shift+←", () => beside(-1))}
      ${button(now.isPlaying ? "pause" : "play", now.isPlaying ? "Pause" : "Play", "Space", toggleLoaded, "primary")}
      ${button("next", "Next sound", "Shift+→", () => beside(1))}</div>
    <b class="name" title=${now.label}>${now.label}</b>
    <${Place} />
    <button type="button" class=${`small repeat${isRepeated || now.loop ? " on" : " quiet"}`} aria-pressed=${isRepeated || now.loop} disabled=${now.loop} title=${now.loop ? "A loop goes round by itself" : "Begin again at the end"} onMouseDown=${(event) => event.preventDefault()} onClick=${() => repeats.set(!isRepeated)}>Repeat</button>
    <${Volume} /></div></section>`;
}
