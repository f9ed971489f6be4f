// The table of one kind, with a filter. Holds and sessions have tables, but no pages of their own.
import { html } from '../lib/html.js';
import { call } from '../lib/api.js';
import { count, visible } from '../lib/format.js';
import { all, useLive } from '../lib/live.js';
import { useCommands } from '../lib/commands.js';
import { go, refine } from '../lib/router.js';
import { t } from '../lib/words.js';
import { Act, sure } from '../ui/acts.js';
import { Button, Empty, Failure, Link, Loading, Pill, Time } from '../ui/basics.js';
import { Resource, col, holdColumns } from '../ui/object_parts.js';
import { RowCount, sorted, Table } from '../ui/table.js';
import { kinds } from './coordination_kinds.js';
import { New } from './coordination_new.js';

const c = t.coordination;
const nameOf = (kind) => ({ key: 'name', title: c.columns.name, class: 'c-name', sort: (one) => one.name,
  cell: (one) => html`<${Link} path=${['coordination', kind, one.name]}>${one.name}<//>` });
const stateOf = (kind) => ({ key: 'state', title: c.columns.state, class: 'c-state', sort: (one) => kinds[kind].state(one)[1],
  cell: (one) => {
  const [tone, text] = kinds[kind].state(one);
  return html`<${Pill} tone=${tone}>${text}<//>`;
} });

const endSession = (id, again) => sure({ title: c.sessionAsk, text: c.sessionText, action: c.sessionEnd },
  () => call('DELETE', `/v1/sessions/${id}`), c.sessionEnded).then(again);

/** kind → its columns. */
export const Lists = {
  ...Object.fromEntries(Object.entries(kinds).map(([kind, { columns }]) => [kind, () => [nameOf(kind), stateOf(kind),
    ...columns]])),
  holds: (again) => [{ key: 'resource', title: c.columns.resource, class: 'c-name', sort: (hold) => hold.resource,
    cell: (hold) => Resource({ at: hold.resource }) }, ...holdColumns(again)],
  sessions: (again) => [
    { key: 'id', title: c.columns.id, class: 'c-name', sort: (one) => one.id, cell: (one) => html`<code>${one.id}</code>` },
    col('scopes', 'wide-only', (one) => one.scopes.join(', ')),
    { key: 'processes', title: c.columns.processes, class: 'c-n number', sort: (one) => one.processes,
      cell: (one) => count(one.processes) },
    { key: 'expires_at', title: c.columns.expires, class: 'c-time number', sort: (one) => one.expires_at,
      cell: (one) => html`<${Time} at=${one.expires_at} />` },
    { key: 'end', title: html`<span class="unseen">${c.sessionEnd}</span>`, class: 'c-act', cell: (one) => html`<${Act}
      scope="admin" kind="danger slim" aria-label=${c.sessionName(one.id)} onClick=${() => endSession(one.id,
        again)}>${c.sessionEnd}<//>` },
  ],
};

const matches = (text) => (one) => text.toLowerCase().split(/\s+/).every((word) =>
  `${one.name ?? one.id} ${one.resource ?? ''}`.toLowerCase().includes(word));

export function List({ kind, query, children }) {
  const [items, error, again] = useLive(kind, (signal) => all(`/v1/${kind}`, signal), { hears: `${kind.slice(0, -1)}.` });
  useCommands([{ id: 'list.back', title: t.commands.back, keys: ['Escape', 'u'], run: () => go(['coordination']) }]);
  const { q = '', sort = kinds[kind] ? 'name' : '' } = query;
  const columns = Lists[kind](again);
  const shown = items && sorted(items.filter(matches(q)), columns, sort);
  const body = () => {
    if (error) return html`<${Failure} error=${error} />`;
    if (!items) return html`<${Loading} />`;
    if (items.length === 0) return html`<${Empty} title=${c.noneOf(c.kinds[kind])} />`;
    if (shown.length === 0) return html`<${Empty} title=${t.common.noMatch}><${Button}
      onClick=${() => refine({ q: '' })}>${t.common.clear}<//><//>`;
    return html`<${Table} label=${c.kinds[kind]} columns=${columns} rows=${shown} keyOf=${(one) => one.name ?? one.id}
      sort=${sort} onSort=${(key) => refine({ sort: key })}
      onOpen=${(one) => go(['coordination', ...(one.resource ? one.resource.split('/') : [kind, one.name])])} />`;
  };
  return html`<div class="head"><h1 tabindex="-1">${t.app.coordination}: ${visible(c.kinds[kind])}</h1>${items
    && html`<${RowCount} shown=${shown.length} all=${items.length} />`}${kinds[kind] && html`<${New} kind=${kind} />`}</div>
    ${children}
    ${items?.length > 0 && html`<div class="row"><input type="search" data-search class="search" aria-label=${c.search}
      placeholder=${c.search} value=${q} onInput=${(event) => refine({ q: event.target.value })} /></div>`}
    ${body()}`;
}
