// The small parts: buttons, states of a page, times, copy boxes, pills. Words come from lib/words.js, colours from style.css.
import { html, useState } from '../lib/html.js';
import { useSignal, eachSecond } from '../lib/signal.js';
import { duration, moment, utc } from '../lib/format.js';
import { href } from '../lib/router.js';
import { t } from '../lib/words.js';

/** kind: '' | 'main' | 'danger' | 'quiet'. `keys` are shown and told to screen readers. */
export function Button({ kind = '', keys, children, type = 'button', ...rest }) {
  return html`<button type=${type} class=${`button ${kind}`} aria-keyshortcuts=${keys} ...${rest}>
    ${children}${keys && html`<kbd aria-hidden="true">${keys}</kbd>`}</button>`;
}

export const Link = ({ path, query, children, ...rest }) => html`<a href=${href(path, query)} ...${rest}>${children}</a>`;

/** Local time; UTC on hover and for machines. */
export const Time = ({ at, millis }) => at
  ? html`<time datetime=${at} title=${utc(at)}>${moment(at, { millis })}</time>` : html`<span class="soft">–</span>`;

/** How long since, counting. */
export function Age({ at }) {
  useSignal(eachSecond);
  return html`<time datetime=${at} title=${utc(at)}>${duration((Date.now() - Date.parse(at)) / 1000)}</time>`;
}

/** A state as a dot and a word; `tone`: good, bad, warn, soft. */
export const Pill = ({ tone, title, children }) => html`<span class=${`pill ${tone}`} title=${title}>${children}</span>`;

export const Loading = () => html`<p class="state" role="status">${t.common.loading}</p>`;

/** Nothing there: says so, and what one could do about it. */
export const Empty = ({ title, children }) => html`<div class="state"><p class="state-title">${title}</p>${children}</div>`;

/** What went wrong, honestly: forbidden and not found are no accidents, all else shows the daemon's own sentence. */
export function Failure({ error, again }) {
  const kind = { 403: ['forbidden', 'forbiddenHint'], 404: ['notFound', 'notFoundHint'] }[error.status] ?? ['title'];
  return html`<div class="state" role="alert">
    <p class="state-title">${t.errors[kind[0]]}</p>
    <p>${error.message}</p>
    ${kind[1] && html`<p class="soft">${t.errors[kind[1]]}</p>`}
    ${error.requestId && html`<p class="soft small">${t.errors.request(error.requestId)}</p>`}
    ${again && html`<${Button} onClick=${again}>${t.errors.again}<//>`}
  </div>`;
}

/** Text to take along, with a button that copies it. */
export function CopyBox({ text, label }) {
  const [done, setDone] = useState(false);
  const copy = async (event) => {
    const box = event.currentTarget.parentNode.querySelector('pre');
    await navigator.clipboard.writeText(text).then(() => setDone(true), () => getSelection().selectAllChildren(box));
  };
  return html`<div class="copybox">
    <pre tabindex="0" aria-label=${label}>${text}</pre>
    <${Button} kind="quiet" onClick=${copy}><span role="status">${done ? t.common.copied : t.common.copy}</span><//>
  </div>`;
}

/** A labelled part of a form. `hint` and `error` are told with the field that names them: `${id}-hint`, `${id}-error`. */
export function Field({ id, label, hint, error, children }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>${children}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="error" role="alert" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

/** Tabs as links: each has its address. tabs: [{ key, title }]. */
export function Tabs({ label, tabs, current, path, query = {} }) {
  return html`<nav class="tabs" aria-label=${label}>${tabs.map(({ key, title, count }) => html`
    <${Link} key=${key} path=${path} query=${{ ...query, tab: key }} aria-current=${key === current ? 'page' : undefined}>
      ${title}${count !== undefined && html` <span class="soft">${count}</span>`}<//>`)}</nav>`;
}

/** Facts as a list of terms; rows without a value are left out. rows: [[term, value, 'wide'?]]. */
const said = ([, value]) => ![null, undefined, '', false].includes(value);
export const Facts = ({ rows }) => html`<dl class="facts">${rows.filter(said)
  .map(([term, value, width]) => html`<div key=${term} class=${width}><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`;
