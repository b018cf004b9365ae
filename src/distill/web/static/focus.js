// Where the keyboard is, kept when what had the focus goes away: a row that is deleted, a dialog that closes, a button that has
// nothing more to do. Then the next control that is left has it, or the one of the same name where the page was built anew.

const CONTROLS = "a[href],button,input,select,textarea,summary,canvas[tabindex],[tabindex='0']";
const PATIENCE_MS = 15000;
let byKeyboard = false;
let last = null;  // what had the focus last, outside of messages and dialogs
let within = null;  // the same, wherever it is
let returns = false;  // whether a message or a dialog has just gone, in which it was
let place = null;  // where `last` was: { parent, next, before, name, at }

const nameOf = (element) => element.getAttribute("aria-label") || element.textContent.trim();
const passing = (element) => element.closest(".messages,dialog");
const usable = (element) => !element.disabled && element.tabIndex >= 0 && element.checkVisibility({ visibilityProperty: true }) && !passing(element);
const controls = (root) => [...(root.matches?.(CONTROLS) ? [root] : []), ...root.querySelectorAll(CONTROLS)].filter(usable);

/** The control of that name, or the one that is meant to be the first. */
const likeliest = (found, name) => found.find((one) => nameOf(one) === name) ?? found.find((one) => "first" in one.dataset) ?? found[0];
const first = (root, name) => likeliest(root ? controls(root) : [], name);
/** The controls that have come where something was. */
function instead({ parent, next, before }) {
  const found = [];
  for (let one = before?.isConnected ? before.nextElementSibling : before ? next : parent?.firstElementChild; one && one !== next; one = one.nextElementSibling) found.push(...controls(one));
  return found;
}
const beside = (next, before) => {
  for (let from = next; from; from = from.nextElementSibling) if (controls(from).length) return controls(from)[0];
  for (let from = before; from; from = from.previousElementSibling) if (controls(from).length) return controls(from).at(-1);
  return undefined;
};
/** The control of that name, or the nearest one: what has come in its place, the following, then those above. */
function nearest({ parent, next, before, name }) {
  const near = likeliest(instead({ parent, next, before }), name) ?? beside(next?.isConnected && next, before?.isConnected && before);
  if (near) return near;
  for (let above = parent; above?.isConnected && !above.matches("main,#app"); above = above.parentElement) {
    if (controls(above).length) return first(above, name);
    const found = beside(above.nextElementSibling, above.previousElementSibling);
    if (found) return found;
  }
  return first(document.querySelector("main"), name);
}

const sibling = (node, way) => { let one = node; while (one && one.nodeType !== 1) one = one[way]; return one; };
const lose = (parent, next, before) => { place = { parent, next, before, name: nameOf(last), at: performance.now() }; };

function look(records) {
  if (within && !within.isConnected && within !== last) {
    within = last;
    returns = byKeyboard;
  }
  if (!byKeyboard || !last) return;
  for (const record of records) {
    for (const gone of record.removedNodes) {
      if (!gone.contains(last) || last.isConnected) continue;
      if (gone.matches?.("main")) lose(null, null, null);  // another tab: begin at its beginning
      else lose(record.target, sibling(record.nextSibling, "nextSibling"), sibling(record.previousSibling, "previousSibling"));
    }
  }
  if (!place && last.isConnected && last.disabled) lose(last.parentElement, last.nextElementSibling, last.previousElementSibling);
  // Only then, or the key that is being pressed would do something there too.
  requestAnimationFrame(restore);
}

function restore() {
  const active = document.activeElement;
  if (active && active !== document.body && active.isConnected && !active.disabled) return;
  if (document.querySelector("dialog[open]")) return;
  if (!place && returns && last.isConnected && usable(last)) { last.focus(); return; }
  if (!place || performance.now() - place.at > PATIENCE_MS) return;
  nearest(place)?.focus();
}

export function keepFocus() {
  addEventListener("keydown", () => { byKeyboard = true; }, true);
  addEventListener("pointerdown", () => { byKeyboard = false; returns = false; place = null; }, true);
  addEventListener("focusin", ({ target }) => {
    if (target === document.body || !target.matches?.(CONTROLS)) return;
    within = target;
    if (!passing(target)) { last = target; place = null; returns = false; }
  });
  const watcher = new MutationObserver(look);
  watcher.observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["disabled"] });
  // What is closed by choosing in it: its head has the focus again.
  addEventListener("toggle", ({ target }) => {
    if (byKeyboard && target.matches?.("details.menu") && !target.open && target.contains(last)) target.querySelector("summary").focus();
  }, true);
}
