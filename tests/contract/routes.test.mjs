// openapi.yaml and the route table of the binary say the same: operations, scopes, what the audit leaves out, query keys and bodies.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { runBinary } from '../lib/daemon.mjs';
import { load } from './generate.mjs';

const document = load();
const methods = ['get', 'post', 'put', 'delete'];

/** The binary's table: [{ method, path, operation, scope, body, quiet, query: ['key type', …] }]. */
async function table() {
  const { code, stdout, stderr } = await runBinary(['--routes']);
  assert.deepEqual([code, stderr], [0, '']);
  const rows = [];
  for (const line of stdout.trimEnd().split('\n')) {
    const [first, ...rest] = line.split(' ');
    if (first === '?') {
      rows.at(-1).query.push(rest.join(' '));
    } else {
      const [where, operation, scope, body, quiet = ''] = rest;
      rows.push({ method: first, path: where, operation, scope, body, quiet, query: [] });
    }
  }
  return rows;
}

const resolve = (one) => (one?.$ref ? one.$ref.slice(2).split('/').reduce((place, key) => place[key], document) : one);

/** Handlers of streams read their keys themselves and tell all faults at once, so their table has text but for `wait`. */
const is_stream = (operation) => Boolean(resolve(operation.responses['200'])?.content?.['text/event-stream']);

/** The word that the table has for a query key of this schema. */
function type_of(parameter, operation) {
  const schema = resolve(parameter.schema);
  if (is_stream(operation) && parameter.name !== 'wait') return 'text';
  if (schema.format === 'date-time') return 'time';
  return { boolean: 'bool', integer: 'unsigned', number: 'seconds' }[schema.type] ?? 'text';
}

function body_of(operation) {
  const body = resolve(operation.requestBody);
  if (!body) return 'none';
  if (body.content['*/*']) return 'raw';
  if (body.content['application/octet-stream']) return 'json-or-bytes';
  return body.required ? 'json' : 'json-optional';
}

function described() {
  const rows = [];
  for (const [where, item] of Object.entries(document.paths)) {
    for (const method of methods.filter((one) => item[one])) {
      const operation = item[method];
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
      const query = parameters.filter((one) => one.in === 'query').map((one) => `${one.name} ${type_of(one, operation)}`).sort();
      rows.push({ method: method.toUpperCase(), path: where, operation: operation.operationId, scope: operation['x-scope'], body: body_of(operation), quiet: operation['x-audit'] === false ? 'quiet' : '', query });
    }
  }
  return rows;
}

const line = (row) => `${row.method} ${row.path} ${row.operation} ${row.scope} ${row.body} ${row.quiet} ${row.query.join(', ')}`.trimEnd();
const lines = (rows) => rows.map((row) => line({ ...row, query: [...row.query].sort() })).sort();

/** The page's own files are routes, but no part of the API. */
const is_file = (row) => row.operation === 'getDashboard' && row.path !== '/';

test('every operation of openapi.yaml is a route of the binary, and every route is an operation', async () => {
  const rows = (await table()).filter((row) => !is_file(row));
  assert.deepEqual(lines(rows), lines(described()));
});

test('the files of the page have an address below /web', async () => {
  assert.deepEqual((await table()).filter(is_file).map((row) => row.path).sort(), ['/web/{file}', '/web/{folder}/{file}']);
});

test('no method of a path stands twice in the table', async () => {
  const rows = await table();
  const shown = rows.map((row) => `${row.method} ${row.path}`);
  assert.equal(new Set(shown).size, shown.length);
});
