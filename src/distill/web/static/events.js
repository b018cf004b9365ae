// A run's events as they come: asked for by byte offset twice a second, slower while the page is hidden.
import { useEffect, useState } from "./vendor/hooks.js";
import { get, query } from "./api.js";

const LIVE_MS = 500;
const HIDDEN_MS = 5000;
const IDLE_MS = 4000;
const MOST = 2000;
const STEPS_HEARD = 20;  // a step of the codec compares two of seven scales, drawn at random: one says little

const empty = () => ({ steps: [], mean: { sum: 0, weight: 0 }, epochs: [], notices: [], last: null, extracted: null, complete: null });
const known = new Map();

/** Half as many points, so that hours of watching take no more room than minutes. */
const thinned = (points) => (points.length > MOST ? points.filter((_, number) => number % 2 === 0 || number === points.length - 1) : points);

/** The mean of the last steps, of which each before counts a little less. */
function running(told, value) {
  const less = 1 - 1 / STEPS_HEARD;
  told.mean = { sum: less * told.mean.sum + value, weight: less * told.mean.weight + 1 };
  return told.mean.sum / told.mean.weight;
}

function take(told, event) {
  const kind = event.event;
  if (kind.endsWith("StepMetrics")) {
    told.steps.push([event.step, event.reconstruction_loss == null ? event.train_loss ?? event.mel_loss : running(told, event.reconstruction_loss)]);
    told.last = event;
  } else if (kind.endsWith("EpochMetrics")) {
    // A run that goes on from its saved state reports an epoch again; the later report counts.
    told.epochs = told.epochs.filter((one) => one.epoch < event.epoch);
    told.epochs.push({ ...event, at: told.last?.step ?? told.epochs.length });
  } else if (kind === "ExtractionProgress") told.extracted = event;
  else if (kind === "Notice") told.notices.push(event);
  else if (kind === "RolledBack") told.notices.push({ text: `Step ${event.step + 1} went wrong: ${event.reason}. Training went back to its last good state and goes on.`, is_warning: true });
  else if (kind.includes("Complete")) told.complete = event;
}

async function more(run, stage) {
  const key = `${run}/${stage}`;
  const place = known.get(key) ?? { after: 0, check: "", told: empty() };
  const answer = await get(query(`/api/runs/${encodeURIComponent(run)}/events`, { stage, after: place.after, check: place.check }));
  if (!answer.is_new && !answer.events.length) return place.told;
  const told = answer.is_new ? empty() : { ...place.told, steps: [...place.told.steps], notices: [...place.told.notices], epochs: [...place.told.epochs] };
  for (const event of answer.events) take(told, event);
  told.steps = thinned(told.steps);
  told.epochs = thinned(told.epochs);
  told.notices = told.notices.slice(-50);
  known.set(key, { after: answer.after, check: answer.check, told });
  if (known.size > 12) known.delete(known.keys().next().value);
  return told;
}

/** `{ codec, refinement, prior }`: what each stage told so far. */
export function useEvents(run, stages, isLive) {
  const [all, set] = useState({});
  const wanted = stages.join(" ");
  useEffect(() => {
    let gone = false;
    let timer;
    const look = async () => {
      clearTimeout(timer);
      for (const stage of stages) {
        const told = await more(run, stage).catch(() => null);
        if (gone) return;
        if (told) set((before) => (before[stage] === told ? before : { ...before, [stage]: told }));
      }
      timer = setTimeout(look, document.hidden ? HIDDEN_MS : isLive ? LIVE_MS : IDLE_MS);
    };
    const seen = () => { if (!document.hidden) look(); };
    document.addEventListener("visibilitychange", seen);
    look();
    return () => { gone = true; clearTimeout(timer); document.removeEventListener("visibilitychange", seen); };
  }, [run, wanted, isLive]);
  return all;
}

/** Steps and epochs on one axis, for a chart: [x, steps' losses, …the epochs' fields asked for]. */
export function curves(told, ...fields) {
  const rows = new Map();
  const row = (x) => { if (!rows.has(x)) rows.set(x, [x, null, ...fields.map(() => null)]); return rows.get(x); };
  for (const [step, loss] of told.steps) row(step)[1] = loss;
  for (const epoch of told.epochs) fields.forEach((field, number) => { row(epoch.at)[2 + number] = epoch[field]; });
  const ordered = [...rows.values()].sort((a, b) => a[0] - b[0]);
  return ["x", "steps", ...fields].map((_, column) => ordered.map((one) => one[column]));
}
