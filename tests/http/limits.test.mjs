// At a limit of coordination the daemon says so, takes nothing half, and goes on when there is room again.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { problem, range } from '../lib/check.mjs';
import { session } from '../lib/owners.mjs';
import { asking } from '../lib/parked.mjs';

const put = (d, where, body, expect = 201) => d.call('PUT', `/v1/${where}`, { body, expect });
const acquire = (client, lock, wait = 0) => client.call('POST', `/v1/locks/${lock}/acquire?wait=${wait}`, { body: {} });
const look = async (d, where) => (await d.get(`/v1/${where}`)).body;
const refused = async (call) => {
  const answer = await call;
  problem(answer, 429, 'limit_reached');
  assert.match(answer.headers['retry-after'], /^[1-9]\d*$/);
};

suite('the limit', () => {
  daemonTest('of sessions is told, and one that ends makes room', { config: 'max_sessions = 3\n' }, async (d) => {
    const all = [];
    for (let i = 0; i < 3; i += 1) all.push(await session(d, 600));
    for (let i = 0; i < 3; i += 1) problem(await d.post('/v1/sessions', { ttl_seconds: 600 }), 429, 'limit_reached');
    assert.equal((await d.get('/v1/sessions')).body.items.length, 3);
    await d.delete(`/v1/sessions/${all[1].id}`);
    await session(d, 0.2);
    await until('one has run out', async () => (await d.post('/v1/sessions', { ttl_seconds: 600 })).status === 201);
  });

  daemonTest('of objects counts all kinds, also after a kill of the server', { config: 'max_objects = 4\n' }, async (d) => {
    for (const [where, body] of [['locks/a', {}], ['queues/a', {}], ['values/a', {}], ['barriers/a', { parties: 2 }]]) await put(d, where, body);
    for (let round = 0; round < 2; round += 1) {
      for (const [where, body] of [['locks/b', {}], ['pipes/b', {}], ['events/b', {}], ['semaphores/b', { value: 1 }], ['conditions/b', { lock: 'a' }]]) {
        await refused(d.call('PUT', `/v1/${where}`, { body }));
        problem(await d.call('GET', `/v1/${where}`), 404, 'not_found');
      }
      await put(d, 'locks/a', {}, 200);
      await d.killServer();
    }
    await d.delete('/v1/values/a');
    await put(d, 'events/b', {});
    await refused(d.call('PUT', '/v1/locks/c', { body: {} }));
    assert.equal((await d.system()).limits.max_objects, 4);
  });

  daemonTest('of holds is told by everything that gives one, and nothing has changed', { config: 'max_holds = 2\n' }, async (d) => {
    for (const name of ['a', 'b', 'c']) await put(d, `locks/${name}`, {});
    await put(d, 'semaphores/s', { value: 1 });
    await put(d, 'queues/q', {});
    await put(d, 'barriers/b', { parties: 2 });
    await put(d, 'pipes/p', {});
    await d.post('/v1/queues/q/messages', 'kept', { expect: 201 });
    const one = await session(d, 600);
    const held = [(await acquire(one.client, 'a')).body, (await acquire(one.client, 'b')).body];
    const asks = [() => acquire(one.client, 'c'), () => one.client.call('POST', '/v1/semaphores/s/acquire', { body: {} }),
      () => one.client.call('POST', '/v1/queues/q/receive'), () => one.client.call('POST', '/v1/barriers/b/wait?wait=0'),
      () => one.client.call('POST', '/v1/pipes/p/a/send', { body: 1 })];
    for (const ask of [...asks, ...asks]) await refused(ask());
    assert.equal((await look(d, 'locks/c')).held, false);
    assert.equal((await look(d, 'semaphores/s')).available, 1);
    assert.equal((await look(d, 'barriers/b')).n_waiting, 0);
    assert.deepEqual([(await look(d, 'pipes/p/a')).owner, (await look(d, 'pipes/p/b')).messages], [null, 0]);
    assert.deepEqual((await look(d, 'queues/q/messages')).items.map((message) => [message.state, message.attempt]), [['ready', 0]]);
    for (const ask of asks) {
      await one.client.call('POST', `/v1/holds/${held.pop().id}/release`, { expect: 200 });
      const answer = await ask();
      assert.ok([200, 409].includes(answer.status), `${answer}`);
      const [last] = (await d.get('/v1/holds')).body.items.slice(-1);
      held.push(last);
    }
  });

  daemonTest('of holds that is reached while a call waits is told to it, and leaves the message to the next', { config: 'max_holds = 1\n' }, async (d) => {
    await put(d, 'queues/q', {});
    await put(d, 'locks/l', {});
    const parked = [1, 2].map(() => d.call('POST', '/v1/queues/q/receive?wait=60'));
    await until('two wait', async () => (await look(d, 'queues/q')).waiters === 2);
    const held = (await acquire(d, 'l')).body;
    await d.post('/v1/queues/q/messages', 'one', { expect: 201 });
    for (const call of parked) await refused(call);
    assert.equal((await look(d, 'queues/q')).ready, 1);
    await d.post(`/v1/holds/${held.id}/release`, undefined, { expect: 200 });
    const { messages } = (await d.post('/v1/queues/q/receive', undefined, { expect: 200 })).body;
    assert.deepEqual(messages.map((one) => [one.body, one.attempt]), [['one', 1]]);
  });

  daemonTest('of holds lets the next one in who waits for the same', { config: 'max_holds = 1\n' }, async (d) => {
    await put(d, 'locks/l', {});
    let { id } = (await acquire(d, 'l')).body;
    const served = [];
    range(1, 3).forEach(() => acquire(d, 'l', 60).then((answer) => served.push(answer)));
    await until('three wait', async () => (await look(d, 'locks/l')).waiters === 3);
    for (const count of range(1, 3)) {
      await d.post(`/v1/holds/${id}/release`, undefined, { expect: 200 });
      await until('the next one has it', () => served.length === count);
      assert.equal(served[count - 1].status, 200);
      id = served[count - 1].body.id;
    }
  });

  daemonTest('of memory counts what waits to be put, and is 507', { config: 'queues.max_total_bytes = 1M\n' }, async (d) => {
    await put(d, 'queues/q', { durable: false, max_messages: 1 });
    const raw = Buffer.alloc(300 * 1024);
    const bring = (options) => d.call('POST', '/v1/queues/q/messages?wait=60', { raw, ...options });
    await bring({ expect: 201 });
    const leavers = range(1, 2).map(() => new AbortController());
    leavers.forEach(({ signal }) => bring({ signal }).catch(() => {}));
    await until('two wait', async () => (await look(d, 'queues/q')).putters === 2);
    for (let i = 0; i < 3; i += 1) problem(await bring(), 507, 'storage_full');
    for (const one of leavers) one.abort();
    await until('nobody waits', async () => (await look(d, 'queues/q')).putters === 0);
    const waits = bring({ expect: 201 });
    await d.post('/v1/queues/q/receive?mode=take', undefined, { expect: 200 });
    await waits;
  });

  daemonTest('of connections lets the rest wait in line; the other listener can still release', { args: ['--http-connections', '16'] }, async (d) => {
    await put(d, 'locks/l', {});
    const { id } = (await d.unix.call('POST', '/v1/locks/l/acquire', { body: { ttl_seconds: 600 }, expect: 200 })).body;
    const calls = range(1, 24).map(() => asking(d, 'TCP', '/v1/locks/l/acquire?wait=60', { body: { ttl_seconds: 600 } }));
    const waiters = async () => (await d.unix.call('GET', '/v1/locks/l', { expect: 200 })).body.waiters;
    await until('as many wait as may', async () => (await waiters()) >= 15);
    let hold = id;
    for (let served = 0; served < calls.length; served += 1) {
      await d.unix.call('POST', `/v1/holds/${hold}/release`, { expect: 200 });
      const next = await until('the next one has it', () => calls.find((one) => !one.over && one.got.includes('"fence"')));
      next.over = true;
      hold = /"id":"(h_[^"]+)"/.exec(next.got)[1];
      next.leave('FIN');
    }
    assert.equal(await waiters(), 0);
  });
});
