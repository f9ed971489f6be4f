// One object: its figures, who has it, who waits for it, how it was had last, and what its kind adds.
import { html } from '../lib/html.js';
import { call, get } from '../lib/api.js';
import { bytes, count, duration } from '../lib/format.js';
import { useLive } from '../lib/live.js';
import { useCommands } from '../lib/commands.js';
import { go } from '../lib/router.js';
import { t } from '../lib/words.js';
import { Acts, Rows, sure } from '../ui/acts.js';
import { Age, Facts, Failure, Link, Loading, Pill, Time } from '../ui/basics.js';
import { Ended, Holds, Owner, col } from '../ui/object_parts.js';
import { kinds } from './coordination_kinds.js';

const c = t.coordination;

function shown(key, value) {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? t.common.yes : t.common.no;
  if (key.startsWith('max_') && value === 0) return t.common.none;
  if (key.endsWith('_seconds')) return duration(value);
  return /bytes$/.test(key) ? bytes(value) : count(value);
}

const waiterColumns = [
  col('waiter', '', (one) => Owner({ id: one.owner, name: one.name })),
  col('since', 'c-time number', (one) => html`<${Age} at=${one.since_at} />`),
];

const Section = ({ title, n, children }) => n > 0 && html`<section class="stack"><h2>${title} <span
  class="soft">${count(n)}</span></h2>${children}</section>`;

export function ObjectView({ kind, name, query }) {
  const path = `/v1/${kind}/${encodeURIComponent(name)}`;
  const ask = (signal) => Promise.all([get(path, {}, signal), get('/v1/waits', {}, signal)]);
  const [seen, error, again] = useLive(path, ask, { hears: `${kind.slice(0, -1)}.` });
  useCommands([{ id: 'object.back', title: t.commands.back, keys: ['Escape', 'u'], run: () => go(['coordination', kind]) }]);
  const heading = html`<h1 tabindex="-1"><${Link} path=${['coordination', kind]}
    class="soft crumb">${c.kinds[kind]}<//> ${name}</h1>`;
  if (!seen) return html`<div class="head">${heading}</div>${error ? html`<${Failure} error=${error} />` : html`<${Loading}
    />`}`;
  const [one, { waits }] = seen;
  const { state, facts, more = () => [], acts = () => [], More } = kinds[kind];
  const [tone, text] = state(one);
  const waiters = waits.filter(({ resource }) => resource === `${kind}/${name}`);
  const remove = { key: 'delete', title: c.acts.delete, kind: 'danger',
    run: () => sure({ title: t.common.ask(c.acts.delete, name), text: c.deleteText, action: c.acts.delete }, async () => {
    await call('DELETE', path);
    go(['coordination', kind]);
  }, c.deleted(name)) };
  return html`<div class="head">${heading}<${Acts} acts=${[...acts(one, again), remove]} /></div>
    <p class="row sub"><${Pill} tone=${tone}>${text}<//><span class="soft">${one.lifetime === 'owner' ? html`${c.ownedBy} <${Owner} id=${one.owner} />` : c.permanent}</span>
      <span class="soft">${one.durable ? c.durable
        : c.notDurable}</span><span class="soft">${c.made} <${Time} at=${one.created_at} /></span></p>
    <div class="page">
      <div class="panel figures"><${Facts} rows=${[...facts.map((key) => [c.columns[key], shown(key, one[key])]), ...more(one),
        ...(one.previous ? [[c.columns.previous, html`<${Ended} end=${one.previous} />`, 'wide']] : [])]} /></div>
      <${Section} title=${c.holders} n=${one.holds?.length}><${Holds} holds=${one.holds} again=${again} /><//>
      <${Section} title=${c.waiters} n=${waiters.length}><${Rows} label=${c.waiters} columns=${waiterColumns} rows=${waiters} keyOf=${(w) => `${w.owner} ${w.since_at}`} /><//>
      ${More && html`<${More} one=${one} again=${again} query=${query} />`}
    </div>`;
}
