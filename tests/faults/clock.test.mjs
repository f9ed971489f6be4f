// A wall clock that jumps, for server and keeper: a day ahead, an hour back. What was to last some seconds lasts some seconds;
// only what is written down as a time is what the clock said.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ends, faultyTest } from './faults.mjs';
import { until } from '../lib/daemon.mjs';
import { killedBy, micros, range } from '../lib/check.mjs';
import { now } from '../lib/wait.mjs';

const DAY = 86400;
const HOUR = 3600;
const put = (d, where, body = {}) => d.call('PUT', where, { body, expect: 201 });

/** Something that is to be over after `seconds`, begun at `begun` before the clock jumps: it is over then, not at once and not never. */
async function lasts(seconds, what, over, begun = now()) {
  await over();
  const taken = now() - begun;
  assert.ok(taken > seconds * 0.5 && taken < seconds + 15, `${what}: ${taken} s, not ${seconds}`);
}

describe('the clock', { concurrency: 2 }, () => {
  for (const [what, jump] of [['a day ahead', DAY], ['an hour back', -HOUR]]) {
    faultyTest(`jumps ${what}: timeouts, leases, holds, delays, sessions and long polls take their time`, { seconds: 60 }, async (d, faults) => {
      for (const where of ['/v1/queues/q', '/v1/queues/later', '/v1/locks/l', '/v1/locks/kept', '/v1/events/e']) await put(d, where);
      await d.post('/v1/queues/q/messages', 'm', { expect: 201 });
      const session = (await d.post('/v1/sessions', { ttl_seconds: 30 }, { expect: 201 })).body;
      const kept = (await d.post('/v1/locks/kept/acquire', { ttl_seconds: 3600 }, { expect: 200 })).body;
      const begun = now();
      const process = await d.spawn({ argv: ['sleep', '100'], timeout_seconds: 3 });
      const calm = await d.spawn({ argv: ['sleep', '100'], timeout_seconds: 3000 });
      const stopping = await d.sh('trap "" TERM; echo ready; while :; do sleep 0.1; done');
      await until('it is ready', async () => (await d.logsText(stopping.id)) === 'ready\n');
      await d.post(`/v1/processes/${stopping.id}/stop`, { grace_seconds: 3 }, { expect: 202 });
      await d.post('/v1/locks/l/acquire', { ttl_seconds: 3 }, { expect: 200 });
      await d.post('/v1/queues/q/receive?lease=3', undefined, { expect: 200 });
      await d.call('POST', '/v1/queues/later/messages?delay=3', { body: 'm', expect: 201 });
      const poll = lasts(3, 'a long poll', () => d.get('/v1/events/e/wait?wait=3'));
      faults.clock(jump);
      await Promise.all([
        poll,
        lasts(3, 'a timeout', async () => killedBy(await d.join(process.id), 15, 'SIGTERM', 'timeout'), begun),
        lasts(3, 'a grace', async () => killedBy(await d.join(stopping.id), 9, 'SIGKILL'), begun),
        lasts(3, 'a hold', () => until('the lock is free', async () => !(await d.get('/v1/locks/l')).body.held), begun),
        lasts(3, 'a lease', () => until('the message is back', async () => (await d.get('/v1/queues/q')).body.ready === 1), begun),
        lasts(3, 'a delay', () => until('the message is due', async () => (await d.get('/v1/queues/later')).body.ready === 1), begun),
      ]);
      assert.equal((await d.process(calm.id)).alive, true);
      assert.equal((await d.get(`/v1/holds/${kept.id}`)).body.ended, null);
      assert.equal((await d.get('/v1/sessions')).body.items.length, 1);
      await d.as(session.token).call('GET', '/v1/system', { expect: 200 });
      const { id } = await d.run({ shell: 'echo now; exit 3' });
      const told = micros((await d.process(id)).started_at) / 1e6 - Date.now() / 1000;
      assert.ok(Math.abs(told - jump) < 30, `its time is the clock's: ${told}`);
      assert.deepEqual(ends(d), { exits: [], crashes: [] });
    });
  }

  faultyTest('jumps an hour back while the daemon ends: it waits no longer for that', { seconds: 60 }, async (d, faults) => {
    await d.spawn({ argv: ['sleep', '1000'] });
    await d.call('POST', '/v1/shutdown', { body: { wait_seconds: 2 }, expect: 202 });
    faults.clock(-HOUR);
    await lasts(2, 'the end', () => d.launched.ended);
    assert.equal(d.launched.code, 0);
    await d.start();
    assert.equal((await d.list()).length, 1);
  });

  faultyTest('jumps to and fro while a process writes: output, feed and codes keep their order, over a killed server too', { seconds: 60 }, async (d, faults) => {
    const writer = await d.sh('for i in $(seq 300); do echo $i; sleep 0.005; done; exit 5');
    for (const jump of [DAY, -HOUR, 0, 2 * DAY, -HOUR]) {
      faults.clock(jump);
      await d.run({ argv: ['true'] });
      await d.killServer();
    }
    assert.equal((await d.join(writer.id)).exitcode, 5);
    const lines = (await d.logs(writer.id)).map((one) => [one.seq, one.text]);
    assert.deepEqual(lines, range(1, 300).map((i) => [i, String(i)]));
    const changes = (await d.get('/v1/changes?limit=500')).body.items.filter((one) => one.ref === writer.id).map((one) => one.type);
    assert.deepEqual([changes.indexOf('process.started') < changes.indexOf('process.exited'), changes.at(-1)], [true, 'process.exited']);
    assert.deepEqual(ends(d).crashes, []);
  });
});
