// One sound at a time, for the whole page: what plays, where it is, and how loud.
import { say, sayWrong, shared } from "./store.js";
import { query, Wrong } from "./api.js";

const audio = new Audio();
audio.preload = "auto";
audio.id = "player";
audio.hidden = true;
document.body.append(audio);

/** `{ reference, playing, after }`: what is loaded; `after` is how far a passage goes. */
export const playing = shared({ reference: "", isPlaying: false });
let end = Infinity;
let then = null;
let round = null;  // what a loop is heard by
let wishes = 0;

const tell = () => playing.set({ reference: playing.get().reference, isPlaying: !audio.paused });
for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, tell);
audio.addEventListener("ended", () => finish());
audio.addEventListener("error", () => { playing.set({ reference: "", isPlaying: false }); });

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
function unwind() {
  if (!round) return;
  audio.currentTime = round.position();
  round.stop();
  round = null;
}
export const pause = () => { wishes += 1; then = null; unwind(); audio.pause(); };
/** Stops a sound whose button is no more on the page: nothing would be left to stop it by. */
export const leave = (reference) => { if (playing.get().reference === reference) pause(); };

/** A loop made ready for Web Audio, which joins it to the sample; null where the browser cannot, which is said. */
const wind = (url) => import("./round.js").then(({ load }) => load(url)).catch((error) => {
  if (error instanceof Wrong) throw error;
  say("This browser cannot join the loop: where it begins again there is a gap, which the file does not have.", { tone: "bad" });
  return null;
});

/** Plays a sound from a moment on, to another if given, and calls `next` when it is over; or, with `loop`, round and round. */
export async function play(reference, { from, to = Infinity, next = null, url = soundUrl(reference), volume = 1, loop = false } = {}) {
  const wish = (wishes += 1);
  then = null;
  unwind();
  // A loop is heard by Web Audio; the player is mute meanwhile, and only shows where it is.
  const wound = loop ? await wind(url) : null;
  if (wish !== wishes) return;  // something else was pressed meanwhile
  audio.muted = Boolean(wound);
  audio.loop = loop;
  if (playing.get().reference !== reference) {
    audio.src = url;
    playing.set({ reference, isPlaying: false });
  }
  audio.volume = volume;
  if (from !== undefined) audio.currentTime = from;
  end = to;
  then = next;
  await audio.play().catch((error) => { if (error.name !== "AbortError") throw error; });
  if (wound && wish === wishes) round = wound(audio.currentTime, volume);
  watch();
}
export function toggle(reference, options = {}) {
  const { reference: loaded, isPlaying } = playing.get();
  if (loaded === reference && isPlaying) pause();
  else play(reference, loaded === reference && audio.currentTime < (audio.duration || 0) - 0.05 ? options : { from: 0, ...options }).catch(sayWrong);
}
