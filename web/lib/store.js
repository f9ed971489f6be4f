// What lives in the daemon, as far as the page has heard: one stream of changes feeds it, and views look at it.
//
// The feed begins with a snapshot of all that lives; what has ended comes from the list, page by page. The list is asked for
// when the feed is open and learned before its first line, so that nothing ends between the two unheard. Both overlap, and
// the larger revision is the newer record. Views are told at most ten times a second, however much happens.
import { follow, get, address } from './api.js';
import { signal } from './signal.js';

const PAGE = 500;
const ENDED_KEPT = 5000;

/** id → record. Look at `version` to hear of changes. */
export const processes = new Map();
export const version = signal(0);
/** 'connecting' | 'live' | 'lost' | 'refused'; since: ms; error: the Refusal; retry: ms of the next try. */
export const connection = signal({ state: 'connecting', since: Date.now(), error: null });
/** False until the first page and the snapshot are here. `older`: the token of the next page of ended ones. */
export const loaded = signal(false);
export const older = signal(null);
export const lastChanges = [];        // the newest last, for views that show what has just happened

const watchers = [];                  // { prefix, listener }
let feed = null;
let sequence = null;
let timer = null;

/** listener(change) for each change whose type begins with `prefix` ('queue.'), and for each item of a snapshot. */
export function onChange(prefix, listener) {
  const watcher = { prefix, listener };
  watchers.push(watcher);
  return () => watchers.splice(watchers.indexOf(watcher), 1);
}

function tell() {
  if (timer !== null) return;
  timer = setTimeout(() => {
    timer = null;
    prune();
    version.value += 1;
  }, 100);
}

/** Takes a record that came by whichever way. */
export function learn(record) {
  const known = processes.get(record.id);
  if (known && known.revision > record.revision) return;
  processes.set(record.id, record);
  tell();
}

export function forget(id) {
  if (processes.delete(id)) tell();
}

function prune() {
  if (processes.size <= ENDED_KEPT) return;
  const ended = [...processes.values()].filter((one) => !one.alive).sort((a, b) => a.id < b.id ? -1 : 1);
  for (const one of ended.slice(0, processes.size - ENDED_KEPT)) processes.delete(one.id);
}

function take(change) {
  if (change.type === 'reset') {
    sequence = null;
    throw new Error('reset');
  }
  if (change.seq !== null) sequence = Math.max(sequence ?? 0, change.seq);
  if (change.type === 'process.deleted') forget(change.ref);
  else if (change.ref?.startsWith('p_') && change.data?.argv) learn(change.data);
  if (change.type !== 'snapshot') lastChanges.push(change);
  if (lastChanges.length > 500) lastChanges.splice(0, 250);
  for (const { prefix, listener } of watchers) if (change.type.startsWith(prefix) || change.type === 'snapshot') listener(change);
}

async function page(token) {
  const { items, next_page_token } = await get('/v1/processes', { order: '-created_at', limit: PAGE, page_token: token }, feed.signal);
  if (token === null) processes.clear();
  items.forEach(learn);
  older.value = next_page_token;
}

/** One more page of what has ended. */
export const loadOlder = () => page(older.value);

const feedPath = () => address('/v1/changes', sequence === null ? { snapshot: true, follow: true } : { follow: true, after: sequence });

async function opened() {
  if (sequence === null) await page(null);
  say('live');
  loaded.value = true;
  tell();
}

const say = (state, error = null, retry = 0) => {
  const since = connection.value.state === state ? connection.value.since : Date.now();
  connection.value = { state, since, error, retry: Date.now() + retry * 1000 };
};

export function start() {
  stop();
  feed = new AbortController();
  say('connecting');
  follow({
    path: feedPath,
    item: take,
    opened,
    broken: (error, seconds) => say('lost', error, seconds),
    refused: (error) => { say('refused', error); },
    signal: feed.signal,
  });
}

export function stop() {
  feed?.abort();
  feed = null;
  sequence = null;
  processes.clear();
  loaded.value = false;
  older.value = null;
  lastChanges.length = 0;
}
