// Between a form and the body of POST /v1/processes, and what was started lately.
const RECENT = 'forkful-recent';
const RECENT_KEPT = 10;

/** An empty form; every value is text, as one types it. */
export const blank = () => ({ mode: 'argv', argv: [''], shell: '', name: '', cwd: '', env: [], clearEnv: false, labels: [], stdin: 'null', stdinText: '',
  mergeStderr: false, daemon: false, api: true, timeout: '', grace: '', stopSignal: '', nofile: '', memory: '', cpu: '', nice: '', user: '', group: '', lock: '', onExit: '', maxOutput: '', whenFull: '' });

const put = (body, key, value) => { if (value !== '' && value !== undefined && value !== null) body[key] = value; };
const number = (text) => text === '' ? '' : Number(text);
const pairs = (list) => Object.fromEntries(list.filter(([key]) => key !== ''));
const group = (entries) => {
  const filled = Object.entries(entries).filter(([, value]) => value !== '');
  return filled.length > 0 ? Object.fromEntries(filled) : '';
};

/** The body that the form means; only what differs from the defaults is said. */
export function bodyOf(form) {
  const body = form.mode === 'shell' ? { shell: form.shell } : { argv: form.argv };
  for (const key of ['name', 'cwd', 'user']) put(body, key, form[key]);
  put(body, 'group', form.group);
  if (form.env.some(([key]) => key !== '')) body.env = pairs(form.env);
  if (form.clearEnv) body.clear_env = true;
  if (form.labels.some(([key]) => key !== '')) body.labels = pairs(form.labels);
  if (form.stdin === 'pipe') body.stdin = 'pipe';
  if (form.stdin === 'text') body.stdin = { text: form.stdinText };
  if (form.mergeStderr) body.stderr = 'stdout';
  if (form.daemon) body.daemon = true;
  if (!form.api) body.api = false;
  put(body, 'timeout_seconds', number(form.timeout));
  put(body, 'nice', number(form.nice));
  put(body, 'stop', group({ signal: form.stopSignal, grace_seconds: number(form.grace) }));
  put(body, 'rlimits', group({ nofile: number(form.nofile), as_bytes: number(form.memory), cpu_seconds: number(form.cpu) }));
  put(body, 'output', group({ max_bytes: number(form.maxOutput), when_full: form.whenFull }));
  if (form.lock) body.requires = { lock: form.lock };
  if (form.onExit) body.on_exit = { queue: form.onExit };
  return body;
}

/** What is known of how a process was started; values of its environment and its limits are not told by the daemon. */
export function specOf(p) {
  const spec = { argv: p.argv, name: p.name, cwd: p.cwd };
  if (Object.keys(p.labels).length > 0) spec.labels = p.labels;
  if (p.daemon) spec.daemon = true;
  return spec;
}

/** The form for a body: a recent one, or what is known of a process. */
export function formOf(body) {
  const text = (value) => value === undefined || value === null ? '' : String(value);
  return { ...blank(), mode: body.shell === undefined ? 'argv' : 'shell', argv: body.argv ?? [''], shell: text(body.shell), name: text(body.name), cwd: text(body.cwd),
    env: Object.entries(body.env ?? {}), clearEnv: Boolean(body.clear_env), labels: Object.entries(body.labels ?? {}), stdin: body.stdin?.text === undefined ? body.stdin ?? 'null' : 'text',
    stdinText: text(body.stdin?.text), mergeStderr: body.stderr === 'stdout', daemon: Boolean(body.daemon), api: body.api !== false, timeout: text(body.timeout_seconds), nice: text(body.nice),
    grace: text(body.stop?.grace_seconds), stopSignal: text(body.stop?.signal), nofile: text(body.rlimits?.nofile), memory: text(body.rlimits?.as_bytes), cpu: text(body.rlimits?.cpu_seconds),
    user: text(body.user), group: text(body.group), lock: text(body.requires?.lock), onExit: text(body.on_exit?.queue), maxOutput: text(body.output?.max_bytes), whenFull: text(body.output?.when_full) };
}

/** What was started from this browser, newest first. Values of the environment and input are not kept: they may be secrets. */
export function recent() {
  try { return JSON.parse(localStorage.getItem(RECENT)) ?? []; } catch { return []; }
}

export function remember(body) {
  const kept = { ...body };
  if (kept.env) kept.env = Object.fromEntries(Object.keys(kept.env).map((key) => [key, '']));
  if (kept.stdin?.text !== undefined) kept.stdin = { text: '' };
  const text = JSON.stringify(kept);
  const others = recent().filter((one) => JSON.stringify(one) !== text);
  localStorage.setItem(RECENT, JSON.stringify([kept, ...others].slice(0, RECENT_KEPT)));
}

/** Splits as a shell would at spaces, '…', "…" and \, and does nothing else a shell does. Throws on an open quote. */
export function splitWords(line) {
  const words = [];
  let word = null;
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    const escapes = c === '\\' && i + 1 < line.length && (!quote || (quote === '"' && '"\\'.includes(line[i + 1])));
    if (escapes) word = (word ?? '') + line[++i];
    else if (quote) { if (c === quote) quote = ''; else word += c; }
    else if (c === '"' || c === "'") { quote = c; word ??= ''; }
    else if (/\s/.test(c)) { if (word !== null) words.push(word); word = null; }
    else word = (word ?? '') + c;
  }
  if (quote) throw new Error(quote);
  if (word !== null) words.push(word);
  return words;
}
