// Barriers: nobody goes on before all have come, and nobody waits for the dead.
import assert from 'node:assert/strict';
import net from 'node:net';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { faults, problem } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';
import { head } from '../lib/raw.mjs';
import { now } from '../lib/wait.mjs';

const make = async (d, name, body, expect = 201) => (await d.call('PUT', `/v1/barriers/${name}`, { body, expect })).body;
const wait = (client, name, query = '', options = {}) => client.call('POST', `/v1/barriers/${name}/wait?wait=30${query}`, options);
const look = async (d, name = 'b') => (await d.get(`/v1/barriers/${name}`)).body;
const waiting = (d, count, name = 'b') => until(`${count} wait`, async () => (await look(d, name)).n_waiting === count);
const passed = async (call) => { const answer = await call; assert.equal(answer.status, 200, `${answer}`); return answer.body; };
const broken = async (call, reason, owner = null, exitcode = null) => {
  const { cause } = problem(await call, 409, 'broken');
  assert.deepEqual([cause.reason, cause.owner, cause.exitcode], [reason, owner, exitcode]);
  return cause;
};
const kill = (d, one) => d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
/** A wait whose answer nobody reads. */
const lost = (client, name) => { wait(client, name).catch(() => {}); };

suite('a barrier', () => {
  daemonTest('lets all go on when the last has come, in the order of arrival', async (d) => {
    const made = await make(d, 'b', { parties: 3 });
    assert.deepEqual([made.parties, made.timeout_seconds, made.members, made.n_waiting, made.broken, made.generation, made.cause, made.holds],
      [3, null, null, 0, false, 0, null, []]);
    for (const generation of [1, 2]) {
      const calls = [];
      for (let i = 0; i < 2; i += 1) {
        calls.push(wait(d, 'b'));
        await waiting(d, i + 1);
      }
      assert.deepEqual((await look(d)).holds.map((hold) => [hold.kind, hold.resource, hold.owner]), [['barrier', 'barriers/b', null], ['barrier', 'barriers/b', null]]);
      calls.push(wait(d, 'b'));
      const answers = await Promise.all(calls.map(passed));
      assert.deepEqual(answers, [0, 1, 2].map((index) => ({ index, generation })));
      const { n_waiting, holds, generation: passes } = await look(d);
      assert.deepEqual([n_waiting, holds, passes], [0, [], generation]);
    }
  });

  daemonTest('of one lets everybody pass at once', async (d) => {
    await make(d, 'b', { parties: 1 });
    for (const generation of [1, 2, 3]) {
      assert.deepEqual(await passed(d.call('POST', '/v1/barriers/b/wait?wait=0')), { index: 0, generation });
    }
  });

  daemonTest('says what is wrong with its configuration', async (d) => {
    const gone = 'p_01jd8m3q7v0x4t5k6n7p8q9r0s';
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/barriers/b'), 422, 'missing_field')), ['/parties missing_field']);
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/barriers/b', { body: { parties: 0, timeout_seconds: 0, members: ['x'], partys: 2 } }), 422)),
      ['/members/0 invalid_value', '/parties invalid_value', '/partys unknown_field', '/timeout_seconds invalid_value']);
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/barriers/b', { body: { parties: 2, members: [gone] } }), 422, 'invalid_value')), ['/members/0 invalid_value']);
    await make(d, 'b', { parties: 2, timeout_seconds: 1.5, members: [] });
    await make(d, 'b', { parties: 2, timeout_seconds: 1.5, members: [] }, 200);
    problem(await d.call('PUT', '/v1/barriers/b', { body: { parties: 2 } }), 409, 'config_differs');
    problem(await wait(d, 'none'), 404, 'not_found');
    problem(await wait(d, 'b', '', { body: { parties: 2 } }), 422, 'unknown_field');
    problem(await wait(d, 'b', '&timeout=soon'), 400, 'invalid_parameter');
    problem(await wait(d, 'b', '', { headers: { 'If-Hold': 'nonsense' } }), 412, 'hold_ended');
  });

  daemonTest('that is deleted tells who waits', async (d) => {
    await make(d, 'b', { parties: 2 });
    const call = wait(d, 'b');
    await waiting(d, 1);
    await d.delete('/v1/barriers/b');
    problem(await call, 410, 'deleted');
  });

  daemonTest('is reset: who waits is told, then it is whole and empty', async (d) => {
    await make(d, 'b', { parties: 2 });
    const call = wait(d, 'b');
    await waiting(d, 1);
    const body = (await d.post('/v1/barriers/b/reset', undefined, { expect: 200 })).body;
    assert.deepEqual([body.n_waiting, body.broken, body.cause], [0, false, null]);
    await broken(call, 'reset');
    const first = wait(d, 'b');
    await waiting(d, 1);
    assert.deepEqual([await passed(wait(d, 'b')), await passed(first)].map((one) => one.index), [1, 0]);
  });

  daemonTest('is aborted: broken for who waits and who comes, until it is reset', async (d) => {
    await make(d, 'b', { parties: 2 });
    const one = await liver(d);
    const call = wait(d, 'b');
    await waiting(d, 1);
    const body = (await one.client.call('POST', '/v1/barriers/b/abort', { expect: 200 })).body;
    assert.deepEqual([body.n_waiting, body.broken, body.cause.reason, body.cause.owner], [0, true, 'aborted', one.id]);
    await broken(call, 'aborted', one.id);
    await d.post('/v1/barriers/b/abort', undefined, { expect: 200 });
    await broken(wait(d, 'b'), 'aborted', one.id);
    await d.killServer();
    await broken(wait(d, 'b'), 'aborted', one.id);
    await d.post('/v1/barriers/b/reset', undefined, { expect: 200 });
    const next = wait(d, 'b');
    await waiting(d, 1);
    assert.equal((await passed(wait(d, 'b'))).generation, 1);
    await passed(next);
  });
});

suite('a place', () => {
  daemonTest('of a process that is killed breaks the barrier for all, with its exit code', async (d) => {
    await make(d, 'b', { parties: 4 });
    const one = await liver(d);
    const two = await liver(d);
    const own = wait(one.client, 'b');
    await waiting(d, 1);
    const calls = [wait(two.client, 'b'), wait(d, 'b')];
    await waiting(d, 3);
    const begun = now();
    await kill(d, one);
    for (const call of calls) await broken(call, 'owner_ended', one.id, -9);
    assert.ok(now() - begun < 10);
    problem(await own, 401, 'owner_ended');
    const state = await look(d);
    assert.deepEqual([state.broken, state.cause.reason, state.n_waiting], [true, 'owner_ended', 0]);
    await broken(wait(d, 'b'), 'owner_ended', one.id, -9);
  });

  daemonTest('of a session that ends breaks it too', async (d) => {
    await make(d, 'b', { parties: 3 });
    const one = await session(d);
    lost(one.client, 'b');
    await waiting(d, 1);
    const call = wait(d, 'b');
    await waiting(d, 2);
    await d.delete(`/v1/sessions/${one.id}`);
    await broken(call, 'owner_ended', one.id);
  });

  daemonTest('of a process that exits by itself breaks it, also when its call has run out', async (d) => {
    await make(d, 'b', { parties: 2 });
    const one = await d.python('import os, urllib.request, urllib.error, sys\n'
      + 'call = urllib.request.Request(os.environ["FORKFUL_URL"] + "/v1/barriers/b/wait?wait=0", method="POST", headers={"Authorization": "Bearer " + os.environ["FORKFUL_TOKEN"]})\n'
      + 'try: urllib.request.urlopen(call)\nexcept urllib.error.HTTPError as error: print(error.code, flush=True)\nsys.stdin.read()\nsys.exit(7)', { stdin: 'pipe' });
    await waiting(d, 1);
    assert.equal((await look(d)).holds[0].owner, one.id);
    await until('its call has run out', async () => (await d.logsText(one.id)).trim() === '409');
    await d.call('POST', `/v1/processes/${one.id}/stdin?eof=true`, { expect: 202 });
    await d.join(one.id);
    await broken(wait(d, 'b'), 'owner_ended', one.id, 7);
  });

  daemonTest('outlives the call of a process or session, and is taken up again', async (d) => {
    await make(d, 'b', { parties: 3 });
    const one = await liver(d);
    const two = await session(d);
    problem(await one.client.call('POST', '/v1/barriers/b/wait?wait=0'), 409, 'not_granted');
    problem(await two.client.call('POST', '/v1/barriers/b/wait?wait=0.1'), 409, 'not_granted');
    problem(await one.client.call('POST', '/v1/barriers/b/wait?wait=0.1'), 409, 'not_granted');
    assert.deepEqual((await look(d)).holds.map((hold) => hold.owner), [one.id, two.id]);
    assert.deepEqual(await passed(wait(d, 'b')), { index: 2, generation: 1 });
    assert.deepEqual(await passed(two.client.call('POST', '/v1/barriers/b/wait?wait=0')), { index: 1, generation: 1 }, 'the pass it has missed');
    await d.killServer();
    one.client.reconnect();
    assert.deepEqual(await passed(one.client.call('POST', '/v1/barriers/b/wait?wait=0')), { index: 0, generation: 1 }, 'also of a server before');
    problem(await one.client.call('POST', '/v1/barriers/b/wait?wait=0'), 409, 'not_granted');
  });

  daemonTest('outlives an upgrade that ends its call, and breaks the barrier when its owner does not come back', async (d) => {
    await make(d, 'b', { parties: 3 });
    const [one, two] = [await session(d), await session(d)];
    const calls = [];
    for (const { client } of [one, two]) {
      calls.push(wait(client, 'b'));
      await waiting(d, calls.length);
    }
    const { server_pid } = await d.system();
    await d.post('/v1/upgrade', undefined, { expect: 202 });
    for (const call of calls) problem(await call, 503, 'unavailable');
    for (const client of [d.admin, one.client, two.client]) client.reconnect();
    await d.otherServer(server_pid);
    assert.deepEqual((await look(d)).holds.map((hold) => hold.owner), [one.id, two.id]);
    const again = wait(two.client, 'b');
    await d.delete(`/v1/sessions/${one.id}`);
    await broken(again, 'owner_ended', one.id);
  });

  daemonTest('of an idle owner that a break has taken is told so, even after the reset', async (d) => {
    await make(d, 'b', { parties: 3 });
    const one = await session(d);
    problem(await one.client.call('POST', '/v1/barriers/b/wait?wait=0'), 409, 'not_granted');
    await d.post('/v1/barriers/b/reset', undefined, { expect: 200 });
    await broken(wait(one.client, 'b'), 'reset');
    problem(await one.client.call('POST', '/v1/barriers/b/wait?wait=0'), 409, 'not_granted');
    assert.equal((await look(d)).n_waiting, 1);
  });

  daemonTest('of one owner that waits twice counts twice', async (d) => {
    await make(d, 'b', { parties: 3 });
    const one = await session(d);
    const calls = [wait(one.client, 'b')];
    await waiting(d, 1);
    calls.push(wait(one.client, 'b'));
    await waiting(d, 2);
    calls.push(wait(one.client, 'b'));
    assert.deepEqual((await Promise.all(calls.map(passed))).map((body) => body.index), [0, 1, 2]);
  });

  daemonTest('of the bare admin token ends with its call', async (d) => {
    await make(d, 'b', { parties: 2 });
    problem(await d.call('POST', '/v1/barriers/b/wait?wait=0'), 409, 'not_granted');
    problem(await d.call('POST', '/v1/barriers/b/wait?wait=0.1'), 409, 'not_granted');
    assert.equal((await look(d)).n_waiting, 0);
    lost(d.as(d.token), 'b');
    await waiting(d, 1);
    await d.killServer();
    assert.deepEqual([(await look(d)).n_waiting, (await look(d)).broken], [0, false]);
  });

  for (const [sign, leave] of [['FIN', (socket) => socket.end()], ['RST', (socket) => socket.resetAndDestroy()]]) {
    daemonTest(`of a client that leaves with ${sign} is withdrawn, and nothing breaks`, async (d) => {
      await make(d, 'b', { parties: 3 });
      const [one, two] = [await session(d), await liver(d)];
      const first = wait(d, 'b');
      await waiting(d, 1);
      for (const token of [d.token, one.token, two.token]) {
        const { hostname, port } = new URL(d.url);
        const socket = net.connect(Number(port), hostname);
        socket.on('error', () => {});
        socket.write(head(d, 'POST /v1/barriers/b/wait?wait=30', { Authorization: `Bearer ${token}`, 'Content-Length': 0 }));
        await waiting(d, 2);
        leave(socket);
        await waiting(d, 1);
        socket.destroy();
      }
      assert.equal((await look(d)).broken, false);
      await until('the place of the process has ended', async () => (await d.get(`/v1/holds?owner=${two.id}`)).body.items.length === 0);
      assert.equal((await look(d)).broken, false);
      await kill(d, two);
      const second = wait(d, 'b');
      await waiting(d, 2);
      assert.equal((await passed(wait(d, 'b'))).index, 2);
      assert.deepEqual([(await passed(first)).index, (await passed(second)).index], [0, 1]);
    });
  }

  daemonTest('is released by its holder, and broken by the admin', async (d) => {
    await make(d, 'b', { parties: 3 });
    const one = await session(d);
    const call = wait(one.client, 'b');
    await waiting(d, 1);
    const [hold] = (await look(d)).holds;
    problem(await d.call('POST', `/v1/holds/${hold.id}/ack`), 422, 'invalid_value');
    await d.post(`/v1/holds/${hold.id}/release`, undefined, { expect: 200 });
    problem(await call, 409, 'not_granted');
    const next = wait(one.client, 'b');
    await waiting(d, 1);
    await d.delete(`/v1/holds/${(await look(d)).holds[0].id}`);
    await broken(next, 'aborted');
  });

  daemonTest('outlives a kill of the server with its order, and its owner finds it again', async (d) => {
    await make(d, 'b', { parties: 3 });
    const one = await liver(d);
    const two = await session(d);
    lost(one.client, 'b');
    await waiting(d, 1);
    lost(two.client, 'b');
    await waiting(d, 2);
    await d.killServer();
    one.client.reconnect();
    two.client.reconnect();
    assert.deepEqual((await look(d)).holds.map((hold) => hold.owner), [one.id, two.id]);
    const calls = [wait(two.client, 'b'), wait(one.client, 'b')];
    assert.deepEqual(await passed(wait(d, 'b')), { index: 2, generation: 1 });
    assert.deepEqual((await Promise.all(calls.map(passed))).map((body) => body.index), [1, 0]);
    await d.killServer();
    assert.equal((await look(d)).generation, 1);
  });

  daemonTest('whose process ends while no server runs breaks the barrier then', async (d) => {
    await make(d, 'b', { parties: 2 });
    const one = await liver(d);
    lost(one.client, 'b');
    await waiting(d, 1);
    const { server_pid } = await d.system();
    process.kill(server_pid, 'SIGSTOP');
    process.kill(one.pid, 'SIGKILL');
    process.kill(server_pid, 'SIGKILL');
    d.admin.reconnect();
    await d.otherServer(server_pid);
    await broken(wait(d, 'b'), 'owner_ended', one.id, -9);
  });
});

suite('the timeout', () => {
  daemonTest('of a barrier or a call breaks it for all, from the arrival on', async (d) => {
    await make(d, 'b', { parties: 3, timeout_seconds: 0.4 });
    await make(d, 'c', { parties: 3 });
    for (const [name, query] of [['b', ''], ['c', '&timeout=0.4']]) {
      const begun = now();
      const one = await session(d);
      const calls = [wait(one.client, name, query)];
      await waiting(d, 1, name);
      calls.push(wait(d, name, name === 'b' ? '&timeout=60' : ''));
      for (const call of calls) await broken(call, 'timeout', one.id);
      assert.ok(now() - begun >= 0.4);
      await broken(wait(d, name), 'timeout', one.id);
    }
  });

  daemonTest('goes on between two calls and over a kill of the server', async (d) => {
    await make(d, 'b', { parties: 2 });
    const one = await session(d);
    problem(await one.client.call('POST', '/v1/barriers/b/wait?wait=0&timeout=1.5'), 409, 'not_granted');
    await d.killServer();
    one.client.reconnect();
    await broken(wait(one.client, 'b', '&timeout=60'), 'timeout', one.id);
    await broken(wait(one.client, 'b'), 'timeout', one.id);
  });

  daemonTest('of nothing breaks at once, unless the last one comes', async (d) => {
    await make(d, 'b', { parties: 2 });
    await broken(wait(d, 'b', '&timeout=0'), 'timeout');
    await d.post('/v1/barriers/b/reset', undefined, { expect: 200 });
    const call = wait(d, 'b');
    await waiting(d, 1);
    await passed(wait(d, 'b', '&timeout=0'));
    await passed(call);
  });
});

suite('a member', () => {
  daemonTest('that ends before it has come breaks the barrier', async (d) => {
    const one = await liver(d);
    const two = await liver(d);
    await make(d, 'b', { parties: 2, members: [one.id, two.id] });
    const call = wait(one.client, 'b');
    await waiting(d, 1);
    await kill(d, two);
    await broken(call, 'owner_ended', two.id, -9);
    assert.equal((await look(d)).broken, true);
    const body = (await d.post('/v1/barriers/b/reset', undefined, { expect: 200 })).body;
    assert.equal(body.broken, false);
    await broken(wait(one.client, 'b'), 'owner_ended', two.id, -9);
  });

  daemonTest('that has ended before the barrier is made breaks it from the beginning', async (d) => {
    const one = await d.run({ argv: ['sh', '-c', 'exit 3'] });
    const made = await make(d, 'b', { parties: 2, members: [one.id] });
    assert.deepEqual([made.broken, made.cause.reason, made.cause.exitcode], [true, 'owner_ended', 3]);
    await broken(wait(d, 'b'), 'owner_ended', one.id, 3);
    await d.killServer();
    await broken(wait(d, 'b'), 'owner_ended', one.id, 3);
    await d.delete(`/v1/processes/${one.id}`);
    await make(d, 'b', { parties: 2, members: [one.id] }, 200);
    await d.killServer();
    assert.deepEqual((await look(d)).members, [one.id]);
  });

  daemonTest('that ends while no server runs, and one that never starts, break it too', async (d) => {
    const one = await liver(d);
    const two = await d.sh('true', { start: false });
    const three = await d.spawn({ argv: ['/nowhere/to-be-found'], start: false });
    await make(d, 'b', { parties: 2, members: [one.id] });
    await make(d, 'c', { parties: 2, members: [two.id] });
    await make(d, 'e', { parties: 2, members: [three.id] });
    const { server_pid } = await d.system();
    process.kill(server_pid, 'SIGSTOP');
    process.kill(one.pid, 'SIGKILL');
    process.kill(server_pid, 'SIGKILL');
    d.admin.reconnect();
    await d.otherServer(server_pid);
    assert.deepEqual([(await look(d)).cause.owner, (await look(d)).cause.exitcode], [one.id, -9]);
    const call = wait(d, 'c');
    await waiting(d, 1, 'c');
    await d.delete(`/v1/processes/${two.id}`);
    await broken(call, 'owner_ended', two.id);
    const other = wait(d, 'e');
    await waiting(d, 1, 'e');
    problem(await d.call('POST', `/v1/processes/${three.id}/start`), 422, 'spawn_failed');
    await broken(other, 'owner_ended', three.id);
  });
});

suite('many parties', () => {
  daemonTest('go on together', async (d) => {
    const count = 100;
    await make(d, 'b', { parties: count });
    const one = await session(d);
    for (let generation = 1; generation <= 3; generation += 1) {
      const calls = [];
      for (let i = 0; i < count; i += 1) calls.push(wait(i % 2 ? d : one.client, 'b').then((answer) => ({ at: now(), ...answer.body })));
      const answers = await Promise.all(calls);
      assert.deepEqual(answers.map((body) => body.index).sort((a, b) => a - b), Array.from({ length: count }, (_, i) => i));
      assert.ok(answers.every((body) => body.generation === generation));
    }
  });
});
