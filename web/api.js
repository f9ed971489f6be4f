// The API as the page uses it: the token, one call, and a stream of NDJSON that comes back after a break.

const KEY = 'forkful-token';

// An address with #token=… hands the token over once; it must not stay in the address bar or the history.
export function takeToken() {
  const handed = new URLSearchParams(location.hash.slice(1)).get('token');
  if (handed) {
    sessionStorage.setItem(KEY, handed);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY);
}

export const keepToken = (token) => sessionStorage.setItem(KEY, token);
export const forgetToken = () => sessionStorage.removeItem(KEY);

// What the daemon answered instead of what was asked; `detail` is its own sentence.
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The daemon answered ${status}.`);
    this.status = status;
    this.code = problem.code;
  }
}

async function request(path, options) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(KEY)}`, ...options.headers };
  const answer = await fetch(path, { ...options, headers, cache: 'no-store' });
  if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export async function get(path) {
  return (await request(path, { headers: { Accept: 'application/json' } })).json();
}

export async function post(path, body, headers = {}) {
  const answer = await request(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return answer.json();
}

async function readLines(path, signal, opened, item) {
  const answer = await request(path, { signal, headers: { Accept: 'application/x-ndjson' } });
  opened();
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

// Reads the stream at path() until the signal, finished() or a refusal that repeating cannot help. Each break is told
// to broken(error, seconds until the next try); path() is asked anew each time, so it can go on after the last item.
export async function follow({ path, item, opened, broken, finished, refused, signal }) {
  let wait = 500;
  while (!signal.aborted) {
    let error = null;
    try {
      await readLines(await path(), signal, () => { wait = 500; opened(); }, item);
      if (finished && await finished()) return;
    } catch (caught) {
      error = caught;
    }
    if (signal.aborted) return;
    if (error?.status >= 400 && error.status < 500 && error.status !== 429) return refused(error);
    broken(error, wait / 1000);
    await pause(wait, signal);
    wait = Math.min(wait * 2, 10000);
  }
}
