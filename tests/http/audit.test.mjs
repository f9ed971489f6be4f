// The audit: who asked for what, and what came of it; nothing that must not be read.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';
import { asking } from '../lib/parked.mjs';
import { send } from '../lib/proc.mjs';

const token = async (d, scopes) => {
  const { body } = await d.post('/v1/tokens', { scopes }, { expect: 201 });
  return { ...body, client: d.as(body.token) };
};

/** Rows for this query, when there are `count` at least. */
const rows = (d, query, count = 0) => until(`${count} rows are stored`, async () => {
  const { items } = (await d.get(`/v1/audit?limit=500${query}`)).body;
  return items.length >= count && items;
});
const short = (items) => items.map((one) => [one.principal, one.action, one.target, one.status, one.code]);

suite('the audit', () => {
  daemonTest('has a row for what was asked: who, what, of which thing, and the outcome', async (d) => {
    const one = await token(d, ['spawn', 'operate']);
    const made = await one.client.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'] }, expect: 201, headers: { 'X-Request-Id': 'mine-1' } });
    const { id } = made.body;
    await one.client.call('POST', `/v1/processes/${id}/signal`, { body: { signal: 'CONT' }, expect: 202 });
    await one.client.call('POST', `/v1/processes/${id}/kill`, { expect: 200 });
    problem(await one.client.call('POST', '/v1/processes', { body: { argv: [] } }), 422);
    problem(await one.client.call('POST', '/v1/processes', { body: { argv: ['/no/such/program'] } }), 422, 'spawn_failed');
    await d.join(id);
    await one.client.call('DELETE', `/v1/processes/${id}?kill=true`, { expect: 204 });
    await d.call('PUT', '/v1/queues/q', { body: { max_messages: 3 }, expect: 201 });
    await d.delete('/v1/queues/q');
    await d.call('PUT', '/v1/log/level', { body: { level: 'info' }, expect: 200 });
    await d.delete(`/v1/tokens/${one.id}`);
    const items = await rows(d, '', 11);
    assert.deepEqual(short(items), [
      ['admin', 'createToken', `/v1/tokens/${one.id}`, 201, null],
      [one.id, 'createProcess', `/v1/processes/${id}`, 201, null],
      [one.id, 'signalProcess', `/v1/processes/${id}/signal`, 202, null],
      [one.id, 'killProcess', `/v1/processes/${id}/kill`, 200, null],
      [one.id, 'createProcess', '/v1/processes', 422, 'invalid_value'],
      [one.id, 'createProcess', '/v1/processes', 422, 'spawn_failed'],
      [one.id, 'deleteProcess', `/v1/processes/${id}`, 204, null],
      ['admin', 'putQueue', '/v1/queues/q', 201, null],
      ['admin', 'deleteQueue', '/v1/queues/q', 204, null],
      ['admin', 'setLogLevel', '/v1/log/level', 200, null],
      ['admin', 'deleteToken', `/v1/tokens/${one.id}`, 204, null],
    ]);
    assert.deepEqual(items.map((item) => item.seq), items.map((_, i) => i + 1));
    assert.equal(items[1].request_id, 'mine-1');
    for (const item of items) assert.match(item.remote, /^127\.0\.0\.1:\d+$/);
  });

  daemonTest('names processes and sessions, and the pid of who came by the Unix socket', async (d) => {
    const [process_, session_] = [await liver(d), await session(d)];
    for (const one of [process_, session_]) await one.client.call('PUT', `/v1/locks/${one.id}`, { expect: 201 });
    await d.unix.call('PUT', '/v1/locks/l', { expect: 201 });
    const items = await rows(d, '&action=putLock', 3);
    assert.deepEqual(items.map((one) => one.principal), [process_.id, session_.id, 'admin']);
    assert.equal(items[2].remote, `unix:uid=${process.getuid()},pid=${process.pid}`);
  });

  daemonTest('leaves out what programs coordinate with, and what only looks', async (d) => {
    for (const where of ['/v1/queues/q', '/v1/locks/l', '/v1/events/e', '/v1/pipes/p']) await d.call('PUT', where, { expect: 201 });
    await d.call('PUT', '/v1/values/v', { body: { type: 'int64', value: 1 }, expect: 201 });
    const before = (await rows(d, '', 5)).length;
    const { id } = (await d.post('/v1/locks/l/acquire', {}, { expect: 200 })).body;
    await d.post(`/v1/holds/${id}/release`, undefined, { expect: 200 });
    await d.call('POST', '/v1/queues/q/messages', { raw: 'x', expect: 201 });
    await d.post('/v1/queues/q/receive?mode=take', undefined, { expect: 200 });
    for (const where of ['/v1/events/e/set', '/v1/values/v/add', '/v1/pipes/p/a/send']) await d.call('POST', where, { body: where.includes('values') ? { n: 1 } : undefined, raw: where.includes('pipes') ? 'x' : undefined, expect: [200, 201, 202] });
    await d.post('/v1/wait', { any: [{ event: 'e' }] }, { expect: 200 });
    await d.delete('/v1/queues/q');
    const items = await rows(d, '', before + 1);
    assert.deepEqual(items.slice(before).map((one) => one.action), ['deleteQueue']);
  });

  daemonTest('is in the transaction of what it tells', async (d) => {
    for (let i = 0; i < 5; i += 1) {
      const { id } = (await d.post('/v1/tokens', { scopes: ['read'] }, { expect: 201 })).body;
      const made = await d.spawn({ argv: ['true'] });
      await d.call('PUT', `/v1/queues/q${i}`, { expect: 201 });
      await d.killServer();
      const targets = (await d.get('/v1/audit?limit=500')).body.items.map((one) => one.target);
      for (const target of [`/v1/tokens/${id}`, `/v1/processes/${made.id}`, `/v1/queues/q${i}`]) assert.ok(targets.includes(target), target);
    }
  });

  daemonTest('holds no secret: no token, no environment, no body, no query', async (d) => {
    const one = await token(d, ['spawn', 'operate']);
    const { id } = await one.client.call('POST', '/v1/processes', { body: { argv: ['cat', 'argument-8392'], env: { PASSWORD: 'hunter2-8392' }, stdin: { text: 'payload-8392' } }, expect: 201 }).then((answer) => answer.body);
    await d.join(id);
    await one.client.call('PUT', '/v1/queues/q', { expect: 201 });
    await d.call('DELETE', '/v1/queues/q/messages?state=secret-8392');
    await d.call('POST', '/v1/processes', { body: { argv: ['true'], env: { 'A=B': 'hunter2-8392' } } });
    await d.call('DELETE', `/v1/processes/${id}?token=${one.token}`);
    await d.call('GET', `/v1/system?token=${one.token}`, { token: null });
    const { text } = await d.get('/v1/audit?limit=500');
    assert.ok((await rows(d, '', 6)).length >= 6);
    assert.doesNotMatch(text, /8392|fkf_|fkp_|hunter/);
  });

  daemonTest('has a row for who was refused: one a second for a caller, and those of strangers hide no others', async (d) => {
    const one = await token(d, ['read']);
    const begun = Date.now();
    for (let i = 0; i < 50; i += 1) {
      problem(await d.call('GET', '/v1/system', { token: null }), 401, 'unauthorized');
      problem(await one.client.call('POST', '/v1/shutdown'), 403, 'forbidden');
    }
    const seconds = Math.ceil((Date.now() - begun) / 1000) + 1;
    const refused = (await rows(d, '', 2)).filter((item) => [401, 403].includes(item.status));
    for (const who of [null, one.id]) {
      const { length } = refused.filter((item) => item.principal === who);
      assert.ok(length >= 1 && length <= seconds, `${length} rows of ${who} in ${seconds} s`);
    }
    assert.deepEqual(short(refused.slice(0, 1)), [[null, 'getSystem', '/v1/system', 401, 'unauthorized']]);
    await until('a second is over, and the next refusal has its row', async () => {
      problem(await one.client.call('POST', '/v1/shutdown'), 403, 'forbidden');
      return (await d.get(`/v1/audit?principal=${one.id}`)).body.items.some((item) => item.action === 'shutdownDaemon' && item.code === 'forbidden');
    }, { every: 0.1 });
  });

  daemonTest('tells of a page of another site that asked', async (d) => {
    problem(await d.call('POST', '/v1/shutdown', { headers: { Origin: 'http://evil.example' } }), 403, 'forbidden');
    const [row] = await rows(d, '', 1);
    assert.deepEqual(short([row]), [[null, null, null, 403, 'forbidden']]);
  });

  daemonTest('has a row with status null for a client that left before its answer', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    send(d.pid, 'SIGSTOP');  // the keeper, who is to do it
    try {
      const call = asking(d, 'TCP', `/v1/processes/${id}/signal`, { body: { signal: 'CONT' } });
      await until('it waits', async () => /^forkful_http_parked_requests 1$/m.test((await d.get('/metrics')).text));
      call.leave('FIN');
      const [row] = await rows(d, '&action=signalProcess', 1);
      assert.deepEqual(short([row]), [['admin', 'signalProcess', `/v1/processes/${id}/signal`, null, null]]);
    } finally {
      send(d.pid, 'SIGCONT');
    }
  });

  daemonTest('is read in pages and streams, by principal and by action', async (d) => {
    const one = await token(d, ['operate']);
    for (let i = 0; i < 4; i += 1) await one.client.call('PUT', `/v1/events/e${i}`, { expect: 201 });
    await d.delete('/v1/events/e0');
    await rows(d, '', 6);
    assert.deepEqual((await rows(d, `&principal=${one.id}`)).map((item) => item.action), Array(4).fill('putEvent'));
    assert.deepEqual((await rows(d, '&action=createToken,deleteEvent')).map((item) => item.action), ['createToken', 'deleteEvent']);
    const first = (await d.get('/v1/audit?limit=2')).body;
    assert.deepEqual(first.items.map((item) => item.seq), [1, 2]);
    const rest = (await d.get(`/v1/audit?after=${first.next_after}`)).body;
    assert.deepEqual(rest.items.map((item) => item.seq), [3, 4, 5, 6]);
    const waits = d.get(`/v1/audit?after=${rest.next_after}&wait=30`);
    const stream = await d.stream('/v1/audit?action=putLock', { accept: 'text/event-stream' });
    const events = stream.events();
    const next = events.next();
    await d.call('PUT', '/v1/locks/l', { expect: 201 });
    assert.deepEqual((await waits).body.items.map((item) => item.action), ['putLock']);
    const { value } = await next;
    assert.deepEqual([value.event ?? value.name, value.id], ['audit', '7']);
    stream.close();
    for (const query of ['?action=a-b', '?action=', '?principal=', '?after=x', '?type=x', '?snapshot=true']) assert.equal((await d.call('GET', `/v1/audit${query}`)).status, 400, query);
  });

  daemonTest('is the admin\'s alone', async (d) => {
    for (const one of [await token(d, ['read', 'logs', 'operate', 'spawn']), await liver(d), await session(d)]) {
      problem(await d.call('GET', '/v1/audit', { token: one.token }), 403, 'forbidden');
    }
  });
});
