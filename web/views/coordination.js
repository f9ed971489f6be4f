// Coordination: what there is and what is stuck; each kind as a table; one object with who has it and who waits.
import { html, useEffect, useRef } from '../lib/html.js';
import { curl } from '../lib/format.js';
import { all, useLive } from '../lib/live.js';
import { useCommands } from '../lib/commands.js';
import { go } from '../lib/router.js';
import { t } from '../lib/words.js';
import { get } from '../lib/api.js';
import { CopyBox, Empty, Failure, Link, Loading, Pill } from '../ui/basics.js';
import { Rows } from '../ui/acts.js';
import { col } from '../ui/object_parts.js';
import { kinds, OTHERS } from './coordination_kinds.js';
import { List, Lists } from './coordination_list.js';
import { New } from './coordination_new.js';
import { ObjectView } from './coordination_object.js';
import { Waits } from './coordination_waits.js';

const c = t.coordination;
const waiting = (one) => one.waiters ?? one.n_waiting ?? 0;

async function everything(signal) {
  const [waits, ...lists] = await Promise.all([get('/v1/waits', {}, signal),
    ...Object.keys(kinds).map((kind) => all(`/v1/${kind}`, signal))]);
  return { waits, lists: Object.keys(kinds).map((kind, i) => ({ kind, items: lists[i] })) };
}

/** What somebody should look at, the worst first: [tone, text, path]. */
function stuck({ waits, lists }) {
  const found = waits.cycles.map((cycle) => ['bad', c.deadlock(cycle.map((one) => one.name ?? one.owner)), ['waits']]);
  for (const { kind, items } of lists) {
    for (const one of items) {
      const [tone, text] = kinds[kind].state(one);
      if (tone === 'bad' || tone === 'warn') found.push([tone, `${c.noun[kind]} ${one.name}: ${text}`, [kind, one.name]]);
    }
  }
  return found.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).slice(0, 50);
}

const columns = [
  col('kind', '', ({ kind }) => html`<${Link} path=${['coordination', kind]}>${c.kinds[kind]}<//>`),
  col('count', 'number c-time', ({ items }) => items.length),
  col('waiters', 'number c-time', ({ items }) => items.reduce((sum, one) => sum + waiting(one), 0)),
];

const FirstRun = () => html`<${Empty} title=${c.none}><p>${c.noneHint}</p>
  <${CopyBox} label=${c.none} text=${curl('PUT', '/v1/queues/jobs', {})} /><//>`;

function Overview() {
  const [seen, error] = useLive('overview', everything, { every: 3000 });
  if (error) return html`<${Failure} error=${error} />`;
  if (!seen) return html`<${Loading} />`;
  const troubles = stuck(seen);
  const none = seen.lists.every(({ items }) => items.length === 0);
  return html`<div class="page">
    ${none ? html`<${FirstRun} />` : html`<section class="stack"><h2>${c.look}</h2>
      ${troubles.length === 0 ? html`<p><${Pill} tone="good">${c.nothingStuck}<//></p>` : html`<ul
        class="troubles">${troubles.map(([tone, text, path]) => html`
        <li key=${path.join('/') + text}><${Link} path=${['coordination',
          ...path]}><${Pill} tone=${tone}>${text}<//><//></li>`)}</ul>`}</section>`}
    <section class="stack"><h2>${c.all}</h2><${Rows} label=${c.all} columns=${columns} rows=${seen.lists} keyOf=${({ kind }) =>
      kind} /></section>
  </div>`;
}

const PLACES = ['', 'waits', ...Object.keys(kinds), ...OTHERS];
const place = (kind) => kind ? ['coordination', kind] : ['coordination'];

function Nav({ kind = '' }) {
  const nav = useRef(null);
  useEffect(() => nav.current.querySelector('[aria-current]').scrollIntoView({ inline: 'center', block: 'nearest' }), []);
  return html`<nav class="tabs" ref=${nav} aria-label=${c.kindsLabel}>${PLACES.map((one) => html`
    <${Link} key=${one} path=${place(one)} aria-current=${one === kind ? 'page' : undefined}>${c.kinds[one]}<//>`)}</nav>`;
}

export function Coordination({ kind, name, query }) {
  useCommands(PLACES.map((one) => ({ id: `kind.${one}`, title: c.goTo(c.kinds[one]), run: () => go(place(one)) })));
  if (name !== undefined && kinds[kind]) return html`<${ObjectView} kind=${kind} name=${name} query=${query} />`;
  if (kind !== undefined && !PLACES.includes(kind)) return html`<h1 tabindex="-1">${t.app.coordination}</h1><${Empty}
    title=${t.app.unknown} />`;
  if (Lists[kind]) return html`<${List} kind=${kind} query=${query}><${Nav} kind=${kind} /><//>`;
  return html`<div class="head"><h1 tabindex="-1">${t.app.coordination}</h1>${!kind && html`<${New} />`}</div><${Nav} kind=${kind} />
    ${kind === 'waits' ? html`<${Waits} />` : html`<${Overview} />`}`;
}
