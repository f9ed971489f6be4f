// Attack 37: whoever may read all that the daemon shows, and whoever finds its files, looks for values of the environment.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { attack, request } from './wire.mjs';

const room = mkdtempSync(path.join(tmpdir(), 'forkful-secret-'));
after(() => rmSync(room, { recursive: true, force: true }));
const config = `spawn.secret_directories = ${room}\nspawn.env_deny = DENIED\nlog.level = debug\n`;
const FROM_ENV = 'env-3f9c1e77aa';
const FROM_FILE = 'file-84b0d2c6ef';
writeFileSync(path.join(room, 'password'), `${FROM_FILE}\n`, { mode: 0o600 });

const env = { PASSWORD: FROM_ENV };
const env_from = { TOKEN: { file: path.join(room, 'password') } };
const spec = { argv: ['sleep', '1000'], env, env_from };

/** All files below a directory. */
const filesBelow = (dir) => readdirSync(dir, { recursive: true }).map((name) => path.join(dir, name)).filter((name) => statSync(name).isFile());

/** Which files of the daemon hold the text. */
const holders = (d, text) => [...new Set([...filesBelow(d.stateDir), ...filesBelow(d.runtimeDir)])].filter((name) => readFileSync(name).includes(text)).map((name) => path.basename(name));

/** Whatever a caller can be shown, as one text for each place. */
async function shown(d, ids) {
  const places = ['/v1/processes', '/v1/pools', '/v1/pools/p', '/v1/pools/p/tasks', '/v1/changes', '/v1/log', '/v1/log?level=debug', '/v1/audit', '/v1/system', '/v1/capabilities', '/metrics', '/v1/sessions', '/v1/queues/deaths/messages',
    ...ids.flatMap((id) => [`/v1/processes/${id}`, `/v1/processes/${id}/logs`, `/v1/processes/${id}/tree`, `/v1/processes/${id}/stats`])];
  const texts = [];
  for (const where of places) {
    const answer = await d.call('GET', where);
    texts.push(`${where}: ${answer.text} ${JSON.stringify(answer.headers)}`);
  }
  return [...texts, d.stderr, d.launched.stdout];
}

const absent = (texts) => { for (const text of texts) assert.ok(!text.includes(FROM_ENV) && !text.includes(FROM_FILE), text.slice(0, 300)); };

suite('a secret', () => {
  daemonTest('is looked for in every answer, stream, row and file', { config }, async (d) => {
    await d.call('PUT', '/v1/queues/deaths', { body: {}, expect: 201 });
    const made = await d.call('POST', '/v1/processes', { body: { ...spec, on_exit: { queue: 'deaths' } }, headers: { 'Idempotency-Key': 'k' }, expect: 201 });
    const again = await d.call('POST', '/v1/processes', { body: { ...spec, on_exit: { queue: 'deaths' } }, headers: { 'Idempotency-Key': 'k' }, expect: 201 });
    assert.deepEqual(made.body.env_keys, ['PASSWORD', 'TOKEN']);
    await d.killServer(); // whose successor reads spool and databases
    const failed = await d.post('/v1/processes', { ...spec, argv: ['no-such-program'] });
    problem(failed, 422, 'spawn_failed');
    await d.post(`/v1/processes/${made.body.id}/kill`, undefined, { expect: 200 });
    await d.join(made.body.id);
    absent([made.text, again.text, failed.text, ...await shown(d, [made.body.id])]);
    const told = [];
    for await (const one of (await d.stream('/v1/changes?follow=true&after=0', { accept: 'application/x-ndjson' })).records()) {
      told.push(JSON.stringify(one));
      if (one.type === 'process.exited') break;
    }
    absent(told);
    for (const secret of [FROM_ENV, FROM_FILE]) assert.deepEqual(holders(d, secret), [], secret);
    await d.end();
    for (const secret of [FROM_ENV, FROM_FILE]) assert.deepEqual(holders(d, secret), [], secret);
    await d.start();
  });

  daemonTest('waits in a process that is made for later, in a pool and its tasks', { config }, async (d) => {
    const later = await d.spawn({ ...spec, start: false });
    const pool = await d.call('PUT', '/v1/pools/p', { body: { spec: { argv: ['cat'], env, env_from }, mode: 'stdio', processes: 1 }, expect: 201 });
    const differs = await d.call('PUT', '/v1/pools/p', { body: { spec: { argv: ['cat'], env: { PASSWORD: `${FROM_ENV}2` } }, mode: 'stdio', processes: 1 } });
    problem(differs, 409, 'config_differs');
    await d.post('/v1/pools/p/tasks', 'x', { expect: 202 });
    const { body: { workers: [worker] } } = await until('it works', async () => { const answer = await d.get('/v1/pools/p'); return answer.body.workers[0]?.pid && answer; });
    await d.killServer();
    absent([JSON.stringify(later), pool.text, differs.text, ...await shown(d, [later.id, worker.process])]);
    // What is started later needs what it was given: that is kept, for the daemon's user alone. A file's value is not.
    await d.end();
    assert.deepEqual(holders(d, FROM_FILE), []);
    assert.deepEqual(holders(d, FROM_ENV), ['state.db']);
    for (const name of filesBelow(d.stateDir)) assert.equal(statSync(name).mode & 0o077, 0, name);
    await d.start();
    const started = await d.post(`/v1/processes/${later.id}/start`, {}, { expect: 200 });
    absent([started.text]);
    assert.ok(readFileSync(`/proc/${started.body.pid}/environ`, 'latin1').includes(`PASSWORD=${FROM_ENV}\0`));
    assert.ok(readFileSync(`/proc/${started.body.pid}/environ`, 'latin1').includes(`TOKEN=${FROM_FILE}\0`));
  });

  daemonTest('stands in a request that is refused', { config }, async (d) => {
    const texts = [];
    for (const body of [{ ...spec, bogus: 1 }, { ...spec, env: FROM_ENV }, { ...spec, env: [FROM_ENV] }, { ...spec, env: { A: [FROM_ENV] } }, { ...spec, env: { A: { b: FROM_ENV } } }, { ...spec, argv: 1 }, { ...spec, env: { ...env, DENIED: FROM_ENV } }, { ...spec, user: 'no-such-user' },
      { ...spec, cwd: '/nowhere' }, { ...spec, env_from: { TOKEN: { file: '/etc/shadow' } } }, { ...spec, env_from: { PASSWORD: env_from.TOKEN } }, { ...spec, requires: { lock: 'none' } }, { ...spec, rlimits: { nofile: -1 } }, { ...spec, env: { A: `${FROM_ENV}\0` } }]) {
      const answer = await d.post('/v1/processes', body);
      assert.ok(answer.status >= 400 && answer.status < 500, `${answer}`);
      const pool = await d.call('PUT', '/v1/pools/p', { body: { spec: body } });
      texts.push(answer.text, pool.text);
      if (pool.status === 201) await d.call('DELETE', '/v1/pools/p');
    }
    for (const raw of [`{"argv":["true"],"env":{"A":"${FROM_ENV}`, `{"argv":["true"],"env":{"A":"${FROM_ENV}\u0001"}}`, `{"argv":["true"],"env":{"A":"${FROM_ENV}","A":"${FROM_ENV}"}}`, `{"argv":["true"],"env":{"A":"${FROM_ENV}"}} x`, `{"argv":["true"],"env":{"A":"${FROM_ENV}" "B"}}`, `{"env":{"A":"\\u0000${FROM_ENV}"}}`, `{"env":{"A":${FROM_ENV}}}`, FROM_ENV]) {
      const { got, statuses } = await attack(d, request(d, 'POST /v1/processes', `Content-Type: application/json\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(raw, 'latin1')}\r\n`, raw));
      assert.equal(statuses.length, 1, got);
      assert.ok(statuses[0] >= 400, got);
      texts.push(got);
    }
    absent([...texts, ...await shown(d, [])]);
    await d.end();
    for (const secret of [FROM_ENV, FROM_FILE]) assert.deepEqual(holders(d, secret), [], secret);
    await d.start();
  });
});
