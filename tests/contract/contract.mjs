// Checks real answers against openapi.yaml: hand every answer of the daemon to `check`, and it throws an Error that
// names the operation, the status and what is wrong with it.
//
//   contract.check({ method, url, status, headers, body })
//
// `url` is the path or the whole address; `headers` a Headers, a Map or an object; `body` the text or bytes as they came
// (or a value that was parsed already; leave it out for an answer whose body was not read). It also keeps account:
// `seen` holds the pairs "operationId status" that were met, `unseen()` the documented ones that were not. With
// FORKFUL_CONTRACT_SEEN=FILE the pairs are appended to FILE at exit, for a sum over many test files.
import { appendFileSync } from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { load } from './generate.mjs';

const ROOT = 'openapi.yaml';
const PROBLEM = 'application/problem+json';
const METHODS = ['get', 'put', 'post', 'delete', 'patch'];
const EXTENSIONS = ['x-only-with'];  // of schemas; ajv's strict mode wants all keywords named

/** A place in the document as a reference: ['paths', '/v1/x', 'get'] → openapi.yaml#/paths/~1v1~1x/get. */
function pointer(place) {
  const escaped = place.map((part) => encodeURIComponent(String(part).replace(/~/g, '~0').replace(/\//g, '~1')));
  return `${ROOT}#/${escaped.join('/')}`;
}

/** A copy in which no object has other properties than those described: an answer holds nothing that the document leaves out. */
function closed(value) {
  if (Array.isArray(value)) return value.map(closed);
  if (value === null || typeof value !== 'object') return value;
  const copy = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, closed(one)]));
  return value.type === 'object' && value.properties && value.additionalProperties === undefined ? { ...copy, additionalProperties: false } : copy;
}

function compiler(document) {
  const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true, strictRequired: false });
  addFormats(ajv);
  ajv.addVocabulary([...EXTENSIONS, ...Object.keys(document)]);  // the document itself is looked at as a schema too
  ajv.addSchema(closed(document), ROOT, false, false);
  return ajv;
}

function templateOf(path) {
  const pattern = path.replace(/[.+]/g, '\\$&').replace(/\{[^}]+\}/g, '[^/]+');
  return { path, pattern: new RegExp(`^${pattern}$`), variables: path.split('{').length - 1 };
}

/** Header names in lower case, whatever they came in. */
function headerMap(headers = {}) {
  const entries = typeof headers.entries === 'function' ? [...headers.entries()] : Object.entries(headers);
  return new Map(entries.map(([name, value]) => [name.toLowerCase(), String(value)]));
}

/** On every answer, errors and pages too. */
const ALWAYS = { 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cross-origin-resource-policy': 'same-origin' };
const mediaType = (headers) => (headers.get('content-type') ?? '').split(';')[0].trim().toLowerCase();

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`the body is no JSON (${error.message}): ${text.slice(0, 200)}`);
  }
}

/** The events of a text/event-stream; what follows the last empty line is not complete and left out. */
function eventsOf(text) {
  return text.replace(/\r\n?/g, '\n').split('\n\n').slice(0, -1).map((block) => {
    const event = { name: 'message', data: [] };
    for (const line of block.split('\n')) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === 'data') event.data.push(value);
      if (field === 'event') event.name = value;
      if (field === 'id') event.id = value;
    }
    return { ...event, data: event.data.join('\n') };
  }).filter((event) => event.data !== '');
}

/** Codes that come with a second status: with If-Hold; when a queue is drained. */
export const OTHER_STATUS = { hold_ended: [412], closed: [410] };

export class Contract {
  #ajv;
  #templates;

  constructor(document = load()) {
    this.document = document;
    this.seen = new Set();
    this.#ajv = compiler(document);
    this.#templates = Object.keys(document.paths).map(templateOf).sort((a, b) => a.variables - b.variables);
    this.codes = this.#problemCodes();
  }

  /** The table of problem codes in the schema's description: code → its status. */
  #problemCodes() {
    const rows = this.document.components.schemas.problem.description.matchAll(/^\| ([a-z_]+) \| (\d{3}) \|/gm);
    return new Map([...rows].map(([, code, status]) => [code, Number(status)]));
  }

  /** Follows a reference; `place` is where the value then stands in the document. */
  resolve(place) {
    let value = this.document;
    for (const part of place) value = value?.[part];
    if (value?.$ref === undefined) return { place, value };
    return this.resolve(value.$ref.slice(2).split('/').map((part) => part.replace(/~1/g, '/').replace(/~0/g, '~')));
  }

  /** A compiled schema by its place in the document. */
  validator(place) {
    return this.#ajv.getSchema(pointer(place)) ?? this.#ajv.compile({ $ref: pointer(place) });
  }

  /** All operations: { id, method, path, place, operation }. */
  operations() {
    return Object.entries(this.document.paths).flatMap(([path, item]) => METHODS.filter((m) => item[m]).map((method) => (
      { id: item[method].operationId, method, path, place: ['paths', path, method], operation: item[method] })));
  }

  /** The documented path that fits, one without variables first; undefined when there is none. */
  pathOf(url) {
    const { pathname } = new URL(url, 'http://daemon');
    return this.#templates.find((template) => template.pattern.test(pathname))?.path;
  }

  /** Throws unless the answer is one that the document describes. Returns the operationId, or null outside of it. */
  check({ method, url, status, headers, body }) {
    const answer = { method: method.toLowerCase(), url, status, headers: headerMap(headers), body };
    const path = this.pathOf(url);
    const place = this.#placeOf(answer.method, path);
    const id = place ? this.resolve(place).value.operationId : null;
    try {
      this.#checkAlways(answer);
      if (place) this.#checkOperation(answer, place, id);
      else this.#checkOutside(answer, path);
    } catch (error) {
      error.message = `${method} ${url} (${id ?? 'no operation'}) answered ${status}: ${error.message}`;
      throw error;
    }
    return id;
  }

  #placeOf(method, path) {
    const verb = method === 'head' ? 'get' : method;
    return path && this.document.paths[path][verb] ? ['paths', path, verb] : null;
  }

  /** What the rules of the document's first page ask of every answer. */
  #checkAlways({ url, status, headers }) {
    if (!headers.get('x-request-id') && status !== 503) throw new Error('X-Request-Id is missing'); // no memory for it
    for (const [name, value] of Object.entries(ALWAYS)) {
      if (headers.get(name) !== value) throw new Error(`${name} is ${headers.get(name)}, not ${value}`);
    }
    const { pathname } = new URL(url, 'http://daemon');
    if (/^\/(v1\/|metrics$|healthz$|readyz$)/.test(pathname) && headers.get('cache-control') !== 'no-store') {
      throw new Error(`Cache-Control is ${headers.get('cache-control')}, not no-store`);
    }
    for (const name of headers.keys()) {
      if (name.startsWith('access-control-')) throw new Error(`there is no CORS, yet ${name} is sent`);
    }
  }

  #checkOperation(answer, place, id) {
    const { responses } = this.resolve(place).value;
    const listed = responses[answer.status] !== undefined;
    const { place: at, value: response } = this.resolve([...place, 'responses', listed ? answer.status : 'default']);
    if (!listed && !response?.['x-statuses']?.includes(answer.status)) throw new Error('the status is not documented');
    this.#checkHeaders(answer, at, response);
    this.#checkBody(answer, at, response);
    this.seen.add(`${id} ${listed ? answer.status : 'default'}`);
  }

  /** OPTIONS, a method that the path does not know, and paths that nobody knows. */
  #checkOutside(answer, path) {
    const { method, status, headers } = answer;
    const any = this.document.components.responses.any['x-statuses'];
    const expected = method === 'options' && path ? 204 : path ? 405 : 404;
    if (status !== expected && status !== 401 && !any.includes(status)) throw new Error(`expected ${expected}`);
    if ([204, 405].includes(status) && !headers.get('allow')) throw new Error('Allow is missing');
    if (status !== 204) this.#checkProblem(answer);
    else if (answer.body?.length > 0) throw new Error('a 204 with a body');
  }

  #checkHeaders({ status, headers }, place, response) {
    for (const name of Object.keys(response.headers ?? {})) {
      const { place: at, value: header } = this.resolve([...place, 'headers', name]);
      const text = headers.get(name.toLowerCase());
      if (text === undefined && header.required && (status !== 503 || name !== 'X-Request-Id')) throw new Error(`the header ${name} is missing`);
      if (text !== undefined) this.#validate([...at, 'schema'], text, `the header ${name}`);
    }
    if ([429, 503].includes(status) && !/^[0-9]+$/.test(headers.get('retry-after') ?? '')) {
      throw new Error('the header Retry-After is missing');
    }
  }

  #checkBody(answer, place, response) {
    const { method, headers, body } = answer;
    const type = mediaType(headers);
    if (response.content === undefined) {
      if (type !== '' || body?.length > 0) throw new Error('a body where none is documented');
      return;
    }
    const payload = headers.get('x-message-id') ?? headers.get('x-sequence');
    if (response.content['*/*'] !== undefined && payload !== undefined) return;  // as it was put or sent
    if (response.content[type] === undefined) throw new Error(`the content type ${type || '(none)'} is not documented`);
    if (method === 'head' && body?.length > 0) throw new Error('an answer to HEAD with a body');
    if (method === 'head' || body === undefined) return;
    if (type === PROBLEM) this.#checkProblem(answer, response['x-codes']);
    else this.#checkContent(type, [...place, 'content', type], body);
  }

  /** A body by its media type; what is no JSON has no schema but being text. */
  #checkContent(type, place, body) {
    const whole = Buffer.isBuffer(body) || body instanceof Uint8Array ? Buffer.from(body).toString('utf8') : body;
    const text = typeof whole === 'string' ? whole : JSON.stringify(whole);
    const schema = [...place, 'schema'];
    if (type === 'application/json') {
      this.#validate(schema, parseJson(text), 'the body');
    } else if (type === 'application/x-ndjson') {
      const lines = text.split('\n').slice(0, -1);  // what follows the last newline is not complete
      lines.forEach((line, at) => this.#validate(schema, parseJson(line), `line ${at + 1}`));
    } else if (type === 'text/event-stream') {
      this.#checkEvents(place, text);
    }
  }

  #checkEvents(place, text) {
    const known = this.resolve([...place, 'x-events']).value;
    for (const { name, id, data } of eventsOf(text)) {
      const key = known[name] ? name : '*';
      if (known[key] === undefined) throw new Error(`the event ${name} is not documented`);
      const value = parseJson(data);
      this.#validate([...place, 'x-events', key], value, `the event ${name}`);
      if (value.seq !== undefined && id !== String(value.seq)) throw new Error(`id: ${id} with seq ${value.seq}`);
    }
  }

  /** A problem, and whether its code belongs to its status and (when given) to this operation. */
  #checkProblem({ status, headers, body }, codes) {
    if (mediaType(headers) !== PROBLEM) throw new Error(`a problem as ${mediaType(headers) || '(no content type)'}`);
    if (body === undefined || body.length === 0) return;
    const problem = typeof body === 'string' || ArrayBuffer.isView(body) ? parseJson(Buffer.from(body).toString()) : body;
    this.#validate(['components', 'schemas', 'problem'], problem, 'the problem');
    const { code } = problem;
    if (problem.status !== status) throw new Error(`the problem says ${problem.status}`);
    const replayed = headers.get('idempotency-replayed') === 'true'; // the answer as it was stored: with its first request's id
    if (!replayed && (problem.request_id !== (headers.get('x-request-id') ?? '') || (problem.request_id === '' && code !== 'out_of_memory'))) throw new Error('request_id is not X-Request-Id');
    if (![this.codes.get(code), ...(OTHER_STATUS[code] ?? [])].includes(status)) throw new Error(`the code ${code} does not go with this status`);
    if (codes && !codes.includes(code)) throw new Error(`the code ${code} is not documented, only ${codes.join(', ')}`);
  }

  #validate(place, value, name) {
    const validate = this.validator(place);
    if (validate(value)) return;
    const shown = JSON.stringify(value) ?? String(value);
    const text = this.#ajv.errorsText(validate.errors, { dataVar: '', separator: '\n  ' });
    throw new Error(`${name} does not fit ${pointer(place)}:\n  ${text}\n  in ${shown.slice(0, 1000)}`);
  }

  /** Every documented pair "operationId status"; what any request may get (`default`) counts for none. */
  documented() {
    return this.operations().flatMap(({ id, operation }) => Object.keys(operation.responses)
      .filter((status) => status !== 'default').map((status) => `${id} ${status}`));
  }

  /** The documented pairs that no answer was seen of; `also`: pairs that others have seen. */
  unseen(also = []) {
    const met = new Set([...this.seen, ...also]);
    return this.documented().filter((pair) => !met.has(pair));
  }
}

export const contract = new Contract();
export const { seen } = contract;
export const check = (answer) => contract.check(answer);
export const unseen = (also) => contract.unseen(also);

const account = process.env.FORKFUL_CONTRACT_SEEN;
if (account) {
  process.on('exit', () => {
    if (seen.size > 0) appendFileSync(account, [...seen, ''].join('\n'));
  });
}
