// Pools under kill -9: each task is done once, whatever of the daemon dies, and nothing waits for the dead.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { between } from '../lib/check.mjs';
import { Daemon, daemonTest, suite, until } from '../lib/daemon.mjs';
import { cpuSeconds } from '../lib/proc.mjs';
import { sleep } from '../lib/wait.mjs';

const P = '/v1/pools/p';
const TASKS = 300;

async function killServer(d, after) {
  await sleep(after);
  const { server_pid } = await d.system({ patient: 30 });
  process.kill(server_pid, 'SIGKILL');
  await d.otherServer(server_pid);
}

async function resultsOf(d, id) {
  const items = [];
  assert.equal((await d.get(`${P}/batches/${id}?wait=60`)).body.complete, true);
  for (let after = '', answer; !answer?.complete; after = `?after=${answer.next_after}`) {
    answer = (await d.get(`${P}/batches/${id}/results${after}`)).body;
    items.push(...answer.items);
  }
  return items;
}

/** What the workers have done, in lines of "INDEX": each task once. */
function executed(file) {
  return readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number);
}

/** All of the batch is done, each task by one attempt; but the ones that say they are not sure. */
function check(items, ran, unsureMost) {
  const unsure = items.filter((one) => one.error?.code === 'unsure');
  const good = items.filter((one) => one.state === 'done');
  assert.equal(good.length + unsure.length, items.length, JSON.stringify(items.find((one) => !good.includes(one) && !unsure.includes(one))));
  assert.ok(unsure.length <= unsureMost, `${unsure.length} unsure`);
  for (const one of good) assert.deepEqual(one.result, one.index);
  assert.equal(new Set(ran).size, ran.length, 'none was done twice');
  for (const one of good) assert.ok(ran.includes(one.index));
}

suite('pools and the death of the server', () => {
  for (const [mode, rounds, script] of [
    ['stdio', 25, (file) => `while read -r a; do echo $a >>${file}; sleep 0.0$((a % 3)); echo $a; done`],
    ['spawn', 20, (file) => `read a; echo $a >>${file}; sleep 0.0$((a % 3)); echo $a`],
  ]) {
    daemonTest(`in mode ${mode} each task is done once over ${rounds} kills`, async (d) => {
      const file = `${d.dir}/ran`;
      await d.call('PUT', P, { body: { processes: 4, mode, spec: { argv: ['sh', '-c', script(file)] } }, expect: 201 });
      const batches = [];
      for (let round = 0; round < rounds; round += 1) {
        if (round % 10 === 0) {
          const tasks = Array.from({ length: TASKS }, (_, i) => (mode === 'spawn' ? { body: `${i + round * 1000}\n`, content_type: 'text/plain' } : i + round * 1000));
          batches.push([(await d.post(`${P}/batches`, { tasks }, { expect: 202 })).body.id, round * 1000]);
        }
        await killServer(d, 0.02 + Math.random() * 0.15);
      }
      const ran = [];
      for (const [id, offset] of batches) {
        const items = (await resultsOf(d, id)).map((one) => (one.state === 'done' ? { ...one, result: one.result - offset } : one));
        ran.push([offset, items]);
      }
      const all = executed(file);
      for (const [offset, items] of ran) {
        check(items, all.filter((one) => one >= offset && one < offset + TASKS).map((one) => one - offset), mode === 'stdio' ? 2 : 0);
      }
      await d.post(`${P}/close`);
      assert.equal((await d.get(`${P}/join?wait=30`)).body.joined, true);
    });
  }

  daemonTest('a line larger than its pipe goes on where it was', async (d) => {
    await d.call('PUT', P, { body: { processes: 1, mode: 'stdio', spec: { argv: ['sh', '-c', `while [ ! -e ${d.dir}/go ]; do sleep 0.05; done; exec cat`] } }, expect: 201 });
    const large = Array.from({ length: 200000 }, (_, i) => i).join(' ');
    const { id } = (await d.post(`${P}/batches`, { tasks: [large, 'after'] }, { expect: 202 })).body;
    await until('it is being written', async () => (await d.get(P)).body.running === 1);
    for (let i = 0; i < 3; i += 1) await killServer(d, 0.1);
    writeFileSync(`${d.dir}/go`, '');
    const items = await resultsOf(d, id);
    assert.ok(items[0].result === large, `${items[0].state} ${JSON.stringify(items[0].error)}`);
    assert.equal(items[1].result, 'after');
  });

  daemonTest('a result that is half written is read to its end', async (d) => {
    const script = `read a; printf "[1,"; while [ ! -e ${d.dir}/go ]; do sleep 0.05; done; echo "2]"; cat`;
    await d.call('PUT', P, { body: { processes: 1, mode: 'stdio', spec: { argv: ['sh', '-c', script] } }, expect: 201 });
    const { id } = (await d.post(`${P}/batches`, { tasks: [0, 7] }, { expect: 202 })).body;
    await until('half of it is stored', async () => {
      const { workers } = (await d.get(P)).body;
      return workers.length === 1 && (await d.get(`/v1/processes/${workers[0].process}`)).body.output.stdout_bytes === 3;
    });
    await killServer(d, 0);
    writeFileSync(`${d.dir}/go`, '');
    assert.deepEqual((await resultsOf(d, id)).map((one) => one.result), [[1, 2], 7]);
  });

  daemonTest('the death of the keeper fails no task of a worker that lives on', async (d) => {
    await d.call('PUT', P, { body: { processes: 2, mode: 'stdio', spec: { argv: ['sh', '-c', 'while read -r a; do sleep 0.1; echo $a; done'] } }, expect: 201 });
    const { id } = (await d.post(`${P}/batches`, { tasks: Array.from({ length: 30 }, (_, i) => i) }, { expect: 202 })).body;
    await until('some are done', async () => (await d.get(`${P}/batches/${id}`)).body.done >= 4);
    const { keeper_pid } = await d.system();
    process.kill(keeper_pid, 'SIGKILL');
    await until('another keeper has come', async () => (await d.system({ patient: 30 })).keeper_pid !== keeper_pid);
    const items = await resultsOf(d, id);
    const lost = items.filter((one) => one.state !== 'done');
    assert.ok(lost.length <= 1 && lost.every((one) => one.error.code === 'process_ended' || one.error.code === 'output_lost'), JSON.stringify(lost));
    for (const one of items) if (one.state === 'done') assert.equal(one.result, one.index);
  });
});

suite('a kill right after the answer', () => {
  daemonTest('gives no task out twice, and leaves none behind', async (d) => {
    const file = `${d.dir}/ran`;
    await d.call('PUT', P, { body: { processes: 8, spec: { argv: ['sh', '-c', `read a; echo $a >>${file}; sleep 0.2`] } }, expect: 201 });
    let count = 0;
    for (let round = 0; round < 8; round += 1) {
      const tasks = Array.from({ length: 16 }, () => ({ body: `${count++}\n`, content_type: 'text/plain' }));
      const { server_pid } = await d.system({ patient: 30 });
      const { id } = (await d.post(`${P}/batches`, { tasks }, { expect: 202 })).body;
      await sleep(0.0005 * round);
      process.kill(server_pid, 'SIGKILL');
      await d.otherServer(server_pid);
      const all = (await d.get(`${P}/batches/${id}?wait=60`)).body;
      assert.deepEqual([all.done, all.complete], [16, true], JSON.stringify(all));
    }
    assert.deepEqual(executed(file).sort((a, b) => a - b), Array.from({ length: count }, (_, i) => i));
    const pool = (await d.get(P)).body;
    assert.deepEqual([pool.submitted_total, pool.done_total, pool.workers_total], [count, count, count]);
  });

  daemonTest('makes no second task of a call with a key that waited', async (d) => {
    await d.call('PUT', P, { body: { processes: 1, spec: { argv: ['sh', '-c', 'sleep 1; echo 5'] } }, expect: 201 });
    const { server_pid } = await d.system();
    const call = () => d.call('POST', `${P}/tasks?wait=10`, { body: 1, headers: { 'Idempotency-Key': 'k' } });
    const first = call().catch((error) => error);
    await until('it runs', async () => (await d.get(P)).body.running === 1);
    process.kill(server_pid, 'SIGKILL');
    await first;
    await d.otherServer(server_pid);
    const again = await call();
    assert.equal(again.status, 202);
    assert.equal((await d.get(`${P}/tasks/${again.body.id}?wait=20`)).body.result, 5);
    assert.equal((await d.get(P)).body.submitted_total, 1);
  });
});

suite('a kill between a write to a worker and the note behind it', () => {
  const begin = async (d, passage, file, script) => {
    const once = path.join(d.dir, 'died');
    d.env = { FORKFUL_FAULT: `pool_after_write:${passage}`, FORKFUL_FAULT_ONCE: once };
    await d.start();
    await d.call('PUT', P, { body: { processes: 1, mode: 'stdio', max_attempts: 1, spec: { argv: ['sh', '-c', script(file)] } }, expect: 201 });
    const { server_pid } = await d.system();
    const given = d.post(`${P}/batches`, { tasks: [1, 2] }).catch((error) => error);
    await d.otherServer(server_pid);
    await given;
    assert.ok(existsSync(once), 'the point was passed');
    const [batch] = (await d.get(`${P}/batches`)).body.items;
    return resultsOf(d, batch.id);
  };

  for (const [what, passage, script, ends] of [
    ['makes the attempt unsure when there is no answer', 1, (file) => `while read -r a; do echo $a >>${file}; test $a = 1 && sleep 60; echo $a; done`, [['failed', 'unsure'], ['done', null]]],
    ['takes the answer when there is one', 1, (file) => `while read -r a; do echo $a >>${file}; echo $a; done`, [['done', null], ['done', null]]],
    ['gives the task to nobody else when its worker has died', 2, (file) => `while read -r a; do echo $a >>${file}; test $a = 2 && exit 3; echo $a; done`, [['done', null], ['failed', 'process_ended']]],
  ]) {
    test(what, { timeout: 120_000 }, async () => {
      const d = new Daemon();
      try {
        const file = `${d.dir}/ran`;
        const items = await begin(d, passage, file, script);
        assert.deepEqual(items.map((one) => [one.state, one.error?.code ?? null]), ends);
        assert.deepEqual(executed(file), [1, 2]);
        await d.stop();
      } finally {
        d.sweep();
      }
    });
  }
});

suite('an attempt in vain and the death of the server', () => {
  const task = async (d, id, wait = 0) => (await d.get(`${P}/tasks/${id}?wait=${wait}`)).body;
  const ends = (one) => one.attempts.map(({ number, error }) => [number, error?.code ?? null]);

  test('the task is given out again only when that is stored', { timeout: 120_000 }, async () => {
    const d = new Daemon({ config: 'max_payload_bytes = 1024\n' });
    const file = `${d.dir}/ran`, once = path.join(d.dir, 'died');
    const script = `while read -r a; do echo $a >>${file}; case $a$(wc -l <${file}) in 11) head -c 3000 /dev/zero | tr "\\0" 1; echo;; 12) sleep 60;; *) echo $a;; esac; done`;
    try {
      d.env = { FORKFUL_FAULT: 'pool_after_write:2', FORKFUL_FAULT_ONCE: once }; // the second attempt's
      await d.start();
      await d.call('PUT', P, { body: { processes: 1, mode: 'stdio', max_attempts: 2, spec: { argv: ['sh', '-c', script] } }, expect: 201 });
      const { server_pid } = await d.system();
      const { id } = (await d.post(`${P}/tasks`, 1, { expect: 202 })).body;
      await d.otherServer(server_pid);
      assert.ok(existsSync(once), 'the point was passed');
      assert.deepEqual(ends(await task(d, id, 20)), [[1, 'result_too_large'], [2, 'unsure']]);
      assert.equal((await d.post(`${P}/tasks?wait=20`, 7, { expect: 200 })).body.result, 7);
      await d.stop();
    } finally {
      d.sweep();
    }
  });

  daemonTest('it is known how it ended while the next one runs', async (d) => {
    const script = `while read -r a; do echo $a >>${d.dir}/ran; test $(wc -l <${d.dir}/ran) = 1 && exit 3; while [ ! -e ${d.dir}/go ]; do sleep 0.05; done; echo $a; done`;
    await d.call('PUT', P, { body: { processes: 1, mode: 'stdio', max_attempts: 5, spec: { argv: ['sh', '-c', script] } }, expect: 201 });
    const { id } = (await d.post(`${P}/tasks`, 1, { expect: 202 })).body;
    await until('it runs again', async () => executed(`${d.dir}/ran`).length === 2);
    const before = await task(d, id);
    assert.deepEqual([before.state, ends(before)], ['running', [[1, 'process_ended'], [2, null]]]);
    await killServer(d, 0);
    assert.deepEqual(await task(d, id), before);
    writeFileSync(`${d.dir}/go`, '');
    const after = await task(d, id, 20);
    assert.deepEqual([after.state, after.attempts.length, after.attempts[0]], ['done', 2, before.attempts[0]]);
  });

  daemonTest('its end and what is left of the delay behind it are kept', async (d) => {
    await d.call('PUT', P, { body: { processes: 1, max_attempts: 6, spec: { argv: ['sh', '-c', 'exit 3'] } }, expect: 201 });
    const { id } = (await d.post(`${P}/tasks`, 1, { expect: 202 })).body;
    const before = await until('it waits long for another', async () => { const one = await task(d, id); return one.attempts.length >= 4 && one.state === 'queued' && one; });
    await killServer(d, 0);
    const { attempts } = await task(d, id, 20);
    const known = before.attempts.length;
    assert.deepEqual(attempts.slice(0, known), before.attempts);
    assert.equal(attempts.length, 6);
    assert.ok(between(attempts[known - 1].ended_at, attempts[known].started_at) >= 0.1 * 2 ** (known - 2) - 0.01, JSON.stringify(attempts));
  });

  daemonTest('an answer of which the beginning is lost fails its own task only', async (d) => {
    const script = `while read -r a; do while [ $a = 1 -a ! -e ${d.dir}/go ]; do head -c 64000 /dev/zero | tr "\\0" 1; sleep 0.02; done; echo $a; done`;
    await d.call('PUT', P, { body: { processes: 1, mode: 'stdio', spec: { argv: ['sh', '-c', script], output: { max_bytes: 65536 } } }, expect: 201 });
    const { id } = (await d.post(`${P}/batches`, { tasks: [1, 2, 3] }, { expect: 202 })).body;
    await until('its beginning is dropped', async () => {
      const { workers } = (await d.get(P)).body;
      return workers.length === 1 && (await d.process(workers[0].process)).output.dropped_bytes > 600000;
    });
    await killServer(d, 0);
    writeFileSync(`${d.dir}/go`, '');
    assert.deepEqual((await resultsOf(d, id)).map((one) => [one.state, one.error?.code ?? null, one.result]),
      [['failed', 'output_lost', null], ['done', null, 2], ['done', null, 3]]);
  });
});

suite('a restart of the daemon', () => {
  daemonTest('keeps results and does what waited; what ran says how it ended', async (d) => {
    await d.call('PUT', P, { body: { processes: 1, spec: { argv: ['sh', '-c', 'read a; sleep $a; echo $a'] } }, expect: 201 });
    const text = (body) => ({ body, content_type: 'text/plain' });
    const { id } = (await d.post(`${P}/batches`, { tasks: ['0\n', '60\n', '0\n'].map(text) }, { expect: 202 })).body;
    await until('the first is done and the second runs', async () => {
      const { done, running } = (await d.get(`${P}/batches/${id}`)).body;
      return done === 1 && running === 1;
    });
    await d.terminate();
    await d.start();
    const items = await resultsOf(d, id);
    assert.deepEqual(items.map((one) => [one.state, one.result, one.error?.reason ?? null]), [['done', 0, null], ['failed', null, 'shutdown'], ['done', 0, null]]);
    assert.deepEqual((await d.get(`${P}/batches/${id}/results?order=done`)).body.items.map((one) => one.index), [0, 1, 2]);
    const pool = (await d.get(P)).body;
    assert.deepEqual([pool.submitted_total, pool.done_total, pool.failed_total], [3, 2, 1]);
  });

  daemonTest('does not change that the result of the oldest end goes first', { config: 'pools.max_total_bytes = 1M\n' }, async (d) => {
    await d.call('PUT', P, { body: { processes: 2, spec: { argv: ['sh', '-c', `read a; while [ ! -e ${d.dir}/go-$a ]; do sleep 0.02; done; head -c 300000 /dev/zero`] } }, expect: 201 });
    const ids = [];
    for (const a of [1, 2]) ids.push((await d.post(`${P}/tasks`, a, { expect: 202 })).body.id);
    for (const a of [2, 1]) {
      writeFileSync(`${d.dir}/go-${a}`, '');
      assert.equal((await d.get(`${P}/tasks/${ids[a - 1]}?wait=20`)).body.state, 'done');
    }
    await killServer(d, 0);
    const third = (await d.post(`${P}/tasks`, 'x'.repeat(600000), { expect: 202 })).body.id;
    assert.deepEqual((await d.get(`${P}/tasks`)).body.items.map((one) => one.id), [ids[0], third]);
  });

  daemonTest('takes a time in proportion to what is there', async (d) => {
    await d.call('PUT', P, { body: { processes: 1, spec: { argv: ['sleep', '1000'] } }, expect: 201 });
    const seconds = [];
    let left = 0;
    for (const count of [2000, 6000]) {
      left = count;
      await Promise.all(Array.from({ length: 32 }, async () => { while (left > 0) { left -= 1; await d.post(`${P}/batches`, { tasks: [1] }, { expect: 202 }); } }));
      await killServer(d, 0);
      seconds.push(cpuSeconds((await d.system()).server_pid));
    }
    assert.ok(seconds[1] < 5 * seconds[0] + 0.1, `${seconds}`);
  });
});
