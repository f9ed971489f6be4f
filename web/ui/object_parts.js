// How coordination objects look wherever they are shown: owners, resources, holds and how they ended.
import { html, useEffect, useState } from '../lib/html.js';
import { call, get } from '../lib/api.js';
import { visible } from '../lib/format.js';
import { useLive } from '../lib/live.js';
import { refine } from '../lib/router.js';
import { processes } from '../lib/store.js';
import { t } from '../lib/words.js';
import { Act, Rows, Segments, sure } from './acts.js';
import { Age, Button, Failure, Link, Time } from './basics.js';

const c = t.coordination;

/** A column of a table: the key of its title in words.js, its class, and what a row shows there. */
export const col = (key, kind, cell, sort) => ({ key, title: c.columns[key], class: kind, cell, sort });

/** The end of an id: enough to tell two apart. */
export const short = (id) => html`<code title=${id}>${id.slice(0, 2)}…${id.slice(-6)}</code>`;

export function Owner({ id, name }) {
  if (!id) return html`<span class="soft">${c.nobody}</span>`;
  if (!id.startsWith('p_')) return html`<${Link} path=${['coordination', 'sessions']}>${short(id)}<//>`;
  return html`<${Link} path=${['processes', id]}>${visible(name ?? processes.get(id)?.name ?? id)}<//>`;
}

/** 'locks/deploy' as a link; who joins a process waits for 'processes/p_…'. */
export const Resource = ({ at }) => at.startsWith('processes/') ? Owner({ id: at.slice(10) }) : html`<${Link} path=${['coordination', ...at.split('/')]}>${at}<//>`;

/** How a hold ended, of a hold_end or a barrier's cause. */
export const Ended = ({ end }) => html`<span>${c.ended[end.ended ?? end.reason]}${end.exitcode !== null
  && ` (${c.exitcode(end.exitcode)})`}
  ${end.owner && html`, <${Owner} id=${end.owner} />`}, <${Time} at=${end.ended_at ?? end.at} /></span>`;

const breakHold = (id, resource, again) => sure({ title: `${c.breakName(resource)}?`, text: c.breakText, action: c.break },
  () => call('DELETE', `/v1/holds/${id}`), c.broken).then(again);

export const Break = ({ id, resource, again }) => html`<${Act} scope="admin" kind="danger slim"
  aria-label=${c.breakName(resource)} onClick=${() => breakHold(id, resource, again)}>${c.break}<//>`;

export const holdColumns = (again) => [
  { key: 'owner', title: c.columns.owner, cell: (hold) => Owner({ id: hold.owner }), sort: (hold) => hold.owner },
  { key: 'since', title: c.columns.since, class: 'c-time number', cell: (hold) => html`<${Age} at=${hold.granted_at} />`,
    sort: (hold) => hold.granted_at },
  col('expires', 'c-time wide-only', (hold) => html`<${Time} at=${hold.expires_at} />`),
  { key: 'fence', title: c.columns.fence, class: 'c-n number', cell: (hold) => hold.fence, sort: (hold) => hold.fence },
  { key: 'break', title: html`<span class="unseen">${c.break}</span>`, class: 'c-act',
    cell: (hold) => Break({ id: hold.id, resource: hold.resource, again }) },
];

export const Holds = ({ holds, again }) => html`<${Rows} label=${c.holders} columns=${holdColumns(again)} rows=${holds} />`;

const SHOWN = 50;
const MOST = 500;

/**
 * A list that belongs to `one`, looked into anew whenever `one` is. names: its states, one of which the address may choose;
 * without them it is shown only when something is in it.
 */
export function Peek({ path, one, title, none, names, state, columns }) {
  const [limit, setLimit] = useState(SHOWN);
  const [page, error, again] = useLive(`${path} ${state} ${limit}`, (signal) => get(path, { state, limit }, signal),
    { every: null });
  useEffect(() => { again(); }, [one]);
  if (!names && !page?.items.length) return null;
  const rows = () => page.items.length === 0 ? html`<p class="soft">${none}</p>`
    : html`<${Rows} label=${title} columns=${columns} rows=${page.items} />`;
  return html`<section class="stack"><div class="row"><h2>${title}</h2>
      ${names && html`<${Segments} label=${c.columns.state} names=${names} current=${state ?? ''}
        onPick=${(key) => refine({ state: key })} />`}</div>
    ${error ? html`<${Failure} error=${error} />` : page && rows()}
    ${page?.next_page_token && limit < MOST && html`<div><${Button} kind="quiet"
      onClick=${() => setLimit(MOST)}>${c.moreMessages}<//></div>`}
  </section>`;
}
