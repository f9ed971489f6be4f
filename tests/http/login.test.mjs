// Logging a browser in: a code from the terminal, good once and for a minute, is changed for a token; and what a token tells of itself.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, runBinary, suite, until } from '../lib/daemon.mjs';
import { between, faults, problem, TIME } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';

const CODE = /^fkl_[0-9a-f]{64}$/;
const code = async (d, body = {}) => (await d.post('/v1/login/codes', body, { expect: 201 })).body;
const enter = (d, text, more = {}) => d.call('POST', '/v1/login', { token: null, body: { code: text }, ...more });
const whoami = async (client) => (await client.call('GET', '/v1/tokens/me', { expect: 200 })).body;

/** `forkful login`, as the daemon's own user runs it. */
const login = (d, args = [], env = {}) => runBinary(['login', ...args], { env: { HOME: d.dir, ...env }, cwd: d.dir });

suite('a code', () => {
  daemonTest('is changed for a token of twelve hours, once', async (d) => {
    const made = await code(d);
    assert.match(made.code, CODE);
    assert.deepEqual([made.urls, made.scopes], [[`${d.url}/#login=${made.code}`], ['admin']]);
    assert.match(made.expires_at, TIME);
    const { body, headers } = await enter(d, made.code, { expect: 201 });
    assert.deepEqual([body.scopes, body.label, between(body.created_at, body.expires_at)], [['admin'], 'login', 12 * 3600]);
    assert.equal(headers.location, `/v1/tokens/${body.id}`);
    assert.equal(headers['set-cookie'], undefined);
    await d.call('GET', '/v1/system', { token: body.token, expect: 200 });
    assert.deepEqual((await d.get('/v1/tokens')).body.items.map((one) => [one.id, one.label]), [[body.id, 'login']]);
    problem(await enter(d, made.code), 401, 'login_failed');
    await d.delete(`/v1/tokens/${body.id}`);
    problem(await d.call('GET', '/v1/system', { token: body.token }), 401, 'unauthorized');
  });

  daemonTest('gives the scopes it was made with, and lives as long as was asked', async (d) => {
    const made = await code(d, { scopes: ['logs', 'read'], expires_in_seconds: 600 });
    assert.deepEqual(made.scopes, ['read', 'logs']);
    assert.ok(Math.abs(Date.parse(made.expires_at) - Date.now() - 600_000) < 30_000);
    const { body } = await enter(d, made.code, { expect: 201 });
    assert.deepEqual(body.scopes, ['read', 'logs']);
    problem(await d.call('POST', '/v1/processes', { token: body.token, body: { argv: ['true'] } }), 403, 'forbidden');
  });

  daemonTest('that is wrong, used or late is one and the same refusal', async (d) => {
    const late = await code(d, { expires_in_seconds: 0.000001 });
    const used = await code(d);
    const good = await code(d, { scopes: ['read'] });
    await enter(d, used.code, { expect: 201 });
    const told = [];
    for (const text of [late.code, used.code, 'x', `fkl_${'0'.repeat(64)}`, `${good.code}0`, good.code.slice(0, -1), good.code.toUpperCase()]) {
      const answer = await enter(d, text);
      problem(answer, 401, 'login_failed');
      assert.match(answer.headers['www-authenticate'], /^Bearer/);
      told.push(JSON.stringify({ ...answer.body, request_id: null }));
    }
    assert.equal(new Set(told).size, 1);
    await enter(d, good.code, { expect: 201 });
  });

  daemonTest('is made by the admin alone, and few of them wait', async (d) => {
    const { token } = (await d.post('/v1/tokens', { scopes: ['read', 'logs', 'operate', 'spawn'] }, { expect: 201 })).body;
    problem(await d.call('POST', '/v1/login/codes', { token, body: {} }), 403, 'forbidden');
    problem(await d.call('POST', '/v1/login/codes', { token: null, body: {} }), 401, 'unauthorized');
    const made = [];
    for (let i = 0; i < 16; i += 1) made.push(await code(d));
    problem(await d.post('/v1/login/codes', {}), 429, 'limit_reached');
    await enter(d, made[7].code, { expect: 201 });
    await code(d);
  });

  daemonTest('with faults in its request is refused with all of them', async (d) => {
    const body = problem(await d.post('/v1/login/codes', { scopes: ['red'], expires_in_seconds: 601, x: 1 }), 422);
    assert.deepEqual(faults(body), ['/expires_in_seconds invalid_value', '/scopes/0 invalid_value', '/x unknown_field']);
    problem(await d.post('/v1/login/codes', { scopes: [] }), 422);
    for (const one of [{}, { code: 1 }, { code: '' }, { code: 'x'.repeat(256) }]) problem(await enter(d, undefined, { body: one }), 422);
    problem(await enter(d, undefined, { body: undefined, raw: 'code=x', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }), 415, 'unsupported_media_type');
  });

  daemonTest('and its token lie in no file, and a repeated Idempotency-Key brings neither back', async (d) => {
    const headers = { 'Idempotency-Key': 'once' };
    const [one, two] = [await d.post('/v1/login/codes', {}, { headers, expect: 201 }), await d.post('/v1/login/codes', {}, { headers, expect: 201 })];
    assert.notEqual(one.body.code, two.body.code);
    const { body } = await enter(d, one.body.code, { headers, expect: 201 });
    problem(await enter(d, one.body.code, { headers }), 401, 'login_failed');
    const rest = (await Promise.all(['/v1/audit', '/v1/log', '/v1/changes', '/v1/tokens', '/metrics'].map((where) => d.get(where)))).map((answer) => answer.text);
    for (const dir of [d.stateDir, d.runtimeDir]) {
      for (const name of readdirSync(dir)) if (name !== 'forkful.sock') rest.push(readFileSync(path.join(dir, name), 'latin1'));
    }
    for (const text of [...rest, d.stderr]) {
      for (const secret of [one.body.code, two.body.code, body.token]) assert.ok(!text.includes(secret.slice(-64)));
    }
    const { items } = (await d.get('/v1/audit?action=createLogin')).body;
    assert.deepEqual(items.map((row) => [row.principal, row.target, row.status]), [[null, `/v1/tokens/${body.id}`, 201], [null, '/v1/login', 401]]);
  });

  daemonTest('is forgotten by a server that ends, its token is not', async (d) => {
    const [made, waits] = [await code(d), await code(d)];
    const { body } = await enter(d, made.code, { expect: 201 });
    await d.killServer();
    problem(await enter(d, waits.code), 401, 'login_failed');
    assert.equal((await whoami(d.as(body.token))).id, body.id);
  });
});

suite('who one is', () => {
  daemonTest('is told to everybody who has a token', async (d) => {
    const made = (await d.post('/v1/tokens', { scopes: ['logs'], label: 'graphs', expires_in_seconds: 99 }, { expect: 201 })).body;
    const [child, owner] = [await liver(d), await session(d)];
    const rest = ['read', 'logs', 'operate', 'spawn'];
    assert.deepEqual(await whoami(d), { kind: 'admin', id: 'admin', label: null, scopes: ['admin'], expires_at: null });
    assert.deepEqual(await whoami(d.unix), { kind: 'admin', id: 'admin', label: null, scopes: ['admin'], expires_at: null });
    assert.deepEqual(await whoami(d.as(made.token)), { kind: 'token', id: made.id, label: 'graphs', scopes: ['logs'], expires_at: made.expires_at });
    assert.deepEqual(await whoami(child.client), { kind: 'process', id: child.id, label: null, scopes: rest, expires_at: null });
    const told = await whoami(owner.client);
    assert.deepEqual({ ...told, expires_at: null }, { kind: 'session', id: owner.id, label: null, scopes: rest, expires_at: null });
    assert.match(told.expires_at, TIME);
    problem(await d.call('GET', '/v1/tokens/me', { token: null }), 401, 'unauthorized');
  });

  daemonTest('ends with logging out: its token, its sessions, its calls that wait', async (d) => {
    const { body } = await enter(d, (await code(d)).code, { expect: 201 });
    const page = d.as(body.token);
    const made = (await page.call('POST', '/v1/sessions', { body: { ttl_seconds: 60 }, expect: 201 })).body;
    await d.call('PUT', '/v1/events/e', { body: {}, expect: 201 });
    const waits = page.call('GET', '/v1/events/e/wait?wait=60');
    await until('the call waits', async () => (await d.get('/v1/events/e')).body.waiters === 1);
    await page.call('DELETE', '/v1/tokens/me', { expect: 204 });
    problem(await waits, 401, 'unauthorized');
    problem(await page.call('GET', '/v1/tokens/me'), 401, 'unauthorized');
    problem(await d.call('GET', '/v1/system', { token: made.token }), 401, 'owner_ended');
    assert.deepEqual((await d.get('/v1/tokens')).body.items, []);
  });

  daemonTest('cannot be ended so by the admin, a process or a session', async (d) => {
    for (const { client } of [{ client: d }, await liver(d), await session(d)]) {
      problem(await client.call('DELETE', '/v1/tokens/me'), 404, 'not_found');
      await whoami(client);
    }
  });
});

suite('wrong tokens', () => {
  daemonTest('beyond the burst are 429 until one is forgiven, for each peer by itself', { args: ['--auth-failures=5'] }, async (d) => {
    const guess = (client = d) => client.call('GET', '/v1/system', { token: 'x' });
    const refused = await until('it is too many', async () => { const answer = await guess(); return answer.status === 429 && answer; });
    problem(refused, 429, 'too_many_failures');
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    for (let i = 0; i < 5; i += 1) problem(await guess(d.unix), 401, 'unauthorized');
    await until('one is forgiven', async () => (await guess()).status === 401, { every: 0.2 });
  });
});

suite('forkful login', () => {
  daemonTest('prints the address that logs in, over the socket, a state directory or a URL', async (d) => {
    const places = [[['--socket', d.socket]], [[`--state-dir=${d.stateDir}`]], [['--url', d.url, '--state-dir', d.stateDir]], [['--url', d.url], { FORKFUL_TOKEN: d.token }]];
    for (const [args, env] of places) {
      const { code: status, stdout, stderr } = await login(d, args, env);
      assert.deepEqual([status, stderr], [0, ''], `${args}`);
      const url = new URL(stdout.trim());
      assert.equal(url.origin, d.url);
      assert.match(url.hash, /^#login=fkl_[0-9a-f]{64}$/);
      await enter(d, url.hash.slice('#login='.length), { expect: 201 });
    }
  });

  daemonTest('asks for the scopes it is told', async (d) => {
    const { stdout } = await login(d, ['--state-dir', d.stateDir, '--scopes', 'read,operate']);
    const { body } = await enter(d, stdout.trim().split('#login=')[1], { expect: 201 });
    assert.deepEqual(body.scopes, ['read', 'operate']);
  });

  daemonTest('says what keeps it from it', async (d) => {
    const { token } = (await d.post('/v1/tokens', { scopes: ['spawn'] }, { expect: 201 })).body;
    const says = async (args, status, sentence, env) => {
      const told = await login(d, args, env);
      assert.deepEqual([told.code, told.stdout], [status, '']);
      assert.match(told.stderr, sentence);
      assert.match(told.stderr, /^forkful login: /);
    };
    await says(['--scopes', 'all'], 2, /read, logs, operate, spawn, admin/);
    await says(['--what'], 2, /no such option/);
    await says(['--url'], 2, /--url needs a value/);
    await says(['--url', 'ftp://x'], 2, /is not a URL/);
    await says(['--socket', path.join(d.dir, 'none')], 3, /no daemon answers there/);
    await says(['--url', d.url], 1, /the daemon refuses: .*"admin"/, { FORKFUL_TOKEN: token });
    await says(['--url', d.url], 1, /the daemon refuses: the token is not known/, { FORKFUL_TOKEN: `${token}0` });
    assert.match((await login(d, ['--help'])).stdout, /--scopes/);
  });

  daemonTest('prints the first of several addresses', { listen: ['127.0.0.1:0', '[::1]:0'] }, async (d) => {
    const { stdout } = await login(d, ['--socket', d.socket]);
    assert.equal(new URL(stdout.trim()).origin, d.url);
    assert.deepEqual((await code(d)).urls.map((url) => url.split('/#')[0]), d.first.listening.filter((one) => one.startsWith('http')));
  });
});
