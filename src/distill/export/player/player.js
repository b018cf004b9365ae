// The model in a browser: codes to sound, and new codes, a third of a second a call (distill.json says how).

import * as ort from "./ort/ort.wasm.bundle.min.mjs";

ort.env.wasm.numThreads = 1; // more would need headers that static hosts do not send
ort.env.wasm.wasmPaths = { wasm: new URL("./ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };

const whole = (numbers, shape) => new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), shape);
const real = (numbers, shape) => new ort.Tensor("float32", Float32Array.from(numbers), shape);
const zeros = (size) => new ort.Tensor("float32", new Float32Array(size), [1, size]);
const FORBIDDEN = -1e9;

export class Model {
  static async open(base) {
    const place = (name) => new URL(name, base).href;
    const answer = await fetch(place("distill.json"));
    if (!answer.ok) throw new Error(`distill.json cannot be read (${answer.status}).`);
    const table = await answer.json();
    const session = (about) => ort.InferenceSession.create(place(about.file));
    const decoder = await session(table.decoder);
    return new Model(table, decoder, table.prior ? await session(table.prior) : null);
  }

  constructor(table, decoder, prior) {
    Object.assign(this, { table, decoder, prior });
  }

  // Codes, an array of positions that are arrays of levels, or a stream of them that may never end, as blocks of sound:
  // [channel] Float32Array. `total` is how many positions there are.
  async *spoken(positions, total = 2 ** 40) {
    const { decoder: about, levels, hop, channels } = this.table;
    const source = positions[Symbol.asyncIterator]?.() ?? positions[Symbol.iterator]();
    let state = zeros(about.state);
    let drop = about.latency * hop;
    let left = total * hop;
    for (let first = 0; left > 0; first += about.positions) {
      const codes = [];
      while (codes.length < about.positions * levels) {
        const next = first + codes.length / levels < total ? await source.next() : { done: true };
        if (next.done) codes.push(...new Array(levels).fill(0));
        else codes.push(...next.value);
      }
      const given = {
        codes: whole(codes, [1, about.positions, levels]),
        state,
        first: whole([first], [1]),
        total: whole([total], [1]),
      };
      const result = await this.decoder.run(given);
      state = result.next_state;
      const samples = about.positions * hop;
      const from = Math.min(drop, samples);
      const to = Math.min(samples, from + left);
      drop -= from;
      left -= to - from;
      const sides = Array.from({ length: channels }, (_, side) =>
        result.audio.data.slice(side * samples + from, side * samples + to),
      );
      if (sides[0].length) yield sides;
    }
  }

  // New codes without an end. `settings()` is asked at every position.
  async *composed(seed, settings) {
    const { prior: about, levels, codebook_size: size, openings, longest, silent, pause, balance } = this.table;
    const draw = random(seed);
    const heard = [openings[Math.floor(draw() * openings.length)]];
    let state, place;
    const step = async (codes) => {
      const last = heard.at(-1)[0];
      let held = 0;
      while (held < heard.length && heard[heard.length - 1 - held][0] === last) held += 1;
      const bias = Float32Array.from(balance);
      if (held >= longest[last]) bias[last] = FORBIDDEN;
      if (heard.length >= pause && heard.slice(-pause).every((codes) => silent.includes(codes[0])))
        for (const code of silent) bias[code] = FORBIDDEN;
      const { temperature, topP } = settings();
      const result = await this.prior.run({
        codes: whole(codes, [1, levels]),
        state,
        place: whole([place], [1]),
        bias: real(bias, [1, size]),
        uniform: real(Array.from({ length: levels }, draw), [1, levels]),
        temperature: real(new Array(levels).fill(temperature), [1, levels]),
        top_p: real([topP], [1]),
      });
      state = result.next_state;
      place += 1;
      return Array.from(result.next_codes.data, Number);
    };
    const begin = async () => {
      state = zeros(about.state);
      place = 0;
      await step(new Array(levels).fill(-1));
    };
    await begin();
    yield heard[0];
    for (;;) {
      if (place === about.places) {
        // Full: keep the newest half, and hear it anew.
        const kept = heard.slice(-Math.floor(about.places / 2));
        await begin();
        for (const codes of kept.slice(0, -1)) await step(codes);
      }
      heard.push(await step(heard.at(-1)));
      if (heard.length > 4 * about.places) heard.splice(0, 2 * about.places);
      yield heard.at(-1);
    }
  }

  // The codes of a file that distill encode wrote.
  codesIn(bytes) {
    let file;
    try {
      file = parsed(bytes);
    } catch {
      throw new Error("This is not a .codes file, or it is damaged.");
    }
    if (file.major > 1) throw new Error("A newer Distill wrote this file. Export this page again with it.");
    if (file.codec !== this.table.codec) throw new Error("Another model made these codes; they mean other sounds here.");
    return file.codes;
  }
}

// Safetensors with one grid of 16-bit codes. Whatever else it is, something in here fails.
function parsed(bytes) {
  const view = new DataView(bytes);
  const length = Number(view.getBigUint64(0, true));
  const table = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)));
  const { format, major, codec } = JSON.parse(table.__metadata__.distill);
  if (format !== "distill-codes") throw new Error(format);
  const [count, levels] = table.codes.shape;
  const start = 8 + length + table.codes.data_offsets[0];
  const code = (place, level) => view.getInt16(start + 2 * (place * levels + level), true);
  const row = (place) => Array.from({ length: levels }, (_, level) => code(place, level));
  return { major, codec, codes: Array.from({ length: count }, (_, place) => row(place)) };
}

// Numbers in 0..1 from a seed (mulberry32, Tommy Ettinger, public domain).
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
