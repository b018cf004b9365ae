// The tab Train: minutes as the one knob, the runs there are, and one of them live.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { post, query } from "./api.js";
import { html, Action, Alert, Badge, Bar, Choice, Empty, Field, Tick, clock, count, isFilled, percent, when, about } from "./parts.js";
import { address, goOn, isAtWork, refresh, shared, usePolled, useRemembered, useShared } from "./store.js";
import { Run, STAGES, STATES, hasBefore, isComposing, isStopping, unlist } from "./run.js";
import { addDemo, isDemo } from "./folder.js";
import { unusable } from "./recordings.js";

const MINUTES = [1, 2, 3, 4, 5, 8, 12, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480];
const FIRST_MINUTES = 4;
const DEMO_MINUTES = 3;  // as distill demo
const nearest = (minutes) => MINUTES.reduce((best, one, number) => (Math.abs(Math.log(one / minutes)) < Math.abs(Math.log(MINUTES[best] / minutes)) ? number : best), 0);
const words = (minutes) => {
  if (minutes < 3) return "A first impression: the colours are there, the detail is not.";
  if (minutes < 12) return "Enough for a small folder on a laptop.";
  if (minutes < 60) return "For more recordings, or for finer detail.";
  return "For hours of recordings, or a night.";
};
const AUTO = { quality: "standard", levels: "", codebook_size: "", channels: "auto", device: "auto", seed: "0", from_scratch: false, seconds: "10", count: "3" };

// What was written in the form stays when another tab is looked at.
const named = shared(""), advanced = shared(AUTO);

function Advanced({ values, set, report }) {
  const settings = report?.settings ?? {};
  const auto = (name) => (settings[name] ? `${settings[name]} (auto)` : "(auto)");
  const field = (name) => ({ value: values[name], onInput: (value) => set({ ...values, [name]: value }) });
  return html`<details><summary>Advanced</summary><div class="fields">
    <${Choice} label="Quality" ...${field("quality")} options=${[["standard", "Standard (auto)"], ["high", "High: a second stage"]]} hint="A second stage refines the sound: for a GPU, or a night" />
    <${Field} label="Quantizer levels" hint="Codes for each moment, coarse to fine" type="number" min="2" max="4" placeholder=${auto("rvq-levels")} ...${field("levels")} />
    <${Field} label="Codes per level" hint="How many sounds each can name" type="number" min="16" max="1024" placeholder=${auto("codebook-size")} ...${field("codebook_size")} />
    <${Choice} label="Channels" ...${field("channels")} options=${[["auto", report ? `${report.channels === 2 ? "Stereo" : "Mono"} (auto)` : "(auto)"], ["1", "Mono"], ["2", "Stereo"]]} />
    <${Choice} label="Device" ...${field("device")} options=${[["auto", "(auto)"], ["cpu", "CPU"], ["cuda", "NVIDIA GPU"], ["mps", "Apple GPU"]]} />
    <${Field} label="Seed" hint="What chance begins from" type="number" min="0" required ...${field("seed")} />
    <${Field} label="First pieces" type="number" min="1" max="64" required ...${field("count")} />
    <${Field} label="Seconds each" type="number" min="0.5" max="600" step="any" required ...${field("seconds")} />
    <${Tick} label="From scratch, without the public-domain sound that Distill has learned from already" checked=${values.from_scratch} onInput=${(value) => set({ ...values, from_scratch: value })} />
  </div></details>`;
}

function Form({ collections, chosen, waits }) {
  const [last] = useRemembered("folder", "");
  const [picked, choose] = useState(chosen);
  // Where nobody has picked one: the one that was looked at last, unless there is nothing in it to learn from.
  const [useless, leave] = useState([]);
  const likeliest = [...collections].sort((one, other) => (other.id === last) - (one.id === last));
  const collection = picked ?? (likeliest.find((one) => one.is_there && !unusable(one) && !useless.includes(one.id)) ?? likeliest[0]).id;
  const [asked, setMinutes] = useRemembered("minutes", null);
  const usual = collections.some((one) => one.id === collection && isDemo(one)) ? DEMO_MINUTES : FIRST_MINUTES;
  const minutes = asked ?? usual;
  const [name, setName] = [useShared(named), named.set];
  const [values, set] = [useShared(advanced), advanced.set];
  const { data: detail } = usePolled(`/api/collections/${encodeURIComponent(collection)}`, 5000);
  useEffect(() => { if (chosen) choose(chosen); }, [chosen]);
  useEffect(() => { if (unusable(detail) && !useless.includes(detail.id)) leave([...useless, detail.id]); }, [detail]);
  const isAsked = minutes > 0 && minutes <= 100000 && values.count >= 1 && values.count <= 64 && values.seconds >= 0.5 && values.seconds <= 600;
  const { data: takes } = usePolled(isAsked ? query("/api/train/takes", { minutes, quality: values.quality, seconds: values.seconds, count: Math.floor(values.count), corpus_seconds: detail?.report?.seconds ?? 0 }) : null, 600000);
  const beyond = useRef(0);  // the minutes, in seconds; kept while another answer is awaited
  if (takes) beyond.current = takes.seconds - 60 * minutes;
  const own = useRef(null);
  const begin = async () => {
    if (!isFilled(own.current)) return;
    const number = (text) => (text === "" ? null : Number(text));
    const job = await post("/api/train", {
      collection, minutes: Number(minutes), name, ...values, levels: number(values.levels), codebook_size: number(values.codebook_size),
      seed: Number(values.seed), seconds: Number(values.seconds), count: Number(values.count),
    });
    refresh("/api/runs");
    refresh("/api/now");
    setName("");
    goOn("train", "job", job.id);
  };
  return html`<form class="card stack form" ref=${own} onSubmit=${(event) => event.preventDefault()} aria-label="New training">
    <h2 class="minor">New training</h2>
    <${Choice} label="Recordings" value=${collection} onInput=${choose} options=${collections.map((one) => [one.id, `${one.name} (${one.files || "empty"})`])} />
    ${unusable(detail) && html`<${Alert} tone="bad">There is nothing to learn from in ${detail.name}; Recordings says why.<//>`}
    <div class="knob"><label for="minutes">Minutes</label>
      <div class="row"><input id="minutes" class="big" type="number" min="0.05" step="any" value=${minutes} onInput=${(event) => setMinutes(event.target.value)} data-test="minutes" /><span class="soft">${words(minutes)}</span></div>
      <input type="range" min="0" max=${MINUTES.length - 1} data-usual=${nearest(usual)} title=${`Double-click: ${usual} minutes`} aria-label="Minutes, roughly" aria-valuetext=${`${minutes} minutes`} value=${nearest(minutes)} onInput=${(event) => setMinutes(MINUTES[event.target.value])} />
      <small>${minutes > 0 ? waits ? "It is queued, and starts when the current training ends" : `Done at about ${clock(new Date(Date.now() + 60000 * minutes + 1000 * beyond.current))}, with ${count(Number(values.count), "first piece")} to hear` : "Give it more than 0 minutes"}</small></div>
    <${Field} label="Name" value=${name} onInput=${setName} maxlength="100" placeholder=${`${collections.find((one) => one.id === collection)?.name ?? "sound"} (auto)`} />
    <${Advanced} values=${values} set=${set} report=${detail?.report} />
    <${Action} kind="primary big" act=${begin} disabled=${!(minutes > 0) || unusable(detail)} data-test="train">Train<//>
  </form>`;
}

/** What a training that was asked for is to be called, as its run is. */
const nameOf = (job) => job.title.replace(/^(Training|Going on with) /, "");

function Runs({ all, chosen }) {
  if (!all.runs.length && !all.jobs.length) return null;
  const isTwice = (run) => all.runs.some((other) => other.stage !== run.stage && other.model === run.model);
  const state = (run) => (run.state === "running" ? (isStopping(run) ? "stopping" : "running") : run.job ? (isComposing(run) ? "composing" : run.job_step === "Queued" ? "queued" : "going on") : run.state);
  // The first in line begins in a moment.
  const isFirst = (job) => job.state === "waiting" && !hasBefore(all, job);
  const asked = (job) => html`<a class="item" href=${address("train", "job", job.id)} aria-current=${job.id === chosen ? "true" : undefined}><b>${nameOf(job)}</b><small><${Badge} tone=${job.state === "failed" ? "bad" : ""}>${isFirst(job) ? "beginning" : job.state === "waiting" ? "queued" : job.state}<//> ${when(job.created)}</small></a>`;
  const begun = (run) => html`<a class="item" href=${address("train", run.name)} aria-current=${run.name === chosen ? "true" : undefined}><b>${run.model}</b>
    <small><${Badge} tone=${run.job ? "held" : STATES[run.state]}>${state(run)}<//> ${isTwice(run) && STAGES[run.stage] ? `${STAGES[run.stage]} · ` : ""}${run.state === "running" ? `${percent(run.progress)}${run.remaining_s >= 1 ? ` · ${about(run.remaining_s)} left` : ""}` : when(run.started)}</small></a>`;
  // What is to come and what is at work are above; what failed before it had a run stands where its run would.
  const waiting = all.jobs.filter(isAtWork), failed = all.jobs.filter((job) => !isAtWork(job));
  const lines = waiting.map(asked);
  for (const run of all.runs) {
    while (failed.length && run.state !== "running" && Date.parse(failed[0].created) > Date.parse(run.started)) lines.push(asked(failed.shift()));
    lines.push(begun(run));
  }
  return html`<nav class="list" aria-label="Trainings">${lines}${failed.map(asked)}</nav>
    ${all.are_all === false && html`<p class="soft">These are the newest; each model in <a href=${address("library")}>Library</a> has all of its trainings.</p>`}`;
}

/** A training that was asked for and has no run yet: it reads the recordings, waits in line, or failed. */
function Job({ id }) {
  const { data: job, wrong } = usePolled(`/api/jobs/${encodeURIComponent(id)}`, 700);
  const { data: all } = usePolled("/api/runs", 1000);
  const run = job && all?.runs.find((one) => one.job === id);
  useEffect(() => { if (run) location.replace(address("train", run.name)); }, [run?.name]);
  if (wrong && !job) return html`<${Alert} tone="bad">${wrong.message}<//>`;
  if (!job) return html`<div aria-busy="true"></div>`;
  const isOver = !isAtWork(job);
  const made = isOver && all?.runs.find((one) => one.name === job.about.run || (one.started >= job.created && one.model === (job.about.model ?? "").split(/[\\/]/).at(-1)?.replace(/\.distill$/, "")));
  const waits = job.state === "waiting" && Boolean(all && hasBefore(all, job));
  const forget = () => unlist(`/api/jobs/${encodeURIComponent(id)}`, nameOf(job), ["job", id]);
  return html`<div class="stack"><div class="head"><div><h2>${nameOf(job)} <${Badge} tone=${job.what ? "bad" : ""}>${waits ? "queued" : isOver ? job.state : "beginning"}<//></h2><small>Asked for ${when(job.created)}</small></div>
      ${!isOver && html`<${Action} act=${() => post(`/api/jobs/${id}/stop`)}>${waits ? "Cancel" : "Stop"}<//>`}</div>
    ${job.what && html`<${Alert} tone="bad">${job.what} ${job.fix}<//>
      <div class="actions">${job.about.collection && html`<a class="button" href=${address("train", "new", job.about.collection)}>Try again</a><a class="button quiet" href=${address("recordings", job.about.collection)}>See the recordings</a>`}<${Action} kind="quiet" act=${forget}>Remove from the list<//></div>`}
    ${!isOver && html`<div class="card progress"><div class="row"><ol class="stages"><li class=${waits ? "later" : "current"}>Recordings</li><li class="later">Codec</li><li class="later">Prior</li><li class="later">New sound</li></ol>
      <span class="left">${waits ? "Another training is at work; this one begins after it." : job.progress.step ? `${job.progress.step} … ${job.progress.detail}` : "Starting PyTorch: some seconds, longer on a busy machine"}</span></div>
      <${Bar} share=${job.progress.share} waits=${!waits && !job.progress.share} label="Recordings read" /></div>`}
    ${made && html`<p><a href=${address("train", made.name)}>See its run</a></p>`}
  </div>`;
}

function Train({ path }) {
  const { data: collections } = usePolled("/api/collections", 5000);
  const { data: all } = usePolled("/api/runs", 1000);
  if (!collections || !all) return html`<div aria-busy="true"></div>`;
  if (!collections.length && !all.runs.length && !all.jobs.length) {
    return html`<${Empty} title="First, some recordings" actions=${html`<a class="button primary big" href=${address("recordings")}>Add recordings</a><${Action} kind="big" doing="Making it …" act=${addDemo}>Use the demo corpus<//>`}>
      Distill learns from a folder of them. Then you say how many minutes it may take, and listen while it learns.<//>`;
  }
  const [kind, which] = path;
  const isNew = kind === "new";
  const run = !kind || isNew ? all.runs.find((one) => one.state === "running") ?? (isNew ? null : all.runs[0]) : all.runs.find((one) => one.name === kind);
  const shown = kind === "job" ? html`<${Job} key=${which} id=${which} />` : run ? html`<${Run} key=${run.name} name=${run.name} />`
    : kind && !isNew ? html`<${Run} key=${kind} name=${kind} />` : html`<${Empty} title="How long should it learn?">Minutes are the only setting it needs. Two thirds go to the codec, which learns what your sound is made of; one third to the prior, which learns how it is put together. Then it makes the first pieces. You hear it learn all the while, and can stop at any time and keep what was learned.<//>`;
  // By what is at work, not by what is looked at: or the list would move under whoever goes through it.
  const isBusy = !isNew && (all.runs.some((one) => one.state === "running" || one.job) || all.jobs.some(isAtWork));
  return html`<div class=${`split${(kind && !isNew) || isBusy ? " chosen" : ""}`}>
    <aside class="stack">${collections.length > 0 && (isBusy ? html`<a class="button" href=${address("train", "new")}>New training</a>` : html`<${Form} collections=${collections} chosen=${isNew ? which : undefined} waits=${all.runs.some((one) => one.state === "running")} />`)}<${Runs} all=${all} chosen=${kind === "job" ? which : run?.name} /></aside>
    <div>${shown}</div></div>`;
}

export const tab = { id: "train", title: "Train", view: Train };
