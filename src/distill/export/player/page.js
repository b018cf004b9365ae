// The page around the model: buttons, sound, and a picture of it.

import { Model } from "./player.js";

const AHEAD = 1.5; // seconds of sound that lie ready
const AUDIBLE = 0.001; // 60 dB below full scale
const at = (id) => document.getElementById(id);
let playing = null;

const settings = {};

function say(text) {
  at("state").textContent = text;
}

function draw(samples) {
  const canvas = at("wave");
  const context = canvas.getContext("2d");
  const middle = canvas.height / 2;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = getComputedStyle(document.body).color;
  for (let x = 0; x < canvas.width; x += 1) {
    const from = Math.floor((x * samples.length) / canvas.width);
    const to = Math.max(from + 1, Math.floor(((x + 1) * samples.length) / canvas.width));
    let peak = 0;
    for (let place = from; place < to; place += 1) peak = Math.max(peak, Math.abs(samples[place]));
    context.fillRect(x, middle - peak * middle, 1, Math.max(1, 2 * peak * middle));
  }
}

// A field that says how codes are drawn. While it is empty or out of range, what it said before counts.
function follow(field, name, value) {
  field.valueAsNumber = settings[name] = value;
  field.addEventListener("input", () => {
    const { rangeUnderflow, rangeOverflow } = field.validity;
    if (!Number.isNaN(field.valueAsNumber) && !rangeUnderflow && !rangeOverflow) settings[name] = field.valueAsNumber;
  });
}

// Plays blocks as they come, and tells what was heard, measured behind everything that plays.
async function play(model, blocks) {
  stop();
  const rate = model.table.sample_rate;
  const context = new AudioContext({ sampleRate: rate });
  const analyser = new AnalyserNode(context);
  analyser.connect(context.destination);
  const mine = (playing = { context });
  at("stop").disabled = false;
  const state = at("state").dataset;
  state.sounds = "no";
  let time = context.currentTime + 0.1;
  let seconds = 0;
  const listen = () => {
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    if (samples.some((one) => Math.abs(one) > AUDIBLE)) state.sounds = "yes";
  };
  for await (const sides of blocks) {
    if (playing !== mine) return;
    const buffer = new AudioBuffer({ numberOfChannels: sides.length, length: sides[0].length, sampleRate: rate });
    sides.forEach((samples, side) => buffer.copyToChannel(samples, side));
    time = Math.max(time, context.currentTime + 0.02);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(analyser);
    source.start(time);
    time += buffer.duration;
    seconds += buffer.duration;
    draw(sides[0]);
    say(`${seconds.toFixed(1)} s`);
    do {
      await new Promise((done) => setTimeout(done, 20));
      listen();
    } while (playing === mine && time - context.currentTime > AHEAD);
  }
  while (playing === mine && context.currentTime < time) {
    await new Promise((done) => setTimeout(done, 20));
    listen();
  }
  if (playing === mine) stop();
}

function stop() {
  playing?.context.close();
  playing = null;
  at("stop").disabled = true;
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    stop();
    say(error.message);
  }
}

await attempt(async () => {
  at("about").textContent = "Opening the model …"; // opened as a file, the page does not come this far
  const model = await Model.open(new URL("./", import.meta.url));
  const { channels, prior } = model.table;
  const name = model.table.name.replace(/[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, "\ufffd"); // it could pass for another
  document.title = name;
  at("name").textContent = name;
  at("about").textContent = `${channels === 1 ? "Mono" : "Stereo"}, ${model.table.sample_rate / 1000} kHz.`;
  if (prior) {
    follow(at("temperature"), "temperature", model.table.sampling.temperature);
    follow(at("top-p"), "topP", model.table.sampling.top_p);
  }
  at("compose").hidden = !prior;
  at("decode").hidden = false;
  at("play").addEventListener("click", () =>
    attempt(() => play(model, model.spoken(model.composed(Number(at("seed").value), () => settings)))),
  );
  at("stop").addEventListener("click", stop);
  at("codes").addEventListener("change", (event) =>
    attempt(async () => {
      const [file] = event.target.files;
      if (!file) return;
      event.target.value = ""; // the same file can be chosen again
      const codes = model.codesIn(await file.arrayBuffer());
      await play(model, model.spoken(codes, codes.length));
    }),
  );
  document.body.dataset.ready = "yes";
});
