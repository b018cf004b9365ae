// Giving another name, to a model or to a piece.
import { useState } from "./vendor/hooks.js";
import { html, Alert, Dialog, Field } from "./parts.js";
import { attempt, say } from "./store.js";

/** Asks for a name; `act(name)` gives it, and does so again with the old one for "Undo"; what it returns is said too. */
export function Rename({ name: was, act, onClose }) {
  const [name, set] = useState(was);
  const [busy, wait] = useState(false);
  const [wrong, tell] = useState("");  // said within the dialog, behind which nothing is read
  const wanted = name.trim();
  const ready = !busy && wanted && wanted !== was;
  const press = async (event) => {
    event.preventDefault();
    if (!ready) return;
    wait(true);
    tell("");
    let remark;
    try {
      remark = await act(wanted);
    } catch (error) {
      tell(error.message);
      wait(false);
      return;
    }
    onClose();
    say([`${was} is now called ${wanted}`, remark].filter(Boolean).join(". "), { undo: { act: () => attempt(async () => { await act(was); say(`It is called ${was} again`); }) } });
  };
  return html`<${Dialog} title="Rename" onClose=${onClose}><form class="stack" onSubmit=${press}><${Field} label="Name" value=${name} onInput=${set} maxlength="100" autofocus autocomplete="off" spellcheck="false" aria-invalid=${Boolean(wrong)} />
    <div role="alert">${wrong && html`<${Alert} tone="bad">${wrong}<//>`}</div>
    <div class="actions"><button class="primary" disabled=${!ready} aria-busy=${busy}>${busy ? "Renaming …" : "Rename"}</button></div></form><//>`;
}
