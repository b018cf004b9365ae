// A loop that goes round and round without a gap: where the browser repeats a file, it leaves one.
import { fetched } from "./api.js";

let context = null;
let last = { url: "", buffer: null };

/** The loop at this address, ready to be heard: a function of where it begins and how loud it is, which gives `{ position, louder, stop }`. */
export async function load(url) {
  context ??= new AudioContext({ latencyHint: "interactive", sampleRate: 48000 });
  if (context.state === "suspended") await context.resume();
  if (last.url !== url) {
    const bytes = await fetched(url, (answer) => answer.arrayBuffer());
    last = { url, buffer: await context.decodeAudioData(bytes) };
  }
  const { buffer } = last;
  return (from, loudness) => {
    const source = new AudioBufferSourceNode(context, { buffer, loop: true });
    const out = source.connect(new GainNode(context, { gain: loudness }));
    out.connect(context.destination);
    source.start(0, from);
    const began = context.currentTime - from;
    return { position: () => (context.currentTime - began) % buffer.duration, louder: (to) => { out.gain.value = to; }, stop: () => source.stop() };
  };
}
