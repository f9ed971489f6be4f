// Coordination when the machine has no more to give: a full disk, no memory. What cannot be kept is refused before
// anything has changed, nobody is left without an answer, and everything goes on when there is room again.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { problem, range } from '../lib/check.mjs';
import { session } from '../lib/owners.mjs';

const OBJECTS = [['queues/q', {}], ['queues/memory', { durable: false }], ['locks/held', {}], ['locks/free', {}], ['semaphores/s', { value: 1 }],
  ['events/e', {}], ['values/v', { type: 'int32' }], ['values/memory', { type: 'int32', durable: false }], ['barriers/b', { parties: 2 }], ['pipes/p', {}], ['conditions/c', { lock: 'held' }]];

const look = async (d, where) => (await d.get(`/v1/${where}`)).body;
const post = (d, where, body) => d.call('POST', `/v1/${where}`, { body, timeout: 15 });

suite('a full disk', () => {
  /** Puts into `q` until the disk is full; gives the put that waits for room as `last`. */
  async function fill(d) {
    const raw = Buffer.alloc(512 * 1024);
    for (;;) {
      const last = d.call('POST', '/v1/queues/q/messages', { raw, timeout: 150 });
      last.catch(() => {});
      const full = until('the disk is full', async () => (await d.system()).health === 'degraded');
      const answer = await Promise.race([last, full.then(() => null)]);
      full.catch(() => {});
      if (answer === null) return { last };
      if (answer.status === 507) return { last: null };
      assert.equal(answer.status, 201, `${answer}`);
    }
  }

  const changes = (hold, lease) => [['queues/q/messages', 1], ['queues/q/batch', { messages: [{ body: 1 }] }], ['queues/q/receive'], ['queues/q/receive?mode=take'],
    ['queues/q/kick'], ['queues/q/close'], ['locks/held/acquire', {}], ['locks/free/acquire?wait=10', {}], ['semaphores/s/acquire', {}], ['semaphores/s/release', {}],
    ['events/e/set'], ['events/e/clear'], ['values/v/add', { n: 1 }], ['barriers/b/wait?wait=0'], ['barriers/b/reset'], ['barriers/b/abort'],
    ['pipes/p/a/send', 1], ['pipes/p/b/recv'], ['conditions/c/wait?wait=0', { hold }], ['conditions/c/notify'], ['conditions/c/notify_all'],
    ...['touch', 'ack', 'release', 'bury'].map((verb) => [`holds/${lease}/${verb}`]), [`holds/${hold}/release`], [`holds/${hold}/touch`], ['sessions', {}]];

  daemonTest('is told by every call that would change what lasts; what is in memory only goes on', { wrap: 'ulimit -Sf 40000', args: ['--spool-bytes', '8M'], seconds: 180 }, async (d) => {
    for (const [where, body] of OBJECTS) await d.call('PUT', `/v1/${where}`, { body, expect: 201 });
    const owner = await session(d, 600);
    for (const n of [1, 2]) await post(d, 'queues/q/messages', n);
    const [{ hold: lease }] = (await owner.client.call('POST', '/v1/queues/q/receive', { expect: 200 })).body.messages;
    const { id: hold } = (await owner.client.call('POST', '/v1/locks/held/acquire', { expect: 200 })).body;
    const parked = d.call('POST', '/v1/locks/held/acquire?wait=120', { body: {}, timeout: 150 });
    const { last } = await fill(d);
    const before = await look(d, 'queues/q');
    for (const [where, body] of changes(hold, lease)) problem(await post(d, where, body), 507, 'storage_full');
    for (const where of ['locks/free', 'queues/q/messages', `holds/${hold}`]) problem(await d.call('DELETE', `/v1/${where}`, { timeout: 15 }), 507, 'storage_full');
    problem(await d.call('PUT', '/v1/locks/new', { body: {} }), 507, 'storage_full');
    const { items } = (await post(d, 'holds/actions', { ack: [lease], release: [hold] })).body ?? {};
    assert.deepEqual(items.map((one) => one.status), [507, 507]);
    const now = await look(d, 'queues/q');
    for (const key of ['ready', 'leased', 'buried', 'closed', 'acked_total', 'taken_total', 'waiters']) assert.deepEqual(now[key], before[key], key);
    assert.deepEqual([(await look(d, 'locks/held')).holds[0].id, (await look(d, 'locks/free')).held, (await look(d, 'semaphores/s')).available], [hold, false, 1]);

    assert.equal((await post(d, 'queues/memory/messages', 1)).status, 201);
    const [{ hold: mine }] = (await post(d, 'queues/memory/receive')).body.messages;
    assert.equal((await post(d, `holds/${mine}/ack`)).status, 200);
    assert.equal((await post(d, 'values/memory/add', { n: 1 })).status, 200);

    const { keeper_pid, server_pid } = await d.system();
    for (const pid of [keeper_pid, server_pid]) execFileSync('prlimit', ['--pid', String(pid), '--fsize=unlimited']);
    if (last) assert.equal((await last).status, 201, 'what was begun before has waited');
    await until('it is well again', async () => (await d.system()).health === 'ok');
    assert.equal((await post(d, `holds/${lease}/ack`)).status, 200);
    assert.equal((await post(d, `holds/${hold}/release`)).status, 200);
    assert.equal((await parked).status, 200);
    assert.equal((await d.system()).server_pid, server_pid, 'the server has lived through it');
    const { ready } = await look(d, 'queues/q');
    await d.killServer();
    assert.equal((await look(d, 'queues/q')).ready, ready);
    assert.equal((await look(d, 'locks/held')).held, true);
  });
});

suite('little memory', () => {
  daemonTest('is told by 503 or 507 to who brings too much, and the server lives', { wrap: 'ulimit -Sv 700000', args: ['--spool-bytes', '8M', '--queues-max-total-bytes', '16G'], seconds: 180 }, async (d) => {
    const { server_pid } = await d.system();
    await d.call('PUT', '/v1/queues/q', { body: { durable: false }, expect: 201 });
    await d.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    const raw = Buffer.alloc(4 << 20, 'x');
    let put = 0;
    let refused = 0;
    for (let i = 0; i < 400 && refused < 20; i += 1) {
      const answer = await d.call('POST', '/v1/queues/q/messages', { raw }).catch((error) => ({ status: 0, error }));
      if (answer.status === 201) put += 1;
      else refused += 1;
      assert.ok([201, 503, 507, 0].includes(answer.status), `${answer}`);
    }
    assert.ok(put > 10 && refused > 0, `${put} were taken, ${refused} refused`);
    assert.equal((await look(d, 'queues/q')).ready, put);
    for (const _ of range(1, 3)) {
      const { id } = (await d.post('/v1/locks/l/acquire', {}, { expect: 200 })).body;
      await d.post(`/v1/holds/${id}/release`, undefined, { expect: 200 });
    }
    assert.equal((await d.call('DELETE', '/v1/queues/q/messages', { expect: 200 })).body.purged, put);
    await d.call('POST', '/v1/queues/q/messages', { raw, expect: 201 });
    assert.equal((await d.system()).server_pid, server_pid, 'the server has lived through it');
  });
});
