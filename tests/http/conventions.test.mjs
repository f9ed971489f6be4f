// What every answer has in common: auth, headers, methods, problems.
import assert from 'node:assert/strict';
import { statSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { faults, problem } from '../lib/check.mjs';
import { cpuSeconds } from '../lib/proc.mjs';
import { exchange, head } from '../lib/raw.mjs';

const guarded = ['/v1/processes', '/v1/processes/me', '/v1/processes/p_01jd8m3q7v0x4t5k6n7p8q9r0s', '/v1/sessions', '/v1/changes',
  '/v1/log', '/v1/log/level', '/v1/system', '/v1/capabilities', '/metrics'];
const open = ['/', '/healthz', '/readyz', '/openapi.yaml', '/openapi.json'];
const strange_id = 'p_01jd8m3q7v0x4t5k6n7p8q9r0s';

suite('auth', () => {
  daemonTest('without a token every guarded address answers 401 and names the scheme', async (d) => {
    for (const where of guarded) {
      const answer = await d.call('GET', where, { token: null });
      problem(answer, 401, 'unauthorized');
      assert.match(answer.headers['www-authenticate'], /^Bearer/);
    }
    problem(await d.post('/v1/processes', { argv: ['true'] }, { token: null }), 401, 'unauthorized');
    assert.deepEqual(await d.list(), []);
  });

  daemonTest('a wrong token, another scheme and a token in the query are 401', async (d) => {
    const wrong = `fkf_${'0'.repeat(64)}`;
    for (const value of [`Bearer ${wrong}`, 'Bearer', 'Bearer  ', `Bearer ${d.token}x`, `Bearer ${d.token.slice(0, -1)}`,
      `Basic ${Buffer.from(`admin:${d.token}`).toString('base64')}`, d.token, `Bearer ${d.token.toUpperCase()}`]) {
      problem(await d.call('GET', '/v1/system', { token: null, headers: { Authorization: value } }), 401, 'unauthorized');
    }
    const in_query = await d.call('GET', `/v1/system?access_token=${d.token}`, { token: null });
    assert.equal(in_query.status, 401, `${in_query}`);
  });

  daemonTest('the scheme may be written in any case', async (d) => {
    for (const scheme of ['bearer', 'BEARER']) {
      await d.get('/v1/system', { token: null, headers: { Authorization: `${scheme} ${d.token}` } });
    }
  });

  daemonTest('health, the page and the contract need no token', async (d) => {
    for (const where of open) await d.get(where, { token: null });
  });

  daemonTest('the served contract is the one in the source', async (d) => {
    const source = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8');
    assert.equal((await d.get('/openapi.yaml', { token: null })).text, source);
    const served = (await d.get('/openapi.json', { token: null })).body;
    assert.deepEqual(served, JSON.parse(readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8')));
  });

  daemonTest('on the Unix socket the own user needs no token, and a wrong one is refused all the same', async (d) => {
    assert.equal((await d.unix.call('GET', '/v1/system')).status, 200);
    assert.equal((await d.unix.call('GET', '/v1/system', { token: d.token })).status, 200);
    problem(await d.unix.call('GET', '/v1/system', { token: 'fkf_wrong' }), 401, 'unauthorized');
  });

  daemonTest('token and socket belong to their user alone, and the token has 256 bits', async (d) => {
    assert.match(d.token, /^fkf_[0-9a-f]{64}$/);
    assert.equal(statSync(path.join(d.stateDir, 'token')).mode & 0o777, 0o600);
    assert.equal(statSync(d.socket).mode & 0o777, 0o600);
    assert.equal(d.socket, path.join(d.stateDir, 'forkful.sock'));
  });

  daemonTest('the token stays the same over a restart', async (d) => {
    const before = d.token;
    await d.restart();
    assert.equal(d.token, before);
  });
});

suite('every answer', () => {
  daemonTest('a request id is taken over, or made, and is in the problem too', async (d) => {
    const mine = await d.call('GET', '/v1/system', { headers: { 'X-Request-Id': 'my-request.1' } });
    assert.equal(mine.headers['x-request-id'], 'my-request.1');
    const bad = await d.call('GET', '/v1/nothing', { headers: { 'X-Request-Id': 'my-request.2' } });
    assert.equal(bad.body.request_id, 'my-request.2');
    const made = new Set();
    for (let i = 0; i < 5; i += 1) made.add((await d.get('/v1/system')).headers['x-request-id']);
    assert.equal(made.size, 5);
  });

  daemonTest('nosniff and no-store are on good answers, problems and empty ones', async (d) => {
    for (const [method, where] of [['GET', '/v1/system'], ['GET', '/v1/nothing'], ['OPTIONS', '/v1/processes'], ['HEAD', '/v1/system'],
      ['PATCH', '/v1/processes'], ['GET', '/healthz'], ['GET', '/metrics']]) {
      const answer = await d.call(method, where);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff', where);
      assert.equal(answer.headers['cache-control'], 'no-store', where);
    }
  });

  daemonTest('there is no CORS and no cookie', async (d) => {
    const answer = await d.call('OPTIONS', '/v1/processes', { headers: { 'Access-Control-Request-Method': 'POST' } });
    for (const name of Object.keys(answer.headers)) assert.doesNotMatch(name, /^access-control|^set-cookie/);
  });

  daemonTest('a problem has type, title, status, detail, instance, code, request_id and errors', async (d) => {
    const body = problem(await d.call('GET', `/v1/processes/${strange_id}`), 404, 'not_found');
    for (const field of ['type', 'title', 'detail', 'instance', 'code', 'request_id']) assert.equal(typeof body[field], 'string', field);
    assert.equal(body.instance, `/v1/processes/${strange_id}`);
    assert.deepEqual(body.errors, []);
  });
});

suite('paths and methods', () => {
  daemonTest('unknown paths and unknown or malformed ids are 404', async (d) => {
    for (const where of ['/nothing', '/v1', '/v1/', '/v1/process', '/v2/processes', '/v1/processes/', `/v1/processes/${strange_id}/nothing`,
      `/v1/processes/${strange_id}`, '/v1/processes/17', '/v1/processes/p_', `/v1/processes/${strange_id.toUpperCase()}`,
      '/v1/processes/s_01jd8m3q7v0x4t5k6n7p8q9r0s', `/v1/processes/${strange_id}/join`, '/v1/sessions/s_01jd8m3q7v0x4t5k6n7p8q9r0s',
      '/v1/processes/s_']) {
      problem(await d.call('GET', where), 404, 'not_found');
    }
    for (const where of ['/v1/processes/%00', '/v1/processes/..%2f..%2ftoken', '/v1//processes', '//v1/processes']) problem(await d.call('GET', where), 400, 'bad_request');
    for (const verb of ['start', 'terminate', 'kill', 'stop', 'pause', 'resume', 'stdin']) {
      problem(await d.post(`/v1/processes/${strange_id}/${verb}`), 404, 'not_found');
    }
    problem(await d.post(`/v1/processes/${strange_id}/signal`, { signal: 'TERM' }), 404, 'not_found');
  });

  daemonTest('another method on a known path is 405 and Allow names the right ones', async (d) => {
    for (const [method, where, allowed] of [
      ['PATCH', '/v1/processes', ['GET', 'HEAD', 'OPTIONS', 'POST']],
      ['PUT', '/v1/processes', ['GET', 'HEAD', 'OPTIONS', 'POST']],
      ['POST', `/v1/processes/${strange_id}`, ['DELETE', 'GET', 'HEAD', 'OPTIONS']],
      ['GET', `/v1/processes/${strange_id}/kill`, ['OPTIONS', 'POST']],
      ['DELETE', '/v1/system', ['GET', 'HEAD', 'OPTIONS']],
      ['POST', '/healthz', ['GET', 'HEAD', 'OPTIONS']],
    ]) {
      const answer = await d.call(method, where);
      problem(answer, 405, 'method_not_allowed');
      assert.deepEqual(answer.headers.allow.split(/, */).sort(), allowed, where);
    }
  });

  daemonTest('OPTIONS is 204 with Allow, HEAD is GET without a body', async (d) => {
    const options = await d.call('OPTIONS', '/v1/processes', { expect: 204 });
    assert.deepEqual(options.headers.allow.split(/, */).sort(), ['GET', 'HEAD', 'OPTIONS', 'POST']);
    assert.equal(options.bytes.length, 0);
    for (const where of ['/v1/processes', '/v1/system', '/healthz', '/openapi.json', '/']) {
      const full = await d.get(where);
      const bare = await d.call('HEAD', where, { expect: 200 });
      assert.equal(bare.bytes.length, 0);
      assert.equal(bare.type, full.type);
    }
    assert.equal((await d.call('HEAD', `/v1/processes/${strange_id}`)).status, 404);
  });

  daemonTest('an unknown method is refused and the daemon goes on', async (d) => {
    const answer = await exchange(d, head(d, 'BREW /v1/processes', { 'Content-Length': 0 }));
    assert.ok([405, 501].includes(answer.status), `${answer.status}`);
    await d.get('/v1/system');
  });

  daemonTest('a foreign Host is 421 and a foreign Origin 403', async (d) => {
    const { port } = new URL(d.url);
    for (const host of ['evil.test', `evil.test:${port}`, `127.0.0.1.evil.test:${port}`]) {
      assert.equal((await exchange(d, head(d, 'GET /v1/system', { Host: host }))).status, 421, host);
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
      assert.equal((await exchange(d, head(d, 'GET /v1/system', { Host: host }))).status, 200, host);
    }
    for (const origin of ['http://evil.test', 'null', `http://127.0.0.1:${Number(port) + 1}`]) {
      for (const [method, where] of [['POST', '/v1/processes'], ['DELETE', `/v1/processes/${strange_id}`], ['PUT', '/v1/log/level'], ['GET', '/v1/changes']]) {
        problem(await d.call(method, where, { headers: { Origin: origin } }), 403, 'forbidden');
      }
    }
    assert.equal((await d.call('GET', '/v1/system', { headers: { Origin: d.url } })).status, 200);
  });
});

suite('query', () => {
  daemonTest('an unknown query key is 400 naming it, and all faults come at once', async (d) => {
    assert.deepEqual(faults(problem(await d.call('GET', '/v1/processes?stat=running'), 400, 'unknown_parameter')), ['stat unknown_parameter']);
    const two = await d.call('GET', '/v1/processes?foo=1&limit=0&bar=2');
    assert.equal(two.status, 400);
    assert.deepEqual(faults(two.body), ['bar unknown_parameter', 'foo unknown_parameter', 'limit invalid_parameter']);
    for (const where of ['/v1/system?x=1', `/v1/processes/${strange_id}?x=1`, '/healthz?x=1']) {
      assert.equal((await d.call('GET', where)).status, 400, where);
    }
  });

  daemonTest('all faults come at once, whether the table or the call itself finds them', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    for (const [where, wanted] of [
      [`/v1/processes/${id}/logs?bogus=1&wait=soon&after=x&limit=0&grep=%28&follow=maybe`, ['after', 'bogus unknown', 'follow', 'grep', 'limit', 'wait']],
      ['/v1/changes?wait=-1&type=%21&snapshot=maybe&bogus=1&page_token=x', ['bogus unknown', 'page_token', 'snapshot', 'type', 'wait']],
      ['/v1/log?wait=1s&level=loud&limit=501', ['level', 'limit', 'wait']],
      ['/v1/processes?limit=0&state=dead&order=up&bogus=1&parent=nobody', ['bogus unknown', 'limit', 'order', 'parent', 'state']]]) {
      const answer = await d.call('GET', where, { headers: { Accept: 'application/json' } });
      assert.equal(answer.status, 400, `${answer}`);
      assert.deepEqual(faults(answer.body), wanted.map((one) => (one === 'page_token' ? 'page_token invalid_page_token'
        : `${one.split(' ')[0]} ${one.split(' ')[1] ?? 'invalid'}_parameter`)), where);
    }
  });

  daemonTest('of more faults than anybody reads 64 are told', async (d) => {
    const many = Array.from({ length: 300 }, (_, i) => `k${i}`);
    assert.equal(problem(await d.call('GET', `/v1/processes?${many.join('&')}`), 400, 'unknown_parameter').errors.length, 64);
    const fields = Object.fromEntries(Array.from({ length: 100000 }, (_, i) => [`stdin_of_a_process_number_${i}`, 1]));
    const { server_pid } = await d.system();
    const before = cpuSeconds(server_pid);
    const answer = await d.post('/v1/processes', { argv: ['true'], ...fields, env: { A: 1 } });
    assert.equal(problem(answer, 422).errors.length, 64);
    const spent = cpuSeconds(server_pid) - before;
    assert.ok(spent < 0.7, `what is not told costs nothing: ${spent} s`);
  });

  daemonTest('values of the wrong kind are 400 naming their key', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    for (const [where, key] of [['/v1/processes?limit=0', 'limit'], ['/v1/processes?limit=501', 'limit'], ['/v1/processes?limit=ten', 'limit'],
      ['/v1/processes?limit=-1', 'limit'], ['/v1/processes?limit=', 'limit'], ['/v1/processes?limit=1.5', 'limit'],
      ['/v1/processes?state=dead', 'state'], ['/v1/processes?order=name', 'order'], ['/v1/processes?label=team', 'label'],
      [`/v1/processes/${id}/join?wait=-1`, 'wait'], [`/v1/processes/${id}/join?wait=long`, 'wait'], [`/v1/processes/${id}/join?wait=nan`, 'wait'],
      [`/v1/processes/${id}/join?wait=1e`, 'wait'], [`/v1/processes/${id}/logs?after=x`, 'after'], [`/v1/processes/${id}/logs?stream=stdin`, 'stream'],
      [`/v1/processes/${id}/logs?since=yesterday`, 'since'], [`/v1/processes/${id}/logs?follow=maybe`, 'follow'],
      [`/v1/processes/${id}/logs?grep=%5B`, 'grep'], ['/v1/changes?after=-1', 'after'], ['/v1/log?level=loud', 'level'],
      ['/v1/processes?limit=99999999999999999999', 'limit']]) {
      assert.deepEqual(faults(problem(await d.call('GET', where), 400, 'invalid_parameter')), [`${key} invalid_parameter`], where);
    }
  });

  daemonTest('a key given twice is 400, but label may stand many times', async (d) => {
    assert.equal((await d.call('GET', '/v1/processes?limit=1&limit=2')).status, 400);
    await d.get('/v1/processes?label=a%3D1&label=b%3D2');
  });

  daemonTest('bad escapes and invalid UTF-8 in path and query are 400 or 404, never taken', async (d) => {
    for (const where of ['/v1/processes?name=%zz', '/v1/processes?name=%ff', '/v1/processes?name=%00', '/v1/processes/%zz']) {
      const answer = await exchange(d, head(d, `GET ${where}`));
      assert.ok([400, 404].includes(answer.status), `${where} → ${answer.status}`);
    }
  });
});
