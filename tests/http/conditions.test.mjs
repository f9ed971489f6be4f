// Conditions: the lock is given up while one waits for news, and a notification is never lost.
import assert from 'node:assert/strict';
import net from 'node:net';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { faults, problem } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';
import { head } from '../lib/raw.mjs';
import { now } from '../lib/wait.mjs';

const setup = async (d, lock = {}) => {
  await d.call('PUT', '/v1/locks/l', { body: lock, expect: 201 });
  return (await d.call('PUT', '/v1/conditions/c', { body: { lock: 'l' }, expect: 201 })).body;
};
const acquire = async (client, patience = 30) => (await client.call('POST', `/v1/locks/l/acquire?wait=${patience}`, { body: {}, expect: 200 })).body;
const release = (client, hold) => client.call('POST', `/v1/holds/${hold.id}/release`, { expect: 200 });
const wait = (client, body, patience = 30) => client.call('POST', `/v1/conditions/c/wait?wait=${patience}`, { body });
const notify = async (client, body = {}) => (await client.call('POST', '/v1/conditions/c/notify', { body, expect: 200 })).body.notified;
const look = async (d) => (await d.get('/v1/conditions/c')).body;
const lock = async (d) => (await d.get('/v1/locks/l')).body;
const waiting = (d, count) => until(`${count} wait`, async () => (await look(d)).waiters === count);
const got = async (call) => { const answer = await call; assert.equal(answer.status, 200, `${answer}`); return answer.body; };
/** Waits with the lock's hold; { call } once the ticket is there. */
const enter = async (d, client, body = {}, patience = 30) => {
  const before = (await look(d)).waiters;
  const hold = await acquire(client);
  const call = wait(client, { hold: hold.id, ...body }, patience);
  call.catch(() => {});
  await waiting(d, before + 1);
  return { hold, call };
};

suite('a condition', () => {
  daemonTest('belongs to a lock that is there', async (d) => {
    const made = await setup(d);
    assert.deepEqual([made.name, made.kind, made.lock, made.waiters, made.holds], ['c', 'condition', 'l', 0, []]);
    await d.call('PUT', '/v1/conditions/c', { body: { lock: 'l' }, expect: 200 });
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/conditions/e'), 422, 'missing_field')), ['/lock missing_field']);
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/conditions/e', { body: { lock: 'none' } }), 422, 'invalid_value')), ['/lock invalid_value']);
    await d.call('PUT', '/v1/locks/m', { body: {}, expect: 201 });
    problem(await d.call('PUT', '/v1/conditions/c', { body: { lock: 'm' } }), 409, 'config_differs');
    await d.delete('/v1/locks/l');
    await d.call('PUT', '/v1/conditions/c', { body: { lock: 'l' }, expect: 200 });
    await d.killServer();
    assert.equal((await look(d)).lock, 'l');
  });

  daemonTest('releases the lock, waits, and has it again', async (d) => {
    await setup(d);
    const one = await liver(d);
    const { hold, call } = await enter(d, one.client);
    assert.equal((await lock(d)).held, false);
    assert.equal((await d.get(`/v1/holds/${hold.id}`)).body.ended, 'released');
    const [ticket] = (await look(d)).holds;
    assert.deepEqual([ticket.kind, ticket.resource, ticket.owner, ticket.expires_at], ['ticket', 'conditions/c', one.id, null]);
    const mine = await acquire(d);
    assert.equal(await notify(d, { hold: mine.id }), 1);
    assert.deepEqual([(await look(d)).waiters, (await look(d)).holds.length], [0, 1]);
    await release(d, mine);
    const answer = await got(call);
    assert.deepEqual([answer.notified, answer.ticket, answer.hold.owner, answer.hold.resource, answer.hold.previous.hold], [true, null, one.id, 'locks/l', mine.id]);
    assert.ok(answer.hold.fence > mine.fence);
    assert.equal((await lock(d)).holds[0].id, answer.hold.id);
    await release(one.client, answer.hold);
    assert.equal((await look(d)).holds.length, 0);
    assert.equal((await d.get(`/v1/holds/${ticket.id}`)).body.ended, 'acked');
  });

  daemonTest('notifies in the order of the tickets, so many or all', async (d) => {
    await setup(d);
    const waits = [];
    for (let i = 0; i < 5; i += 1) waits.push(await enter(d, await session(d).then((one) => one.client)));
    const told = [];
    waits.forEach(({ call }, i) => call.then(async (answer) => { told.push(i); await release(d, answer.body.hold); }));
    assert.equal(await notify(d), 1);
    await until('one is told', () => told.length === 1);
    assert.equal(await notify(d, { n: 2 }), 2);
    await until('three are told', () => told.length === 3);
    assert.equal((await d.post('/v1/conditions/c/notify_all', undefined, { expect: 200 })).body.notified, 2);
    await until('all are told', () => told.length === 5);
    assert.deepEqual(told, [0, 1, 2, 3, 4]);
    assert.equal(await notify(d, { n: 7 }), 0);
    assert.equal((await d.post('/v1/conditions/c/notify_all', {}, { expect: 200 })).body.notified, 0);
  });

  daemonTest('that times out has the lock again all the same', async (d) => {
    await setup(d);
    const one = await session(d);
    const { call } = await enter(d, one.client, { timeout_seconds: 0.3 });
    const mine = await acquire(d);
    await waiting(d, 0);
    assert.equal(await notify(d), 0, 'it does not wait for news any more');
    await release(d, mine);
    const answer = await got(call);
    assert.deepEqual([answer.notified, answer.hold.owner, answer.ticket], [false, one.id, null]);
    const again = await got(wait(one.client, { hold: answer.hold.id, timeout_seconds: 0 }));
    assert.deepEqual([again.notified, again.hold.owner], [false, one.id]);
  });

  daemonTest('that is notified before its timeout was notified', async (d) => {
    await setup(d);
    const one = await session(d);
    const { call } = await enter(d, one.client, { timeout_seconds: 0.5 });
    const mine = await acquire(d);
    assert.equal(await notify(d), 1);
    const since = now();
    await until('the time is over', () => now() - since > 0.6);
    await release(d, mine);
    assert.equal((await got(call)).notified, true);
  });

  daemonTest('restores the depth of a reentrant lock', async (d) => {
    await setup(d, { reentrant: true });
    const one = await session(d);
    const other = await session(d);
    for (let i = 0; i < 2; i += 1) await acquire(one.client);
    const { call } = await enter(d, one.client);
    const mine = await acquire(other.client, 0);
    assert.equal(await notify(other.client, { hold: mine.id }), 1);
    await release(other.client, mine);
    const { hold } = await got(call);
    assert.equal(hold.depth, 3);
    for (const depth of [2, 1]) assert.equal((await release(one.client, hold)).body.depth, depth);
    assert.equal((await release(one.client, hold)).body.ended, 'released');
    assert.equal((await lock(d)).held, false);
  });

  daemonTest('says what is wrong with a call', async (d) => {
    await setup(d);
    await d.call('PUT', '/v1/locks/m', { body: {}, expect: 201 });
    const hold = await acquire(d);
    const { body: other } = await d.post('/v1/locks/m/acquire', {}, { expect: 200 });
    const unknown = 'h_01jd8m3q7v0x4t5k6n7p8q9r0s';
    assert.deepEqual(faults(problem(await wait(d, {}), 422, 'missing_field')), ['/hold missing_field']);
    assert.deepEqual(faults(problem(await wait(d, { hold: hold.id, ticket: hold.id }), 422, 'invalid_value')), ['/ticket invalid_value']);
    assert.deepEqual(faults(problem(await wait(d, { hold: hold.id, timeout_seconds: -1, timeout: 1 }), 422)), ['/timeout unknown_field', '/timeout_seconds invalid_value']);
    problem(await wait(d, { hold: unknown }), 404, 'not_found');
    problem(await wait(d, { ticket: unknown }), 404, 'not_found');
    problem(await wait(d, { hold: other.id }), 409, 'wrong_hold');
    problem(await wait(d, { ticket: hold.id }), 409, 'wrong_hold');
    problem(await d.call('POST', '/v1/conditions/c/notify', { body: { hold: other.id } }), 409, 'wrong_hold');
    problem(await d.call('POST', '/v1/conditions/c/notify', { body: { n: 0 } }), 422, 'invalid_value');
    problem(await d.call('POST', '/v1/conditions/none/notify'), 404, 'not_found');
    await release(d, hold);
    assert.equal(problem(await wait(d, { hold: hold.id }), 410, 'hold_ended').cause.ended, 'released');
    problem(await d.call('POST', '/v1/conditions/c/notify_all', { body: { hold: hold.id } }), 410, 'hold_ended');
    problem(await d.call('POST', '/v1/conditions/c/notify', { headers: { 'If-Hold': hold.id } }), 412, 'hold_ended');
    assert.equal((await look(d)).holds.length, 0);
  });

  daemonTest('that is deleted, or loses its lock, tells who waits', async (d) => {
    await setup(d);
    const one = await session(d);
    const first = await enter(d, one.client);
    await d.delete('/v1/conditions/c');
    problem(await first.call, 410, 'deleted');
    assert.equal((await lock(d)).held, false);
    await d.call('PUT', '/v1/conditions/c', { body: { lock: 'l' }, expect: 201 });
    const second = await enter(d, one.client);
    const third = await enter(d, one.client);
    const mine = await acquire(d);
    assert.equal(await notify(d), 1);
    await d.delete('/v1/locks/l');
    problem(await second.call, 410, 'deleted');
    problem(await third.call, 410, 'deleted');
    assert.equal((await look(d)).holds.length, 0);
    assert.equal((await d.get(`/v1/holds/${mine.id}`)).body.ended, 'closed');
  });
});

suite('a ticket', () => {
  daemonTest('outlives its call, and is notified without one', async (d) => {
    await setup(d);
    const one = await liver(d);
    const hold = await acquire(one.client);
    const early = await got(wait(one.client, { hold: hold.id }, 0));
    assert.deepEqual([early.notified, early.hold], [false, null]);
    assert.deepEqual(await got(wait(one.client, { ticket: early.ticket }, 0.1)), early);
    assert.equal(await notify(d), 1);
    assert.equal((await lock(d)).holds[0].owner, one.id, 'it has the lock already');
    const late = await got(wait(one.client, { ticket: early.ticket }, 0));
    assert.deepEqual([late.notified, late.hold.owner, late.ticket], [true, one.id, null]);
    assert.deepEqual(await got(wait(one.client, { ticket: early.ticket })), late, 'who did not hear it asks again');
    await release(one.client, late.hold);
    assert.equal(problem(await wait(one.client, { ticket: early.ticket }), 410, 'hold_ended').cause.ended, 'acked');
  });

  for (const [sign, leave] of [['FIN', (socket) => socket.end()], ['RST', (socket) => socket.resetAndDestroy()]]) {
    daemonTest(`of a client that leaves with ${sign} waits on; the same call finds it again`, async (d) => {
      await setup(d);
      const one = await session(d);
      const hold = await acquire(one.client);
      const body = JSON.stringify({ hold: hold.id });
      const { hostname, port } = new URL(d.url);
      const socket = net.connect(Number(port), hostname);
      socket.on('error', () => {});
      const headers = { Authorization: `Bearer ${one.token}`, 'Content-Type': 'application/json', 'Content-Length': body.length };
      socket.write(head(d, 'POST /v1/conditions/c/wait?wait=30', headers) + body);
      await waiting(d, 1);
      leave(socket);
      assert.equal(await notify(d), 1);
      await until('it has the lock', async () => (await lock(d)).holds[0]?.owner === one.id);
      const answer = await got(wait(one.client, { hold: hold.id }));
      assert.deepEqual([answer.notified, answer.hold.owner], [true, one.id]);
      assert.equal((await lock(d)).holds[0].id, answer.hold.id);
      socket.destroy();
    });
  }

  daemonTest('is waited for by one call: a second one takes it over', async (d) => {
    await setup(d);
    const one = await session(d);
    const { hold, call } = await enter(d, one.client);
    const [ticket] = (await look(d)).holds;
    const second = wait(one.client, { ticket: ticket.id });
    assert.deepEqual(await got(call), { notified: false, hold: null, ticket: ticket.id });
    assert.equal(await notify(d), 1);
    assert.equal((await got(second)).notified, true);
    assert.notEqual((await lock(d)).holds[0].id, hold.id);
  });

  daemonTest('of a dead process goes, and what it was told goes to the next', async (d) => {
    await setup(d);
    const [one, two] = [await liver(d), await liver(d)];
    const dead = await enter(d, one.client);
    const next = await enter(d, two.client);
    const mine = await acquire(d);
    assert.equal(await notify(d, { hold: mine.id }), 1);
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    problem(await dead.call, 401, 'owner_ended');
    await waiting(d, 0);
    await release(d, mine);
    const answer = await got(next.call);
    assert.deepEqual([answer.notified, answer.hold.owner], [true, two.id]);
  });

  daemonTest('of a process that dies with the lock before it was told passes both on', async (d) => {
    await setup(d);
    const [one, two] = [await liver(d), await liver(d)];
    const hold = await acquire(one.client);
    await got(wait(one.client, { hold: hold.id }, 0));
    const next = await enter(d, two.client);
    assert.equal(await notify(d), 1);
    assert.equal((await lock(d)).holds[0].owner, one.id);
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    const answer = await got(next.call);
    assert.deepEqual([answer.notified, answer.hold.owner], [true, two.id]);
    assert.deepEqual([answer.hold.previous.ended, answer.hold.previous.exitcode], ['owner_ended', -9]);
  });

  daemonTest('of the dead that was not told takes nothing with it', async (d) => {
    await setup(d);
    const [one, two] = [await liver(d), await session(d)];
    await enter(d, one.client);
    const next = await enter(d, two.client);
    await d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
    await waiting(d, 1);
    assert.equal(await notify(d), 1);
    assert.equal((await got(next.call)).hold.owner, two.id);
  });

  daemonTest('of a session ends with it', async (d) => {
    await setup(d);
    const [one, two] = [await session(d), await session(d)];
    await enter(d, one.client);
    const next = await enter(d, two.client);
    const mine = await acquire(d);
    assert.equal(await notify(d), 1);
    await d.delete(`/v1/sessions/${one.id}`);
    await release(d, mine);
    assert.equal((await got(next.call)).notified, true);
  });

  daemonTest('of the bare admin token lives for 30 s from the last call on', async (d) => {
    await setup(d);
    const hold = await acquire(d);
    const { ticket } = await got(wait(d, { hold: hold.id }, 0));
    const left = async () => (Date.parse((await d.get(`/v1/holds/${ticket}`)).body.expires_at) - Date.now()) / 1000;
    assert.ok(await left() > 25 && await left() < 31);
    const { call } = await enter(d, d.as(d.token));
    const mine = await acquire(d);
    assert.equal(await notify(d), 1);
    assert.equal((await look(d)).waiters, 1);
    await d.post(`/v1/holds/${ticket}/touch`, { ttl_seconds: 0.2 }, { expect: 200 });
    await until('it has expired', async () => (await d.get(`/v1/holds/${ticket}`)).body.ended === 'expired');
    await release(d, mine);
    const answer = await got(call);
    assert.deepEqual([answer.notified, answer.hold.owner], [true, null]);
    assert.ok(answer.hold.expires_at !== null);
  });

  daemonTest('is released by its holder, and passes on what it was told', async (d) => {
    await setup(d);
    const [one, two] = [await session(d), await session(d)];
    const first = await enter(d, one.client);
    const next = await enter(d, two.client);
    const [ticket] = (await look(d)).holds;
    const mine = await acquire(d);
    assert.equal(await notify(d), 1);
    problem(await d.call('POST', `/v1/holds/${ticket.id}/ack`), 422, 'invalid_value');
    await d.post(`/v1/holds/${ticket.id}/release`, undefined, { expect: 200 });
    problem(await first.call, 410, 'hold_ended');
    await release(d, mine);
    assert.equal((await got(next.call)).notified, true);
  });
});

suite('a kill of the server', () => {
  daemonTest('leaves tickets, what they were told, their order and their depth', async (d) => {
    await setup(d, { reentrant: true });
    const owners = [await liver(d), await session(d), await session(d)];
    const tickets = [];
    for (const { client } of owners) {
      await acquire(client);
      const hold = await acquire(client);
      tickets.push((await got(wait(client, { hold: hold.id }, 0))).ticket);
    }
    const keeper = await session(d);
    const mine = await acquire(keeper.client);
    assert.equal(await notify(d, { n: 2 }), 2);
    await d.killServer();
    for (const { client } of [...owners, keeper]) client.reconnect();
    assert.deepEqual([(await look(d)).waiters, (await look(d)).holds.map((one) => one.id)], [1, tickets]);
    await until('two queue', async () => (await lock(d)).waiters === 2);
    const calls = owners.map(({ client }, i) => wait(client, { ticket: tickets[i] }));
    await release(keeper.client, mine);
    const first = await got(calls[0]);
    assert.deepEqual([first.notified, first.hold.owner, first.hold.depth], [true, owners[0].id, 2]);
    await d.post(`/v1/processes/${owners[0].id}/kill`, undefined, { expect: 200 });
    const second = await got(calls[1]);
    assert.deepEqual([second.notified, second.hold.owner], [true, owners[1].id]);
    assert.equal((await look(d)).waiters, 1, 'the first had used what it was told');
    assert.equal(await notify(d), 1);
    for (let i = 0; i < 2; i += 1) await release(owners[1].client, second.hold);
    assert.equal((await got(calls[2])).notified, true);
  });

  daemonTest('loses no news that were not told yet, and no timeout', async (d) => {
    await setup(d);
    const [one, two] = [await session(d), await session(d)];
    const holds = [];
    for (const [client, more] of [[one.client, {}], [two.client, { timeout_seconds: 1.5 }]]) {
      const hold = await acquire(client);
      await got(wait(client, { hold: hold.id, ...more }, 0));
      holds.push(hold);
    }
    assert.equal(await notify(d), 1);
    await d.killServer();
    one.client.reconnect();
    two.client.reconnect();
    const first = await got(wait(one.client, { hold: holds[0].id }));
    assert.deepEqual([first.notified, first.hold.owner], [true, one.id]);
    await release(one.client, first.hold);
    const second = await got(wait(two.client, { hold: holds[1].id }));
    assert.deepEqual([second.notified, second.hold.owner], [false, two.id]);
  });

  daemonTest('while calls wait and an owner dies passes its notification on', async (d) => {
    await setup(d);
    const [one, two] = [await liver(d), await session(d)];
    await enter(d, one.client);
    const next = await enter(d, two.client);
    const mine = await acquire(d);
    assert.equal(await notify(d), 1);
    const { server_pid } = await d.system();
    process.kill(server_pid, 'SIGSTOP');
    process.kill(one.pid, 'SIGKILL');
    process.kill(server_pid, 'SIGKILL');
    d.admin.reconnect();
    await d.otherServer(server_pid);
    two.client.reconnect();
    const call = wait(two.client, { hold: next.hold.id });
    await waiting(d, 0);
    await release(d, mine);
    assert.deepEqual([(await got(call)).notified], [true]);
  });
});
