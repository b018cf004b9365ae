// What can be heard of a run while it trains: passages that were held out, where anything was, and the figures of pitch and texture.
import { useState } from "./vendor/hooks.js";
import { html, Segments, minus } from "./parts.js";
import { usePolled, useShared } from "./store.js";
import { playing } from "./player.js";
import { Sound } from "./wave.js";

const key = (moment) => `${moment.stage} ${moment.step}`;
const named = (moment, isLast, isRunning) => (isLast ? (isRunning ? "now" : "kept") : `${moment.stage === "refinement" ? "2nd: " : ""}step ${moment.step}`);

const FIRST_HEARD = "Comes in the first minute or two of training, then every minute anew.";
function Pair({ passage, chosen, isRunning }) {
  const heard = useShared(playing);
  const { moments } = passage;
  if (!moments.length) {
    return html`<div class="pair"><div><h4>${passage.name}</h4><${Sound} reference=${passage.original} length=${passage.seconds} label=${`Original of ${passage.name}`} /></div>
      <div><h4>through the codec</h4><p class="pending">${FIRST_HEARD}</p></div></div>`;
  }
  // What is playing is not taken away from under the listener by a newer one.
  const moment = moments.find((one) => heard.isPlaying && one.reference === heard.reference) ?? moments.find((one) => key(one) === chosen) ?? moments.at(-1);
  const words = named(moment, moment === moments.at(-1), isRunning).replace("kept", "as it is kept");
  return html`<div class="pair"><div><h4>${passage.name}</h4><${Sound} reference=${passage.original} length=${passage.seconds} label=${`Original of ${passage.name}`} /></div>
    <div><h4>through the codec, ${words}${words.includes("step") ? "" : html` <small>(step ${moment.step})</small>`}</h4><${Sound} reference=${moment.reference} length=${passage.seconds} label=${`${passage.name} through the codec, ${words}`} /></div></div>`;
}

/** The room for two passages, until they are chosen: what is below would jump when they come. */
const Awaited = () => html`<section class="card listening" aria-label="Hear it learn"><header><h3>Hear it learn</h3><span class="soft">two passages, and how they come back</span></header>
  <p class="soft moments">What it sounds like is kept here as it learns, to go back to.</p>
  <div class="pairs">${[1, 2].map(() => html`<div class="pair"><div><h4>a passage</h4><p class="pending whole">Comes when training begins.</p></div><div><h4>through the codec</h4><p class="pending">${FIRST_HEARD}</p></div></div>`)}</div></section>`;

/** Original beside now, at every state that was saved; earlier ones can be chosen. `isRunning`: the codec is being trained; `isAwaited`: it has not begun to. */
export function Listening({ learning, isRunning, isAwaited }) {
  const [chosen, choose] = useState("");
  const passages = (learning?.passages ?? []).filter((one) => isRunning || one.moments.length > 0);
  if (!passages.length) return isRunning && isAwaited ? html`<${Awaited} />` : null;
  const { moments } = passages[0];
  const last = moments.length ? key(moments.at(-1)) : "";
  const now = moments.some((one) => key(one) === chosen) ? chosen : last;
  return html`<section class="card listening" aria-label="Hear it learn"><header><h3>Hear it learn</h3><span class="soft">${passages.every((one) => one.is_held_out) ? "held out: the codec was never trained on this" : "it is trained on this: there was too little sound to hold any out"}</span></header>
    ${moments.length < 2 && isRunning && html`<p class="soft moments">What it sounds like is kept here as it learns, to go back to.</p>`}
    ${moments.length > 1 && html`<${Segments} label="How far it had come" value=${now} onInput=${(next) => choose(next === last ? "" : next)} options=${moments.map((one, at) => [key(one), named(one, at === moments.length - 1, isRunning)])} />`}
    <div class="pairs">${passages.map((passage) => html`<${Pair} key=${passage.original} passage=${passage} chosen=${now === last ? "" : now} isRunning=${isRunning} />`)}</div></section>`;
}

const WIDTH = 96;
const HEIGHT = 26;
function Trend({ values }) {
  if (values.length < 2) return html`<svg class="trend" viewBox="0 0 ${WIDTH} ${HEIGHT}" aria-hidden="true"></svg>`;
  const low = Math.min(...values), high = Math.max(...values);
  const places = values.map((value, at) => `${((at / (values.length - 1)) * (WIDTH - 6) + 3).toFixed(1)},${(HEIGHT - 4 - ((value - low) / (high - low || 1)) * (HEIGHT - 8)).toFixed(1)}`);
  const [x, y] = places.at(-1).split(",");
  return html`<svg class="trend" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true"><polyline points=${places.join(" ")} /><circle cx=${x} cy=${y} r="3" /></svg>`;
}

/** Whether an epoch is checked by what was held out; of too little sound nothing can be. Earlier versions do not say. */
export const isHeldOut = (epoch) => epoch.is_held_out !== false;

/** The figures of what was held out, by now and since the beginning. */
export function Judged({ learning, told, isRunning }) {
  const heard = [...(told.codec?.epochs ?? []), ...(told.refinement?.epochs ?? [])].filter((one) => one.heard && Object.keys(one.heard).length);
  const epochs = heard.map((one) => one.heard);
  if (!learning || (!epochs.length && !isRunning)) return null;
  const say = ({ factor, decimals, signed, unit }, value) => `${signed && value >= 0 ? "+" : ""}${minus((value * factor).toFixed(decimals))}${unit ? ` ${unit}` : ""}`;
  const rows = learning.figures.map((figure) => [figure, epochs.map((one) => one[figure.key]).filter((value) => value != null)]).filter(([, values]) => values.length || !epochs.length);
  return html`<section class="card judged" aria-label="Pitch and texture"><header><h3>Pitch and texture</h3><span class="soft">${heard.every(isHeldOut) ? "of what was held out" : "of what it is trained on"}, once an epoch</span></header>
    <dl>${rows.map(([figure, values]) => html`<div><dt>${figure.name}</dt><dd class="value">${values.length ? html`<b>${say(figure, values.at(-1))}</b>` : html`<span class="soft">–</span>`}${values.length > 1 && html`<small>${say(figure, values[0])} at first</small>`}</dd><dd><${Trend} values=${values} /></dd><dd class="words">${figure.words}</dd></div>`)}</dl></section>`;
}

export const useLearning = (run, isRunning) => usePolled(`/api/runs/${encodeURIComponent(run)}/learning`, isRunning ? 3000 : 15000).data;
