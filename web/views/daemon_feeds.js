// The daemon's three feeds, the newest row first and growing while they are shown: its log, the changes, the audit.
import { html } from '../lib/html.js';
import { call, get } from '../lib/api.js';
import { visible } from '../lib/format.js';
import { useFeed } from '../lib/feed.js';
import { useLive } from '../lib/live.js';
import { refine } from '../lib/router.js';
import { t } from '../lib/words.js';
import { Segments } from '../ui/acts.js';
import { may } from '../lib/session.js';
import { Button, CopyBox, Empty, Failure, Link, Loading, Pill, Time } from '../ui/basics.js';
import { attempt, open } from '../ui/overlay.js';
import { Owner } from '../ui/object_parts.js';
import { Table } from '../ui/table.js';

const w = t.daemon;
const title = w.columns;
const TONES = { debug: 'soft', info: 'good', warning: 'warn', error: 'bad' };

const show = (row) => open(w.row, () => html`<${CopyBox} label=${w.row} text=${JSON.stringify(row, null, 2)} />`,
  { wide: true });
const at = { key: 'at', title: title.at, class: 'c-at', cell: (row) => html`<button type="button" class="link"
  onClick=${() => show(row)}><${Time} at=${row.at} millis /></button>` };

function Feed({ label, path, query, nobody, columns, children }) {
  const { items, error, older } = useFeed(path, query, nobody);
  const body = () => {
    if (error) return html`<${Failure} error=${error} />`;
    if (!items) return html`<${Loading} />`;
    if (items.length === 0 && !older) return html`<${Empty} title=${w.noRows} />`;
    return html`<${Table} label=${label} columns=${columns} rows=${items} keyOf=${(row) => row.seq} onOpen=${show}
      footer=${older && html`<div class="more"><${Button} kind="quiet"
        onClick=${() => attempt(older)}>${w.older}<//></div>`} />`;
  };
  return html`<div class="row filters">${children}</div>${body()}`;
}

/** A filter of the address that the daemon understands; it is taken over with Enter or when the field is left. */
const Filter = ({ query, name }) => html`<input class="grow" aria-label=${w.filters[name]} placeholder=${w.filters[name]}
  value=${query[name] ?? ''}
  onChange=${(event) => refine({ [name]: event.target.value.trim() })} />`;

const logColumns = [at,
  { key: 'level', title: title.level, class: 'c-time', cell: (row) => html`<${Pill}
    tone=${TONES[row.level]}>${w.levels[row.level]}<//>` },
  { key: 'text', title: title.text, cell: (row) => html`<span title=${visible(row.text)}>${visible(row.text)}</span>` },
  { key: 'process', title: title.process, class: 'c-state wide-only', cell: (row) => row.process
    && Owner({ id: row.process, name: row.process_name }) }];

/** How much the daemon itself writes down. */
function Keeps() {
  const [now, , again] = useLive('level', (signal) => get('/v1/log/level', {}, signal), { every: 10000 });
  if (!now) return null;
  const set = async (event) => {
    const level = event.target.value;
    await attempt(() => call('PUT', '/v1/log/level', { body: { level } }), w.kept(level));
    again();
  };
  return html`<label class="row">${w.keeps} <select value=${now.level} disabled=${!may('admin')}
    title=${may('admin') ? '' : t.errors.scope('admin')} onChange=${set}>
    ${Object.keys(TONES).map((one) => html`<option key=${one} value=${one}>${w.levels[one]}</option>`)}</select></label>`;
}

export const Log = ({ query: { level = 'debug' } }) => html`<${Feed} label=${w.tabs.log} path="/v1/log" query=${{ level }}
  nobody=${{ process: '-' }} columns=${logColumns}>
  <${Segments} label=${w.level} names=${w.levels} current=${level} onPick=${(key) =>
    refine({ level: key })} /><${Keeps} /><//>`;

const refOf = ({ type, ref }) => {
  const [noun] = type.split('.');
  if (ref?.startsWith('p_')) return Owner({ id: ref });
  return ref && t.coordination.noun[`${noun}s`] ? html`<${Link} path=${['coordination', `${noun}s`, ref]}>${ref}<//>` : ref;
};
const changeColumns = [at,
  { key: 'type', title: title.type, class: 'c-half', cell: (row) => html`<code>${row.type}</code>` },
  { key: 'ref', title: title.ref, class: 'c-half', cell: refOf },
  { key: 'data', title: title.data, class: 'mono wide-only', cell: (row) => row.data
    && visible(JSON.stringify(row.data).slice(0, 300)) }];

export const Changes = ({ query }) => html`<${Feed} label=${w.tabs.changes} path="/v1/changes"
  query=${{ type: query.type, ref: query.ref }} nobody=${{ ref: '-' }} columns=${changeColumns}>
  <${Filter} query=${query} name="type" /><${Filter} query=${query} name="ref" /><//>`;

const auditColumns = [at,
  { key: 'action', title: title.action, cell: (row) => row.action ?? '' },
  { key: 'status', title: title.status, class: 'c-answer', cell: (row) => row.status === null ? html`<span
    class="soft">${w.dropped}</span>` : html`<${Pill} tone=${row.status < 400 ? 'good'
      : 'bad'}>${row.status} <span class="wide-only">${row.code}</span><//>` },
  { key: 'principal', title: title.principal, class: 'wide-only', cell: (row) => row.principal?.startsWith('p_')
    ? Owner({ id: row.principal }) : row.principal ?? w.anybody },
  { key: 'target', title: title.target, class: 'mono c-half wide-only', cell: (row) => html`<span
    title=${visible(row.target ?? '')}>${visible(row.target ?? '')}</span>` }];

export const Audit = ({ query }) => html`<${Feed} label=${w.tabs.audit} path="/v1/audit"
  query=${{ principal: query.principal, action: query.action }} nobody=${{ principal: '-' }} columns=${auditColumns}>
  <${Filter} query=${query} name="principal" /><${Filter} query=${query} name="action" /><//>`;
