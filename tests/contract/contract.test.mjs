// The runner itself: it lets through what the document describes, and each kind of wrong answer is an Error.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Contract } from './contract.mjs';

const contract = new Contract();
const { schemas } = contract.document.components;
const record = schemas.process.examples[0];
const line = schemas.logs_line.examples[0];
const gap = schemas.logs_gap.examples[0];

const headers = (more) => ({
  'Content-Type': 'application/json', 'X-Request-Id': 'r1', 'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY', 'Referrer-Policy': 'no-referrer', 'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store', ...more });
const typed = (type) => headers({ 'Content-Type': type });
const answer = (more) => ({
  method: 'GET', url: `http://127.0.0.1:8717/v1/processes/${record.id}?x=1`, status: 200, headers: headers(),
  body: JSON.stringify(record), ...more });
const problem = (code, status, more) => answer({
  status, headers: typed('application/problem+json'),
  body: JSON.stringify({ type: `/problems/${code}`, title: 't', status, detail: 'd', instance: '/', code,
    request_id: 'r1', errors: [], ...more }) });
const logs = (type, body) => answer({ url: `/v1/processes/${record.id}/logs`, headers: typed(type), body });

const passes = (one) => assert.doesNotThrow(() => contract.check(one));
const fails = (one, message) => assert.throws(() => contract.check(one), message);

test('a right answer passes, whatever its headers and body come in', () => {
  assert.equal(contract.check(answer()), 'getProcess');
  passes(answer({ headers: new Headers(headers()), body: Buffer.from(JSON.stringify(record)) }));
  passes(answer({ headers: new Map(Object.entries(typed('application/json; charset=utf-8'))), body: record }));
  passes(answer({ body: undefined }));
});

test('the error names the operation, the status and the field', () => {
  fails(answer({ body: JSON.stringify({ ...record, pid: 'x' }) }), /getProcess.* 200[^]*\/pid must be integer/);
});

test('a field that is missing is an error, and so is one that is not described', () => {
  const { exit, ...rest } = record;
  assert.ok(exit);
  fails(answer({ body: rest }), /required property 'exit'/);
  fails(answer({ body: { ...record, brand_new: 1 } }), /additional properties/);
});

test('a path without variables goes before one with', () => {
  assert.equal(contract.check(answer({ url: '/v1/processes/me' })), 'getOwnProcess');
  assert.equal(contract.pathOf('/openapi.json'), '/openapi.json');
  assert.equal(contract.pathOf('/openapixjson'), undefined);
  assert.equal(contract.pathOf('/v1/processes/'), undefined);
});

test('a status, content type or body that is not documented is an error', () => {
  fails(answer({ status: 202 }), /not documented/);
  fails(answer({ headers: typed('text/html') }), /content type text\/html/);
  fails(answer({ body: '{' }), /no JSON/);
  fails(answer({ method: 'DELETE', status: 204 }), /where none is documented/);
  passes(answer({ method: 'DELETE', status: 204, headers: headers({ 'Content-Type': '' }), body: '' }));
});

test('the headers of every answer are asked for', () => {
  fails(answer({ headers: headers({ 'X-Request-Id': '' }) }), /X-Request-Id/);
  fails(answer({ headers: headers({ 'X-Content-Type-Options': '' }) }), /nosniff/);
  fails(answer({ headers: headers({ 'Cache-Control': 'max-age=1' }) }), /Cache-Control/);
  fails(answer({ headers: headers({ 'Access-Control-Allow-Origin': '*' }) }), /CORS/);
});

test('a documented header that is required must be there', () => {
  const made = { method: 'POST', url: '/v1/processes', status: 201 };
  fails(answer(made), /Location is missing/);
  passes(answer({ ...made, headers: headers({ Location: `/v1/processes/${record.id}` }) }));
  fails({ ...problem('unauthorized', 401) }, /WWW-Authenticate is missing/);
});

test('a problem must fit its schema, its status, its operation and the table of codes', () => {
  passes(problem('not_found', 404));
  fails(problem('not_found', 404, { errors: undefined }), /errors/);
  fails(problem('not_found', 404, { status: 400 }), /says 400/);
  fails(problem('not_found', 404, { request_id: 'r2' }), /request_id/);
  fails(problem('no_such_code', 404), /does not go with/);
  fails(problem('invalid_value', 404), /does not go with/);
  fails({ ...problem('already_started', 409), url: `/v1/processes/${record.id}/stats` }, /only not_running, not_started/);
});

test('the default problem stands for its own statuses only', () => {
  passes(problem('internal', 500));
  fails(problem('not_running', 409), /not documented/);
  fails(problem('shutting_down', 503), /Retry-After/);
  const { headers: typedHeaders, ...rest } = problem('shutting_down', 503);
  passes({ ...rest, headers: { ...typedHeaders, 'Retry-After': '1' } });
});

test('an answer to HEAD is one to GET without its body', () => {
  passes(answer({ method: 'HEAD', body: '' }));
  fails(answer({ method: 'HEAD' }), /HEAD with a body/);
});

test('other methods and unknown paths have their own answers', () => {
  const allow = { Allow: 'GET, HEAD' };
  passes(answer({ method: 'OPTIONS', status: 204, headers: headers(allow), body: '' }));
  fails(answer({ method: 'OPTIONS', status: 204, body: '' }), /Allow/);
  fails({ ...problem('method_not_allowed', 405), method: 'PATCH' }, /Allow/);
  const refused = { ...typed('application/problem+json'), ...allow };
  passes({ ...problem('method_not_allowed', 405), method: 'PATCH', headers: refused });
  passes({ ...problem('not_found', 404), url: '/v1/nothing' });
  fails(answer({ url: '/v1/nothing' }), /expected 404/);
});

test('NDJSON is checked line by line, and an unfinished last line is left alone', () => {
  passes(logs('application/x-ndjson', `${JSON.stringify(line)}\n${JSON.stringify(gap)}\n{"seq":`));
  fails(logs('application/x-ndjson', `${JSON.stringify(line)}\n{"seq":2}\n`), /line 2/);
  fails(logs('application/x-ndjson', `${JSON.stringify({ ...line, data_base64: 'AA==' })}\n`), /line 1/);
});

test('server-sent events are checked by their name, data and id', () => {
  const event = (name, value, id = value.seq) => `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(value)}\n\n`;
  const both = event('line', line) + event('gap', gap);
  passes(logs('text/event-stream', `retry: 2000\n\n: ping\n\n${both}event: end\ndata: {}\n\nevent: li`));
  fails(logs('text/event-stream', event('gap', line)), /event gap/);
  fails(logs('text/event-stream', event('nothing', line)), /nothing is not documented/);
  fails(logs('text/event-stream', event('line', line, 99)), /id: 99/);
});

test('it keeps account of what was seen and what never was', () => {
  const fresh = new Contract();
  const total = fresh.unseen().length;
  fresh.check(answer());
  assert.throws(() => fresh.check(answer({ url: '/v1/processes/me', body: {} })));
  assert.deepEqual([...fresh.seen], ['getProcess 200']);
  assert.equal(fresh.unseen().length, total - 1);
  assert.equal(fresh.unseen(['getSystem 200']).length, total - 2);
  assert.ok(!fresh.unseen().includes('getProcess 200') && fresh.unseen().includes('getProcess 404'));
});
