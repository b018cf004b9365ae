// One run, live: how far it is, its curves, the health of its codebooks, warnings, and what to do.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { del, get, post } from "./api.js";
import { html, Action, Alert, Badge, Bar, clock, figure, minus, percent, when, about } from "./parts.js";
import { address, attempt, go, goOn, isAtWork, refresh, say, usePolled, useRemembered } from "./store.js";
import { Chart } from "./chart.js";
import { curves, useEvents } from "./events.js";
import { Judged, Listening, isHeldOut, useLearning } from "./learning.js";
import { MAKING, Piece } from "./piece.js";
import { Sound } from "./wave.js";

export const STATES = { running: "held", finished: "good", failed: "bad", stopped: "warn", interrupted: "warn", unknown: "" };
export const STAGES = { recordings: "Recordings", codec: "Codec", refinement: "Second stage", prior: "Prior", sound: "New sound" };
export const isComposing = (run) => run.state !== "running" && Boolean(run.job) && MAKING.includes(run.job_step);
const WAITS = ["Queued", "Stopping"];
export const isStopping = (run) => run.job_step === "Stopping";
const ENDED = { finished: "Finished", stopped: "Stopped", failed: "Failed", interrupted: "Interrupted" };
const HALTED = ["stopped", "interrupted", "failed"];
/** Whether something is before a job in the line; if not, it begins in a moment. `own` is the name of its run, where it has one. */
export const hasBefore = ({ runs, jobs }, job, own) => runs.some((one) => one.state === "running" && one.name !== own) || jobs.some((one) => one.id !== job.id && one.created < job.created && isAtWork(one));
const path = (run, what = "") => `/api/runs/${encodeURIComponent(run)}${what}`;

/** The remaining time as the last ten reports agree on it, so that it neither jumps nor runs backwards without need. */
function useSteady(left, isRunning) {
  const [ends, set] = useState(null);
  useEffect(() => {
    if (!isRunning || left == null) { set(null); return; }
    const now = Date.now() / 1000;
    set((before) => (before == null || Math.abs(before - now - left) > Math.max(30, left / 2) ? now + left : before + 0.2 * (now + left - before)));
  }, [left, isRunning]);
  return ends == null ? null : Math.max(0, ends - Date.now() / 1000);
}

/** The steps from the first to the last, each `{ name, how, words }`; those around the training only where it was begun here. */
function steps(run, current) {
  const isRunning = run.state === "running";
  const stages = run.stages.map((stage) => {
    const isDone = stage.outcome === "finished" || (stage.is_complete && !HALTED.includes(stage.outcome));  // a stopped one keeps its best too
    return stage === current && isRunning ? { name: stage.name, how: "current", words: percent(stage.progress) } : { name: stage.name, how: isDone ? "done" : "later", words: isDone ? "done" : percent(stage.progress) };
  });
  if (!stages.length) stages.push({ name: current.name, how: isRunning ? "current" : "later", words: percent(0) });
  if ((isRunning || run.job) && !stages.some((one) => one.name === "prior")) stages.push({ name: "prior", how: "later", words: "" });
  return run.job ? [{ name: "recordings", how: "done", words: "done" }, ...stages, isComposing(run) ? { name: "sound", how: "current", words: percent(run.job_share) } : { name: "sound", how: "later", words: "" }] : stages;
}

function Progress({ run, next }) {
  const isRunning = run.state === "running";
  const left = useSteady(run.remaining_s, isRunning);
  const current = run.stages.findLast((stage) => stage.name === run.stage) ?? run.stages.at(-1) ?? { name: run.stage || "codec", progress: 0 };
  const encodes = isRunning && current.name === "prior" && current.extracted && !current.step;
  const share = isComposing(run) ? run.job_share : isRunning || run.job || run.state !== "finished" ? current.progress : 1;
  return html`<div class="card progress">
    <div class="row"><ol class="stages">${steps(run, current).map(({ name, how, words }) => html`<li class=${how}>${STAGES[name]}${words && html` <small>${words}</small>`}</li>`)}</ol>
      <span class=${isRunning || run.job ? "left" : "left over"} data-test="left">${isRunning ? isStopping(run) ? "Stopping after this step; the best so far is kept" : encodes ? `Encoding recording ${current.extracted[0]} of ${current.extracted[1]}` : left == null ? "Beginning …" : left < 1 ? "This stage is done in a moment" : html`<b>${about(left)}</b> left in this stage, <span>${run.done_at && Date.parse(run.done_at) > Date.now() + 1000 * left ? html`all done at about <b>${clock(new Date(run.done_at))}</b>` : html`done at ${clock(new Date(Date.now() + 1000 * left))}`}</span>` : next ? html`<a href=${address("train", next.name)}>${STAGES[next.stage]} in training</a>` : run.job ? html`<b>${isComposing(run) || WAITS.includes(run.job_step) ? run.job_step : "Going on"} …</b>` : `${ENDED[run.state] ?? "Last written"} ${when(run.changed)}`}</span></div>
    <${Bar} share=${share} waits=${(isRunning && left == null && !encodes && !share) || (isComposing(run) && !share)} label=${isComposing(run) ? "New sound made" : `${STAGES[current.name]} done`} />
  </div>`;
}

/** What the alarm says while it rings, `{ words, pass }`, and null where it does not, or was passed. */
function useAlarm(name, run, prior) {
  const latest = prior?.epochs.at(-1);
  const [passed, remember] = useRemembered(`passed ${name}`, "");
  const [kind, words] = latest?.is_memorizing ? ["memorizing", latest.memorization_message] : latest?.is_overfitting ? ["overfitting", latest.overfitting_message] : ["", ""];
  return !kind || run?.state !== "running" || passed === kind ? null : { kind, words, pass: () => remember(kind) };
}
function Alarm({ run, alarm, onPass }) {
  return html`<section class="alarm" role="alert" aria-label="Memorization warning">
    <h3>${alarm.kind === "memorizing" ? "It may be reciting your recordings" : "It has begun to memorise your recordings"}</h3><p>${alarm.words}</p>
    <div class="actions"><${Action} kind="primary" act=${() => stop(run)}>Stop and use best checkpoint<//><button type="button" onClick=${() => { onPass(); alarm.pass(); }}>Go on</button></div>
  </section>`;
}

function sentence(level) {
  if (level.utilisation < 0.3) return ["bad", "Most codes are never used, so this level says little. More recordings, or smaller codebooks, help."];
  if (level.utilisation < 0.6) return ["warn", "A good part is not used yet; early in training this is as it should be."];
  return ["good", level.dead ? "Well used." : "Every code is used."];
}
function Health({ levels, names }) {
  return html`<section class="card health" aria-label="Codebook health"><header><h3>Codebooks</h3><span class="soft">how much of each level's codebook is in use</span></header>
    ${levels.map((level) => {
      const [tone, words] = levels.some((one) => one.utilisation > 0) ? sentence(level) : ["", "Not counted yet."];
      return html`<div class=${`level ${tone}`}><b><i class="lamp" aria-hidden="true"></i>${names[level.level] ?? `Level ${level.level + 1}`}</b>
        <div class="use"><i style=${{ width: percent(level.utilisation).replace(" ", "") }}></i></div>
        <span class="number">${percent(level.utilisation)} used</span><span class="number">perplexity ${figure(level.perplexity, 0)}</span><small>${words}</small></div>`;
    })}</section>`;
}

const TRAINED = { label: "trained on", tone: "--train" };
const held = (stage) => ({ label: stage.epochs.every(isHeldOut) ? "held out" : "check", tone: "--held" });

function Curves({ run, told, learning }) {
  const { codec, refinement, prior } = told;
  const gap = prior?.epochs.at(-1);
  const counts = [codec?.complete?.levels, codec?.epochs.at(-1)?.levels].filter((one) => one?.length);
  const levels = counts.find((one) => one.some((level) => level.utilisation > 0)) ?? counts.at(-1);
  return html`<div class="charts">
    ${codec && html`<${Chart} title="Codec distance" words="How far decoded sound is from the recordings (mel distance); lower is closer. It rises once, early on, when codes take over." series=${[TRAINED, held(codec)]} data=${curves(codec, "val_loss")} />`}
    ${codec && html`<${Judged} learning=${learning} told=${told} isRunning=${run.state === "running" && run.stage === "codec"} />`}
    ${levels && html`<${Health} levels=${levels} names=${run.level_names} />`}
    ${refinement && html`<${Chart} title="Second stage" words="Mel distance; texture is what this stage is for, and it may cost a little of this." series=${[TRAINED, held(refinement)]} data=${curves(refinement, "val_mel")} />`}
    ${prior && html`<${Chart} title="Prior loss" series=${[TRAINED, held(prior)]} data=${curves(prior, "val_loss")}
      words=${gap && !isHeldOut(gap) ? "How badly it predicts the next code, while it trains and checked on the same recordings." : gap && gap.val_loss != null ? `Where the two lines part, it begins to memorise; ${gap.val_loss > gap.train_loss ? `they are ${figure(gap.val_loss - gap.train_loss)} apart now` : "they have not parted"}.` : "How badly it predicts the next code; where the two lines part, it begins to memorise."} />`}
    ${prior && html`<${Chart} title="Prior perplexity" series=${[held(prior)]} data=${[prior.epochs.map((one) => one.at), prior.epochs.map((one) => one.val_perplexity)]}
      log=${true} limit=${run.memorization_threshold == null ? null : { value: run.memorization_threshold, label: `reciting, below ${run.memorization_threshold}` }}
      words=${gap?.best_perplexity ? `Between how many codes it hesitates at each step: ${figure(gap.best_perplexity, 1)} at its best.` : "Between how many codes it hesitates at each step; lower is surer."} />`}
  </div>`;
}

async function stop(run) {
  await post(path(run.name, "/stop"));
  refresh("/api/runs");
  say("It stops after this step; the best weights so far are kept.");
}

/** Stops what was begun here and is no training now: it waits in line, or makes the first pieces. */
async function halt(run) {
  await post(`/api/jobs/${encodeURIComponent(run.job)}/stop`);
  refresh("/api/runs");
}

/** Takes something off Train's list; what it made stays. `at` is its address on the server, `here` on the page. */
export async function unlist(at, name, here) {
  await del(at);
  refresh("/api/runs");
  goOn("train");
  const back = async () => { await post(`${at}/recall`); refresh("/api/runs"); go("train", ...here); };
  say(`${name} is off the list`, { undo: { act: () => attempt(back) } });
}

function GoOn({ run }) {
  const finished = run.state === "finished";
  const [typed, set] = useState(null);
  const minutes = typed ?? (finished ? "5" : "");
  const resume = async () => {
    const job = await post(path(run.name, "/resume"), { minutes: minutes ? Number(minutes) : null });
    refresh("/api/runs");
    say(hasBefore(await get("/api/runs"), job, run.name) ? "It goes on as soon as its turn comes." : "It goes on.");
  };
  return html`<span class="go-on"><input type="number" min="0.1" step="any" aria-label="Minutes further" placeholder="as planned" value=${minutes} onInput=${(event) => set(event.target.value)} /><span class="soft">min</span>
    <${Action} act=${resume} disabled=${finished && !minutes} data-test="resume">${finished ? "Train further" : "Go on"}<//></span>`;
}

function Measured({ run }) {
  const [asked, follow] = useState(null);
  const { data: measured, again } = usePolled(path(run.name, "/measured"), 20000);
  const job = asked ?? measured?.job;  // it may have been begun before this page was opened
  const { data } = usePolled(job ? `/api/jobs/${job}` : null, 1000);
  const { data: heard } = usePolled(path(run.name, "/heard"), 20000);
  const isOver = data && !isAtWork(data);
  useEffect(() => { if (isOver) { follow(null); again(); if (data.what) say(`${data.what} ${data.fix}`, { tone: "bad" }); refresh(path(run.name)); } }, [isOver]);
  const begin = async () => follow((await post(path(run.name, "/measure"))).id);
  const busy = job && !isOver;
  return html`<section class="card" aria-label="How faithful the codec is"><header><h3>How faithful the codec is</h3>
    <${Action} kind="small" act=${begin} waits=${Boolean(busy)} doing="Measuring …">${measured?.rows.length ? "Measure again" : "Measure and listen"}<//></header>
    ${busy && html`<${Bar} share=${data?.progress.share ?? 0} label="Measured" />`}
    ${!measured?.rows.length && !busy && html`<p class="soft">Pitch, texture and distance of every recording through the codec, and both to hear. It takes about as long as a few of your recordings.</p>`}
    ${measured?.rows.length > 0 && html`<dl class="tiles">${measured.rows.map((row) => html`<div><dd>${minus(row.value)}</dd><dt title=${row.words}>${row.name}</dt></div>`)}</dl>`}
    ${heard?.length > 0 && html`<div class="pairs">${heard.slice(0, 12).map((sound) => html`<div class="pair" key=${sound.reference}><div><h4>${sound.name}</h4><${Sound} reference=${sound.original} label=${`Original of ${sound.name}`} /></div><div><h4>decoded from its codes</h4><${Sound} reference=${sound.reference} label=${`Decoded ${sound.name}`} /></div></div>`)}</div>`}
  </section>`;
}

function FirstSound({ run }) {
  const { data: pieces } = usePolled(`/api/pieces?model=${run.model_id}`, 3000);
  if (!pieces?.length) return null;
  return html`<section class="stack" aria-label="New sound"><h2 class="minor">New sound</h2>${pieces.slice(0, 2).map((piece) => html`<${Piece} key=${piece.id} piece=${piece} />`)}
    ${pieces.length > 2 && html`<p><a href=${address("generate", run.model_id)}>All pieces</a></p>`}</section>`;
}

export function Run({ name }) {
  const { data: run, wrong } = usePolled(path(name), 1000);
  const isRunning = run?.state === "running";
  const told = useEvents(name, run?.stages.map((stage) => stage.name) ?? [], isRunning);
  const learning = useLearning(name, isRunning);
  const alarm = useAlarm(name, run, told.prior);
  const { data: all } = usePolled("/api/runs", 1000);
  // A codec that was gone on with has its prior in a run of its own: whoever watches is led there, and so to its alarm.
  const next = run?.job && !isRunning ? all?.runs.find((one) => one.name !== name && one.job === run.job && one.state === "running") : undefined;
  const hadNext = useRef(null);
  if (run && all) hadNext.current ??= Boolean(next);
  useEffect(() => { if (next && !hadNext.current) location.replace(address("train", next.name)); }, [next?.name]);
  const heading = useRef(null);
  // Once, as it was found: its passages are there when it begins, but the page may hear of that a moment later.
  const hadBegun = useRef(null);
  if (told.codec) hadBegun.current ??= told.codec.steps.length > 0;
  if (wrong && !run) return html`<${Alert} tone="bad">${wrong.message}<//>`;
  if (!run) return html`<div aria-busy="true" class="run"></div>`;
  const listen = run.has_prior && !isRunning;
  const warnings = [...new Set([run.warning, ...Object.values(told).flatMap((stage) => stage.notices.filter((one) => one.is_warning).map((one) => one.text))].filter((text) => text && text !== alarm?.words))].slice(-3);
  return html`<div class="stack run" data-state=${run.state}>
    <div class="head"><div><h2 ref=${heading} tabindex="-1">${run.model} <${Badge} tone=${run.job ? "held" : STATES[run.state]}>${isRunning && isStopping(run) ? "stopping" : run.job && !isRunning ? (run.job_step === "Queued" ? "queued" : isComposing(run) ? "composing" : "going on") : run.state}<//></h2><small>Begun ${when(run.started)} · from ${run.folder.split(/[\\/]/).at(-1)}</small></div>
      <div class="actions">
        ${run.pages.map((page) => run.model_id && html`<a class="button quiet" target="_blank" rel="noopener" href=${`/api/reports/${run.model_id}/${encodeURIComponent(page)}`}>Report</a>`).slice(0, 1)}
        ${run.can_go_on && !run.job && html`<${GoOn} run=${run} />`}
        ${(run.can_stop || (run.job && !isRunning)) && html`<${Action} kind="stop" act=${() => (isRunning ? stop(run) : halt(run))} waits=${isStopping(run)} doing="Stopping …" title=${isRunning ? "The best weights so far are kept; it can go on later" : undefined} data-test="stop">${run.job_step === "Queued" ? "Cancel" : "Stop"}<//>`}
        ${HALTED.includes(run.state) && !run.job && html`<${Action} kind="quiet" act=${() => unlist(path(run.name), run.model, [run.name])} title="What it learned stays">Remove from the list<//>`}
        ${listen && html`<a class="button primary" href=${address("generate", run.model_id)} data-test="to-generate">Make sound</a>`}
      </div></div>
    ${alarm && html`<${Alarm} run=${run} alarm=${alarm} onPass=${() => heading.current.focus({ preventScroll: true })} />`}
    <${Progress} run=${run} next=${next} />
    ${run.message && html`<${Alert} tone=${run.state === "interrupted" ? undefined : "bad"}>${run.message}<//>`}
    ${warnings.map((text) => html`<${Alert}>${text}<//>`)}
    ${listen && html`<${FirstSound} run=${run} />`}
    <${Listening} learning=${learning} isRunning=${isRunning && run.stage !== "prior"} isAwaited=${!hadBegun.current && run.stage === "codec"} />
    ${isRunning || !run.has_prior ? html`<${Curves} run=${run} told=${told} learning=${learning} />` : html`<details class="how-it-learned"><summary>How it learned: losses, pitch and texture, codebooks</summary><${Curves} run=${run} told=${told} learning=${learning} /></details>`}
    ${run.model_id && !isRunning && html`<${Measured} run=${run} />`}
  </div>`;
}
