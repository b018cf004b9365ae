// What is said for a while: in the head of the page where it has room for it, and otherwise as near to the foot as there is a
// place without anything to press.
import { useEffect, useLayoutEffect, useRef } from "./vendor/hooks.js";
import { html } from "./parts.js";
import { message, usePolled, useShared } from "./store.js";

const PRESSED = "a[href],button,input,select,textarea,summary,label,canvas,[role=button],.options,.deck";
const EDGE = 16, GAP = 4, STEP = 6;  // pixels: to the edge of the window, to a control, from one place that is tried to the next
const LEAST = 240;  // pixels that a message needs in the head
const LOOK_MS = 300;

const headEnds = () => document.querySelector(".top").getBoundingClientRect().bottom;
/** Where something is that can be pressed, as far as it is in the window and not under its head. */
const pressed = () => [...document.querySelectorAll(PRESSED)].filter((one) => !one.closest(".messages") && one.checkVisibility({ visibilityProperty: true })).map((one) => {
  const { left, right, top, bottom, width } = one.getBoundingClientRect();
  return { left, right, top: one.closest(".top") ? top : Math.max(top, headEnds()), bottom, width };
}).filter(({ top, bottom, width }) => bottom > top && top < innerHeight && width > 1);
const isFree = (x, y, { width, height }, taken) => !taken.some((box) => box.left < x + width + GAP && box.right > x - GAP && box.top < y + height + GAP && box.bottom > y - GAP);

/** In the head, between the tabs and what is at work; null where that is too little. */
function inHead(own) {
  const head = document.querySelector(".top > div"), box = head.getBoundingClientRect();
  const from = head.querySelector(".tabs a:last-child").getBoundingClientRect().right + EDGE;
  const to = head.querySelector(".now")?.getBoundingClientRect().left - EDGE || box.right - parseFloat(getComputedStyle(head).paddingRight);
  own.style.maxWidth = `${to - from}px`;
  const { width, height } = own.getBoundingClientRect();
  return to - from >= LEAST && height < box.height ? [to - width, (box.height - height) / 2] : null;
}
/** The lowest place that is free: in the middle, or else at a side. */
function below(own, taken) {
  const size = own.getBoundingClientRect(), wide = document.documentElement.clientWidth;
  for (let y = innerHeight - EDGE - size.height; y > headEnds(); y -= STEP) {
    for (const x of [(wide - size.width) / 2, EDGE, wide - EDGE - size.width]) if (isFree(x, y, size, taken)) return [x, y];
  }
  return null;
}
function settle(own) {
  own.className = "messages in-head";
  let place = inHead(own);
  if (!place) {
    own.style.maxWidth = "";
    const taken = pressed();
    for (const form of ["messages", "messages slim"]) {
      own.className = form;
      place ??= below(own, taken);
      if (place) break;
    }
  }
  if (!place) {
    own.className = "messages over";  // what is pressed through it is what is meant
    const { width, height } = own.getBoundingClientRect(), deck = document.querySelector(".deck")?.getBoundingClientRect().height ?? 0;
    place = [(document.documentElement.clientWidth - width) / 2, innerHeight - EDGE - deck - height];
  }
  own.style.translate = place.map((one) => `${Math.round(one)}px`).join(" ");
}
/** It stays where it is for as long as it may: not while somebody is at it, or while the page is being moved below it. */
function useFreePlace(own, said) {
  useLayoutEffect(() => {
    if (!said) return undefined;
    const { current } = own;
    settle(current);
    let before = scrollY;
    const look = () => {
      const isMoving = scrollY !== before;
      before = scrollY;
      if (isMoving || current.matches(":hover, :focus-within")) return;
      const { left, top, width, height } = current.getBoundingClientRect();
      if (current.matches(".over") || !isFree(left, top, { width, height }, pressed())) settle(current);
    };
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [said]);
}

export function Messages() {
  const { wrong } = usePolled("/api/now", 1500);
  const told = useShared(message);
  // That the server is silent is said once, however often something is tried, and no longer than it is so.
  const silence = wrong?.status === 0 ? wrong.message : "";
  const before = useRef("");
  useEffect(() => { if (before.current && !silence && message.get()?.text === before.current) message.set(null); before.current = silence; }, [silence]);
  const own = useRef(null);
  useFreePlace(own, silence + (told?.text ?? ""));
  return html`<div class="messages" role="status" aria-live="polite" ref=${own}>
    ${silence && html`<div class="message bad"><span>${silence}</span></div>`}
    ${told && told.text !== silence && html`<div class=${`message ${told.tone}`}><span>${told.text}</span>
      ${told.undo && html`<button type="button" title=${told.undo.label ? undefined : "Ctrl+Z"} onClick=${() => { message.set(null); told.undo.act(); }}>${told.undo.label ?? "Undo"}</button>`}
      <button type="button" class="quiet" aria-label="Dismiss" onClick=${() => message.set(null)}>✕</button></div>`}
  </div>`;
}
