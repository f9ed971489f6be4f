// What can be done: buttons that know the scopes, questions with fields, and small tables.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { useCommands } from '../lib/commands.js';
import { may } from '../lib/session.js';
import { t } from '../lib/words.js';
import { Button, Field } from './basics.js';
import { attempt, confirm, open } from './overlay.js';

/** A button; without the scope it is disabled and says why. */
export function Act({ scope = 'operate', disabled = false, title, ...rest }) {
  const denied = !may(scope);
  return html`<${Button} ...${rest} disabled=${disabled || denied} title=${denied ? t.errors.scope(scope) : title} />`;
}

/** acts: [{ key, title, run, scope?, kind?, keys?, off? }]: buttons, and commands of the palette as far as they can be done. */
export function Acts({ acts }) {
  useCommands(acts.filter(({ scope = 'operate', off }) => may(scope) && !off).map(({ key, title, keys, run }) =>
    ({ id: `act.${key}`, title, keys, run })));
  return html`<div class="row actions">${acts.map(({ key, title, run, scope, kind, off }) => html`
    <${Act} key=${key} scope=${scope} kind=${kind} disabled=${off} onClick=${run}>${title}<//>`)}</div>`;
}

/** Runs what cannot be undone, if the answer is yes. */
export const sure = async (question, action, done) => await confirm(question) ? attempt(action, done) : undefined;

function Input({ field, value, set, wrong }) {
  const id = `field-${field.key}`;
  const common = { id, value, onInput: (event) => set(event.target.value), autofocus: field.autofocus,
    'aria-describedby': `${field.hint ? `${id}-hint` : ''} ${wrong ? `${id}-error` : ''}`, 'aria-invalid': wrong ? 'true' : 'false' };
  if (field.options) return html`<select ...${common}>${field.options.map((one) => html`<option key=${one}
    value=${one}>${field.names?.[one] ?? one}</option>`)}</select>`;
  if (field.lines) return html`<textarea ...${common} class="mono" rows=${field.lines} spellcheck="false"></textarea>`;
  return html`<input ...${common} type=${field.number ? 'number' : 'text'} step="any" min=${field.min}
    required=${field.required} pattern=${field.pattern} autocomplete="off" />`;
}

const read = (field, value) => field.number ? (value === '' ? null : Number(value)) : value;

/** What the daemon says against this field, by the pointer into the body. */
const against = (field, refusal) => refusal?.errors?.find(({ pointer }) => `${pointer}/`.startsWith(`/${field.at
  ?? field.key}/`))?.detail;

function Form({ fields, action, danger, text, send, close }) {
  const [held, setHeld] = useState(() => Object.fromEntries(fields.map(({ key, options, value = options?.[0] ?? '' }) =>
    [key, value])));
  const [refusal, setRefusal] = useState(null);
  const form = useRef(null);
  useEffect(() => { if (refusal) form.current.querySelector('[aria-invalid=true]')?.focus(); }, [refusal]);
  const set = (key) => (value) => { setRefusal(null); setHeld((before) => ({ ...before, [key]: value })); };
  const shown = fields.filter((field) => !field.when || field.when(held));
  const errors = Object.fromEntries(shown.map((field) => [field.key, field.check?.(held[field.key], held)]));
  const said = (field) => errors[field.key] || against(field, refusal);
  const submit = async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(shown.map((field) => [field.key, read(field, held[field.key])]));
    try { await send?.(values); } catch (refused) { setRefusal(refused); return; }
    close(values);
  };
  return html`<form class="stack" ref=${form} onSubmit=${submit}>
    ${text && html`<p>${text}</p>`}
    ${shown.map((field) => typeof field.value === 'boolean' ? html`<label class="check" key=${field.key}>
        <input type="checkbox" checked=${held[field.key]} onChange=${(event) =>
          set(field.key)(event.target.checked)} />${field.label} <span class="error">${said(field)}</span></label>`
    : html`<${Field} key=${field.key} id=${`field-${field.key}`} label=${field.label} hint=${field.hint}
      error=${said(field)}>
        <${Input} field=${field} value=${held[field.key]} set=${set(field.key)} wrong=${said(field)} /><//>`)}
    ${refusal && !shown.some((field) => said(field) === refusal.message) && html`<p class="error"
      role="alert">${refusal.message}</p>`}
    <div class="row end"><${Button} onClick=${() => close()}>${t.common.cancel}<//>
      <${Button} kind=${danger ? 'danger'
        : 'main'} type="submit" disabled=${Object.values(errors).some(Boolean)}>${action}<//></div>
  </form>`;
}

/**
 * Asks for several things: their values by key, undefined when dismissed. With send(values) the question stays until that has
 * come to its end; what it is refused with is shown, at the field where the pointer leads (`at`: where that is not the key).
 * fields: [{ key, label, value?, hint?, number?, lines?, options?, names?, required?, pattern?, autofocus?, at?,
 * check?(value, all) → error, when?(all) }].
 */
export const askFields = ({ title, ...form }) => open(title, (close) => html`<${Form} ...${form} close=${close} />`);

/** A table of few rows, which scrolls with its page. columns: [{ key, title, cell(row), class? }]. */
export const Rows = ({ label, columns, rows, keyOf = (row) => row.id }) => html`<div class="table-box closed" tabindex="0"
  role="region" aria-label=${label}>
  <table class="list" aria-label=${label}><thead><tr>${columns.map((one) => html`<th scope="col" key=${one.key}
    class=${one.class}>${one.title}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${keyOf(row)}>${columns.map((one) => html`<td key=${one.key}
      class=${one.class}>${one.cell(row)}</td>`)}</tr>`)}</tbody></table></div>`;

/** One of several, as buttons side by side. names: key → word. */
export const Segments = ({ label, names, current, onPick }) => html`<div class="segments" role="group"
  aria-label=${label}>${Object.entries(names).map(([key, name]) => html`
  <button type="button" key=${key} aria-pressed=${key === current ? 'true' : 'false'} onClick=${() =>
    onPick(key)}>${name}</button>`)}</div>`;
