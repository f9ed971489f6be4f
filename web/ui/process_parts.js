// How a process looks wherever it is shown: its state, labels and figures.
import { html } from '../lib/html.js';
import { bytes, percent } from '../lib/format.js';
import { figures } from '../lib/figures.js';
import { wentWrong } from '../lib/filter.js';
import { refine } from '../lib/router.js';
import { ending, t } from '../lib/words.js';
import { Pill } from './basics.js';
import { Spark } from './chart.js';

function tone(p) {
  if (wentWrong(p)) return 'bad';
  if (p.paused || p.state === 'stopping' || p.state === 'pending') return 'warn';
  return p.alive ? 'good' : 'soft';
}

export const stateText = (p) => p.paused && p.alive ? t.states.paused : ending(p) || t.states[p.state] || p.state;
export const State = ({ p }) => html`<${Pill} tone=${tone(p)} title=${stateText(p)}>${stateText(p)}<//>`;

/** Each label filters by itself. */
export const Labels = ({ p }) => Object.entries(p.labels).map(([key, value]) => {
  const text = value === '' ? key : `${key}=${value}`;
  return html`<button type="button" class="tag" key=${key} title=${t.processes.byLabel(text)}
      onClick=${() => refine({ q: `${key}=${value}` })}>${text}</button> `;
});

/** kind: 'cpu' (share of a core, of the whole tree) or 'rss' (bytes). */
export function Figure({ p, kind }) {
  const known = p.alive && figures.get(p.id);
  const newest = known && known[kind].at(-1);
  if (newest === undefined || newest === false || newest === null) return html`<span class="soft">–</span>`;
  const text = kind === 'cpu' ? percent(newest) : bytes(newest);
  return html`<span class="figure"><${Spark} points=${known[kind]}
      ceiling=${kind === 'cpu' ? 0.5 : 0} /><span>${text}</span></span>`;
}
