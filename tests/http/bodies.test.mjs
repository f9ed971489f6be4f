// How strictly a body is read: JSON without doubt, fields that are known, all faults at once.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, REPOSITORY, suite } from '../lib/daemon.mjs';
import { exitedWith, faults, problem } from '../lib/check.mjs';
import { exchange, head } from '../lib/raw.mjs';

const json = { 'Content-Type': 'application/json' };
const send = (d, raw, headers = json) => d.call('POST', '/v1/processes', { raw, headers });

suite('null', () => {
  daemonTest('in a spawn is the same as nothing, whichever field has it', async (d) => {
    const all = JSON.parse(readFileSync(path.join(REPOSITORY, 'openapi.json'), 'utf8')).components.schemas.spawn.properties;
    const nulls = Object.fromEntries(Object.keys(all).filter((name) => name !== 'argv').map((name) => [name, null]));
    const { id, name, cwd, labels } = await d.spawn({ argv: ['sh', '-c', 'echo "$HOME"; cat'], ...nulls });
    assert.match(name, /^Process-\d+$/);
    assert.notEqual(cwd, null);
    assert.deepEqual(labels, {});
    exitedWith(await d.join(id), 0);
    const inner = { stop: { signal: null, grace_seconds: null }, output: { max_bytes: null, when_full: null }, rlimits: { nofile: null }, stdin: { text: 'x', base64: null } };
    const later = await d.spawn({ argv: ['cat'], ...inner, start: false, name: null });
    await d.post(`/v1/processes/${later.id}/start`, undefined, { expect: 200 });
    exitedWith(await d.join(later.id), 0);
    assert.equal(await d.logsText(later.id), 'x');
    for (const one of [{ argv: null }, { argv: null, shell: null }, {}]) problem(await d.post('/v1/processes', one), 422);
    for (const one of [{ argv: [null] }, { argv: ['true'], env: { A: null } }, { argv: ['true'], labels: { a: null } }, { argv: ['true'], stdin: { text: null } }]) problem(await d.post('/v1/processes', one), 422, 'invalid_value');
    assert.equal((await d.post(`/v1/processes`, { shell: 'exit 3', argv: null })).status, 201);
  });

  daemonTest('in a filter does not choose all', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    for (const body of [{ filter: { name: null } }, { filter: null }, { ids: null }, { filter: { state: null, parent: null } }]) {
      assert.equal((await d.post('/v1/processes/actions', { action: 'kill', ...body })).status, 422);
    }
    assert.equal((await d.process(id)).alive, true);
    await d.post('/v1/processes/actions', { action: 'kill', ids: [id], filter: null, signal: null, scope: null, grace_seconds: null }, { expect: 200 });
    assert.equal((await d.join(id)).alive, false);
  });
});

suite('control characters', () => {
  daemonTest('of the second kind, U+0080 to U+009F, are refused in names and labels like those of ASCII', async (d) => {
    for (const bad of ['\u0080', 'a\u009fb', 'a\u0085', '\u001f', '\u007f', 'a\nb']) {
      for (const body of [{ name: bad }, { labels: { a: bad } }, { labels: { [bad]: 'a' } }]) {
        problem(await d.post('/v1/processes', { argv: ['true'], ...body }), 422, 'invalid_value');
      }
    }
    for (const good of ['\u00a0', 'ü', 'à', '\u2028', '€']) {
      assert.equal((await d.spawn({ argv: ['true'], name: good, labels: { [good]: good } })).name, good);
    }
  });
});

suite('JSON', () => {
  daemonTest('is refused in words of its own, with bounds to the last digit', async (d) => {
    assert.equal((await send(d, '{"argv":["a\\u0000b"]}')).body.detail, 'The body is not valid JSON: line 1, column 19: \\u0000 is not taken.');
    assert.equal((await send(d, '{"argv":["true"],"rlimits":{"nofile":-1}}')).body.detail, 'It must be from 0 to 9007199254740991.');
    assert.equal((await send(d, '{"argv":["true"],"timeout_seconds":-1}')).body.detail, 'It must be from 1e-06 to 315360000.');
  });

  daemonTest('what is not exactly one JSON object is 400 invalid_json, and starts nothing', async (d) => {
    const bodies = {
      empty: '', blank: '  ', cut: '{"argv":["true"]', trailing: '{"argv":["true"]}x', two: '{"argv":["true"]}{"argv":["true"]}',
      'duplicate key': '{"argv":["true"],"argv":["false"]}', 'nested duplicate key': '{"argv":["true"],"env":{"A":"1","A":"2"}}',
      comment: '{"argv":["true"]}//', 'single quotes': "{'argv':['true']}", 'trailing comma': '{"argv":["true"],}', word: 'true?',
      'a byte order mark': '\ufeff{"argv":["true"]}', 'a control character': '{"argv":["tr\nue"]}', 'a lone surrogate': '{"argv":["true","\\ud800"]}',
      'a huge number': '{"argv":["true"],"nice":1e400}', 'not a number': '{"argv":["true"],"nice":NaN}',
    };
    for (const [what, raw] of Object.entries(bodies)) {
      const answer = await send(d, raw);
      assert.equal(answer.status, 400, `${what}: ${answer}`);
      assert.equal(answer.body.code, 'invalid_json', what);
    }
    assert.deepEqual(await d.list(), []);
  });

  daemonTest('a whole number beyond 64 bits is 422 out_of_range, wherever it stands', async (d) => {
    for (const number of ['9223372036854775808', '-9223372036854775809', '18446744073709551616', '1'.repeat(100)]) {
      const raw = (text) => ({ raw: text, headers: { 'Content-Type': 'application/json' } });
      problem(await send(d, `{"argv":["true"],"nice":${number}}`), 422, 'out_of_range');
      problem(await d.call('PUT', '/v1/values/v', raw(`{"type":"int64","value":${number}}`)), 422, 'out_of_range');
      problem(await d.call('PUT', '/v1/semaphores/s', raw(`{"value":${number}}`)), 422, 'out_of_range');
    }
    assert.deepEqual(await d.list(), []);
  });

  daemonTest('invalid UTF-8 is 400', async (d) => {
    for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]) {
      const raw = Buffer.concat([Buffer.from('{"argv":["true","'), Buffer.from(bytes), Buffer.from('"]}')]);
      problem(await send(d, raw), 400, 'invalid_json');
    }
  });

  daemonTest('nesting of 64 is read, nesting of 65 is 400', async (d) => {
    const nested = (depth) => `{"deep":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)},"argv":["true"]}`;
    problem(await send(d, nested(64)), 422, 'unknown_field');
    problem(await send(d, nested(65)), 400, 'invalid_json');
    problem(await send(d, nested(100_000)), 400, 'invalid_json');
  });

  daemonTest('a body that is JSON but no object is refused', async (d) => {
    for (const raw of ['[]', 'null', '"argv"', '17', '[{"argv":["true"]}]']) {
      const answer = await send(d, raw);
      assert.ok([400, 422].includes(answer.status), `${raw}: ${answer}`);
    }
  });
});

suite('content type', () => {
  daemonTest('only application/json is taken; forms, text and nothing are 415', async (d) => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx', 'text/json', '']) {
      problem(await send(d, '{"argv":["true"]}', { 'Content-Type': type }), 415, 'unsupported_media_type');
    }
    problem(await send(d, '{"argv":["true"]}', {}), 415, 'unsupported_media_type');
    assert.deepEqual(await d.list(), []);
    for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON']) {
      assert.equal((await send(d, '{"argv":["true"]}', { 'Content-Type': type })).status, 201, type);
    }
  });

  daemonTest('a call that needs no body takes none and an empty object', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    for (const options of [{}, { body: {} }]) assert.equal((await d.call('POST', `/v1/processes/${id}/kill`, options)).status, 200);
    problem(await d.post(`/v1/processes/${id}/kill`, { x: 1 }), 422, 'unknown_field');
  });
});

suite('fields', () => {
  daemonTest('an unknown field is 422 naming it by its pointer', async (d) => {
    assert.deepEqual(faults(problem(await d.post('/v1/processes', { argvv: ['true'], argv: ['true'] }), 422, 'unknown_field')), ['/argvv unknown_field']);
    assert.deepEqual(faults(problem(await d.post('/v1/processes', { argv: ['true'], stop: { grace: 1 } }), 422, 'unknown_field')), ['/stop/grace unknown_field']);
    assert.deepEqual(faults(problem(await d.post('/v1/processes', { argv: ['true'], 'a/b~c': 1 }), 422, 'unknown_field')), ['/a~1b~0c unknown_field']);
  });

  daemonTest('all faults are told at once', async (d) => {
    const answer = await d.post('/v1/processes', { argv: [], nice: 99, daemon: 'yes', colour: 'red', stop: { signal: 'SIGNOTHING', when: 1 }, output: { when_full: 'explode' } });
    assert.equal(answer.status, 422);
    assert.deepEqual(faults(answer.body).map((one) => one.split(' ')[0]),
      ['/argv', '/colour', '/daemon', '/nice', '/output/when_full', '/stop/signal', '/stop/when']);
    assert.deepEqual(await d.list(), []);
  });

  daemonTest('a missing field is 422 naming it', async (d) => {
    const none = problem(await d.post('/v1/processes', {}), 422, 'missing_field');
    assert.deepEqual(faults(none), ['/argv missing_field']);
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    assert.deepEqual(faults(problem(await d.post(`/v1/processes/${id}/signal`, {}), 422, 'missing_field')), ['/signal missing_field']);
  });

  daemonTest('values of the wrong type or out of bounds are 422, each at its place', async (d) => {
    for (const [more, place] of [
      [{ argv: 'true' }, '/argv'], [{ argv: [] }, '/argv'], [{ argv: [1] }, '/argv/0'], [{ argv: ['true', null] }, '/argv/1'],
      [{ name: '' }, '/name'], [{ name: 'a\nb' }, '/name'], [{ name: 'x'.repeat(256) }, '/name'],
      [{ name: 'é'.repeat(128) }, '/name'], [{ name: 17 }, '/name'], [{ cwd: '' }, '/cwd'], [{ env: [] }, '/env'],
      [{ env: { A: 1 } }, '/env/A'], [{ env: { 'A=B': 'x' } }, '/env'], [{ env: { '': 'x' } }, '/env'],
      [{ clear_env: 1 }, '/clear_env'], [{ daemon: 'yes' }, '/daemon'], [{ start: 'no' }, '/start'], [{ stdin: 'tty' }, '/stdin'],
      [{ stdin: {} }, '/stdin'], [{ stdin: { text: 'a', base64: 'YQ==' } }, '/stdin'], [{ stdin: { base64: '%%' } }, '/stdin/base64'],
      [{ stdout: 'file' }, '/stdout'], [{ stdout: 'stderr' }, '/stdout'], [{ stderr: 'both' }, '/stderr'], [{ umask: '999' }, '/umask'],
      [{ umask: '7777' }, '/umask'], [{ cwd: 'relative' }, '/cwd'],
      [{ umask: 18 }, '/umask'], [{ nice: 20 }, '/nice'], [{ nice: -21 }, '/nice'], [{ nice: 1.5 }, '/nice'], [{ rlimits: { nofiles: 1 } }, '/rlimits/nofiles'],
      [{ rlimits: { nofile: -1 } }, '/rlimits/nofile'], [{ timeout_seconds: 0 }, '/timeout_seconds'], [{ timeout_seconds: -1 }, '/timeout_seconds'],
      [{ timeout_seconds: '5' }, '/timeout_seconds'], [{ stop: { signal: 'SIGFOO' } }, '/stop/signal'], [{ stop: { signal: 0 } }, '/stop/signal'],
      [{ stop: { signal: 65 } }, '/stop/signal'], [{ stop: { grace_seconds: -1 } }, '/stop/grace_seconds'], [{ output: { max_bytes: 0 } }, '/output/max_bytes'],
      [{ output: { max_bytes: 1e30 } }, '/output/max_bytes'], [{ labels: { a: 1 } }, '/labels/a'], [{ labels: [] }, '/labels'],
      [{ labels: { 'a=b': 'x' } }, '/labels'], [{ api: 'yes' }, '/api'],
    ]) {
      const answer = await d.post('/v1/processes', { argv: ['true'], ...more });
      assert.equal(answer.status, 422, `${JSON.stringify(more).slice(0, 80)}: ${answer}`);
      assert.ok(answer.body.errors.some((one) => one.pointer === place || one.pointer.startsWith(`${place}/`)), `${place}: ${answer}`);
    }
    assert.deepEqual(await d.list(), []);
  });

  daemonTest('a NUL in a string that exec would cut there is refused', async (d) => {
    for (const more of [{ argv: ['true', 'a\0b'] }, { shell: 'true\0' }, { cwd: '/\0' }, { env: { A: 'a\0b' } }, { env: { 'A\0': 'b' } }, { name: 'a\0b' }]) {
      const answer = await d.post('/v1/processes', { ...(more.shell ? {} : { argv: ['true'] }), ...more });
      assert.ok([400, 422].includes(answer.status), `${answer}`);
    }
    assert.deepEqual(await d.list(), []);
  });

  daemonTest('argv and shell exclude each other', async (d) => {
    const both = await d.post('/v1/processes', { argv: ['true'], shell: 'true', cwd: 'here', colour: 'red' });
    assert.deepEqual(faults(both.body), ['/colour unknown_field', '/cwd invalid_value', '/shell invalid_value']);
  });
});

suite('size', () => {
  daemonTest('a body over the limit is 413 before it was sent, and the daemon goes on', async (d) => {
    const answer = await exchange(d, head(d, 'POST /v1/processes', { ...json, 'Content-Length': 1024 * 1024 * 1024 }));
    assert.equal(answer.status, 413, JSON.stringify(answer));
    await d.get('/v1/system');
  });

  daemonTest('a client that sends a payload over the limit without asking first is told 413 too', async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    const { stdin_body_bytes } = (await d.system()).limits;
    for (const more of [1, 4 << 20]) {
      problem(await d.call('POST', '/v1/queues/q/messages', { raw: Buffer.alloc(stdin_body_bytes + more) }), 413, 'payload_too_large');
    }
    assert.equal((await d.get('/v1/queues/q')).body.ready, 0);
  });

  daemonTest('a small call takes as much as http.body_bytes says, and system tells it', { config: 'http.body_bytes = 2000\n' }, async (d) => {
    assert.equal((await d.system()).limits.request_body_bytes, 2000);
    await d.post('/v1/sessions', { ttl_seconds: 5 }, { expect: 201 });
    const blanks = `{"ttl_seconds":5${' '.repeat(3000)}}`;
    problem(await d.call('POST', '/v1/sessions', { raw: blanks, headers: json }), 413, 'payload_too_large');
    problem(await d.call('POST', '/v1/sessions', { raw: blanks, headers: { ...json, 'Transfer-Encoding': 'chunked' } }), 413, 'payload_too_large');
    await d.spawn({ argv: ['true'], labels: { a: 'x'.repeat(250) }, env: { A: 'x'.repeat(3000) } });
  });

  daemonTest('a chunked body is read like any other', async (d) => {
    const { body } = await d.call('POST', '/v1/processes', { raw: '{"argv":["true"]}', headers: { ...json, 'Transfer-Encoding': 'chunked' }, expect: 201 });
    assert.equal((await d.join(body.id)).exitcode, 0);
  });
});
