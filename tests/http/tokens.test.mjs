// Tokens that the admin makes: shown once, kept as a hash, with scopes, gone at once when they are deleted or over.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { daemonTest, sleep, suite, until } from '../lib/daemon.mjs';
import { between, exitedWith, faults, killedBy, problem, TIME } from '../lib/check.mjs';
import { session as sessionOf } from '../lib/owners.mjs';
import { half } from '../lib/raw.mjs';
import { send } from '../lib/proc.mjs';

const SECRET = /fkf_[0-9a-hjkmnp-tv-z]{26}_([0-9a-f]{64})/;

/** A token with { client }. */
async function token(d, scopes, more = {}) {
  const { body } = await d.post('/v1/tokens', { scopes, ...more }, { expect: 201 });
  return { ...body, client: d.as(body.token) };
}

const sleeper = { argv: ['sleep', '1000'] };
const list = async (d) => (await d.get('/v1/tokens')).body.items;

/** Everything that lies in the state and runtime directories, and what the daemon wrote. */
function atRest(d) {
  const texts = [d.stderr];
  for (const dir of [d.stateDir, d.runtimeDir]) {
    for (const name of readdirSync(dir, { recursive: true })) {
      try { texts.push(readFileSync(path.join(dir, name), 'latin1')); } catch { /* a directory, the socket */ }
    }
  }
  return texts.join('\n');
}

suite('a token', () => {
  daemonTest('is shown once, with what was asked for', async (d) => {
    const answer = await d.post('/v1/tokens', { scopes: ['logs', 'read'], label: 'graphs', expires_in_seconds: 40 }, { expect: 201 });
    const made = answer.body;
    assert.match(made.id, /^k_[0-9a-hjkmnp-tv-z]{26}$/);
    assert.match(made.token, new RegExp(`^fkf_${made.id.slice(2)}_[0-9a-f]{64}$`));
    assert.deepEqual([made.scopes, made.label, made.last_used_at], [['read', 'logs'], 'graphs', null]);
    assert.ok(Math.abs(between(made.created_at, made.expires_at) - 40) < 0.001);
    assert.equal(answer.headers.location, `/v1/tokens/${made.id}`);
    const { token: shown, ...rest } = made;
    assert.deepEqual((await d.get(`/v1/tokens/${made.id}`)).body, rest);
    assert.deepEqual(await list(d), [rest]);
    assert.ok(SECRET.test(shown));
    const plain = await token(d, ['admin']);
    assert.deepEqual([plain.label, plain.expires_at], [null, null]);
  });

  daemonTest('is nowhere but in that answer: not in files, not in the log, not in the audit', async (d) => {
    const made = [await token(d, ['admin']), (await d.post('/v1/tokens', { scopes: ['read'] }, { headers: { 'Idempotency-Key': 'a' }, expect: 201 })).body];
    for (const one of made) await d.call('GET', '/v1/system', { token: one.token, expect: 200 });
    await d.delete(`/v1/tokens/${made[0].id}`);
    const told = (await Promise.all(['/v1/audit', '/v1/log', '/v1/changes', '/v1/tokens', '/metrics'].map((where) => d.get(where)))).map((one) => one.text);
    for (const one of made) {
      const [, secret] = SECRET.exec(one.token);
      assert.ok(!atRest(d).includes(secret), 'the secret lies in a file');
      assert.ok(!told.join('').includes(secret), 'the secret was told again');
    }
  });

  daemonTest('made under an Idempotency-Key is made once, and the replay does not show it', async (d) => {
    const ask = () => d.post('/v1/tokens', { scopes: ['read'] }, { headers: { 'Idempotency-Key': 'once' }, expect: 201 });
    const first = await ask();
    for (const crash of [false, true]) {
      if (crash) await d.killServer();
      const again = await ask();
      assert.equal(again.headers['idempotency-replayed'], 'true');
      assert.deepEqual([again.body.id, again.body.token, again.headers.location], [first.body.id, null, first.headers.location]);
    }
    assert.equal((await list(d)).length, 1);
  });

  daemonTest('may do what its scopes say, to everything, and owns nothing', async (d) => {
    const [operate, spawn, admin] = [await token(d, ['operate']), await token(d, ['spawn']), await token(d, ['admin'])];
    const one = await d.spawn(sleeper);
    const two = await d.spawn(sleeper, { token: spawn.token });
    assert.equal(two.parent, null);
    problem(await spawn.client.call('GET', '/v1/processes/me'), 404, 'not_found');
    assert.match(problem(await spawn.client.call('POST', `/v1/processes/${two.id}/kill`), 403, 'forbidden').detail, /"operate"/);
    assert.match(problem(await operate.client.call('POST', '/v1/processes', { body: sleeper }), 403, 'forbidden').detail, /"spawn"/);
    for (const id of [one.id, two.id]) await operate.client.call('POST', `/v1/processes/${id}/kill`, { expect: 200 });
    killedBy(await d.join(one.id), 9, 'SIGKILL');
    await d.join(two.id);
    await operate.client.call('DELETE', `/v1/processes/${two.id}`, { expect: 204 });
    await d.call('PUT', '/v1/locks/l', { token: operate.token, expect: 201 });
    const hold = (await operate.client.call('POST', '/v1/locks/l/acquire', { body: {}, expect: 200 })).body;
    assert.equal(hold.owner, null);
    assert.match(hold.expires_at, TIME);
    await admin.client.call('DELETE', `/v1/holds/${hold.id}`, { expect: [200, 204] });
    await admin.client.call('POST', '/v1/tokens', { body: { scopes: ['read'] }, expect: 201 });
    exitedWith(await d.run({ argv: ['true'] }, { token: admin.token }), 0);
  });

  daemonTest('without the scope logs sees processes, but not what they write', async (d) => {
    const [read, logs] = [await token(d, ['read']), await token(d, ['logs'])];
    const { id } = await d.run({ argv: ['echo', 'hello'] });
    for (const one of [read, logs]) await one.client.call('GET', `/v1/processes/${id}`, { expect: 200 });
    problem(await read.client.call('GET', `/v1/processes/${id}/logs`), 403, 'forbidden');
    problem(await read.client.call('GET', '/v1/log'), 403, 'forbidden');
    assert.equal((await logs.client.call('GET', `/v1/processes/${id}/logs`, { expect: 200 })).text, 'hello\n');
    await logs.client.call('GET', '/v1/log', { expect: 200 });
  });

  daemonTest('tells when it was used last, also after a crash', async (d) => {
    const one = await token(d, ['read']);
    const read = async () => (await d.get(`/v1/tokens/${one.id}`)).body.last_used_at;
    await one.client.call('GET', '/v1/system', { expect: 200 });
    const first = await read();
    assert.ok(between(one.created_at, first) >= 0);
    await one.client.call('GET', '/v1/system', { expect: 200 });
    assert.ok(between(first, await read()) > 0);
    await d.post('/v1/tokens', { scopes: ['read'] }, { expect: 201 });  // answered after the commit of all before it
    await d.killServer();
    assert.ok(between(first, await read()) >= 0, 'to a minute');
  });

  daemonTest('survives a crash and a restart, and one that was deleted stays so', async (d) => {
    const [keeps, goes] = [await token(d, ['read'], { label: 'keeps' }), await token(d, ['admin'])];
    await d.delete(`/v1/tokens/${goes.id}`);
    for (const again of [() => d.killServer(), () => d.restart()]) {
      await again();
      assert.equal((await d.call('GET', '/v1/system', { token: keeps.token })).status, 200);
      problem(await d.call('GET', '/v1/system', { token: goes.token }), 401, 'unauthorized');
      problem(await d.call('POST', '/v1/shutdown', { token: keeps.token }), 403, 'forbidden');
      assert.deepEqual((await list(d)).map((one) => [one.id, one.label, one.scopes]), [[keeps.id, 'keeps', ['read']]]);
    }
  });

  daemonTest('that is wrong in any part is 401', async (d) => {
    const [one, two] = [(await token(d, ['read'])).token, (await token(d, ['read'])).token];
    const mixed = `${one.slice(0, 31)}${two.slice(31)}`;
    const wrong = [mixed, one.slice(0, -1), `${one}0`, one.replace(/^fkf_/, 'fkp_'), one.replace(/^fkf_/, 'fks_'), one.toUpperCase(), 'fkf_', one.slice(31), `fkf_${one.slice(31)}`,
      one.replace(/.$/, (c) => (c === '0' ? '1' : '0'))];
    for (const text of wrong) problem(await d.call('GET', '/v1/system', { token: text }), 401, 'unauthorized');
    problem(await d.call('GET', `/v1/system?token=${one}`, { token: null }), 401, 'unauthorized');
    for (const Authorization of [`Basic ${one}`, one, 'Bearer ', `Bearer ${one} x`]) problem(await d.call('GET', '/v1/system', { token: null, headers: { Authorization } }), 401, 'unauthorized');
    assert.equal((await d.call('GET', '/v1/system', { token: one })).status, 200);
  });

  daemonTest('has a body whose faults are told all at once', async (d) => {
    const bad = async (body) => faults(problem(await d.post('/v1/tokens', body), 422));
    assert.deepEqual(await bad({}), ['/scopes missing_field']);
    assert.deepEqual(await bad({ scopes: [] }), ['/scopes invalid_value']);
    assert.deepEqual(await bad({ scopes: ['read', 'root'], label: '', expires_in_seconds: 0, colour: 1 }),
      ['/colour unknown_field', '/expires_in_seconds invalid_value', '/label invalid_value', '/scopes/1 invalid_value']);
    for (const label of ['a\nb', 'x'.repeat(256), 7]) assert.deepEqual(await bad({ scopes: ['read'], label }), ['/label invalid_value']);
    for (const expires_in_seconds of [-1, 315360001, '5']) assert.deepEqual(await bad({ scopes: ['read'], expires_in_seconds }), ['/expires_in_seconds invalid_value']);
    for (const scopes of ['read', [1], null]) assert.equal((await d.post('/v1/tokens', { scopes })).status, 422);
    assert.deepEqual(await list(d), []);
    assert.equal((await token(d, ['read'], { label: 'é'.repeat(127) })).label.length, 127);
  });

  daemonTest('beyond the limit is 429, until one is deleted', { args: ['--max-tokens=2'] }, async (d) => {
    const made = [await token(d, ['read']), await token(d, ['read'])];
    problem(await d.post('/v1/tokens', { scopes: ['read'] }), 429, 'limit_reached');
    await d.delete(`/v1/tokens/${made[0].id}`);
    await token(d, ['read']);
  });

  daemonTest('is listed in pages, oldest first, and 404 when it never was', async (d) => {
    const made = [];
    for (let i = 0; i < 5; i += 1) made.push((await token(d, ['read'])).id);
    const first = (await d.get('/v1/tokens?limit=3')).body;
    const rest = (await d.get(`/v1/tokens?limit=3&page_token=${first.next_page_token}`)).body;
    assert.deepEqual([...first.items, ...rest.items].map((one) => one.id), made);
    assert.equal(rest.next_page_token, null);
    for (const id of ['k_01jd8m3q7v0x4t5k6n7p8q9r0s', 'x', made[0].replace(/^k/, 's')]) {
      for (const method of ['GET', 'DELETE']) problem(await d.call(method, `/v1/tokens/${id}`), 404, 'not_found');
    }
  });
});

suite('the end of a token', () => {
  /** Calls that wait, one of each kind; each promise gives its answer. */
  async function waiting(d, one, id) {
    const calls = [`/v1/processes/${id}/join?wait=60`, '/v1/changes?wait=60&type=no.such', '/v1/events/e/wait?wait=60'].map((where) => one.client.call('GET', where));
    calls.push(one.client.call('POST', '/v1/queues/q/receive?wait=60', { body: {} }), one.client.call('POST', '/v1/wait?wait=60', { body: { any: [{ process: id }] } }));
    await until('all wait', async () => new RegExp(`^forkful_http_parked_requests ${calls.length}$`, 'm').test((await d.get('/metrics')).text));
    return calls;
  }

  async function stage(d, more) {
    await d.call('PUT', '/v1/queues/q', { expect: 201 });
    await d.call('PUT', '/v1/events/e', { expect: 201 });
    const { id } = await d.sh('echo one; exec sleep 1000');
    const one = await token(d, ['logs', 'operate'], more);
    const stream = await one.client.stream(`/v1/processes/${id}/logs?follow=true`, { accept: 'application/x-ndjson' });
    const events = await one.client.stream('/v1/changes', { accept: 'text/event-stream' });
    const broken = [stream, events].map(async (each) => {
      let seen = 0;
      try { for await (const record of each === events ? each.events() : each.records()) seen += record ? 1 : 0; } catch (error) { return [error.code, seen]; }
      return ['ended', seen];
    });
    return { id, one, calls: await waiting(d, one, id), broken };
  }

  daemonTest('is at once: its calls get 401, its streams break off, others go on', async (d) => {
    const { id, one, calls, broken } = await stage(d);
    const other = d.get(`/v1/processes/${id}/join?wait=60`);
    await d.delete(`/v1/tokens/${one.id}`);
    for (const call of calls) problem(await call, 401, 'unauthorized');
    for (const each of broken) assert.equal((await each)[0], 'ECONNRESET');
    problem(await one.client.call('GET', '/v1/system'), 401, 'unauthorized');
    await d.call('POST', '/v1/queues/q/messages', { raw: 'x', expect: 201 });
    assert.equal((await d.get('/v1/queues/q')).body.ready, 1, 'nobody took it');
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    assert.equal((await other).body.state, 'exited');
    const types = (await d.get(`/v1/changes?ref=${one.id}`)).body.items.map((item) => item.type);
    assert.deepEqual(types, ['token.created', 'token.deleted']);
  });

  daemonTest('comes with its time, and takes its calls along', async (d) => {
    const { one, calls, broken } = await stage(d, { expires_in_seconds: 1.5 });
    for (const call of calls) problem(await call, 401, 'unauthorized');
    for (const each of broken) assert.equal((await each)[0], 'ECONNRESET');
    problem(await one.client.call('GET', '/v1/system'), 401, 'unauthorized');
    assert.deepEqual(await list(d), []);
    assert.equal((await d.get(`/v1/changes?ref=${one.id}`)).body.items.at(-1).type, 'token.expired');
  });

  daemonTest('comes with its time also when no server runs then', async (d) => {
    const one = await token(d, ['read'], { expires_in_seconds: 1 });
    await d.end();
    await sleep(1.1);
    await d.start();
    problem(await d.call('GET', '/v1/system', { token: one.token }), 401, 'unauthorized');
    assert.deepEqual(await list(d), []);
  });

  daemonTest('while a body is on its way refuses the call', async (d) => {
    const one = await token(d, ['spawn']);
    const call = await half(d, '/v1/processes', JSON.stringify({ argv: ['true'] }), one.token);
    await d.delete(`/v1/tokens/${one.id}`);
    call.send();
    await call.answered('HTTP/1.1 401 ');
    assert.deepEqual(await d.list(), []);
    call.end();
  });

  daemonTest('may be asked for by itself', async (d) => {
    const one = await token(d, ['admin']);
    await one.client.call('DELETE', `/v1/tokens/${one.id}`, { expect: 204 });
    problem(await one.client.call('GET', '/v1/system'), 401, 'unauthorized');
  });
});

suite('a session that a token makes', () => {
  daemonTest('has its scopes, never admin, and ends with it', async (d) => {
    const one = await token(d, ['operate', 'logs']);
    const made = (await one.client.call('POST', '/v1/sessions', { body: {}, expect: 201 })).body;
    assert.deepEqual(made.scopes, ['logs', 'operate']);
    const client = d.as(made.token);
    problem(await client.call('POST', '/v1/processes', { body: sleeper }), 403, 'forbidden');
    problem(await client.call('POST', '/v1/sessions'), 403, 'forbidden');
    await d.call('PUT', '/v1/locks/l', { expect: 201 });
    const hold = (await client.call('POST', '/v1/locks/l/acquire', { body: {}, expect: 200 })).body;
    assert.equal(hold.owner, made.id);
    await d.call('PUT', '/v1/queues/q', { expect: 201 });
    const parked = client.call('POST', '/v1/queues/q/receive?wait=60', { body: {} });
    const joins = client.call('GET', '/v1/changes?wait=60&type=no.such');
    await until('both wait', async () => /^forkful_http_parked_requests 2$/m.test((await d.get('/metrics')).text));
    await d.delete(`/v1/tokens/${one.id}`);
    for (const call of [parked, joins]) problem(await call, 401, 'owner_ended');
    problem(await client.call('GET', '/v1/system'), 401, 'owner_ended');
    assert.equal((await d.get(`/v1/holds/${hold.id}`)).body.ended, 'owner_ended');
    assert.deepEqual((await d.get('/v1/sessions')).body.items, []);
    const admin = await token(d, ['admin']);
    assert.deepEqual((await admin.client.call('POST', '/v1/sessions', { expect: 201 })).body.scopes, ['read', 'logs', 'operate', 'spawn']);
    assert.deepEqual((await sessionOf(d)).scopes, ['read', 'logs', 'operate', 'spawn']);
  });

  daemonTest('is its maker\'s and the admin\'s to see and end, nobody else\'s, also after a crash', async (d) => {
    const [mine, other, reader] = [await token(d, ['operate']), await token(d, ['operate', 'spawn']), await token(d, ['read'])];
    problem(await reader.client.call('POST', '/v1/sessions', { body: {} }), 403, 'forbidden');
    const { id, token: text } = (await mine.client.call('POST', '/v1/sessions', { expect: 201 })).body;
    await d.killServer();
    await mine.client.call('GET', `/v1/sessions/${id}`, { expect: 200 });
    problem(await mine.client.call('GET', '/v1/sessions'), 403, 'forbidden');
    for (const method of ['GET', 'DELETE']) problem(await other.client.call(method, `/v1/sessions/${id}`), 403, 'forbidden');
    problem(await d.call('POST', '/v1/processes', { token: text, body: sleeper }), 403, 'forbidden');
    await mine.client.call('DELETE', `/v1/sessions/${id}`, { expect: 204 });
    problem(await d.call('GET', '/v1/system', { token: text }), 401, 'owner_ended');
  });
});

suite('idempotency keys', () => {
  daemonTest('belong to their token', async (d) => {
    const headers = { 'Idempotency-Key': 'the-same' };
    const [one, two] = [await token(d, ['spawn']), await token(d, ['spawn'])];
    const ids = [];
    for (const each of [one, two, one]) ids.push((await each.client.call('POST', '/v1/processes', { body: { argv: ['true'] }, headers, expect: 201 })).body.id);
    ids.push((await d.post('/v1/processes', { argv: ['true'] }, { headers, expect: 201 })).body.id);
    assert.equal(ids[0], ids[2]);
    assert.equal(new Set(ids).size, 3);
  });
});

const root = process.getuid() === 0;
const asRoot = root ? daemonTest : (name) => daemonTest(`needs root: ${name}`, async () => {});

suite('another user on the Unix socket', () => {
  const NOBODY = 65534;
  /** The status of a call by that user, whose groups are `gid` and no others. */
  async function as(d, uid, gid, method, where, body = []) {
    const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--unix-socket', d.socket, '-X', method, ...body, `http://localhost${where}`];
    const { stdout } = await promisify(execFile)('curl', args, { uid, gid });
    return Number(stdout);
  }
  const post = ['-H', 'Content-Type: application/json', '-d', '{"argv":["true"],"cwd":"/"}'];

  /** A daemon whose socket others can reach. */
  async function open(d, config) {
    const place = path.join(d.dir, 'open');
    await d.end();
    chmodSync(d.dir, 0o755);
    mkdirSync(place, { mode: 0o755 });
    d.args = ['--socket', path.join(place, 'sock')];
    d.config = config;
    await d.start();
  }

  asRoot('has the scopes that the configuration gives to its uid and gids, and needs a token for more', async (d) => {
    await open(d, `unix.peer = uid:${NOBODY} read\nunix.peer = gid:1234 logs,spawn\n`);
    const { id } = await d.run({ argv: ['echo', 'x'], cwd: '/' });
    const calls = (uid, gid) => Promise.all([['GET', '/v1/system'], ['GET', `/v1/processes/${id}/logs`], ['POST', '/v1/processes', post], ['POST', `/v1/processes/${id}/kill`],
      ['GET', '/v1/tokens']].map((call) => as(d, uid, gid, ...call)));
    assert.deepEqual(await calls(NOBODY, NOBODY), [200, 403, 403, 403, 403]);
    assert.deepEqual(await calls(NOBODY, 1234), [200, 200, 201, 403, 403]);
    assert.deepEqual(await calls(4321, 1234), [200, 200, 201, 403, 403]);
    assert.deepEqual(await calls(4321, 4321), [401, 401, 401, 401, 401]);
    assert.deepEqual(await calls(0, 0), [200, 200, 201, 200, 200]);
    assert.equal(await as(d, 4321, 4321, 'GET', '/v1/system', ['-H', `Authorization: Bearer ${d.token}`]), 200);
    const [row] = (await d.get(`/v1/audit?principal=uid:${NOBODY}&action=createProcess`)).body.items.filter((one) => one.status === 201);
    assert.match(row.remote, new RegExp(`^unix:uid=${NOBODY},pid=\\d+$`));
  });

  asRoot('loses them when the configuration is read again without them', async (d) => {
    await open(d, `unix.peer = uid:${NOBODY} read\n`);
    assert.equal(await as(d, NOBODY, NOBODY, 'GET', '/v1/system'), 200);
    writeFileSync(path.join(d.dir, 'forkful.conf'), '');
    send(d.pid, 'SIGHUP');
    await until('it has lost them', async () => (await as(d, NOBODY, NOBODY, 'GET', '/v1/system')) === 401);
  });
});
