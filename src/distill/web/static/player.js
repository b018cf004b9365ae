// One sound at a time, for the whole page: what plays, where it is, and how loud.
import { remembered, say, sayWrong, shared } from "./store.js";
import { query, Wrong } from "./api.js";

const audio = new Audio();
audio.preload = "auto";
audio.id = "player";
audio.hidden = true;
document.body.append(audio);

const NOTHING = { reference: "", isPlaying: false, label: "", loop: false };
/** What is loaded, by its reference and its name; `loop` says that it goes round by itself. */
export const playing = shared(NOTHING);
/** How loud everything is, from 0 to 1, and whether what ends begins again. */
export const volume = remembered("volume", 1);
export const repeats = shared(false);
let heard = { level: 1, loop: false };  // how what is loaded is heard
let end = Infinity;
let then = null;
let round = null;  // what a loop is heard by
let wishes = 0;

/** A slider that is halfway down sounds about half as loud. */
export const gain = () => volume.get() ** 2;
const loudness = () => heard.level * gain();
const goesRound = () => heard.loop || (repeats.get() && end === Infinity && !then);
volume.watch(() => { audio.volume = loudness(); round?.louder(loudness()); });
repeats.watch(() => { audio.loop = goesRound(); });

const tell = () => playing.set({ ...playing.get(), isPlaying: !audio.paused });
for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, tell);
audio.addEventListener("ended", () => finish());
audio.addEventListener("error", () => { playing.set(NOTHING); });

function finish() {
  const next = then;
  then = null;
  end = Infinity;
  if (next) next();
}
function watch() {
  if (audio.currentTime >= end) {
    audio.pause();
    finish();
  } else if (!audio.paused) requestAnimationFrame(watch);
}

/** The address at which a sound is heard. */
export const soundUrl = (reference) => query("/api/sound/audio", { ref: reference });
export const position = () => round?.position() ?? audio.currentTime;
/** Of what is loaded, in seconds; 0 until it is known. */
export const length = () => (Number.isFinite(audio.duration) ? audio.duration : 0);
function unwind() {
  if (!round) return;
  audio.currentTime = round.position();
  round.stop();
  round = null;
}
export const pause = () => { wishes += 1; then = null; unwind(); audio.pause(); };
/** Stops a sound whose button is no more on the page: nothing would be left to stop it by. */
export const leave = (reference) => { if (playing.get().reference === reference) { pause(); playing.set(NOTHING); } };

/** A loop made ready for Web Audio, which joins it to the sample; null where the browser cannot, which is said. */
const wind = (url) => import("./round.js").then(({ load }) => load(url)).catch((error) => {
  if (error instanceof Wrong) throw error;
  say("This browser cannot join the loop: where it begins again there is a gap, which the file does not have.", { tone: "bad" });
  return null;
});

/** Plays a sound from a moment on, to another if given, and calls `next` when it is over; or, with `loop`, round and round. */
export async function play(reference, { from, to = Infinity, next = null, url = soundUrl(reference), level = 1, loop = false, label = "" } = {}) {
  const wish = (wishes += 1);
  then = null;
  unwind();
  // A loop is heard by Web Audio; the player is mute meanwhile, and only shows where it is.
  const wound = loop ? await wind(url) : null;
  if (wish !== wishes) return;  // something else was pressed meanwhile
  audio.muted = Boolean(wound);
  heard = { url, level, loop };
  end = to;
  then = next;
  audio.loop = goesRound();
  if (playing.get().reference !== reference) {
    audio.src = url;
    playing.set({ reference, isPlaying: false, label, loop });
  }
  audio.volume = loudness();
  if (from !== undefined) audio.currentTime = from;
  await audio.play().catch((error) => { if (error.name !== "AbortError") throw error; });
  if (wound && wish === wishes) round = wound(audio.currentTime, loudness());
  watch();
}
export function toggle(reference, options = {}) {
  const { reference: loaded, isPlaying } = playing.get();
  if (loaded === reference && isPlaying) pause();
  else play(reference, loaded === reference && audio.currentTime < (audio.duration || 0) - 0.05 ? options : { from: 0, ...options }).catch(sayWrong);
}
/** Goes on with what is loaded, or pauses it. */
export const toggleLoaded = () => toggle(playing.get().reference, { ...heard, loop: playing.get().loop });
/** To a place in what is loaded, in seconds. */
export function seek(place) {
  const { reference, isPlaying } = playing.get();
  const from = Math.min(length(), Math.max(0, place));
  if (isPlaying) play(reference, { ...heard, from }).catch(sayWrong);
  else audio.currentTime = from;
}
