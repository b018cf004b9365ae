// A name with a pencil beside it: what is pressed becomes a field in the same place.
import { useLayoutEffect, useRef, useState } from "./vendor/hooks.js";
import { html, Pencil, useId } from "./parts.js";
import { attempt, say } from "./store.js";

/** Enter, or leaving it, keeps what is written; Escape keeps what was; what is refused stays, with the reason beside it. */
function Field({ name: was, thing, act, onClose }) {
  const [wrong, tell] = useState("");
  const [busy, wait] = useState(false);
  const own = useRef(null);
  const isOver = useRef(false);
  useLayoutEffect(() => { own.current.focus(); own.current.select(); }, []);
  const id = useId("naming");
  const close = () => { isOver.current = true; onClose(document.activeElement === own.current); };
  const keep = async () => {
    if (busy || isOver.current) return;
    const wanted = own.current.value.trim();
    if (!wanted || wanted === was) { close(); return; }
    wait(true);
    tell("");
    try {
      const remark = await act(wanted);
      close();
      say([`${was} is now called ${wanted}`, remark].filter(Boolean).join(". "), { undo: { act: () => attempt(async () => { await act(was); say(`It is called ${was} again`); }) } });
    } catch (error) {
      wait(false);
      tell(error.message);
    }
  };
  const keys = (event) => {
    event.stopPropagation();
    if (event.key === "Enter") keep();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  };
  return html`<span class="naming"><input ref=${own} aria-label=${`Name of ${thing}`} defaultValue=${was} maxlength="100" autocomplete="off" spellcheck="false" readonly=${busy} aria-busy=${busy} aria-invalid=${Boolean(wrong)} aria-describedby=${id} onInput=${() => wrong && tell("")} onKeyDown=${keys} onBlur=${keep} />
    <small id=${id} role="alert">${wrong}</small></span>`;
}

/** `children` is the name as it stands there; `act(name)` gives another, and the old one back for "Undo"; what it returns is said too. */
export function Named({ name, thing, act, children }) {
  const [isOpen, open] = useState(false);
  const pencil = useRef(null);
  const returns = useRef(false);
  useLayoutEffect(() => { if (!isOpen && returns.current) { returns.current = false; pencil.current.focus(); } }, [isOpen]);
  if (isOpen) return html`<${Field} name=${name} thing=${thing} act=${act} onClose=${(hasFocus) => { returns.current = hasFocus; open(false); }} />`;
  return html`<div class="named">${children}<button type="button" ref=${pencil} class="quiet small round pencil" aria-label=${`Rename ${thing}`} title="Rename" onClick=${() => open(true)}><${Pencil} /></button></div>`;
}
