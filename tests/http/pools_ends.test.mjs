// Pools where something ends otherwise than it should: workers that cannot work, attempts in vain, memory that is used up.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { faults, problem } from '../lib/check.mjs';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { liver } from '../lib/owners.mjs';
import { cpuSeconds } from '../lib/proc.mjs';
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

  daemonTest('costs the same, however many tasks wait behind it', { config: 'max_payload_bytes = 1024\n' }, async (d) => {
    const { server_pid } = await d.system();
    const seconds = [];
    for (const waiting of [0, 80000]) {
      const go = `${d.dir}/go-${waiting}`;
      const script = `while [ ! -e ${go} ]; do sleep 0.05; done; line=$(head -c 1100 /dev/zero | tr "\\0" y); while read -r a; do echo $line; done`;
      await make(d, { processes: 1, mode: 'stdio', max_attempts: 3, spec: sh(script) });
      for (const count of [1000, ...Array(waiting / 10000).fill(10000)]) await d.post(`${P}/batches`, { tasks: Array(count).fill(1) }, { expect: 202 });
      const before = cpuSeconds(server_pid);
      writeFileSync(go, '');
      await until('the first have failed for good', async () => (await look(d)).failed_total >= 1000, { every: 0.1 });
      seconds.push((cpuSeconds(server_pid) - before) / (await look(d)).failed_total);
      await d.delete(P);
    }
    assert.ok(seconds[1] < 3 * seconds[0] + 0.0001, `${seconds.map((one) => `${Math.round(one * 1e6)} µs`)}`);
  });
});

suite('a pool that is there', () => {
  daemonTest('is there for a process too that may not make one', async (d) => {
    const body = { processes: 1, spec: { argv: ['cat'] } };
    const { client } = await liver(d, { daemon: true });
    problem(await client.call('PUT', P, { body }), 403, 'daemonic_parent');
    await make(d, body);
    assert.equal((await client.call('PUT', P, { body, expect: 200 })).body.name, 'p');
    problem(await client.call('PUT', P, { body: { ...body, processes: 2 } }), 409, 'config_differs');
    assert.deepEqual(faults(problem(await client.call('PUT', P, { body: { ...body, spec: { argv: ['cat'], start: false } } }), 422)), ['/spec/start invalid_value']);
  });
});

suite('the memory of pools', () => {
  daemonTest('counts tasks also when their payload is empty', { config: 'pools.max_total_bytes = 1M\n' }, async (d) => {
    await make(d, { processes: 1, spec: { argv: ['sleep', '1000'] } });
    const tasks = Array(1000).fill({ body_base64: '' });
    const answers = [];
    for (let i = 0; i < 4; i += 1) answers.push(await d.post(`${P}/batches`, { tasks }));
    assert.equal(answers[0].status, 202);
    problem(answers[3], 507, 'storage_full');
    assert.ok((await look(d)).unfinished < 3000);
  });

  daemonTest('counts what a worker has written so far', { config: 'pools.max_total_bytes = 1M\n' }, async (d) => {
    await make(d, { processes: 1, spec: sh('head -c 900000 /dev/zero; sleep 1000') });
    const { id } = await given(d, 1);
    await until('it has written', async () => {
      const { process } = await task(d, id);
      return process && (await d.get(`/v1/processes/${process}`)).body.output.stdout_bytes === 900000;
    });
    const large = 'x'.repeat(300000);
    problem(await d.post(`${P}/tasks`, large), 507, 'storage_full');
    await d.delete(P);
    await make(d, { processes: 1, spec: { argv: ['cat'] } });
    await given(d, large);
  });
});
