// Making an object: one dialog for all kinds, with the fields of the kind that is chosen. What is left empty is not said, so that
// the daemon's defaults hold, and bounds are the daemon's business: what it refuses stands at the field.
import { html } from '../lib/html.js';
import { call } from '../lib/api.js';
import { go } from '../lib/router.js';
import { may } from '../lib/session.js';
import { splitWords } from '../lib/spec.js';
import { t } from '../lib/words.js';
import { Acts, askFields } from '../ui/acts.js';
import { exact, fault } from './coordination_value.js';

const c = t.coordination;
const w = c.make;

const field = (key, more) => ({ key, label: w.labels[key] ?? c.columns[key], hint: w.hints[key], ...more });
/** `empty`: what it means to leave it so. */
const number = (key, empty, more) => field(key, { number: true, hint: empty && w.empty(empty), ...more });
const DURABLE = field('durable', { value: true });
const TYPES = ['json', ...['string', 'int32', 'int64', 'double', 'bool'].flatMap((one) => [one, `${one}[]`]), 'bytes'];

function openQuote(line) {
  try { splitWords(line); } catch (error) { return t.start.openQuote(error.message); }
  return '';
}

/** kind → its fields beside the name. Those of the same name keep what was typed when another kind is chosen. */
const FIELDS = {
  queues: [number('max_messages', w.noLimit), number('max_bytes', w.noLimit), number('max_attempts', w.noLimit),
    number('lease_seconds', w.kept), DURABLE],
  locks: [field('reentrant', { value: false })],
  semaphores: [number('value', 1), number('max', w.noLimit)],
  barriers: [number('parties', '', { required: true }), number('timeout_seconds', w.never)],
  conditions: [field('lock', { required: true })],
  events: [],
  values: [field('type', { options: TYPES }),
    field('initial', { at: 'value', lines: 3, when: ({ type }) => type !== 'bytes', check: (text, { type }) => text && fault(type, text) }),
    number('length', '', { when: ({ type }) => /\[]|bytes/.test(type) }), DURABLE],
  pipes: [number('max_bytes', 65536), field('duplex', { value: true })],
  pools: [field('run', { options: ['argv', 'shell'], names: t.start.modes }),
    field('line', { required: true, at: 'spec', check: (text, { run }) => run === 'argv' && openQuote(text) }),
    field('mode', { options: ['spawn', 'stdio'], names: w.modes }), number('processes', w.processors), number('max_attempts', 1)],
};

/** Kinds whose body is not just their fields. */
const BODIES = {
  values: ({ initial, ...rest }) => initial === undefined ? rest
    : { ...rest, value: rest.type === 'string' ? initial : exact(initial) },
  pools: ({ run, line, ...rest }) => ({ ...rest, spec: run === 'shell' ? { shell: line } : { argv: splitWords(line) } }),
};

const scopeOf = (kind) => kind === 'pools' ? 'spawn' : 'operate';

async function make({ kind, name, ...held }) {
  const given = Object.fromEntries(Object.entries(held).filter(([, value]) => value !== null && value !== ''));
  try {
    await call('PUT', `/v1/${kind}/${encodeURIComponent(name)}`, { body: BODIES[kind]?.(given) ?? given });
  } catch (error) {
    // A name that is none stands in the address, where no pointer leads.
    if (error.code === 'bad_request') error.errors = [{ pointer: '/name', detail: error.message }];
    throw error;
  }
  go(['coordination', kind, name]);
}

function ask(kind) {
  const offered = Object.keys(FIELDS).filter((one) => may(scopeOf(one)));
  const fieldsOf = (one) => FIELDS[one].map((its) => ({ ...its, when: (held) => held.kind === one && its.when?.(held) !== false }));
  return askFields({ title: w.title, action: w.make, send: make, fields: [
    { key: 'kind', label: c.columns.kind, options: offered, names: c.noun, value: kind ?? offered[0] },
    field('name', { required: true, autofocus: kind !== undefined }), ...offered.flatMap(fieldsOf)] });
}

/** The button, and its command. */
export const New = ({ kind }) => html`<${Acts} acts=${[{ key: 'new', title: w.new, keys: 'n', kind: 'main', scope: scopeOf(kind),
  run: () => ask(kind) }]} />`;
