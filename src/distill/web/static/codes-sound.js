// Sound of codes by Web Audio: one thing is heard at a time, and where it is is known to the sample.
import { asJson, fetched } from "./api.js";
import { gain, volume } from "./player.js";
import { shared } from "./store.js";

/** What is heard now, or is made ready to be: `{ sheet, first, stop, original }`, or null. */
export const playing = shared(null);
const FIRST_COLUMNS = 24;  // half a second: what is heard first is asked for alone, so that it comes at once
const NEXT_COLUMNS = 96;
const AHEAD_S = 3;
const KEPT = 400;

let context = null;
let out = null;
let stopAll = () => {};
let began = null;  // of the context's time, when the first column of what is playing sounds; null until it does
const kept = new Map();

function audio() {
  if (!context) {
    context = new AudioContext({ latencyHint: "interactive", sampleRate: 48000 });
    out = new GainNode(context, { gain: gain() });
    out.connect(context.destination);
    volume.watch(() => { out.gain.value = gain(); });
  }
  if (context.state === "suspended") context.resume();
  return context;
}

/** A WAV file of 32-bit samples, as the server makes them. */
function buffer(bytes) {
  const view = new DataView(bytes);
  const channels = view.getUint16(22, true), rate = view.getUint32(24, true), length = view.getUint32(40, true) / (4 * channels);
  const samples = new Float32Array(bytes, 44, length * channels);
  const made = audio().createBuffer(channels, Math.max(1, length), rate);
  for (let channel = 0; channel < channels; channel += 1) {
    const own = made.getChannelData(channel);
    for (let at = 0; at < length; at += 1) own[at] = samples[at * channels + channel];
  }
  return made;
}

async function decoded(url, body, signal) {
  const read = async (answer) => [await answer.arrayBuffer(), answer.headers.get("x-goes-on")];
  const [bytes, token] = await fetched(url, read, { ...(body && asJson("POST", body)), signal });
  return { sound: buffer(bytes), token };
}

function started(sound, at) {
  const source = new AudioBufferSourceNode(audio(), { buffer: sound });
  source.connect(out);
  source.start(at);
  return source;
}

export function stop() {
  stopAll();
  stopAll = () => {};
  playing.set(null);
}

/** Hears something short; what has a `key` is kept and is there at once the next time. */
export async function hear(url, body = null, key = "") {
  stop();
  audio();
  let sound = kept.get(key);
  let gone = false;
  stopAll = () => { gone = true; };
  if (!sound) {
    ({ sound } = await decoded(url, body));
    if (key) kept.set(key, sound);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  }
  if (gone) return;
  const source = started(sound);
  stopAll = () => source.stop();
}

/** Hears one entry of a codebook as if the other levels added nothing: so a cell of a grid sounds. */
export function hearEntry(model, level, code) {
  const url = `/api/codes/models/${model}/entries/${level}/${code}/sound`;
  return hear(url, null, url);
}

/**
 * Plays columns of a sheet as they sound in their place, piece by piece, so that any length begins at once.
 * `words`: `levels`, `original`, `instead`. Ends with what is asked for, or when something else is heard.
 */
export async function play(sheet, first, stopAt, words = {}) {
  stop();
  const own = audio(), aborting = new AbortController(), sources = new Set();
  stopAll = () => { aborting.abort(); for (const source of sources) source.stop(); };
  const is = { sheet, first, stop: stopAt, original: Boolean(words.original) };
  let column = first, token = null, next = 0;
  began = null;
  playing.set(is);
  try {
    while (column < stopAt && !aborting.signal.aborted) {
      const end = Math.min(stopAt, column + (column === first ? FIRST_COLUMNS : NEXT_COLUMNS));
      const asked = { first: column, stop: end, after: token, goes_on: end < stopAt, ...words };
      const piece = await decoded(sheet.url("sound"), asked, aborting.signal);
      if (aborting.signal.aborted) return;
      if (column === first) next = began = own.currentTime + 0.01;
      else if (next < own.currentTime) {  // it came too late: there was a gap, and the playhead waits as long
        began += own.currentTime + 0.02 - next;
        next = own.currentTime + 0.02;
      }
      const source = started(piece.sound, next);
      sources.add(source);
      source.onended = () => {
        sources.delete(source);
        if (end === stopAt && playing.get() === is) stop();
      };
      next += piece.sound.duration;
      column = end;
      token = piece.token;
      while (next - own.currentTime > AHEAD_S && !aborting.signal.aborted) await new Promise((done) => { setTimeout(done, 100); });
    }
  } catch (error) {
    if (!aborting.signal.aborted) { stop(); throw error; }
  }
}

/** The column that is heard now, with its fraction; null where nothing of this sheet plays. */
export function playhead(sheet) {
  const now = playing.get();
  if (!now || now.sheet !== sheet || began === null) return null;
  const late = context.outputLatency || 0;
  return Math.min(now.stop, Math.max(now.first, now.first + (context.currentTime - late - began) * sheet.rate));
}
