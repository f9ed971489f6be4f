// All processes: a live table, filtered and ordered by what the address says, with actions on what is selected.
import { html, useEffect, useMemo, useState } from '../lib/html.js';
import { useCommands } from '../lib/commands.js';
import { figures, drawn, unwatch, watch } from '../lib/figures.js';
import { asTree, GROUPS, matches } from '../lib/filter.js';
import { commandLine, curl, duration, visible } from '../lib/format.js';
import { go, refine } from '../lib/router.js';
import { may } from '../lib/session.js';
import { useSignal } from '../lib/signal.js';
import { loaded, loadOlder, older, processes, version, connection } from '../lib/store.js';
import { t } from '../lib/words.js';
import { Age, Button, CopyBox, Empty, Failure, Link, Loading } from '../ui/basics.js';
import { attempt } from '../ui/overlay.js';
import { Figure, Labels, State, stateText } from '../ui/process_parts.js';
import { RowCount, sorted, Table } from '../ui/table.js';
import { BulkBar } from './processes_bulk.js';

const ran = (p) => (Date.parse(p.exited_at) - Date.parse(p.started_at)) / 1000;
const last = (p, kind) => (p.alive && figures.get(p.id)?.[kind].at(-1)) ?? null;

function Name({ p, depth }) {
  return html`<span class="name" style=${{ paddingLeft: `${depth * 18}px` }}>
    ${depth > 0 && html`<span class="soft" aria-hidden="true">└ </span>`}
    <${Link} path=${['processes', p.id]}>${visible(p.name)}<//> <${Labels} p=${p} /></span>`;
}

function Clock({ p }) {
  if (p.alive) return html`<${Age} at=${p.started_at} />`;
  return html`<span class="soft">${p.started_at && p.exited_at ? t.processes.ran(duration(ran(p))) : '–'}</span>`;
}

const figure = (key, kind) => ({
  key, title: t.processes[key], class: 'c-figure number', sort: ({ p }) => last(p, kind), cell: ({ p }) => Figure({ p, kind }),
});

const Command = ({ p }) => html`<span title=${visible(commandLine(p.argv))}>${visible(commandLine(p.argv))}</span>`;

const columns = [
  { key: 'name', title: t.processes.name, class: 'c-name', sort: ({ p }) => p.name, cell: Name },
  { key: 'state', title: t.processes.state, class: 'c-state', sort: ({ p }) => stateText(p), cell: State },
  { key: 'time', title: t.processes.time, class: 'c-time number', sort: ({ p }) => p.started_at ?? p.created_at, cell: Clock },
  figure('cpu', 'cpu'),
  figure('memory', 'rss'),
  { key: 'pid', title: t.processes.pid, class: 'c-pid number', sort: ({ p }) => p.alive ? p.pid : null, cell: ({ p }) => p.alive && p.pid },
  { key: 'command', title: t.processes.command, class: 'c-command mono', cell: Command },
];

/** First run: nothing has been started, so this says how. */
const FirstRun = () => html`<${Empty} title=${t.processes.none}>
  <p>${t.processes.noneHint}</p>
  <${CopyBox} label=${t.processes.none} text=${curl('POST', '/v1/processes', { argv: ['sleep', '60'], name: 'my first' })} />
  <div class="row"><a class="button main" href="#/start">${t.app.start}</a></div>
<//>`;

const SAVED = 'forkful-filters';
const readSaved = () => { try { return JSON.parse(localStorage.getItem(SAVED)) ?? []; } catch { return []; } };

/** Filters one wants to have again: each is a name for a query of the address. */
function Saved({ query }) {
  const [saved, setSaved] = useState(readSaved);
  const keep = (list) => { localStorage.setItem(SAVED, JSON.stringify(list)); setSaved(list); };
  const text = new URLSearchParams(query).toString();
  const known = saved.includes(text);
  const title = (one) => {
    const { q, group, view } = Object.fromEntries(new URLSearchParams(one));
    return [t.processes.groups[group], q, t.processes[view]].filter(Boolean).join(' ') || t.common.all;
  };
  return html`${saved.map((one) => html`<${Button} key=${one} kind="quiet" aria-pressed=${one === text ? 'true' : 'false'}
      onClick=${() => { location.hash = `#/processes?${one}`; }}>★ ${title(one)}<//>`)}
    ${(query.q || query.group || known) && html`<${Button} kind="quiet"
        onClick=${() => keep(known ? saved.filter((one) => one !== text) : [...saved, text])}>
      ${known ? t.processes.unsave : t.processes.save}<//>`}`;
}

function Filters({ query }) {
  const { q = '', group = 'all', view } = query;
  const leave = (event) => {
    if (event.key !== 'Escape') return;
    refine({ q: '' });
    event.target.blur();
  };
  return html`<div class="row filters" role="search">
    <input type="search" data-search class="search" aria-label=${t.processes.search} placeholder=${t.processes.search}
        value=${q} aria-keyshortcuts="/"
      onInput=${(event) => refine({ q: event.target.value })} onKeyDown=${leave} />
    <div class="segments" role="group" aria-label=${t.processes.state}>${Object.keys(GROUPS).map((key) => html`
      <button type="button" key=${key} aria-pressed=${key === group ? 'true' : 'false'}
          onClick=${() => refine({ group: key === 'all' ? '' : key })}>${t.processes.groups[key]}</button>`)}</div>
    <${Button} kind="quiet" aria-pressed=${view === 'tree' ? 'true' : 'false'}
        onClick=${() => refine({ view: view === 'tree' ? '' : 'tree' })}>${t.processes.tree}<//>
    <${Saved} query=${query} />
  </div>`;
}

/** The rows of the table: what the filter lets through, in order; in the tree children stand below their parent. */
function useRows(query, sort) {
  const seen = useSignal(version);
  const measured = useSignal(drawn);
  const byFigure = /cpu|memory/.test(sort) ? measured : 0;
  return useMemo(() => {
    const found = [...processes.values()].filter(matches(query)).map((p) => ({ p, id: p.id, name: p.name, depth: 0 }));
    const ordered = sorted(found, columns, sort);
    if (query.view !== 'tree') return ordered;
    return asTree(ordered.map(({ p }) => p)).map(({ p, depth }) => ({ p, id: p.id, name: p.name, depth }));
  }, [seen, byFigure, query.q, query.group, query.view, sort]);
}

/** What is selected may be deleted meanwhile: then it is selected no more. */
const stillThere = (selected) => selected.size === 0 ? selected : new Set([...selected].filter((id) => processes.has(id)));

const Title = () => html`<h1 tabindex="-1">${t.app.processes}</h1>`;

/** `shown` of them pass the filter. */
function Head({ shown }) {
  const start = may('spawn') ? html`<a class="button main" href="#/start">${t.app.start}</a>`
    : html`<${Button} kind="main" disabled title=${t.errors.scope('spawn')}>${t.app.start}<//>`;
  return html`<div class="head"><${Title} />
    ${processes.size > 0 && html`<${RowCount} shown=${shown} all=${processes.size} />`}${start}</div>`;
}

const NothingFits = () => html`<${Empty} title=${t.common.noMatch}>
  <${Button} onClick=${() => go(['processes'])}>${t.common.clear}<//><//>`;

const watchLiving = (shown) => watch(shown.filter(({ p }) => p.alive).map(({ id }) => id));

export function Processes({ query }) {
  const ready = useSignal(loaded);
  const { state, error } = useSignal(connection);
  const more = useSignal(older);
  const [chosen, setSelected] = useState(new Set());
  const selected = stillThere(chosen);
  const sort = query.sort ?? '-time';
  const rows = useRows(query, sort);
  const clear = () => setSelected(new Set());
  useEffect(() => unwatch, []);
  useCommands([
    { id: 'processes.start', title: t.commands.start, keys: 'n', run: () => go(['start']) },
    { id: 'processes.tree', title: t.processes.showTree, keys: 't', run: () => refine({ view: query.view === 'tree' ? '' : 'tree' }) },
    { id: 'processes.clear', title: t.commands.unselect, keys: 'Escape', run: clear },
  ]);
  if (state === 'refused') return html`<${Title} /><${Failure} error=${error} />`;
  if (!ready) return html`<${Title} /><${Loading} />`;
  if (processes.size === 0) return html`<${Head} shown=${0} /><${FirstRun} />`;
  const footer = more && html`<div class="more"><${Button} kind="quiet" onClick=${() => attempt(loadOlder)}>${t.processes.older}<//></div>`;
  return html`
    <${Head} shown=${rows.length} />
    <${Filters} query=${query} />
    ${selected.size > 0 && html`<${BulkBar} ids=${[...selected]} done=${clear} />`}
    ${rows.length === 0 ? html`<${NothingFits} />` : html`<${Table} label=${t.app.processes} columns=${columns} rows=${rows}
      sort=${sort} onSort=${(key) => refine({ sort: key })} onOpen=${({ id }) => go(['processes', id])}
      selected=${selected} onSelect=${setSelected} rowClass=${({ p }) => p.alive ? '' : 'ended'} onWindow=${watchLiving} footer=${footer} />`}`;
}
