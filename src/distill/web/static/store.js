// What the tabs share: the address, what is asked again and again, messages, and what this browser remembers.
// The truth is on the server's disk; here is only what is shown of it.
import { useCallback, useEffect, useMemo, useState } from "./vendor/hooks.js";
import { get } from "./api.js";

// The address: #/train/RUN → ["train", "RUN"]
const meant = (part) => { try { return decodeURIComponent(part); } catch { return part; } };  // one that was typed may hold a bare %
const parts = () => location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(meant);
export const address = (...path) => `#/${path.map(encodeURIComponent).join("/")}`;
export const go = (...path) => { location.hash = address(...path); };
/** The same once something has been done: whoever has gone to another tab meanwhile is not fetched back. */
export const goOn = (...path) => { if (parts()[0] === path[0]) go(...path); };
export function useAddress() {
  const [path, set] = useState(parts);
  useEffect(() => {
    const follow = () => set(parts());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return path;
}

// A value that components share.
export function shared(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set: (next) => { value = next; for (const watcher of watchers) watcher(value); },
    watch: (watcher) => { watchers.add(watcher); return () => watchers.delete(watcher); },
  };
}
export function useShared(one) {
  const [value, set] = useState(one.get());
  useEffect(() => { set(one.get()); return one.watch((next) => set(() => next)); }, [one]);
  return value;
}

// What is said for a while; `undo` is { label, act }.
export const message = shared(null);
let fading;
export function say(text, { tone = "good", undo = null } = {}) {
  clearTimeout(fading);
  message.set({ text, tone, undo });
  const fade = () => {  // not while somebody is at it
    if (document.querySelector(".messages:is(:hover, :focus-within) .message")) fading = setTimeout(fade, 2000);
    else message.set(null);
  };
  fading = setTimeout(fade, undo || tone === "bad" ? 12000 : 5000);
}
/** Whether undoing means something of its own there. */
export const undoes = (element) => element.matches("canvas") || (element.matches("input:not([type=checkbox],[type=radio],[type=range]),textarea") && element.value !== "");
/** What went wrong is not said any longer once something else is tried. */
export const forgetWrong = () => { if (message.get()?.tone === "bad") message.set(null); };
export const sayWrong = (error) => say(error.message, { tone: "bad" });
/** Does something and says so if it fails; gives undefined then. */
export const attempt = (work) => work().catch((error) => { sayWrong(error); });

// An answer of the server that is asked for again, as often as the most eager of all who show it wants, slower while the page is
// hidden.
const HIDDEN_MS = 5000;
const asked = new Map();
function follow(url) {
  const one = { value: shared({ data: undefined, wrong: null }) };
  const users = [];  // after how many milliseconds each of them wants to know more
  let timer = 0;
  const next = () => {
    clearTimeout(timer);
    timer = setTimeout(one.look, Math.max(document.hidden ? HIDDEN_MS : 0, Math.min(...users)));
  };
  one.look = async () => {
    clearTimeout(timer);
    try {
      const data = await get(url);
      const before = one.value.get();
      if (before.wrong || JSON.stringify(before.data) !== JSON.stringify(data)) one.value.set({ data, wrong: null });
    } catch (wrong) {
      one.value.set({ data: one.value.get().data, wrong });
    }
    if (users.length) next();
  };
  one.join = (every) => {
    const isSooner = users.every((other) => every < other);
    users.push(every);
    if (users.length === 1) one.look();
    else if (isSooner) next();
    return () => {
      users.splice(users.indexOf(every), 1);
      if (users.length) return;
      clearTimeout(timer);
      if (asked.get(url) === one) asked.delete(url);
    };
  };
  return one;
}
const nobody = shared({ data: undefined, wrong: null });
/** `{ data, wrong, again }` of a URL, asked every so many milliseconds; null asks for nothing. */
export function usePolled(url, every = 2000) {
  const one = useMemo(() => (url ? asked.get(url) ?? follow(url) : null), [url]);
  useEffect(() => {
    if (!one) return undefined;
    if (!asked.has(url)) asked.set(url, one);
    return one.join(every);
  }, [one, every]);
  const again = useCallback(() => one?.look(), [one]);
  return { ...useShared(one?.value ?? nobody), again };
}
/** Whether a job is not over yet. */
export const isAtWork = ({ state }) => ["waiting", "running", "stopping"].includes(state);
/** Looks again, now, at everything under this address, but for what is about `gone`, which was just deleted. */
export const refresh = (start, gone) => { for (const [url, one] of asked) if (url.startsWith(start) && !(gone && url.includes(gone))) one.look(); };
document.addEventListener("visibilitychange", () => { if (!document.hidden) for (const one of asked.values()) one.look(); });

// What this browser remembers: choices, never results.
const recall = (name, initial) => { try { return JSON.parse(localStorage.getItem(name)) ?? initial; } catch { return initial; } };
/** A value that components share and this browser remembers. */
export function remembered(name, initial) {
  const one = shared(recall(name, initial));
  one.watch((value) => localStorage.setItem(name, JSON.stringify(value)));
  return one;
}
export function useRemembered(name, initial) {
  const [value, set] = useState(() => recall(name, initial));
  const keep = useCallback((next) => set((before) => {
    const chosen = typeof next === "function" ? next(before) : next;
    localStorage.setItem(name, JSON.stringify(chosen));
    return chosen;
  }), [name]);
  return [value, keep];
}
