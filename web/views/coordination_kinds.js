// The kinds of coordination objects, as a table: what a list shows of each, its state in a word, and what can be
// done to it. What all kinds have in common is in coordination_list.js and coordination_object.js.
import { html } from '../lib/html.js';
import { call, post } from '../lib/api.js';
import { bytes, count, duration, visible } from '../lib/format.js';
import { t } from '../lib/words.js';
import { askFields, sure } from '../ui/acts.js';
import { Age, Link } from '../ui/basics.js';
import { attempt, toast } from '../ui/overlay.js';
import { Ended, Owner, col } from '../ui/object_parts.js';
import { Messages } from './coordination_queue.js';
import { Value } from './coordination_value.js';
import { Work } from './coordination_pool.js';

const c = t.coordination;
const { columns: title, state: s, acts: a, fields: f } = c;

/** Kinds without a page for each of their things. */
export const OTHERS = ['holds', 'sessions'];

const n = (key, of = (one) => one[key]) => ({ key, title: title[key], class: 'number c-n', sort: of,
  cell: (one) => count(of(one)) });
const numbers = (...keys) => keys.map((key) => n(key));
const holder = col('holder', 'wide-only', (one) => one.holds[0] ? Owner({ id: one.holds[0].owner }) : '');
const since = col('since', 'number c-time wide-only', (one) => one.holds[0] ? html`<${Age}
  at=${one.holds[0].granted_at} />` : '');

const lockOf = (one) => html`<${Link} path=${['coordination', 'locks', one.lock]}>${one.lock}<//>`;

const at = (one, verb) => `/v1/${one.kind}s/${encodeURIComponent(one.name)}/${verb}`;
const act = (key, run, more = {}) => ({ key, title: a[key], run, ...more });
/** An action that is just a POST. */
const send = (one, again, key, { body = {}, path = key, ...more } = {}) =>
  act(key, () => attempt(() => post(at(one, path), body), a.done[key]).then(again), more);

/** One end of a pipe: who has it, what waits to be received there, and how much it has sent. */
const endFact = (end) => [c.end(end.end), html`<${Owner} id=${end.owner}
  />, ${c.endHas(end.messages, bytes(end.bytes), end.sent, end.closed)}`, 'wide'];

const TYPES = ['application/json', 'text/plain', 'application/octet-stream'];
const parses = (text) => { try { JSON.parse(text); return ''; } catch (error) { return error.message; } };

/** A payload for a queue or a pool: asked for, and put with a key of its own. */
async function put(one, again, path, more) {
  const answer = await askFields({ title: `${a[path]}: ${one.name}`, action: a[path], fields: [
    { key: 'body', label: f.body, lines: 6, check: (text, { type }) => type === TYPES[0] && text !== '' && parses(text) },
    { key: 'type', label: f.type, options: TYPES }, ...more] });
  if (!answer) return;
  const { body, type, ...query } = answer;
  await attempt(() => call('POST', at(one, path), { raw: body, type, query, key: crypto.randomUUID() }), a.done[path]);
  again();
}

async function purge(queue, again) {
  const answer = await askFields({ title: a.purgeAsk(queue.name), text: a.purgeText, action: a.purge, danger: true,
    fields: [{ key: 'state', label: title.state, options: ['all', 'ready', 'delayed', 'buried'],
      names: { ...c.messageStates, all: c.messageStates[''] } }] });
  if (!answer) return;
  await attempt(async () => {
    const { purged } = await call('DELETE', at(queue, 'messages'),
      { query: { state: answer.state === 'all' ? '' : answer.state } });
    toast(a.purged(purged));
  });
  again();
}

const kick = (queue, again) => attempt(async () => toast(a.kicked((await post(at(queue, 'kick'))).kicked))).then(again);
/** An action that asks before. */
const surely = (key, one, again, { path = key, words = key } = {}) => act(key, async () => {
  await sure({ title: t.common.ask(a[words], one.name), text: a.text[words], action: a[key] }, () => post(at(one, path)), a.done[words]);
  again();
});

/** state: [tone, word]. columns: those after name and state. facts: keys of the record. More: what its page shows below. */
export const kinds = {
  queues: {
    state: (q) => {
      if (q.buried) return ['bad', s.buried(q.buried)];
      if (q.putters) return ['warn', s.full(q.putters)];
      if (q.closed) return ['soft', s.closed];
      return q.ready ? ['good', s.ready(q.ready)] : ['soft', s.empty];
    },
    columns: [...numbers('ready', 'leased', 'delayed', 'buried', 'waiters'), { key: 'oldest', title: title.oldest,
      class: 'number c-time wide-only', sort: (q) => q.oldest_age_seconds, cell: (q) => q.oldest_age_seconds === null ? ''
        : duration(q.oldest_age_seconds) }],
    facts: ['ready', 'leased', 'delayed', 'buried', 'unfinished', 'bytes', 'oldest_age_seconds', 'waiters', 'putters',
      'put_total', 'acked_total', 'max_messages', 'max_bytes', 'max_attempts', 'lease_seconds'],
    acts: (q, again) => [
      act('messages', () => put(q, again, 'messages', [{ key: 'priority', label: f.priority, number: true },
        { key: 'delay', label: f.delay, number: true, min: 0 }]), { kind: 'main', keys: 'n', off: q.closed }),
      act('kick', () => kick(q, again), { off: q.buried === 0 }),
      act('purge', () => purge(q, again)),
      { ...surely('close', q, again), off: q.closed }],
    More: Messages,
  },
  locks: {
    state: (l) => !l.held ? ['soft', s.free] : l.waiters ? ['warn', s.heldWaits(l.waiters)] : ['good', s.held],
    columns: [holder, since, n('waiters')], facts: ['reentrant', 'waiters'],
  },
  semaphores: {
    state: (one) => [one.available === 0 && one.waiters ? 'warn' : one.available ? 'good' : 'soft',
      s.available(one.available, one.value)],
    columns: [n('available'), n('holds', (one) => one.holds.length), n('waiters')],
    facts: ['available', 'value', 'max', 'waiters'],
    acts: (one, again) => [send(one, again, 'release')],
  },
  barriers: {
    state: (b) => b.broken ? ['bad', s.broken(c.ended[b.cause.reason])] : [b.n_waiting ? 'good' : 'soft',
      s.waiting(b.n_waiting, b.parties)],
    columns: [n('n_waiting'), n('parties'), n('generation')],
    facts: ['parties', 'n_waiting', 'generation', 'timeout_seconds'],
    more: (b) => [[title.broken, b.cause && html`<${Ended} end=${b.cause} />`, 'wide']],
    acts: (b, again) => [surely('reset', b, again), surely('abort', b, again)],
  },
  conditions: {
    state: (one) => [one.waiters ? 'good' : 'soft', s.waiters(one.waiters)],
    columns: [col('lock', '', lockOf), n('waiters')], facts: ['waiters'], more: (one) => [[title.lock, lockOf(one)]],
    acts: (one, again) => [send(one, again, 'notify'), send(one, again, 'notify_all')],
  },
  events: {
    state: (e) => e.set ? ['good', s.set] : ['soft', s.clear],
    columns: [n('generation'), n('waiters')], facts: ['generation', 'waiters'],
    acts: (e, again) => [send(e, again, 'set', { kind: 'main', off: e.set }), send(e, again, 'clear', { off: !e.set })],
  },
  values: {
    state: (v) => ['soft', v.type],
    columns: [col('value', 'mono wide-only c-half', (v) => v.value === undefined
      || v.value_omitted ? bytes(v.size_bytes) : visible(JSON.stringify(v.value))), n('version'), n('waiters')],
    facts: ['type', 'version', 'length', 'size_bytes', 'waiters'],
    More: Value,
  },
  pipes: {
    state: ({ ends }) => ends.a.closed || ends.b.closed ? ['soft', s.closed] : ['good', s.open],
    columns: [n('a'), n('b')].map((one) => ({ ...one, sort: ({ ends }) => ends[one.key].messages,
      cell: ({ ends }) => count(ends[one.key].messages) })),
    facts: ['duplex', 'max_bytes'], more: ({ ends }) => ['a', 'b'].map((key) => endFact(ends[key])),
    acts: (p, again) => ['a', 'b'].map((end) => ({ ...surely(`close_${end}`, p, again, { path: `${end}/close`, words: 'close' }),
      off: p.ends[end].closed })),
  },
  pools: {
    state: (p) => {
      if (p.last_error) return ['bad', visible(p.last_error)];
      if (p.failed + p.buried > 0) return ['warn', s.failed(p.failed + p.buried)];
      if (p.state !== 'open') return ['soft', s[p.state]];
      return p.running ? ['good', s.works(p.running)] : ['soft', s.idle];
    },
    columns: [col('mode', 'c-time wide-only', (p) => p.mode),
      n('workers', (p) => p.workers.length), ...numbers('queued', 'running', 'done', 'failed')],
    facts: ['state', 'mode', 'processes', 'min', 'queued', 'running', 'done', 'failed', 'buried', 'cancelled',
      'submitted_total', 'workers_total', 'max_attempts', 'max_tasks', 'last_error'],
    acts: (p, again) => [act('tasks', () => put(p, again, 'tasks', []), { kind: 'main', keys: 'n', off: p.state !== 'open' }),
      { ...surely('close', p, again), off: p.state !== 'open' }, { ...surely('terminate', p, again), kind: 'danger',
        off: p.state === 'terminated' }],
    More: Work,
  },
};
