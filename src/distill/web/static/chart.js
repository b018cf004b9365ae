// Learning curves, drawn by uPlot. It is loaded when the first one is shown.
import { useEffect, useRef } from "./vendor/hooks.js";
import { colour } from "./draw.js";
import { html } from "./parts.js";

let loading = null;
/** Something for the head of the page, until it is there: the server may be starting anew. */
const fetched = (kind, words) => new Promise((done) => {
  const ask = () => {
    const one = Object.assign(document.createElement(kind), words);
    one.onload = done;
    one.onerror = () => { one.remove(); setTimeout(ask, 2000); };
    document.head.append(one);
  };
  ask();
});
/** With its styles: without them a curve is drawn below its place, and jumps. */
function library() {
  const vendor = "/static/vendor/uPlot";
  loading ??= Promise.all([fetched("link", { rel: "stylesheet", href: `${vendor}.css` }), fetched("script", { src: `${vendor}.js` })]).then(() => window.uPlot);
  return loading;
}

const HEIGHT = 210;
const WHOLE = [1, 2, 5].flatMap((one) => Array.from({ length: 8 }, (_, power) => one * 10 ** power)).sort((a, b) => a - b);  // steps are whole
const short = (value) => (Math.abs(value) >= 10000 ? `${+(value / 1000).toPrecision(3)}k` : `${+value.toPrecision(3)}`);
/** The words at an axis; none before there is a curve. */
const marks = (plot, ticks) => ticks.map((tick) => (tick == null || plot.data[0].length < 2 ? "" : short(tick)));

function options(width, series, log, limit) {
  const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "11.5px system-ui, sans-serif" };
  return {
    width, height: HEIGHT, legend: { show: false }, padding: [8, 10, 0, 0],
    cursor: { points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: false }, y: { distr: log ? 3 : 1, range: log ? undefined : (_, low, high) => {
      const bottom = limit == null ? low : Math.min(low, limit);
      const room = (high - bottom) * 0.08 || 0.1;
      return [Math.max(0, bottom - room), high + room];
    } } },
    axes: [{ ...axis, size: 26, incrs: WHOLE, values: marks }, { ...axis, size: 44, values: marks }],
    series: [{ label: "step" }, ...series.map(({ tone, label, dashed }) => ({
      label, stroke: () => colour(tone), width: 2, dash: dashed ? [6, 5] : undefined, spanGaps: true, points: { show: (plot, at) => plot.data[at].filter((value) => value != null).length < 2, size: 6 },
    }))],
    hooks: { setCursor: [(plot) => {
      const at = plot.cursor.idx;
      const told = plot.root.closest("figure")?.querySelector("output");
      if (!told) return;
      const parts = at == null ? [] : series.map(({ label }, number) => [label, plot.data[number + 1][at]]).filter(([, value]) => value != null);
      told.textContent = parts.length ? parts.map(([label, value]) => `${label} ${value.toFixed(2)}`).join(" · ") : "";
    }] },
  };
}

/** A figure with curves: `data` is [x, …y], `series` [{ label, tone }]; a horizontal `limit` is { value, label }. */
export function Chart({ title, words, data, series, limit, log = false }) {
  const own = useRef(null);
  const plot = useRef(null);
  // The line of a limit is there from the beginning, also where there is one point only.
  const whole = limit == null ? data : [[0, ...data[0]], ...data.slice(1).map((values) => [null, ...values]), [limit.value, ...data[0].map(() => limit.value)]];
  const drawn = limit == null ? series : [...series, { label: limit.label, tone: "--warn", dashed: true }];
  const labels = drawn.map(({ label }) => label).join();
  const latest = useRef(whole);
  latest.current = whole;
  useEffect(() => {
    let gone = false;
    let sized;
    library().then((uPlot) => {
      if (gone || !own.current) return;  // it may leave the page before its end is told here
      plot.current = new uPlot(options(own.current.clientWidth, drawn, log, limit?.value), latest.current, own.current);
      sized = new ResizeObserver(() => { if (own.current) plot.current?.setSize({ width: own.current.clientWidth, height: HEIGHT }); });
      sized.observe(own.current);
    });
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const again = () => plot.current?.redraw();
    dark.addEventListener("change", again);
    return () => { gone = true; sized?.disconnect(); dark.removeEventListener("change", again); plot.current?.destroy(); plot.current = null; };
  }, [labels, log]);
  useEffect(() => { plot.current?.setData(whole); });
  const last = series.map((one, number) => [one, data[number + 1].findLast((value) => value != null)]);
  return html`<figure class="card chart" aria-label=${title}>
    <header><h3>${title}</h3><div class="keys">${last.map(([one, value]) => html`<span class="key" style=${{ "--tone": `var(${one.tone})` }}>${one.label}${value == null ? "" : html` <b>${value.toFixed(2)}</b>`}</span>`)}
      ${limit && html`<span class="key" style=${{ "--tone": "var(--warn)" }}>${limit.label}</span>`}</div></header>
    <div class="plot" ref=${own} role="img" aria-label=${`${title}: ${last.map(([one, value]) => `${one.label} ${value == null ? "not known yet" : value.toFixed(2)}`).join(", ")}`}></div>
    <figcaption>${words}<output></output></figcaption>
  </figure>`;
}
