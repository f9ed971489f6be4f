// What lies above the page: dialogs, questions before what cannot be undone, and toasts.
import { html, useLayoutEffect, useRef } from '../lib/html.js';
import { signal, useSignal } from '../lib/signal.js';
import { t } from '../lib/words.js';
import { Button } from './basics.js';

const dialogs = signal([]);
const toasts = signal([]);
let serial = 0;

/** Shows draw(close) as a dialog; resolves with what close is called with, undefined when it is dismissed. */
export function open(title, draw, { wide = false } = {}) {
  return new Promise((resolve) => {
    const one = { id: serial++, title, draw, wide };
    one.close = (result) => {
      dialogs.value = dialogs.value.filter((other) => other !== one);
      resolve(result);
    };
    dialogs.value = [...dialogs.value, one];
  });
}

/** Asks; true when the answer is yes. */
export async function confirm({ title, text, action, danger = true }) {
  const answer = await open(title, (close) => html`
    <div class="dialog-text">${text}</div>
    <div class="row end">
      <${Button} onClick=${() => close(false)}>${t.common.cancel}<//>
      <${Button} kind=${danger ? 'danger' : 'main'} onClick=${() => close(true)}>${action}<//>
    </div>`);
  return answer === true;
}

/** A short note at the edge of the page. kind: 'good' | 'bad'. */
export function toast(text, kind = 'good') {
  const one = { id: serial++, text, kind };
  toasts.value = [...toasts.value.slice(-3), one];
  setTimeout(() => dismiss(one), kind === 'bad' ? 12000 : 5000);
}

const dismiss = (one) => { toasts.value = toasts.value.filter((other) => other !== one); };

/** Runs an action of a button; what goes wrong becomes a toast. Gives what it gives, undefined on failure. */
export async function attempt(action, done) {
  try {
    const result = await action();
    if (done) toast(done);
    return result;
  } catch (error) {
    toast(error.message, 'bad');
    return undefined;
  }
}

function Dialog({ dialog }) {
  const box = useRef(null);
  useLayoutEffect(() => {               // at once, so that what is typed next goes into it
    const before = document.activeElement;
    box.current.showModal();
    return () => before?.focus?.();
  }, []);
  const outside = (event) => { if (event.target === box.current) dialog.close(); };
  return html`<dialog ref=${box} class=${dialog.wide ? 'wide' : ''} aria-labelledby=${`dialog-${dialog.id}`}
      onClose=${() => dialog.close()} onClick=${outside}>
    <div class="dialog-body">
      <h2 id=${`dialog-${dialog.id}`}>${dialog.title}</h2>
      ${dialog.draw(dialog.close)}
    </div>
  </dialog>`;
}

export function Overlays() {
  const shown = useSignal(dialogs);
  const notes = useSignal(toasts);
  return html`<div>
    ${shown.map((dialog) => html`<${Dialog} key=${dialog.id} dialog=${dialog} />`)}
    <div class="toasts" role="status" aria-live="polite">${notes.map((one) => html`
      <div key=${one.id} class=${`toast ${one.kind}`}><span>${one.text}</span>
        <button type="button" aria-label=${t.common.close} onClick=${() => dismiss(one)}>×</button></div>`)}</div>
  </div>`;
}
