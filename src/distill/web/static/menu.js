// A button that opens a short list of things to do: by mouse, by keyboard, and told as expanded or collapsed.
import { html } from "./parts.js";

const EDGE = 8;  // pixels between a list and the edge of the window
/** An opened list stays within the window, wherever its button stands. */
function intoView(list) {
  list.style.translate = "none";
  const { left, right } = list.getBoundingClientRect();
  const over = Math.max(0, right + EDGE - document.documentElement.clientWidth);
  list.style.translate = `${left < EDGE ? EDGE - left : -Math.min(over, left - EDGE)}px`;
}

/** `words` stand on the button, after which `children`, links and buttons, are its list; choosing one closes it. */
export function Menu({ words, label, kind = "", place = "", busy, children }) {
  const chosen = (event) => { if (event.target.closest("a,button")) event.currentTarget.closest("details").open = false; };
  const shown = ({ target }) => {
    if (!target.open) return;
    intoView(target.lastElementChild);
    if (target.contains(document.activeElement)) target.lastElementChild.scrollIntoView({ block: "nearest" });
  };
  return html`<details class=${`menu ${place}`} onToggle=${shown}><summary class=${`button ${kind}`} aria-label=${label} aria-busy=${busy}>${words}</summary>
    <div class="options" onClick=${chosen}>${children}</div></details>`;
}

const items = (menu) => [...menu.querySelectorAll(".options :is(a,button):not(:disabled)")];
/** Up and down from entry to entry, and from its button into the list and out of it; Escape closes it. */
function keys(event) {
  const menu = event.target.closest?.("details.menu");
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.defaultPrevented || !menu || !(by || (event.key === "Escape" && menu.open))) return;
  const summary = menu.querySelector("summary");
  event.preventDefault();
  if (!by) {
    menu.open = false;
    summary.focus();
    return;
  }
  menu.open = true;
  const all = [summary, ...items(menu)];
  all[Math.max(0, Math.min(all.length - 1, all.indexOf(event.target) + by))].focus();
}

// A menu closes when something else is pressed or has the focus.
const leave = ({ target }) => { for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(target)) menu.open = false; };
addEventListener("pointerdown", leave);
addEventListener("focusin", leave);
addEventListener("keydown", keys);
