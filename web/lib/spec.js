// Between a form and the body of POST /v1/processes, and what was started lately.
const RECENT = 'forkful-recent';
const RECENT_KEPT = 10;

/** What is typed as text and stands in the body at a path, some as a number or as a list of lines; left empty, it is not said. */
const TEXTS = [
  { key: 'name', path: ['name'] },
  { key: 'cwd', path: ['cwd'] },
  { key: 'user', path: ['user'] },
  { key: 'group', path: ['group'] },
  { key: 'timeout', path: ['timeout_seconds'], number: true },
  { key: 'nice', path: ['nice'], number: true },
  { key: 'stopSignal', path: ['stop', 'signal'] },
  { key: 'grace', path: ['stop', 'grace_seconds'], number: true },
  { key: 'nofile', path: ['rlimits', 'nofile'], number: true },
  { key: 'memory', path: ['rlimits', 'as_bytes'], number: true },
  { key: 'cpu', path: ['rlimits', 'cpu_seconds'], number: true },
  { key: 'maxOutput', path: ['output', 'max_bytes'], number: true },
  { key: 'whenFull', path: ['output', 'when_full'] },
  { key: 'lock', path: ['requires', 'lock'] },
  { key: 'onExit', path: ['on_exit', 'queue'] },
  { key: 'read', path: ['sandbox', 'read'], list: true },
  { key: 'write', path: ['sandbox', 'write'], list: true },
  { key: 'seccomp', path: ['sandbox', 'seccomp'] },
];

/** Boxes to tick: what the body says then, and only then. */
const TICKS = [
  { key: 'clearEnv', path: ['clear_env'], says: true },
  { key: 'daemon', path: ['daemon'], says: true },
  { key: 'mergeStderr', path: ['stderr'], says: 'stdout' },
  { key: 'noApi', path: ['api'], says: false },
  { key: 'rights', path: ['no_new_privs'], says: false },
  { key: 'lenient', path: ['sandbox', 'require'], says: false },
];

const at = (body, path) => path.reduce((part, name) => part?.[name], body);

/** An empty form. env, secrets and labels are lists of [name, value]. */
export const blank = () => ({
  mode: 'argv', argv: [''], shell: '', env: [], secrets: [], labels: [], stdin: 'null', stdinText: '',
  ...Object.fromEntries(TEXTS.map(({ key }) => [key, ''])), ...Object.fromEntries(TICKS.map(({ key }) => [key, false])),
});

function put(body, [name, ...rest], value) {
  if (rest.length === 0) body[name] = value;
  else put(body[name] ??= {}, rest, value);
}

function putPairs(body, name, list, value = (text) => text) {
  const named = list.filter(([key]) => key !== '');
  if (named.length > 0) body[name] = Object.fromEntries(named.map(([key, text]) => [key, value(text)]));
}

/** The body that the form means; only what differs from the defaults is said. */
export function bodyOf(form) {
  const body = form.mode === 'shell' ? { shell: form.shell } : { argv: form.argv };
  for (const { key, path, number, list } of TEXTS) {
    const text = form[key];
    if (text !== '') put(body, path, number ? Number(text) : list ? text.split('\n').filter(Boolean) : text);
  }
  for (const { key, path, says } of TICKS) if (form[key]) put(body, path, says);
  putPairs(body, 'env', form.env);
  putPairs(body, 'env_from', form.secrets, (file) => ({ file }));
  putPairs(body, 'labels', form.labels);
  if (form.stdin !== 'null') body.stdin = form.stdin === 'text' ? { text: form.stdinText } : form.stdin;
  return body;
}

/** The form for a body: a recent one, or what is known of a process. */
export function formOf(body) {
  const form = { ...blank(), mode: body.shell === undefined ? 'argv' : 'shell', argv: body.argv ?? [''], shell: body.shell ?? '' };
  for (const { key, path } of TEXTS) form[key] = [at(body, path) ?? ''].flat().join('\n');
  for (const { key, path, says } of TICKS) form[key] = at(body, path) === says;
  form.env = Object.entries(body.env ?? {});
  form.secrets = Object.entries(body.env_from ?? {}).map(([key, { file }]) => [key, file]);
  form.labels = Object.entries(body.labels ?? {});
  form.stdin = typeof body.stdin === 'object' ? 'text' : body.stdin ?? 'null';
  form.stdinText = body.stdin?.text ?? '';
  return form;
}

/** What is known of how a process was started; values of its environment and its limits are not told by the daemon. */
export function specOf(p) {
  const spec = { argv: p.argv, name: p.name, cwd: p.cwd };
  if (Object.keys(p.labels).length > 0) spec.labels = p.labels;
  if (p.daemon) spec.daemon = true;
  return spec;
}

/** What was started from this browser, newest first. */
export function recent() {
  try { return JSON.parse(localStorage.getItem(RECENT)) ?? []; } catch { return []; }
}

/** Values of the environment and input are not kept: they may be secrets. */
export function remember(body) {
  const kept = { ...body };
  if (kept.env) kept.env = Object.fromEntries(Object.keys(kept.env).map((key) => [key, '']));
  if (kept.stdin?.text !== undefined) kept.stdin = { text: '' };
  const text = JSON.stringify(kept);
  const others = recent().filter((one) => JSON.stringify(one) !== text);
  localStorage.setItem(RECENT, JSON.stringify([kept, ...others].slice(0, RECENT_KEPT)));
}

/** What `c` does to the word that is being read; see splitWords. */
function step(state, c, next) {
  const escapes = c === '\\' && next !== undefined && (!state.quote || (state.quote === '"' && '"\\'.includes(next)));
  if (escapes) {
    state.word = (state.word ?? '') + next;
    return 2;
  }
  if (state.quote === c) state.quote = '';
  else if (state.quote) state.word += c;
  else if (c === '"' || c === "'") Object.assign(state, { quote: c, word: state.word ?? '' });
  else if (!/\s/.test(c)) state.word = (state.word ?? '') + c;
  else if (state.word !== null) {
    state.words.push(state.word);
    state.word = null;
  }
  return 1;
}

/** Splits as a shell would at spaces, '…', "…" and \, and does nothing else a shell does. Throws the quote that stays open. */
export function splitWords(line) {
  const state = { words: [], word: null, quote: '' };
  for (let i = 0; i < line.length;) i += step(state, line[i], line[i + 1]);
  if (state.quote) throw new Error(state.quote);
  return state.word === null ? state.words : [...state.words, state.word];
}
