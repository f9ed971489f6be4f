// A disk that refuses: each database file cannot be written, or not synced, or not read. What was answered is there, what was
// refused is not, and an admin is told what is wrong; when the disk is well again all goes on as if nothing had been.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { admin } from '../attack/prober.mjs';
import { Clients } from './clients.mjs';
import { ends, faultyTest } from './faults.mjs';
import { sleep, until } from '../lib/daemon.mjs';

const LINES = 2000;
const writer = (d) => d.sh(`for i in $(seq ${LINES}); do echo line $i; [ $((i % 100)) = 0 ] && sleep 0.05; done; exit 4`);
const written = Array.from({ length: LINES }, (_, i) => `line ${i + 1}\n`).join('');

/** What may be answered to one who would change something while nothing can be stored. */
const refusals = [503, 507];

describe('a disk', { concurrency: 2 }, () => {
  for (const [fault, error] of [['state_write', 'ENOSPC'], ['state_write', 'EIO'], ['state_sync', 'EIO'], ['logs_write', 'ENOSPC'], ['logs_write', 'EIO'], ['logs_sync', 'ENOSPC']]) {
    faultyTest(`that gives ${error} (${fault}) for a second loses nothing that was answered`, { seconds: 90 }, async (d, faults) => {
      const clients = await new Clients(d).begin();
      const { id } = await writer(d);
      const watch = await admin(d);
      faults.set(fault, error);
      await sleep(1);
      const failed = faults.clear(fault);
      if (!fault.endsWith('sync')) assert.ok(failed > 0, 'it was met'); // syncs come with checkpoints and durable batches
      await until('it is well', async () => (await d.system()).health === 'ok');
      await clients.advance();
      await watch.answered(`${fault} ${error}`);
      assert.equal((await d.join(id)).exitcode, 4);
      assert.equal(await d.logsText(id), written);
      await clients.verify();
      assert.deepEqual(ends(d), { exits: [], crashes: [] });
    });
  }

  faultyTest('that now and then gives EIO, for all files and ways, loses nothing either', { seconds: 90, seed: 3 }, async (d, faults) => {
    const clients = await new Clients(d).begin();
    const { id } = await writer(d);
    for (const fault of ['state_write', 'state_sync', 'logs_write', 'logs_sync']) faults.set(fault, 'EIO', { per_mille: 100 });
    await sleep(1.5);
    for (const fault of ['state_write', 'logs_write']) assert.ok(faults.clear(fault) > 0);
    for (const fault of ['state_sync', 'logs_sync']) faults.clear(fault);
    await clients.advance();
    assert.equal((await d.join(id)).exitcode, 4);
    assert.equal(await d.logsText(id), written);
    await clients.verify();
    assert.deepEqual(ends(d).crashes, []);
  });

  faultyTest('that is full is told: who would change something is refused, who looks is answered', async (d, faults) => {
    const done = await d.run({ shell: 'echo before; exit 5' });
    faults.set('state_write', 'ENOSPC');
    faults.set('logs_write', 'ENOSPC');
    const first = d.call('POST', '/v1/processes', { body: { argv: ['true'] } }); // waits for its commit
    await until('health tells', async () => (await d.system()).health === 'degraded');
    const refused = await d.call('POST', '/v1/processes', { body: { argv: ['true'], name: 'refused' } });
    assert.ok(refusals.includes(refused.status), `${refused}`);
    assert.equal((await d.call('GET', '/readyz')).status, 503);
    assert.equal((await d.process(done.id)).exitcode, 5);
    assert.equal(await d.logsText(done.id), 'before\n');
    faults.clear('state_write');
    faults.clear('logs_write');
    assert.equal((await first).status, 201);
    await until('health tells', async () => (await d.system()).health === 'ok');
    assert.equal((await d.list('?name=refused')).length, 0);
  });

  faultyTest('that cannot be read fails the read, not the daemon', async (d, faults) => {
    const done = await d.run({ shell: 'seq 20000; exit 6' });
    await d.killServer(); // nothing is in the caches of a new one
    faults.set('database_read', 'EIO');
    const broken = await d.call('GET', `/v1/processes/${done.id}/logs`, { headers: { Accept: 'application/json' } }).catch((error) => error);
    assert.ok(broken instanceof Error || broken.status >= 500 || broken.status === 200, `${broken}`);
    assert.equal((await d.process(done.id)).exitcode, 6);
    assert.ok(faults.clear('database_read') > 0);
    assert.equal((await d.logsText(done.id)).split('\n').length, 20001);
    assert.deepEqual(ends(d), { exits: [], crashes: [] });
  });
});
