// Locks under kill -9 of the server: what was granted is held, what was released is free, fences never go back.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { session } from '../lib/owners.mjs';

const ROUNDS = 25;

/** Acquires and releases one lock until `stop.now`; keeps what it was told last. A lost answer ends a round. */
async function worker(client, lock, stop, told) {
  while (!stop.now) {
    try {
      const acquired = await client.call('POST', `/v1/locks/${lock}/acquire?wait=5`, { body: {} });
      if (acquired.status !== 200) continue;
      assert.ok(acquired.body.fence > told.fence, `fence ${acquired.body.fence} after ${told.fence}`);
      Object.assign(told, { held: acquired.body, fence: acquired.body.fence, sure: true, count: told.count + 1 });
      if (stop.now) return;
      told.sure = false;
      const released = await client.call('POST', `/v1/holds/${told.held.id}/release`);
      if (released.status === 200) Object.assign(told, { held: null, sure: true });
    } catch (error) {
      if (stop.now) return;
      client.reconnect();
      await new Promise((done) => { setTimeout(done, 5); });
    }
  }
}

suite('locks and the death of the server', () => {
  daemonTest('hold what was granted and free what was released, whenever it dies', async (d) => {
    const owners = [];
    for (let i = 0; i < 4; i += 1) {
      await d.call('PUT', `/v1/locks/l${i}`, { expect: 201 });
      owners.push({ ...(await session(d, 300)), lock: `l${i}`, told: { fence: 0, count: 0 } });
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      const stop = { now: false };
      const runs = owners.map((one) => worker(one.client, one.lock, stop, one.told));
      await new Promise((done) => { setTimeout(done, 10 + round * 3); });
      const { server_pid } = await d.system({ patient: 30 });
      stop.now = true;
      process.kill(server_pid, 'SIGKILL');
      await Promise.allSettled(runs);
      for (const one of owners) one.client.reconnect();
      await d.otherServer(server_pid);
      for (const { told, lock } of owners) {
        const { holds } = (await d.get(`/v1/locks/${lock}`)).body;
        if (told.sure) assert.deepEqual(holds.map((hold) => hold.id), told.held ? [told.held.id] : [], `${lock} in round ${round}`);
        for (const hold of holds) await d.post(`/v1/holds/${hold.id}/release`, undefined, { expect: 200 });
        Object.assign(told, { held: null, sure: true });
      }
    }
    await until('they have worked', () => owners.every((one) => one.told.count >= ROUNDS / 2));
  });
});
