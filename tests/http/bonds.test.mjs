// What ties a process to objects: the lock it requires, and the queue that its last record goes into.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, faults, problem } from '../lib/check.mjs';

const lock = (d, name) => d.call('PUT', `/v1/locks/${name}`, { expect: 201 });
const needing = (d, script, more = {}) => d.sh(script, { requires: { lock: 'l' }, ...more });
const state = (d, id, wanted) => until(`it is ${wanted}`, async () => { const p = await d.process(id); return p.state === wanted && p; });
const holds = async (d) => (await d.get('/v1/locks/l')).body.holds.map((hold) => hold.owner);

suite('a process that requires a lock', () => {
  daemonTest('is pending until it has it, and holds it while it lives', async (d) => {
    await lock(d, 'l');
    const first = await needing(d, 'read x; exit 3', { stdin: 'pipe' });
    assert.equal(first.state, 'pending');
    assert.equal((await state(d, first.id, 'running')).alive, true);
    const second = await needing(d, 'exit 4');
    const third = await needing(d, 'exit 5');
    assert.deepEqual(await holds(d), [first.id]);
    assert.equal((await state(d, second.id, 'pending')).pid, null);
    const joining = d.join(third.id);
    await d.call('POST', `/v1/processes/${first.id}/stdin`, { raw: '\n', expect: 202 });
    exitedWith(await d.join(first.id), 3);
    const ended = [await d.join(second.id), await joining];
    exitedWith(ended[0], 4);
    exitedWith(ended[1], 5);
    assert.ok(ended[0].started_at >= (await d.process(first.id)).exited_at);
    assert.ok(ended[1].started_at >= ended[0].exited_at);
    assert.deepEqual(await holds(d), []);
    const types = (await d.get(`/v1/changes?ref=${second.id}`)).body.items.map((change) => change.type);
    assert.deepEqual(types.slice(0, 4), ['process.created', 'process.pending', 'process.started', 'process.exited']);
  });

  daemonTest('waits also when it is started later, and over a kill of the server', async (d) => {
    await lock(d, 'l');
    const holder = await needing(d, 'exec sleep 1000');
    await state(d, holder.id, 'running');
    const later = await needing(d, 'exit 6', { start: false });
    assert.equal(later.state, 'created');
    assert.equal((await d.post(`/v1/processes/${later.id}/start`, undefined, { expect: 200 })).body.state, 'pending');
    problem(await d.post(`/v1/processes/${later.id}/start`), 409, 'already_started');
    await d.killServer();
    assert.equal((await d.process(later.id)).state, 'pending');
    assert.deepEqual(await holds(d), [holder.id]);
    await d.post(`/v1/processes/${holder.id}/kill`, undefined, { expect: 200 });
    exitedWith(await d.join(later.id), 6);
  });

  daemonTest('loses it only with its life', async (d) => {
    await lock(d, 'l');
    const one = await needing(d, 'trap "sleep 0.5; exit 7" TERM; echo ready; while :; do sleep 0.02; done');
    await until('it is ready', async () => (await d.logsText(one.id)) === 'ready\n');
    const next = await needing(d, 'exit 0');
    const [hold] = (await d.get('/v1/locks/l')).body.holds;
    await d.delete(`/v1/holds/${hold.id}`);
    assert.deepEqual(await holds(d), [one.id]);
    const ended = await d.join(one.id);
    exitedWith(ended, 7);
    assert.ok((await d.join(next.id)).started_at >= ended.exited_at);
    assert.equal((await d.get(`/v1/holds/${hold.id}`)).body.ended, 'broken');
  });

  daemonTest('that cannot be had fails, and says so', async (d) => {
    assert.deepEqual(faults(problem(await d.post('/v1/processes', { argv: ['true'], requires: { lock: 'none' }, on_exit: { queue: 'none' } }), 422)),
      ['/on_exit/queue invalid_value', '/requires/lock invalid_value']);
    await lock(d, 'l');
    const bad = await d.spawn({ argv: ['/no/such'], requires: { lock: 'l' } });
    const failed = await state(d, bad.id, 'failed');
    assert.equal(failed.error.errno, 'ENOENT');
    assert.deepEqual(await holds(d), []);
    await d.post('/v1/locks/l/acquire', {}, { expect: 200 });
    const waiting = await needing(d, 'exit 0');
    await d.delete('/v1/locks/l');
    await state(d, waiting.id, 'failed');
  });

  daemonTest('gives up its place when its record goes', async (d) => {
    await lock(d, 'l');
    const holder = await needing(d, 'exec sleep 1000');
    await state(d, holder.id, 'running');
    const gone = await needing(d, 'exit 0');
    const stays = await needing(d, 'exit 8');
    await d.delete(`/v1/processes/${gone.id}`);
    await d.post(`/v1/processes/${holder.id}/kill`, undefined, { expect: 200 });
    exitedWith(await d.join(stays.id), 8);
  });
});

suite('on_exit', () => {
  const receive = async (d) => (await d.call('POST', '/v1/queues/deaths/receive?wait=30&mode=take', { expect: 200 })).body.messages[0];

  daemonTest('puts the last record into a queue, whatever the end', async (d) => {
    await d.call('PUT', '/v1/queues/deaths', { body: {}, expect: 201 });
    const more = { on_exit: { queue: 'deaths' } };
    const exits = await d.sh('exit 9', more);
    let message = await receive(d);
    assert.equal(message.content_type, 'application/json');
    assert.deepEqual([message.body.id, message.body.exitcode, message.body.state], [exits.id, 9, 'exited']);
    const killed = await d.spawn({ argv: ['sleep', '1000'], ...more });
    await d.post(`/v1/processes/${killed.id}/kill`, undefined, { expect: 200 });
    message = await receive(d);
    assert.deepEqual([message.body.id, message.body.exitcode], [killed.id, -9]);
    const { server_pid } = await d.system();
    const while_dead = await d.sh('sleep 0.2; exit 10', more);
    process.kill(server_pid, 'SIGKILL');
    await d.otherServer(server_pid);
    message = await receive(d);
    assert.deepEqual([message.body.id, message.body.exitcode], [while_dead.id, 10]);
    assert.equal((await d.get('/v1/queues/deaths')).body.unfinished, 0);
  });

  daemonTest('puts it into a queue that is full too, and before whoever waits for room', async (d) => {
    await d.call('PUT', '/v1/queues/deaths', { body: { max_messages: 1, max_bytes: 8 }, expect: 201 });
    await d.call('POST', '/v1/queues/deaths/messages', { body: 'first', expect: 201 });
    const waiting = d.call('POST', '/v1/queues/deaths/messages?wait=60', { body: 'late' });
    await until('it waits', async () => (await d.get('/v1/queues/deaths')).body.putters === 1);
    const { id } = await d.sh('exit 3', { on_exit: { queue: 'deaths' } });
    exitedWith(await d.join(id), 3);
    assert.equal((await receive(d)).body, 'first');
    assert.equal((await receive(d)).body.id, id);
    assert.equal((await waiting).status, 201);
    assert.equal((await receive(d)).body, 'late');
  });
});
