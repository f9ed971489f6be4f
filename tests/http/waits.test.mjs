// Waiting for several things at once, and the report of who waits for whom.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { faults, problem } from '../lib/check.mjs';
import { sleep, timed } from '../lib/wait.mjs';
import { liver, session } from '../lib/owners.mjs';

const ready = async (d, body, wait) => (await d.call('POST', `/v1/wait${wait === undefined ? '' : `?wait=${wait}`}`, { body, expect: 200 })).body.ready;
const lock = (d, name) => d.call('PUT', `/v1/locks/${name}`, { expect: 201 });
const acquire = async (client, name) => (await client.call('POST', `/v1/locks/${name}/acquire`, { body: {}, expect: 200 })).body;
const parked = (d, count) => until(`${count} wait`, async () => (await d.get('/v1/waits')).body.waits.length === count);

suite('waiting for several', () => {
  daemonTest('gives those that are ready and takes nothing', async (d) => {
    await lock(d, 'free');
    await lock(d, 'held');
    await acquire(d, 'held');
    const done = await d.run({ argv: ['true'] });
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const all = [{ process: done.id }, { process: id }, { lock: 'free' }, { lock: 'held' }];
    assert.deepEqual(await ready(d, { any: all }), [{ process: done.id }, { lock: 'free' }]);
    assert.deepEqual(await ready(d, { all }, 0.1), [], 'time ran out before all were ready');
    assert.deepEqual(await ready(d, { all: [{ process: done.id }, { lock: 'free' }] }, 0), [{ process: done.id }, { lock: 'free' }]);
    assert.deepEqual(await ready(d, { any: [{ process: id }] }, 0), []);
    await acquire(d, 'free');
  });

  daemonTest('is woken by whichever comes first', async (d) => {
    await lock(d, 'l');
    const hold = await acquire(d, 'l');
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const any = [{ process: id }, { lock: 'l' }];
    const first = ready(d, { any }, 60);
    await d.post(`/v1/holds/${hold.id}/release`, undefined, { expect: 200 });
    assert.deepEqual(await first, [{ lock: 'l' }]);
    await acquire(d, 'l');
    const second = ready(d, { any }, 60);
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    assert.deepEqual(await second, [{ process: id }]);
  });

  daemonTest('for all is a join of many', async (d) => {
    const made = [];
    for (let i = 0; i < 20; i += 1) made.push(await d.sh(`sleep 0.0${i % 10}; exit ${i}`));
    const all = made.map(({ id }) => ({ process: id }));
    assert.deepEqual(await ready(d, { all }, 60), all);
  });

  daemonTest('tells when one of them is deleted', async (d) => {
    await lock(d, 'l');
    await acquire(d, 'l');
    const waiting = d.call('POST', '/v1/wait?wait=60', { body: { any: [{ lock: 'l' }] } });
    await d.delete('/v1/locks/l');
    const answer = await waiting;
    if (answer.status !== 404) problem(answer, 410, 'deleted');
  });

  daemonTest('names what is wrong with it', async (d) => {
    const wrong = (body) => d.call('POST', '/v1/wait', { body });
    problem(await wrong({}), 422, 'missing_field');
    problem(await wrong({ any: [], all: [] }), 422);
    problem(await wrong({ any: [{}] }), 422, 'invalid_value');
    assert.deepEqual(faults(problem(await wrong({ any: [{ lock: 'a', event: 'b' }] }), 422)), ['/any/0 invalid_value']);
    problem(await wrong({ any: [{ lock: 'none' }] }), 404, 'not_found');
    problem(await wrong({ any: [{ process: 'p_none' }] }), 404, 'not_found');
    assert.deepEqual(faults(problem(await wrong({ any: [{ thing: 'x' }] }), 422)), ['/any/0/thing unknown_field']);
  });
});

suite('what can be waited for', () => {
  /** Waits for the entry while `act` happens; before that it was not ready. */
  const becomes = async (d, entry, act) => {
    assert.deepEqual(await ready(d, { any: [entry] }, 0), [], JSON.stringify(entry));
    const waiting = ready(d, { any: [entry] }, 60);
    await sleep(0.02);
    await act();
    assert.deepEqual(await waiting, [entry]);
  };
  const make = (d, path, body = {}) => d.call('PUT', `/v1/${path}`, { body, expect: 201 });

  daemonTest('is the end of a pipe, when it can receive or never will', async (d) => {
    await make(d, 'pipes/p');
    const a = { pipe: 'p', end: 'a' };
    const b = { pipe: 'p', end: 'b' };
    await becomes(d, b, () => d.call('POST', '/v1/pipes/p/a/send', { body: 'x', expect: 200 }));
    assert.deepEqual(await ready(d, { any: [a, b] }, 0), [b]);
    await d.call('POST', '/v1/pipes/p/b/recv', { expect: 200 });
    await becomes(d, a, () => d.call('POST', '/v1/pipes/p/b/close', { expect: 200 }));
    await make(d, 'pipes/one-way', { duplex: false });
    const wrong = (entry) => d.call('POST', '/v1/wait', { body: { any: [entry] } });
    problem(await wrong({ pipe: 'one-way', end: 'b' }), 409, 'wrong_direction');
    assert.deepEqual(faults(problem(await wrong({ pipe: 'p' }), 422, 'missing_field')), ['/any/0/end missing_field']);
    assert.deepEqual(faults(problem(await wrong({ pipe: 'p', end: 'c' }), 422)), ['/any/0/end invalid_value']);
  });

  daemonTest('is a semaphore, a queue, an event, a value', async (d) => {
    await make(d, 'semaphores/s', { value: 0 });
    await becomes(d, { semaphore: 's' }, () => d.post('/v1/semaphores/s/release', {}, { expect: 200 }));
    await make(d, 'queues/q');
    await becomes(d, { queue: 'q' }, () => d.post('/v1/queues/q/messages', 1, { expect: 201 }));
    await make(d, 'queues/closed');
    await becomes(d, { queue: 'closed' }, () => d.post('/v1/queues/closed/close', {}, { expect: 200 }));
    await make(d, 'events/e');
    await becomes(d, { event: 'e' }, () => d.post('/v1/events/e/set', undefined, { expect: 200 }));
    assert.deepEqual(await ready(d, { any: [{ event: 'e', after: 0 }] }, 0), [{ event: 'e', after: 0 }]);
    assert.deepEqual(await ready(d, { any: [{ event: 'e', after: 1 }] }, 0), []);
    await make(d, 'values/v', { type: 'int64' });
    const add = () => d.post('/v1/values/v/add', {}, { expect: 200 });
    await becomes(d, { value: 'v' }, add);
    await becomes(d, { value: 'v', after: 2 }, add);
    assert.deepEqual(await ready(d, { any: [{ value: 'v', after: 1 }] }, 0), [{ value: 'v', after: 1 }]);
  });

  daemonTest('is a pulse of an event, too', async (d) => {
    await make(d, 'events/e');
    await becomes(d, { event: 'e' }, async () => {
      const both = [d.post('/v1/events/e/set', undefined, { expect: 200 }), d.post('/v1/events/e/clear', undefined, { expect: 200 })];
      await Promise.all(both);
    });
  });

  daemonTest('is the end of a hold and of a session', async (d) => {
    await lock(d, 'l');
    const hold = await acquire(d, 'l');
    await becomes(d, { hold: hold.id }, () => d.post(`/v1/holds/${hold.id}/release`, undefined, { expect: 200 }));
    const one = await session(d);
    const held = await acquire(one.client, 'l');
    const all = [{ session: one.id }, { hold: held.id }];
    const waiting = ready(d, { all }, 60);
    await d.delete(`/v1/sessions/${one.id}`);
    assert.deepEqual(await waiting, all);
    assert.deepEqual(await ready(d, { all }), all);
    problem(await d.call('POST', '/v1/wait', { body: { any: [{ session: 's_none' }] } }), 404, 'not_found');
    problem(await d.call('POST', '/v1/wait', { body: { any: [{ hold: one.id }] } }), 404, 'not_found');
  });

  daemonTest('is the end of a task, and of all of a pool', async (d) => {
    await make(d, 'pools/p', { processes: 2, spec: { argv: ['sh', '-c', 'read line; [ -z "$line" ] || exit 0; exec sleep 1000'] } });
    const submit = async (raw) => (await d.call('POST', '/v1/pools/p/tasks', { raw, expect: 202 })).body.id;
    const slow = await submit('\n');
    const waiting = ready(d, { any: [{ task: slow }, { pool: 'p' }] }, 60);
    const quick = await submit('x\n');
    assert.deepEqual(await ready(d, { any: [{ task: slow }, { task: quick }] }, 60), [{ task: quick }]);
    assert.deepEqual(await ready(d, { any: [{ task: slow }, { pool: 'p' }] }, 0), []);
    await d.post('/v1/pools/p/terminate', undefined, { expect: 200 });
    const over = await waiting;
    assert.ok(over.some((one) => one.task === slow || one.pool === 'p'), JSON.stringify(over));
    problem(await d.call('POST', '/v1/wait', { body: { any: [{ task: 't_none' }] } }), 404, 'not_found');
  });

  daemonTest('says from where on only as its kind has it', async (d) => {
    await lock(d, 'l');
    const { body } = await d.call('POST', '/v1/wait', { body: { any: [{ lock: 'l', after: 1 }, { barrier: 'b' }, { lock: 'l', end: 'a' }] } });
    assert.deepEqual(faults(body), ['/any/1/barrier unknown_field']);
    const answer = await d.call('POST', '/v1/wait', { body: { any: [{ lock: 'l', after: 1 }, {}, { lock: 'l', end: 'a' }] } });
    assert.deepEqual(faults(problem(answer, 422)), ['/any/0/after invalid_value', '/any/1 invalid_value', '/any/2/end invalid_value']);
  });

  daemonTest('is told when it cannot be taken back by a crash', async (d) => {
    await make(d, 'queues/q');
    for (let i = 0; i < 5; i += 1) {
      const waiting = ready(d, { any: [{ queue: 'q' }] }, 60);
      d.post('/v1/queues/q/messages', i).catch(() => {});
      await waiting;
      await d.killServer();
      const { body } = await d.call('POST', '/v1/queues/q/receive?mode=take&wait=5', { expect: 200, patient: 30 });
      assert.equal(body.messages[0].body, i);
    }
  });
});

suite('who waits for whom', () => {
  daemonTest('is told with names, and a circle as such', async (d) => {
    const one = await liver(d, { name: 'one' });
    const two = await liver(d, { name: 'two' });
    for (const name of ['a', 'b']) await lock(d, name);
    const a = await acquire(one.client, 'a');
    await acquire(two.client, 'b');
    const first = one.client.call('POST', '/v1/locks/b/acquire?wait=60', { body: {} });
    await parked(d, 1);
    let { body } = await d.get('/v1/waits');
    assert.deepEqual(body.cycles, []);
    assert.deepEqual(body.waits.map((at) => [at.owner, at.name, at.kind, at.resource, at.held_by.map((by) => by.name)]),
      [[one.id, 'one', 'lock', 'locks/b', ['two']]]);
    const second = two.client.call('POST', '/v1/locks/a/acquire?wait=60', { body: {} });
    await parked(d, 2);
    ({ body } = await d.get('/v1/waits'));
    assert.deepEqual(body.cycles.map((cycle) => cycle.map((at) => at.name).sort()), [['one', 'two']]);
    await d.delete(`/v1/holds/${a.id}`);
    assert.equal((await second).status, 200);
    assert.deepEqual((await d.get('/v1/waits')).body.cycles, []);
    await d.post(`/v1/processes/${two.id}/kill`, undefined, { expect: 200 });
    assert.equal((await first).body.previous.owner, two.id);
    await parked(d, 0);
  });

  daemonTest('knows joins, and that any holder of a semaphore may let go', async (d) => {
    const one = await liver(d);
    const two = await liver(d);
    await lock(d, 'l');
    await d.call('PUT', '/v1/semaphores/s', { body: { value: 2 }, expect: 201 });
    await acquire(one.client, 'l');
    const joining = one.client.call('GET', `/v1/processes/${two.id}/join?wait=60`);
    const locking = two.client.call('POST', '/v1/locks/l/acquire?wait=60', { body: {} });
    await parked(d, 2);
    assert.equal((await d.get('/v1/waits')).body.cycles.length, 1);
    const three = await liver(d);
    for (const { client } of [one, three]) await client.call('POST', '/v1/semaphores/s/acquire', { body: {}, expect: 200 });
    two.client.call('POST', '/v1/semaphores/s/acquire?wait=60', { body: {} }).catch(() => {});
    await parked(d, 3);
    const { cycles } = (await d.get('/v1/waits')).body;
    assert.deepEqual(cycles.map((cycle) => cycle.map((at) => at.resource).sort()), [[`processes/${two.id}`, 'locks/l'].sort()]);
    await d.post(`/v1/processes/${two.id}/kill`, undefined, { expect: 200 });
    assert.equal((await joining).body.exitcode, -9);
    const lost = await locking.catch(() => null);
    if (lost) problem(lost, 401, 'owner_ended');
  });

  daemonTest('forgets a client that is gone', async (d) => {
    await lock(d, 'l');
    await acquire(d, 'l');
    const client = d.as(d.token);
    client.call('POST', '/v1/wait?wait=60', { body: { any: [{ lock: 'l' }] } }).catch(() => {});
    client.call('POST', '/v1/locks/l/acquire?wait=60', { body: {} }).catch(() => {});
    await parked(d, 1);
    client.close();
    await parked(d, 0);
    const { seconds } = await timed(() => ready(d, { any: [{ lock: 'l' }] }, 0.2));
    assert.ok(seconds >= 0.19);
  });
});
