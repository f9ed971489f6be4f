// Pools where something ends otherwise than it should: workers that cannot work, attempts in vain, memory that is used up.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { sleep } from '../lib/wait.mjs';

const P = '/v1/pools/p';
const sh = (script) => ({ argv: ['sh', '-c', script] });
const make = (d, body) => d.call('PUT', P, { body, expect: 201 });
const given = async (d, body) => (await d.post(`${P}/tasks`, body, { expect: 202 })).body;
const look = async (d) => (await d.get(P)).body;
const task = async (d, id, wait = 0) => (await d.get(`${P}/tasks/${id}?wait=${wait}`)).body;

suite('workers that end before they have done anything', () => {
  for (const [how, argv] of [
    ['at once', ['true']],
    ['with their stdout closed before', ['sh', '-c', 'exec >&-; exit 1']],
  ]) {
    daemonTest(`${how} are started more and more seldom`, async (d) => {
      await make(d, { processes: 2, mode: 'stdio', spec: { argv } });
      await until('some have ended', async () => (await look(d)).workers_total >= 6);
      const before = await look(d);
      assert.match(before.last_error, /ended before/);
      await sleep(1.5); // what must not happen in this time
      const { workers_total } = await look(d);
      assert.ok(workers_total - before.workers_total < 50, `${before.workers_total} → ${workers_total}`);
    });
  }
});

suite('an attempt in vain', () => {
  daemonTest('stays as it ended when the pool is terminated', async (d) => {
    await make(d, { processes: 1, max_attempts: 9, spec: sh('exit 3') });
    const { id } = await given(d, 1);
    const ends = (one) => one.attempts.map(({ number, exitcode, error }) => [number, exitcode, error?.code]);
    await until('it waits to be tried again', async () => { const one = await task(d, id); return one.state === 'queued' && one.attempts.length >= 4; });
    await d.post(`${P}/terminate`);
    const one = await task(d, id, 20);
    assert.deepEqual([one.state, one.error.code, one.exitcode], ['cancelled', 'terminated', null]);
    assert.deepEqual(ends(one), one.attempts.map((_, i) => [i + 1, 3, 'process_ended']));
    await d.killServer();
    assert.deepEqual(await task(d, id), one);
  });
});
