// The API as the page uses it: calls, problems as errors, and streams that go on where they broke off.
import { leave, session, token } from './session.js';
import { onceHidden, visible } from './visible.js';
import { t } from './words.js';

const DEAF = 30000;                   // ms between two looks whether the daemon still answers

/** What the daemon answered instead of what was asked. `message` is its own sentence; `status` 0: no answer at all. */
export class Refusal extends Error {
  constructor(status, problem = {}) {
    super(problem.detail || problem.title || t.errors.status(status));
    const { code = null, request_id: requestId = null, errors = [] } = problem;
    Object.assign(this, { status, code, requestId, errors });
  }
}

/** An address with a query: null and '' are left out, a list is joined with commas. */
export function address(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const text = pairs.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&');
  return text ? `${path}?${text}` : path;
}

async function request(path, { headers, as, ...options }) {
  const shown = as ?? token();
  const auth = shown ? { Authorization: `Bearer ${shown}` } : {};
  const answer = await fetch(path, { ...options, headers: { ...auth, ...headers }, cache: 'no-store' }).catch((error) => {
    throw error.name === 'AbortError' ? error : new Refusal(0, { detail: t.errors.unreachable });
  });
  if (answer.ok) return answer;
  const refusal = new Refusal(answer.status, await answer.json().catch(() => ({})));
  if (refusal.status === 401 && shown && shown === token()) leave('expired');
  throw refusal;
}

/**
 * One call: the JSON of the answer, null when it has none. `body`: sent as JSON; `raw`: bytes or text as they are.
 * A call that is sent again after a lost answer should carry the same `key` (Idempotency-Key). `as`: another token than ours.
 */
export async function call(method, path, { query, body, raw, type, key, signal, as, headers: more } = {}) {
  const headers = { Accept: 'application/json', ...more };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (raw !== undefined) headers['Content-Type'] = type ?? 'application/octet-stream';
  if (key) headers['Idempotency-Key'] = key;
  const sent = body === undefined ? raw : JSON.stringify(body);
  const answer = await request(address(path, query), { method, headers, signal, as, body: sent });
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, query, signal) => call('GET', path, { query, signal });
export const post = (path, body = {}, options = {}) => call('POST', path, { body, ...options });

/** The bytes of an answer, for a download. */
export async function bytes(path, query, accept = 'application/octet-stream', signal = undefined) {
  return (await request(address(path, query), { headers: { Accept: accept }, signal })).blob();
}

/** Gives the browser a file to keep. */
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function readLines(path, signal, opened, item) {
  const answer = await request(path, { signal, headers: { Accept: 'application/x-ndjson' } });
  await opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.trim()) item(JSON.parse(line));
  }
}

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
});

const helpless = (error) => error?.status >= 400 && error.status < 500 && error.status !== 429;

/** One connection, which ends with `signal`, when nobody sees the page any more, and when the daemon is silent and deaf. */
async function readWhileSeen(path, signal, opened, item) {
  const one = new AbortController();
  const end = () => one.abort();
  const ends = [onceHidden(end), onceDeaf(end)];
  signal.addEventListener('abort', end);
  try {
    await readLines(path, one.signal, opened, item);
  } finally {
    one.abort();
    ends.forEach((stop) => stop());
    signal.removeEventListener('abort', end);
  }
}

/** A connection that broke without a word (a laptop slept, a tunnel is gone) is noticed by asking beside it. */
function onceDeaf(leave) {
  const timer = setInterval(async () => {
    const heard = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(DEAF / 2) }).catch(() => null);
    if (!heard && !document.hidden) leave();
  }, DEAF);
  return () => clearInterval(timer);
}

/**
 * Reads the NDJSON stream at `await path()` again and again, until `signal` or a refusal that repeating cannot help.
 * path() is asked anew each time, so that it goes on behind the last item. opened() follows each connection and is waited
 * for before its first item, broken(error, seconds) each break with the time until the next try; to give one back while hidden is none.
 */
export async function follow({ path, item, opened = () => {}, broken = () => {}, refused = () => {}, signal }) {
  let wait = 250;
  while (!signal.aborted) {
    let error = null;
    await visible(signal);
    try {
      await readWhileSeen(await path(), signal, () => { wait = 250; return opened(); }, item);
    } catch (caught) {
      error = caught;
    }
    if (signal.aborted) return;
    if (document.hidden) continue;
    if (helpless(error)) { refused(error); return; }
    broken(error, wait / 1000);
    await pause(wait, signal);
    wait = Math.min(wait * 2, 8000);
  }
}

/** Changes a login code (from the address the daemon prints) for a token of its own. */
export const login = (code) => call('POST', '/v1/login', { body: { code } });

/** Asks what our token may do. */
export async function learnScopes() {
  const { scopes } = await get('/v1/tokens/me');
  if (session.value.state === 'in') session.value = { state: 'in', scopes };
}

/** Ends the token, where it is one that was made for us; that of the daemon itself stays what it is. */
export async function logOut() {
  const ours = token();
  leave();
  await call('DELETE', '/v1/tokens/me', { as: ours }).catch(() => {});
}
