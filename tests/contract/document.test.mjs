// The document itself: openapi.yaml keeps to a small subset of OpenAPI 3.1 and to the rules of this house, so that
// every generator reads it, every operation tells all its answers, and request and answer schemas mean what they say.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { Contract, OTHER_STATUS } from './contract.mjs';
import { committed, load, render } from './generate.mjs';

const document = load();
const contract = new Contract(document);
const operations = contract.operations();
const repository = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** What is wrong, one line each; none is right. */
const none = (faults) => assert.deepEqual([...faults], []);
const at = (place) => place.join('/');
const pairs = (map) => Object.entries(map ?? {});

// ---- the subset, as a schema: a key that is not named here is not used ----
const text = { type: 'string', minLength: 1 };
const any = { type: 'object' };
const object = (properties, required = []) => (
  { type: 'object', properties, required, additionalProperties: false, patternProperties: { '^x-': {} } });
const mapOf = (additionalProperties) => ({ type: 'object', minProperties: 1, additionalProperties });
const reference = object({ $ref: { type: 'string', pattern: '^#/components/[a-zA-Z]+/[A-Za-z0-9_-]+$' } }, ['$ref']);
const orReference = (schema) => ({ if: { required: ['$ref'] }, then: reference, else: schema });

const media = object({
  schema: any, example: {}, examples: mapOf(object({ value: {}, summary: text }, ['value'])),
}, ['schema']);
const content = mapOf(media);
const header = object({ description: text, required: { type: 'boolean' }, schema: any }, ['description', 'schema']);
const parameter = object({
  name: text, in: { enum: ['query', 'path', 'header'] }, required: { type: 'boolean' }, description: text,
  style: { enum: ['form'] }, explode: { type: 'boolean' }, schema: any,
}, ['name', 'in', 'description', 'schema']);
const requestBody = object({ description: text, required: { type: 'boolean' }, content }, ['required', 'content']);
const response = object({ description: text, headers: mapOf(orReference(header)), content }, ['description', 'headers']);
const operation = object({
  operationId: { type: 'string', pattern: '^[a-z]+([A-Z][a-z]+)+$' },
  tags: { type: 'array', items: text, minItems: 1, maxItems: 1 },
  summary: { ...text, maxLength: 80, pattern: '[^.]$' },
  description: { ...text, pattern: '[.:)]\\n?$' },
  security: { const: [] }, parameters: { type: 'array', items: orReference(parameter), minItems: 1 },
  requestBody: orReference(requestBody),
  responses: { ...mapOf(orReference(response)), propertyNames: { pattern: '^([2-5][0-9]{2}|default)$' } },
}, ['operationId', 'tags', 'summary', 'description', 'responses']);
const pathItem = object({
  get: operation, put: operation, post: operation, delete: operation, patch: operation,
  parameters: { type: 'array', items: reference },
});
const SUBSET = object({
  openapi: { const: '3.1.0' },
  info: object({
    title: text, version: text, summary: text, description: text, license: object({ name: text, identifier: text }, ['name']),
  }, ['title', 'version']),
  servers: {
    type: 'array', minItems: 1, items: object({ url: { type: 'string', format: 'uri' }, description: text }, ['url']),
  },
  security: { type: 'array', items: mapOf({ const: [] }) },
  tags: { type: 'array', items: object({ name: text, description: text }, ['name', 'description']) },
  paths: { ...mapOf(pathItem), propertyNames: { pattern: '^/$|^(/([a-z0-9_.]+|\\{[a-z_]+\\}))+$' } },
  components: object({
    securitySchemes: mapOf(
      object({ type: { const: 'http' }, scheme: { const: 'bearer' }, description: text }, ['type', 'scheme'])),
    headers: mapOf(header), parameters: mapOf(parameter), requestBodies: mapOf(requestBody),
    responses: mapOf(response), schemas: mapOf(any),
  }),
}, ['openapi', 'info', 'servers', 'security', 'tags', 'paths', 'components']);

const KEYWORDS = ['$ref', 'type', 'enum', 'description', 'default', 'examples', 'format', 'pattern', 'minLength',
  'maxLength', 'minimum', 'maximum', 'exclusiveMinimum', 'items', 'minItems', 'maxItems', 'properties', 'required',
  'additionalProperties', 'propertyNames', 'minProperties', 'maxProperties', 'oneOf', 'anyOf', 'x-only-with'];

// ---- walking ----

/** Every object of the document with its place, without values (examples and the like). */
function* nodes(value, place = []) {
  if (value === null || typeof value !== 'object') return;
  yield { place, value };
  for (const [key, inner] of Object.entries(value)) {
    const isAnswer = place.at(-1) === 'responses';  // where `default` is no value
    if (isAnswer || !['example', 'examples', 'default', 'enum'].includes(key)) yield* nodes(inner, [...place, key]);
  }
}

/** The places of the schemas directly below a schema. */
function below(schema, place) {
  const parts = [];
  for (const key of ['items', 'additionalProperties', 'propertyNames']) {
    if (typeof schema[key] === 'object') parts.push([...place, key]);
  }
  for (const key of ['properties', 'oneOf', 'anyOf']) {
    for (const inner of Object.keys(schema[key] ?? {})) parts.push([...place, key, inner]);
  }
  return parts;
}

/** All schemas that can be reached from these places, references followed: place text → { place, schema }. */
function reach(places) {
  const found = new Map();
  const todo = [...places];
  while (todo.length > 0) {
    const { place, value: schema } = contract.resolve(todo.pop());
    if (found.has(at(place))) continue;
    found.set(at(place), { place, schema });
    todo.push(...below(schema, place));
  }
  return [...found.values()];
}

/** Where the schemas of an object's `content` stand, those of event streams too. */
function contentPlaces(owner) {
  const { place, value } = contract.resolve(owner);
  return Object.entries(value?.content ?? {}).flatMap(([type, { 'x-events': events }]) => [
    [...place, 'content', type, 'schema'],
    ...Object.keys(events ?? {}).map((name) => [...place, 'content', type, 'x-events', name])]);
}

/** Parameters of an operation, those of its path too, resolved: { place, value }. */
function parametersOf({ path, place, operation: own }) {
  const shared = (document.paths[path].parameters ?? []).map((_, n) => ['paths', path, 'parameters', n]);
  const mine = (own.parameters ?? []).map((_, n) => [...place, 'parameters', n]);
  return [...shared, ...mine].map((one) => contract.resolve(one));
}

/** Answers of an operation, resolved: { status, place, value }. */
function responsesOf({ place, operation: own }) {
  return Object.keys(own.responses).map((status) => ({ status, ...contract.resolve([...place, 'responses', status]) }));
}

const everyResponse = operations.flatMap((one) => responsesOf(one).map((r) => ({ id: one.id, ...r })));
const requestSchemas = reach(operations.flatMap((one) => [
  ...contentPlaces([...one.place, 'requestBody']),
  ...parametersOf(one).map(({ place }) => [...place, 'schema'])]));
const responseSchemas = reach(everyResponse.flatMap(({ place, value }) => [
  ...contentPlaces(place),
  ...Object.keys(value.headers ?? {}).map((name) => [...contract.resolve([...place, 'headers', name]).place, 'schema'])]));
const page = (one) => {
  const { place, value } = responsesOf(one).find(({ status }) => status === '200') ?? {};
  if (!value?.content?.['application/json']) return {};
  return contract.resolve([...place, 'content', 'application/json', 'schema']).value.properties ?? {};
};

// ---- form ----

test('openapi.json is what generate.mjs makes of openapi.yaml', () => {
  assert.ok(committed() === render(), 'run node tests/contract/generate.mjs');
});

test('the document is YAML that readers of YAML 1.1 and 1.2 read alike', () => {
  const source = repository('openapi.yaml');
  assert.deepEqual(parse(source, { version: '1.1' }), document);
  // Inside { } and [ ] some readers take a bare question mark or colon before a bracket for a key's sign.
  const bare = source.split('\n').map((line, at) => `${at + 1}: ${line.replace(/'(?:[^']|'')*'/g, "''")}`)
    .filter((line) => /^[0-9]+: *(- )?([\w-]+: )?[{[].*[?:][}\],]/.test(line));
  none(bare);
  const python = spawnSync('python3', ['-c', 'import json, sys, yaml; json.dump(yaml.load(sys.stdin, yaml.SafeLoader), sys.stdout)'],
    { input: source, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (python.status !== 0 && /No module named|ENOENT/.test(python.stderr ?? 'ENOENT')) return;  // it is not installed
  assert.equal(python.status, 0, python.stderr);
  assert.deepEqual(JSON.parse(python.stdout), document);
});

test('the document keeps to the subset of OpenAPI 3.1', () => {
  const ajv = addFormats(new Ajv({ allErrors: true, strict: false }));
  const valid = ajv.validate(SUBSET, document);
  assert.ok(valid, ajv.errorsText(ajv.errors, { separator: '\n', dataVar: '' }));
});

test('the version is the one that the Makefile builds', () => {
  assert.equal(document.info.version, /^VERSION\s*:?=\s*(\S+)/m.exec(repository('Makefile'))[1]);
});

test('every reference leads somewhere and stands alone', () => {
  const references = [...nodes(document)].filter(({ value }) => typeof value.$ref === 'string');
  assert.ok(references.length > 100);
  none(references.filter(({ place, value }) => contract.resolve(place).value === undefined || Object.keys(value).length > 1)
    .map(({ place }) => at(place)));
});

test('every component is used', () => {
  const used = new Set([...nodes(document)].map(({ value }) => value.$ref));
  const { securitySchemes, ...kinds } = document.components;
  assert.deepEqual(Object.keys(securitySchemes), ['token']);
  none(pairs(kinds).flatMap(([kind, all]) => Object.keys(all).map((name) => `#/components/${kind}/${name}`))
    .filter((ref) => !used.has(ref)));
});

test('every schema is valid JSON Schema 2020-12, of few keywords, and compiles in strict mode', () => {
  const ajv = new Ajv({ strict: false });
  for (const { place, schema } of [...requestSchemas, ...responseSchemas]) {
    none(Object.keys(schema).filter((key) => !KEYWORDS.includes(key)).map((key) => `${at(place)}: ${key}`));
    assert.ok(ajv.validateSchema(schema), `${at(place)}: ${ajv.errorsText(ajv.errors)}`);
    const fragment = Object.keys(schema).join() === 'required';  // a branch of oneOf; compiled with its parent
    if (!fragment) assert.equal(typeof contract.validator(place), 'function');
  }
});

// ---- operations ----

test('operation ids are a verb and a noun, each used once', () => {
  const verbs = ['get', 'list', 'create', 'delete', 'start', 'signal', 'terminate', 'kill', 'stop', 'pause', 'resume',
    'write', 'trim', 'join', 'act', 'set', 'shutdown', 'upgrade', 'put', 'break', 'ack', 'release', 'touch', 'bury', 'acquire', 'wait', 'reset', 'abort', 'notify',
    'send', 'receive', 'purge', 'kick', 'close', 'submit',
    'add', 'append', 'extend', 'insert', 'pop', 'remove', 'update', 'clear', 'compare', 'replace'];
  none(operations.map(({ id }) => id).filter((id) => !verbs.includes(/^[a-z]+/.exec(id)[0])));
  assert.equal(new Set(operations.map(({ id }) => id)).size, operations.length);
});

test('every tag of an operation is described, and every described tag is used', () => {
  const used = new Set(operations.flatMap(({ operation: own }) => own.tags));
  assert.deepEqual([...used].sort(), document.tags.map(({ name }) => name).sort());
});

test('every operation has a success, the default problem, and says who may call it', () => {
  for (const { id, operation: own } of operations) {
    assert.ok(Object.keys(own.responses).some((status) => /^2/.test(status)), id);
    assert.equal(own.responses.default?.$ref, '#/components/responses/any', id);
    const scope = own['x-scope'];
    assert.ok(['public', 'read', 'logs', 'operate', 'spawn', 'admin'].includes(scope), id);
    assert.equal(own.security !== undefined, scope === 'public', `${id}: security`);
    assert.equal(own.responses[401] !== undefined, scope !== 'public' || id === 'createLogin', `${id}: 401`);  // who logs in shows a code instead
    if (!['public', 'read'].includes(scope)) assert.ok(own.responses[403], `${id}: 403`);  // every token may read
  }
});

test('an operation documents the problems that its request can have', () => {
  for (const one of operations) {
    const { id, path, method, operation: own } = one;
    const body = contract.resolve([...one.place, 'requestBody']).value;
    const json = body?.content['application/json'] !== undefined;
    const wants = [path.startsWith('/v1/') && 400, path.includes('{') && method !== 'put' && 404, method === 'post' && 409,
      json && 415, json && 422].filter(Boolean);
    none(wants.filter((status) => !own.responses[status]).map((status) => `${id}: ${status}`));
  }
});

test('every answer carries X-Request-Id, and every problem is application/problem+json with its codes', () => {
  for (const { id, status, value } of everyResponse) {
    assert.equal(value.headers['X-Request-Id']?.$ref, '#/components/headers/X-Request-Id', `${id} ${status}`);
    if (/^2|^304/.test(status)) {
      assert.ok(!value['x-codes'] && ['204', '304'].includes(status) === (value.content === undefined), `${id} ${status}`);
    } else {
      assert.deepEqual(Object.keys(value.content), ['application/problem+json'], `${id} ${status}`);
      assert.ok(value['x-codes']?.length > 0, `${id} ${status}`);
    }
  }
});

test('a problem answer names only codes of the table, of its own status', () => {
  for (const { id, status, value } of everyResponse.filter((one) => one.value['x-codes'])) {
    const allowed = status === 'default' ? value['x-statuses'] : [Number(status)];
    const fits = (code) => [contract.codes.get(code), ...(OTHER_STATUS[code] ?? [])].some((one) => allowed.includes(one));
    none(value['x-codes'].filter((code) => !fits(code))
      .map((code) => `${id} ${status}: ${code}`));
  }
});

test('the table of codes is the one the daemon is built with', () => {
  const rows = repository('service/problem.h').matchAll(/^\s+X\([A-Z_]+, "([a-z_]+)", (\d{3}),/gm);
  const built = Object.fromEntries([...rows].map(([, word, status]) => [word, Number(status)]));
  assert.deepEqual(Object.fromEntries(contract.codes), built);
});

test('path variables are parameters, and path parameters are variables', () => {
  for (const one of operations) {
    const variables = [...one.path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    const declared = parametersOf(one).map(({ value }) => value).filter((value) => value.in === 'path');
    assert.deepEqual(declared.map(({ name }) => name), variables, one.id);
    none(declared.filter((value) => value.required !== true).map(({ name }) => `${one.id}: ${name}`));
  }
});

test('no operation has two parameters of one name', () => {
  for (const one of operations) {
    const names = parametersOf(one).map(({ value }) => `${value.in} ${value.name.toLowerCase()}`);
    assert.equal(new Set(names).size, names.length, one.id);
  }
});

test('every POST takes an Idempotency-Key, nothing else does', () => {
  none(operations.filter((one) => (one.method === 'post')
    !== parametersOf(one).some(({ value }) => value.name === 'Idempotency-Key')).map(({ id }) => id));
});

test('what makes something answers 201 with Location (a code has no address), or 202 when it is done later', () => {
  for (const { id, status, value } of everyResponse) {
    const makes = (status === '201' && id !== 'createLoginCode') || (id.startsWith('submit') && /^2/.test(status));
    assert.equal(makes, value.headers.Location !== undefined, `${id} ${status}`);
    if (id.startsWith('create') && /^2/.test(status)) assert.equal(status, '201', id);
  }
});

test('every list has limit and page_token, and a cursor goes with after', () => {
  const lists = operations.filter((one) => page(one).next_page_token);
  assert.ok(lists.length >= 5);
  for (const one of lists) {
    const names = parametersOf(one).map(({ value }) => value.name);
    assert.ok(page(one).items, one.id);
    assert.ok(names.includes('limit') && names.includes('page_token'), one.id);
    assert.equal(names.includes('after'), page(one).next_after !== undefined, one.id);
  }
  none(operations.filter(({ id }) => id.startsWith('list')).filter((one) => !lists.includes(one)).map(({ id }) => id));
});

test('what may be an event stream takes Last-Event-ID and has a 406', () => {
  for (const one of operations) {
    const stream = responsesOf(one).some(({ value }) => value.content?.['text/event-stream']?.['x-events']);
    assert.equal(stream, parametersOf(one).some(({ value }) => value.name === 'Last-Event-ID'), one.id);
    if (stream) assert.ok(one.operation.responses[406], one.id);
  }
});

// ---- schemas ----

test('objects in requests are closed, or maps', () => {
  const objects = requestSchemas.filter(({ schema }) => schema.type === 'object');
  assert.ok(objects.length > 10);
  none(objects.filter(({ schema }) => schema.additionalProperties !== false
    && (schema.properties || typeof schema.additionalProperties !== 'object')).map(({ place }) => at(place)));
});

test('everything in a request has bounds', () => {
  const has = (schema, ...keys) => keys.every((key) => schema[key] !== undefined);
  // A pattern bounds the length when it is anchored and, its character classes aside, repeats nothing without end.
  const ends = (pattern = '') => /^\^.*\$$/.test(pattern) && !/[*+]|,\}/.test(pattern.replace(/\[[^\]]*\]/g, ''));
  const bounded = {
    string: (s) => s.enum || s.maxLength || s.format === 'date-time' || ends(s.pattern),
    array: (s) => has(s, 'items', 'maxItems'),
    integer: (s) => has(s, 'minimum', 'maximum'),
    number: (s) => has(s, 'maximum') || has(s, 'minimum', 'default'),  // `wait` is clipped, not refused
    object: (s) => s.additionalProperties === false || has(s, 'maxProperties'),
  };
  const raw = ({ place }) => place.includes('*/*');
  none(requestSchemas.filter((one) => !raw(one)).filter(({ schema }) => [schema.type ?? []].flat()
    .some((type) => bounded[type] && !bounded[type](schema))).map(({ place }) => at(place)));
});

test('answers list every field as required and stay open', () => {
  const objects = responseSchemas.filter(({ schema }) => schema.properties);
  assert.ok(objects.length > 20);
  for (const { place, schema } of objects) {
    const always = pairs(schema.properties).filter(([, property]) => !property['x-only-with']).map(([name]) => name);
    assert.deepEqual([...schema.required ?? []].sort(), always.sort(), at(place));
  }
  none(responseSchemas.filter(({ schema }) => schema.additionalProperties === false).map(({ place }) => at(place)));
});

test('a field that is not always there belongs to answers only', () => {
  none(requestSchemas.filter(({ schema }) => schema['x-only-with']).map(({ place }) => at(place)));
});

test('times end in _at or at, and every string of that name is a time', () => {
  const times = ['#/components/schemas/time', '#/components/schemas/time_or_null'];
  none(responseSchemas.flatMap(({ place, schema }) => pairs(schema.properties)
    .filter(([name, property]) => /(^|_)at$/.test(name) !== times.includes(property.$ref))
    .map(([name]) => `${at(place)}: ${name}`)));
});

// ---- examples and defaults ----

test('every example and default fits its schema', () => {
  let count = 0;
  const fits = (place, value, name) => {
    const validate = contract.validator(place);
    assert.ok(validate(value), `${at(place)} ${name}: ${JSON.stringify(validate.errors)}`);
    count += 1;
  };
  for (const { place, schema } of [...requestSchemas, ...responseSchemas]) {
    for (const value of schema.examples ?? []) fits(place, value, 'example');
    if (schema.default !== undefined) fits(place, schema.default, 'default');
  }
  for (const { place, value } of [...nodes(document)].filter((one) => one.value.schema)) {
    for (const example of [value.example, ...pairs(value.examples).map(([, one]) => one.value)]) {
      if (example !== undefined) fits([...place, 'schema'], example, 'example');
    }
  }
  assert.ok(count > 60, `only ${count}`);
});

test('every JSON body has an example: its own, its schema\'s, or one of a schema it is made of', () => {
  const shown = ({ place, value }, depth = 0) => value.examples?.length > 0 || (depth < 3 && value.properties !== undefined
    && below(value, place).some((inner) => shown(contract.resolve(inner), depth + 1)));
  const bodies = operations.flatMap((one) => [...contentPlaces([...one.place, 'requestBody']),
    ...responsesOf(one).filter(({ status }) => /^2/.test(status)).flatMap(({ place }) => contentPlaces(place))])
    .filter((place) => place.includes('application/json'));
  assert.ok(bodies.length > 30);
  none(bodies.filter((place) => {
    const own = contract.resolve(place.slice(0, -1)).value;
    return own.example === undefined && !own.examples && !shown(contract.resolve(place));
  }).map(at));
});

test('the types of changes are those that the sources name', () => {
  const sources = readdirSync(new URL('../../service', import.meta.url)).filter((name) => name.endsWith('.c')).map((name) => repository(`service/${name}`)).join('');
  const named = new Set([...sources.matchAll(/"((?:process|session|token|hold|daemon|queue|pool)\.[a-z_]+)"/g)].map(([, type]) => type));
  const told = document.components.schemas.change.properties.type.description;
  assert.ok(named.has('process.exited'));
  assert.deepEqual([...named].filter((type) => !told.includes(`\`${type}\``)), []);
});
