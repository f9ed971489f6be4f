// Locks and semaphores: one at a time, in the order of asking, and never held by the dead.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { faults, problem } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';

const make = (d, where, body = {}) => d.call('PUT', where, { body, expect: 201 });
const acquire = (client, lock, { wait = 0, body = {}, ...more } = {}) => client.call('POST', `/v1/locks/${lock}/acquire?wait=${wait}`, { body, ...more });
const granted = async (call) => { const answer = await call; assert.equal(answer.status, 200, `${answer}`); return answer.body; };
const release = (client, hold, options) => client.call('POST', `/v1/holds/${hold.id}/release`, { expect: 200, ...options });
const lock = async (d, name) => (await d.get(`/v1/locks/${name}`)).body;
const waiting = (d, name, count) => until(`${count} wait`, async () => (await lock(d, name)).waiters === count);

suite('an object', () => {
  daemonTest('is made once, and again only the same', async (d) => {
    const made = await make(d, '/v1/locks/deploy', { reentrant: true });
    assert.equal(made.headers.location, '/v1/locks/deploy');
    assert.deepEqual([made.body.name, made.body.kind, made.body.reentrant, made.body.held], ['deploy', 'lock', true, false]);
    assert.deepEqual((await d.call('PUT', '/v1/locks/deploy', { body: { reentrant: true }, expect: 200 })).body, made.body);
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/locks/deploy'), 409, 'config_differs')), ['/reentrant config_differs']);
    await d.killServer();
    assert.deepEqual((await d.get('/v1/locks/deploy')).body, made.body);
    await d.delete('/v1/locks/deploy');
    problem(await d.call('GET', '/v1/locks/deploy'), 404, 'not_found');
    problem(await d.call('DELETE', '/v1/locks/deploy'), 404, 'not_found');
    assert.deepEqual((await d.get('/v1/changes?type=lock.created,lock.deleted')).body.items.map((one) => one.ref), ['deploy', 'deploy']);
  });

  daemonTest('has a name of letters, digits and three signs', async (d) => {
    for (const name of ['a', 'A.b_c-9', 'x'.repeat(128)]) await make(d, `/v1/locks/${name}`);
    for (const name of ['-a', '.a', '_', 'a%20b', 'x'.repeat(129), '%C3%A4']) problem(await d.call('PUT', `/v1/locks/${name}`), 400, 'bad_request');
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/locks/b', { body: { reentrand: true, lifetime: 'for ever' } }), 422)),
      ['/lifetime invalid_value', '/reentrand unknown_field']);
  });

  daemonTest('is listed page by page in the order of making', async (d) => {
    for (let i = 0; i < 7; i += 1) await make(d, `/v1/locks/l${9 - i}`);
    const names = [];
    let token = '';
    do {
      const { body } = await d.get(`/v1/locks?limit=3${token && `&page_token=${token}`}`);
      names.push(...body.items.map((one) => one.name));
      token = body.next_page_token;
    } while (token);
    assert.deepEqual(names, ['l9', 'l8', 'l7', 'l6', 'l5', 'l4', 'l3']);
  });

  daemonTest('of lifetime owner goes with its owner', async (d) => {
    const { id, client } = await liver(d);
    const { client: other, id: other_id } = await session(d);
    await client.call('PUT', '/v1/locks/of-process', { body: { lifetime: 'owner' }, expect: 201 });
    await other.call('PUT', '/v1/locks/of-session', { body: { lifetime: 'owner' }, expect: 201 });
    problem(await d.call('PUT', '/v1/locks/of-nobody', { body: { lifetime: 'owner' } }), 422, 'invalid_value');
    const waiter = acquire(d, 'of-process', { wait: 30 });
    const held = await granted(waiter);
    const second = acquire(d, 'of-process', { wait: 30 });
    await waiting(d, 'of-process', 1);
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    problem(await second, 410, 'deleted');
    problem(await d.call('GET', '/v1/locks/of-process'), 404);
    assert.equal((await d.get(`/v1/holds/${held.id}`)).body.ended, 'closed');
    await d.delete(`/v1/sessions/${other_id}`);
    problem(await d.call('GET', '/v1/locks/of-session'), 404);
  });
});

suite('a lock', () => {
  daemonTest('is held by one, and asked for in order', async (d) => {
    await make(d, '/v1/locks/l');
    const first = await granted(acquire(d, 'l', { body: { ttl_seconds: 60 } }));
    assert.deepEqual([first.kind, first.resource, first.owner, first.ended, first.previous], ['lock', 'locks/l', null, null, null]);
    problem(await acquire(d, 'l'), 409, 'not_granted');
    problem(await acquire(d, 'l', { wait: 0.1 }), 409, 'not_granted');
    const order = [];
    const waiters = [];
    for (let i = 0; i < 3; i += 1) {
      waiters.push(acquire(d, 'l', { wait: 30 }).then(async (answer) => { order.push(i); await release(d, answer.body); return answer.body; }));
      await waiting(d, 'l', i + 1);
    }
    await release(d, first);
    const holds = await Promise.all(waiters);
    assert.deepEqual(order, [0, 1, 2]);
    const fences = [first, ...holds].map((one) => one.fence);
    assert.deepEqual(fences, [...fences].sort((a, b) => a - b));
    assert.equal(holds[0].previous.hold, first.id);
    assert.equal(holds[0].previous.ended, 'released');
    assert.equal((await lock(d, 'l')).held, false);
  });

  daemonTest('of a process ends with it, and tells the next how', async (d) => {
    await make(d, '/v1/locks/l');
    const one = await liver(d);
    const held = await granted(acquire(one.client, 'l'));
    assert.deepEqual([held.owner, held.expires_at], [one.id, null]);
    const next = acquire(d, 'l', { wait: 30 });
    await waiting(d, 'l', 1);
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    const hold = await granted(next);
    assert.deepEqual([hold.previous.ended, hold.previous.owner, hold.previous.exitcode], ['owner_ended', one.id, -9]);
    const { cause } = problem(await d.call('POST', `/v1/holds/${held.id}/release`), 410, 'hold_ended');
    assert.deepEqual([cause.ended, cause.owner, cause.exitcode], ['owner_ended', one.id, -9]);
    const [change] = (await d.get('/v1/changes?type=hold.ended')).body.items;
    assert.equal(change.ref, held.id);
  });

  daemonTest('of a session ends with it', async (d) => {
    await make(d, '/v1/locks/l');
    const short = await session(d, 0.3);
    await granted(acquire(short.client, 'l'));
    const hold = await granted(acquire(d, 'l', { wait: 30 }));
    assert.deepEqual([hold.previous.ended, hold.previous.owner, hold.previous.exitcode], ['owner_ended', short.id, null]);
  });

  daemonTest('with a time limit expires, and is renewed', async (d) => {
    await make(d, '/v1/locks/l');
    const hold = await granted(acquire(d, 'l', { body: { ttl_seconds: 2 } }));
    for (let i = 0; i < 4; i += 1) {
      await new Promise((done) => { setTimeout(done, 600); });
      const touched = (await d.post(`/v1/holds/${hold.id}/touch`, undefined, { expect: 200 })).body;
      assert.ok(touched.expires_at > hold.expires_at);
    }
    const next = await granted(acquire(d, 'l', { wait: 30 }));
    assert.equal(next.previous.ended, 'expired');
    problem(await d.call('POST', `/v1/holds/${hold.id}/touch`), 410, 'hold_ended');
  });

  daemonTest('is broken by the admin only', async (d) => {
    await make(d, '/v1/locks/l');
    const one = await liver(d);
    const hold = await granted(acquire(one.client, 'l'));
    problem(await one.client.call('DELETE', `/v1/holds/${hold.id}`), 403, 'forbidden');
    await d.delete(`/v1/holds/${hold.id}`);
    assert.equal((await d.get(`/v1/holds/${hold.id}`)).body.cause.ended, 'broken');
    problem(await d.call('DELETE', `/v1/holds/${hold.id}`), 410, 'hold_ended');
    problem(await d.call('DELETE', '/v1/holds/h_01jd8m3q7v0x4t5k6n7p8q9r0s'), 404, 'not_found');
  });

  daemonTest('given up by a client that is gone goes to the next', async (d) => {
    await make(d, '/v1/locks/l');
    const hold = await granted(acquire(d, 'l'));
    for (const client of [d.as(d.token), d.unix]) {
      const left = client.as ? client.as(d.token) : client;
      acquire(left, 'l', { wait: 30 }).catch(() => {});
      await waiting(d, 'l', 1);
      left.close();
      await waiting(d, 'l', 0);
    }
    await release(d, hold);
    assert.equal((await lock(d, 'l')).held, false);
  });

  daemonTest('outlives the server with its holder, its order of fences and its end', async (d) => {
    await make(d, '/v1/locks/l');
    const one = await liver(d);
    const hold = await granted(acquire(one.client, 'l'));
    await d.killServer();
    assert.deepEqual((await lock(d, 'l')).holds.map((at) => [at.id, at.owner, at.fence]), [[hold.id, one.id, hold.fence]]);
    problem(await acquire(d, 'l'), 409, 'not_granted');
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    await d.join(one.id);
    const next = await granted(acquire(d, 'l', { wait: 10 }));
    assert.ok(next.fence > hold.fence);
    assert.equal(next.previous.exitcode, -9);
    await d.killServer();
    assert.equal((await d.get(`/v1/holds/${hold.id}`)).body.cause.exitcode, -9);
    assert.equal((await lock(d, 'l')).previous.hold, hold.id);
  });

  daemonTest('whose holder ends while no server runs is free then', async (d) => {
    await make(d, '/v1/locks/l');
    const one = await liver(d);
    await granted(acquire(one.client, 'l'));
    const { server_pid } = await d.system();
    process.kill(server_pid, 'SIGSTOP');
    process.kill(one.pid, 'SIGKILL');
    process.kill(server_pid, 'SIGKILL');
    await d.otherServer(server_pid);
    const hold = await granted(acquire(d, 'l', { wait: 10 }));
    assert.deepEqual([hold.previous.ended, hold.previous.exitcode], ['owner_ended', -9]);
  });

  daemonTest('that is reentrant knows its owner', async (d) => {
    await make(d, '/v1/locks/r', { reentrant: true });
    const one = await liver(d);
    const other = await session(d);
    const hold = await granted(acquire(one.client, 'r'));
    const again = await granted(acquire(one.client, 'r'));
    assert.deepEqual([again.id, again.depth], [hold.id, 2]);
    problem(await acquire(other.client, 'r'), 409, 'not_granted');
    problem(await acquire(d, 'r'), 400, 'bad_request');
    assert.equal((await release(one.client, hold)).body.depth, 1);
    problem(await acquire(other.client, 'r'), 409, 'not_granted');
    assert.equal((await release(one.client, hold)).body.ended, 'released');
    await granted(acquire(other.client, 'r'));
  });

  daemonTest('holds nothing that its wrong bodies ask for', async (d) => {
    await make(d, '/v1/locks/l');
    assert.deepEqual(faults(problem(await acquire(d, 'l', { body: { ttl: 1, ttl_seconds: 0 } }), 422)), ['/ttl unknown_field', '/ttl_seconds invalid_value']);
    problem(await acquire(d, 'none'), 404, 'not_found');
    problem(await d.call('POST', '/v1/locks/l/acquire?wait=soon'), 400, 'invalid_parameter');
    assert.equal((await lock(d, 'l')).held, false);
  });
});

suite('a hold', () => {
  daemonTest('guards what If-Hold names it for', async (d) => {
    await make(d, '/v1/locks/l');
    await make(d, '/v1/semaphores/s', { value: 1 });
    const hold = await granted(acquire(d, 'l'));
    const guarded = { headers: { 'If-Hold': hold.id } };
    await d.call('POST', '/v1/semaphores/s/release', { ...guarded, expect: 200 });
    await release(d, hold);
    assert.equal(problem(await d.call('POST', '/v1/semaphores/s/release', guarded), 412, 'hold_ended').cause.ended, 'released');
    problem(await d.call('DELETE', '/v1/semaphores/s', { headers: { 'If-Hold': 'nonsense' } }), 412, 'hold_ended');
    assert.equal((await d.get('/v1/semaphores/s')).body.available, 2);
  });

  daemonTest('is found by owner and resource, and acted on in batches', async (d) => {
    const one = await liver(d);
    for (const name of ['a', 'b', 'c']) await make(d, `/v1/locks/${name}`);
    const a = await granted(acquire(one.client, 'a'));
    const b = await granted(acquire(one.client, 'b'));
    const c = await granted(acquire(d, 'c'));
    const ids = async (query) => (await d.get(`/v1/holds?${query}`)).body.items.map((hold) => hold.id);
    assert.deepEqual(await ids(''), [a.id, b.id, c.id]);
    assert.deepEqual(await ids(`owner=${one.id}`), [a.id, b.id]);
    assert.deepEqual(await ids('resource=locks/c'), [c.id]);
    assert.deepEqual((await one.client.call('GET', '/v1/holds?owner=me', { expect: 200 })).body.items.map((hold) => hold.id), [a.id, b.id]);
    problem(await d.call('GET', '/v1/holds?owner=x'), 400, 'invalid_parameter');
    const { body } = await d.post('/v1/holds/actions', { release: [a.id, 'h_none'], touch: [c.id], ack: [b.id] }, { expect: 200 });
    assert.deepEqual(body.items.map((item) => [item.id, item.action, item.status]),
      [[b.id, 'ack', 422], [a.id, 'release', 200], ['h_none', 'release', 404], [c.id, 'touch', 200]]);
    assert.deepEqual(await ids(''), [b.id, c.id]);
  });
});

suite('a semaphore', () => {
  const enter = (client, wait = 0) => client.call('POST', `/v1/semaphores/s/acquire?wait=${wait}`, { body: {} });

  daemonTest('lets so many in, and the next when one leaves', async (d) => {
    await make(d, '/v1/semaphores/s', { value: 3, max: 3 });
    const holds = [];
    for (let i = 0; i < 3; i += 1) holds.push(await granted(enter(d)));
    problem(await enter(d), 409, 'not_granted');
    const next = enter(d, 30);
    await until('one waits', async () => (await d.get('/v1/semaphores/s')).body.waiters === 1);
    await release(d, holds[1]);
    await granted(next);
    assert.equal((await d.get('/v1/semaphores/s')).body.available, 0);
  });

  daemonTest('is posted without a hold, up to its max', async (d) => {
    await make(d, '/v1/semaphores/s', { value: 1, max: 2 });
    await d.post('/v1/semaphores/s/release', {}, { expect: 200 });
    problem(await d.call('POST', '/v1/semaphores/s/release'), 409, 'over_release');
    await make(d, '/v1/semaphores/plain', { value: 0 });
    assert.equal((await d.post('/v1/semaphores/plain/release', { n: 5 }, { expect: 200 })).body.available, 5);
    await d.killServer();
    assert.equal((await d.get('/v1/semaphores/plain')).body.available, 5);
    assert.equal((await d.get('/v1/semaphores/s')).body.available, 2);
  });

  daemonTest('gets the permits of the dead back, at once', async (d) => {
    await make(d, '/v1/semaphores/s', { value: 2, max: 2 });
    const one = await liver(d);
    await granted(enter(one.client));
    await granted(enter(one.client));
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    await granted(enter(d, 10));
    await granted(enter(d, 10));
    problem(await enter(d), 409, 'not_granted');
    problem(await d.call('PUT', '/v1/semaphores/t', { body: { value: 3, max: 2 } }), 422, 'invalid_value');
  });
});
