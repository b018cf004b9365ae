// A sound to look at and to play: waveform, spectrogram, playhead, a passage marked by dragging, and the strip of verdicts.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { get, query } from "./api.js";
import { html, count, minus, duration, mark, place } from "./parts.js";
import { drawMel, drawWave, unpack } from "./draw.js";
import { leave, play, playing, position, toggle } from "./player.js";
import { sayWrong, useShared } from "./store.js";

const looks = new Map();
const MOST_LOOKS = 150;
function lookAt(reference, mel) {
  const key = `${mel ? "mel" : ""}${reference}`;
  if (!looks.has(key)) {
    if (looks.size >= MOST_LOOKS) looks.delete(looks.keys().next().value);
    const asked = get(query("/api/sound/look", { ref: reference, mel })).then(unpack);
    asked.catch(() => looks.delete(key));
    looks.set(key, asked);
  }
  return looks.get(key);
}

/** How a sound looks, asked once the element is near the screen. */
function useLook(reference, mel, element) {
  const [found, set] = useState({ reference, look: null, wrong: null });
  useEffect(() => {
    let gone = false;
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      lookAt(reference, mel).then(
        (look) => { if (!gone) set({ reference, look, wrong: null }); },
        (wrong) => { if (!gone) set({ reference, look: null, wrong }); },
      );
    }, { rootMargin: "200px" });
    if (element.current) seen.observe(element.current);
    return () => { gone = true; seen.disconnect(); };
  }, [reference, mel]);
  return found.reference === reference ? found : { look: null, wrong: null };
}

function Canvas({ look, draw, kind }) {
  const own = useRef(null);
  useEffect(() => {
    if (!look) return undefined;
    const again = () => { if (own.current) draw(own.current, look); };
    again();
    const sized = new ResizeObserver(again);
    sized.observe(own.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", again);
    return () => { sized.disconnect(); dark.removeEventListener("change", again); };
  }, [look]);
  return html`<canvas class=${kind} ref=${own} aria-hidden="true"></canvas>`;
}

/** Stops what is heard under this reference when what began it leaves the page. */
function useLeaving(reference) {
  const last = useRef(reference);
  last.current = reference;
  useEffect(() => () => leave(last.current), []);
}

function PlayButton({ reference, label, options, small }) {
  const now = useShared(playing);
  useLeaving(reference);
  const on = now.reference === reference && now.isPlaying;
  return html`<button type="button" class=${`round play${small ? " small" : ""}${on ? " primary" : ""}`} aria-label=${`${on ? "Pause" : "Play"} ${label}`} aria-pressed=${on}
    data-sound=${encodeURIComponent(reference)} onClick=${() => toggle(reference, { label, ...options?.() })}>${on ? html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 3h3v10H4zM9 3h3v10H9z"/></svg>` : html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M5 3l8 5-8 5z"/></svg>`}</button>`;
}

/** The playhead of a sound, moved without rendering anything anew. */
function usePlayhead(reference, seconds, pane) {
  const now = useShared(playing);
  const isLoaded = now.reference === reference;
  useEffect(() => {
    const element = pane.current;
    element.classList.toggle("heard", isLoaded);
    if (!isLoaded) return undefined;
    let frame;
    const follow = () => {
      element.style.setProperty("--at", Math.min(1, position() / (seconds || 1)));
      frame = requestAnimationFrame(follow);
    };
    follow();
    return () => cancelAnimationFrame(frame);
  }, [isLoaded, now.isPlaying, seconds]);
}

const TONES = { Original: "original", Close: "close", Copy: "copy", Silence: "silence" };
const HEAR_S = 1.0;

function describe(second, begins) {
  const at = begins < 59.95 ? `${+begins.toFixed(2)} s` : place(begins);
  if (!second.recording) return `${at}: ${second.verdict}`;
  const percentile = second.percentile == null ? "" : `, nearer than ${Math.round(second.percentile)} % of your recordings’ seconds are to each other`;
  const turned = second.semitones ? `, ${second.semitones > 0 ? "+" : ""}${minus(count(second.semitones, "semitone"))}` : "";
  return `${at}: ${second.verdict}. Nearest ${second.recording} at ${place(second.at_seconds)} (similarity ${(second.similarity ?? 0).toFixed(2)}${percentile}${turned})`;
}

/** A bar a second, from `begin` on; pressing one plays the passage that it is nearest to, and then itself. */
function Strip({ reference, label, verdicts, seconds, begin, end }) {
  const [told, tell] = useState("");
  const [at, move] = useState(0);
  const [passage, setPassage] = useState("");
  useLeaving(passage);
  const own = useRef(null);
  const hear = (second, number) => {
    const begins = begin + number;
    tell(describe(second, begins));
    move(number);
    const itself = () => play(reference, { from: begins, to: Math.min(begins + HEAR_S, end), label }).catch(sayWrong);
    if (!second.reference) {
      if (second.recording) tell(`${describe(second, begins)}. The model that knows it is gone or has learned more since, so this is the second itself.`);
      itself();
      return;
    }
    const asked = { ref: second.reference, begin: second.at_seconds.toFixed(3), seconds: (HEAR_S / (second.stretch || 1)).toFixed(3) };
    const nearest = `${second.reference}@${second.at_seconds}`;
    setPassage(nearest);
    const url = query("/api/sound/passage", asked);
    play(nearest, { url, from: 0, next: itself, label: second.recording }).catch((wrong) => {
      tell(`${describe(second, begins)}. That recording cannot be played here; this is the second itself. ${wrong.message}`);
      itself();
    });
  };
  const keys = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = Math.min(verdicts.length - 1, Math.max(0, at + step));
    move(next);
    own.current.children[next].focus();
  };
  return html`<div class="verdicts">
    <div class="origin" role="toolbar" aria-label="Verdict of every second: press one to hear the nearest passage of the recordings, then the second itself" ref=${own} onKeyDown=${keys}>
      ${verdicts.map((second, number) => html`<button type="button" class=${TONES[second.verdict] ?? ""} tabindex=${number === at ? 0 : -1} title=${describe(second, begin + number)}
        aria-label=${describe(second, begin + number)} style=${{ left: `${(100 * (begin + number)) / seconds}%`, width: `${(100 * Math.min(1, end - begin - number)) / seconds}%` }} onClick=${() => hear(second, number)}><i></i></button>`)}
    </div>
    <p class="told" aria-live="polite">${told || html`<span class="origin-key original">Original</span><span class="origin-key close">Close</span><span class="origin-key copy">Copy</span><span class="soft">Press a second to hear where it is from</span>`}</p>
  </div>`;
}

function Axis({ seconds }) {
  if (!seconds) return html`<div class="seconds"></div>`;
  const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((one) => seconds / one <= 6) ?? 1800;
  const marks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, number) => number * step).filter((at) => at < 0.97 * seconds);
  return html`<div class="seconds" aria-hidden="true">${marks.map((at) => html`<span style=${{ left: `${(100 * at) / seconds}%` }}>${step < 1 ? `${+at.toFixed(2)} s` : mark(at, step)}</span>`)}</div>`;
}

/** The whole: `selection` is [begin, end] in seconds, and `onSelect` makes it markable by dragging; the verdicts are on `judged`, or on all of it. */
export function Sound({ reference, label, mel = true, verdicts, judged, selection, onSelect, options, length }) {
  const pane = useRef(null);
  const { look, wrong } = useLook(reference, mel, pane);
  const seconds = look?.seconds ?? length ?? 0;
  usePlayhead(reference, seconds, pane);
  const placeOf = (event) => {
    const box = pane.current.getBoundingClientRect();
    return Math.min(seconds, Math.max(0, ((event.clientX - box.left) / box.width) * seconds));
  };
  // A click, which a swipe that begins here to scroll the page is not; nor is what marks a passage.
  const hasMarked = useRef(false);
  const hear = (event) => { if (seconds && !hasMarked.current) play(reference, { from: placeOf(event), label, ...options?.() }).catch(sayWrong); };
  const press = (event) => {
    hasMarked.current = false;
    if (!onSelect || !seconds || event.button) return;
    const own = pane.current, from = placeOf(event), over = new AbortController();
    const move = (next) => {
      const to = placeOf(next);
      hasMarked.current = hasMarked.current || Math.abs(to - from) > seconds / 200;
      if (hasMarked.current) onSelect([Math.min(from, to), Math.max(from, to)]);
    };
    own.setPointerCapture(event.pointerId);
    own.addEventListener("pointermove", move, { signal: over.signal });
    for (const end of ["pointerup", "pointercancel"]) own.addEventListener(end, () => over.abort(), { signal: over.signal });
  };
  const keys = (event) => {
    const step = !event.shiftKey && { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === " " || event.key === "Enter") toggle(reference, { label, ...options?.() });
    else if (step && seconds) play(reference, { label, ...options?.(), from: Math.min(seconds, Math.max(0, position() + step)) }).catch(sayWrong);
    else return;
    event.preventDefault();
  };
  return html`<div class=${`sound${mel ? "" : " flat"}`} data-seconds=${seconds}>
    <${PlayButton} reference=${reference} label=${label} options=${options} />
    <div class="drawn">
      <div class=${`pane${onSelect ? " markable" : ""}`} ref=${pane} role="button" tabindex="0" aria-label=${`${label}, ${duration(seconds)}: play from a place`} onPointerDown=${press} onClick=${hear} onKeyDown=${keys}>
        <${Canvas} look=${look} draw=${drawWave} kind="wave" />
        ${mel && html`<${Canvas} look=${look} draw=${drawMel} kind="mel" />`}
        ${selection && seconds > 0 && html`<i class="marked" style=${{ left: `${(100 * selection[0]) / seconds}%`, width: `${(100 * (selection[1] - selection[0])) / seconds}%` }}></i>`}
        <i class="playhead"></i>
        ${wrong && html`<span class="wrong">${mel ? wrong.message : wrong.what}</span>`}
      </div>
      <${Axis} seconds=${seconds} />
      ${verdicts && verdicts.length > 0 && html`<${Strip} reference=${reference} label=${label} verdicts=${verdicts} seconds=${seconds || verdicts.length} begin=${judged?.[0] ?? 0} end=${judged?.[1] ?? (seconds || verdicts.length)} />`}
    </div>
  </div>`;
}
