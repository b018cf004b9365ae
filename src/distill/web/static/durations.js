// Lengths of time in words, as they were measured and as they can only be guessed, and places in a sound: the words of
// src/distill/durations.py, so that the page and the terminal say the same.

/** `0 s`, `4.2 ms`, `0.42 s`, `12.3 s`, `2 min 37 s`, `3 h 5 min`; a dash where it is not known. */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.01) return `${+(1000 * seconds).toPrecision(2)} ms`;
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (Math.round(10 * seconds) < 600) return `${+seconds.toFixed(1)} s`;
  const whole = Math.round(seconds), minutes = Math.round(seconds / 60);
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

/** `45 s`, `1 minute`, `20 minutes`, `1.6 hours`: no finer than a guess is; a dash where it is not known. */
export function about(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds < 59.5) return `${seconds.toFixed(0)} s`;
  if (seconds < 90) return "1 minute";
  return seconds < 5400 ? `${(seconds / 60).toFixed(0)} minutes` : `${(Math.ceil(seconds / 360) / 10).toFixed(1)} hours`;
}

const two = (number) => String(number).padStart(2, "0");
/** `12.3 s`, `6:54.3`: where in a sound something is, as players show it. */
export function place(seconds) {
  const tenths = Math.round(10 * seconds), minutes = Math.floor(tenths / 600);
  if (!minutes) return `${(tenths / 10).toFixed(1)} s`;
  const rest = (tenths % 600 / 10).toFixed(1).padStart(4, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}

/** The same at a ruler whose marks are `step` seconds apart: no finer than these. */
export function mark(seconds, step) {
  const minutes = Math.floor(seconds / 60 + 1e-9), rest = seconds - 60 * minutes;
  const text = rest.toFixed(step < 0.1 ? 2 : step < 1 ? 1 : 0);
  return minutes ? `${minutes}:${rest < 10 ? "0" : ""}${text}` : `${text} s`;
}
