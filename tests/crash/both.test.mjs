// Keeper and server are both killed, or the machine is: what a start finds, and what it may not pretend to know.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { daemonTest, sleep, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, problem, range } from '../lib/check.mjs';
import { alive, send, stat } from '../lib/proc.mjs';

const lost = (record, reason) => {
  assert.deepEqual([record.state, record.alive, record.exitcode, record.exit.kind, record.exit.code, record.exit.signal, record.exit.shell_code, record.exit.reason],
    ['lost', false, null, 'lost', null, null, null, reason], JSON.stringify(record));
};

/** Whoever was taken over ended as `check` says where the kernel tells it, and is lost elsewhere. */
async function as_told(d, done, check) {
  if ((await d.system()).kernel.pidfd_exit_info) check(done);
  else lost(done, 'keeper_lost');
}

suite('after a crash of both', () => {
  daemonTest('what had been recorded is there', async (d) => {
    const done = await d.run({ shell: 'echo output; exit 3' });
    const created = await d.spawn({ argv: ['true'], start: false });
    await d.killBoth();
    await d.start();
    exitedWith(await d.process(done.id), 3);
    assert.equal(await d.logsText(done.id), 'output\n');
    assert.equal((await d.process(created.id)).state, 'created');
    assert.equal((await d.run({ argv: ['true'] })).name, 'Process-3');
  });

  daemonTest('facts that still lay in the spool are applied', async (d) => {
    const made = await Promise.all(range(1, 10).map((n) => d.sh(`read x; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i"; done; exit ${n}`, { stdin: 'pipe' })));
    const { server_pid } = await d.system();
    await Promise.all(made.map(({ id }) => d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 })));
    send(server_pid, 'SIGSTOP');
    await until('the children have ended and the keeper has reaped them', () => made.every(({ pid }) => stat(pid) === null));
    for (const signal of ['SIGSTOP', 'SIGKILL']) for (const pid of [d.pid, server_pid]) send(pid, signal);
    await until('both are gone', () => !alive(d.pid) && !alive(server_pid));
    await d.start();
    for (const [i, { id }] of made.entries()) {
      exitedWith(await d.process(id), i + 1);
      assert.equal(await d.logsText(id), range(1, 300).map((line) => `line ${line}\n`).join(''));
    }
  });

  daemonTest('what ended unobserved is lost and never guessed', async (d) => {
    const made = await Promise.all(range(1, 3).map(() => d.spawn({ argv: ['sleep', '1000'] })));
    await d.killBoth();
    for (const { pid } of made) send(pid, 'SIGKILL');
    await until('the children are gone', () => made.every(({ pid }) => !alive(pid)));
    await d.start();
    for (const { id } of made) {
      const { body } = await d.get(`/v1/processes/${id}/join?wait=30`);
      lost(body, 'keeper_lost');
    }
    assert.equal((await d.system()).processes.lost, 3);
    assert.equal((await d.get('/v1/changes?type=process.lost')).body.items.length, 3);
  });

  daemonTest('who lives on is taken over: it keeps its record and what it holds, can be ended, and how it ended is known', async (d) => {
    await d.call('PUT', '/v1/locks/l', { expect: 201 });
    const one = await d.sh('echo begun; exec sleep 1000', { requires: { lock: 'l' } });
    await until('it has begun', async () => (await d.logsText(one.id)) === 'begun\n');
    const next = await d.sh('exit 4', { requires: { lock: 'l' } });
    for (let round = 0; round < 2; round += 1) {
      await d.killBoth();
      await d.start();
      const found = await d.process(one.id);
      assert.deepEqual([found.state, found.alive, found.pid, found.exit], ['running', true, one.pid ?? found.pid, null]);
      assert.equal((await d.process(next.id)).state, 'pending');
    }
    await d.killServer();
    await d.killKeeper();
    assert.equal((await d.process(one.id)).state, 'running');
    assert.deepEqual((await d.logs(one.id)).map(({ text, gap }) => gap?.reason ?? text), ['begun', 'keeper_lost']);
    problem(await d.call('POST', `/v1/processes/${one.id}/stdin`, { raw: 'x' }), 409);
    await d.post(`/v1/processes/${one.id}/stop`, {}, { expect: 202 });
    await as_told(d, await d.join(one.id), (done) => { killedBy(done, 15, 'SIGTERM'); assert.equal(done.exit.reason, 'stopped'); });
    exitedWith(await d.join(next.id), 4);
  });

  daemonTest('a deadline goes on, and a pause', async (d) => {
    const timed = await d.spawn({ argv: ['sleep', '1000'], timeout_seconds: 1 });
    const paused = await d.sh('while :; do echo >> ticks; sleep 0.02; done', { cwd: d.dir });
    const ticks = () => statSync(`${d.dir}/ticks`, { throwIfNoEntry: false })?.size ?? 0;
    await until('it ticks', () => ticks() > 0);
    await d.post(`/v1/processes/${paused.id}/pause`, undefined, { expect: 200 });
    await d.killBoth();
    await d.start();
    await as_told(d, await d.join(timed.id), (done) => assert.equal(done.exit.reason, 'timeout'));
    assert.equal((await d.process(paused.id)).paused, true);
    const before = ticks();
    await sleep(0.3);
    assert.equal(ticks(), before, 'it is paused');
    await d.post(`/v1/processes/${paused.id}/resume`, undefined, { expect: 200 });
    await until('it goes on', () => ticks() > before + 2);
    await d.post(`/v1/processes/${paused.id}/kill`, undefined, { expect: 200 });
    await as_told(d, await d.join(paused.id), (done) => killedBy(done, 9, 'SIGKILL'));
  });

  daemonTest('who ends by itself afterwards has told how, or nobody knows', async (d) => {
    const { id, pid } = await d.sh('until [ -e go ]; do sleep 0.02; done; exit 7', { cwd: d.dir });
    await d.killBoth();
    await d.start();
    assert.equal((await d.process(id)).state, 'running');
    writeFileSync(`${d.dir}/go`, '');
    await as_told(d, await d.join(id), (done) => exitedWith(done, 7));
    assert.ok(!alive(pid));
  });

  daemonTest('a worker of a pool is lost without its pipes: it is not said to be killed while it lives, and another does the task', async (d) => {
    await d.call('PUT', '/v1/pools/p', { body: { processes: 1, max_attempts: 2, spec: { argv: ['sh', '-c', 'read a; [ -e again ] || { touch again; exec sleep 1000; }; echo 5'], cwd: d.dir } }, expect: 201 });
    const { body: task } = await d.post('/v1/pools/p/tasks', 1, { expect: 202 });
    await until('it is being done', () => existsSync(`${d.dir}/again`));
    const [{ id, pid }] = await d.list();
    await until('it sleeps', () => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n');
    await d.killBoth();
    await d.start();
    lost(await d.process(id), 'keeper_lost');
    for (const order of ['kill', 'terminate']) assert.match(problem(await d.post(`/v1/processes/${id}/${order}`), 409, 'not_running').detail, new RegExp(`pid ${pid}\\b`));
    const { body } = await d.post('/v1/processes/actions', { ids: [id], action: 'kill' }, { expect: 200 });
    assert.equal(body.items[0].status, 409);
    assert.ok(alive(pid));
    send(pid, 'SIGKILL');
    await until('it is gone', () => !alive(pid));
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    const { body: done } = await d.get(`/v1/pools/p/tasks/${task.id}?wait=30`);
    assert.deepEqual([done.state, done.result, done.attempts.length], ['done', 5, 2]);
  });

  daemonTest('an idempotent answer, a session and the numbers of the feed go on', async (d) => {
    const headers = { 'Idempotency-Key': 'k' };
    const first = await d.call('POST', '/v1/processes', { body: { argv: ['true'] }, headers, expect: 201 });
    const { body: session } = await d.post('/v1/sessions', { ttl_seconds: 600 }, { expect: 201 });
    await d.join(first.body.id);
    const before = (await d.get('/v1/changes?limit=500')).body.items;
    await d.killBoth();
    await d.start();
    const again = await d.call('POST', '/v1/processes', { body: { argv: ['true'] }, headers, expect: 201 });
    assert.equal(again.body.id, first.body.id);
    assert.equal((await d.call('GET', '/v1/system', { token: session.token })).status, 200);
    const after = (await d.get('/v1/changes?limit=500')).body.items;
    assert.deepEqual(after.slice(0, before.length), before);
  });

  daemonTest('five times in a row nothing that was answered is missing', async (d) => {
    const made = [];
    for (let round = 0; round < 5; round += 1) {
      for (let i = 0; i < 10; i += 1) made.push([(await d.run({ shell: `echo ${i}; exit ${i}` })).id, i]);
      await d.killBoth();
      await d.start();
    }
    for (const [id, code] of made) {
      exitedWith(await d.process(id), code);
      assert.equal(await d.logsText(id), `${code}\n`);
    }
    assert.equal((await d.list()).length, 50);
  });
});

suite('after a reboot', () => {
  daemonTest('what had not ended is lost by reboot, what had ended and what waits is as it was', { env: { FORKFUL_BOOT_ID: '11111111-1111-4111-8111-111111111111' } }, async (d) => {
    const done = await d.run({ shell: 'echo kept; exit 3' });
    const created = await d.spawn({ argv: ['true'], start: false });
    const living = await Promise.all([1, 2, 3].map(() => d.sh('echo begun; exec sleep 1000')));
    for (const { id } of living) await until('it has begun', async () => (await d.logsText(id)) === 'begun\n');
    await d.killBoth();
    d.env.FORKFUL_BOOT_ID = '22222222-2222-4222-8222-222222222222';
    await d.start();
    for (const { id, pid } of living) {
      lost(await d.process(id), 'reboot');
      assert.equal(await d.logsText(id), 'begun\n');
      assert.ok(alive(pid), 'what has this pid now is none of the daemon\'s business');
      const again = await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
      assert.equal(again.body.state, 'lost');
      assert.equal((await d.call('GET', `/v1/processes/${id}/join?wait=30`)).status, 200);
      await d.delete(`/v1/processes/${id}?kill=true`);
      assert.ok(alive(pid), 'no signal goes to it');
      send(pid, 'SIGKILL');
    }
    exitedWith(await d.process(done.id), 3);
    assert.equal(await d.logsText(done.id), 'kept\n');
    await d.post(`/v1/processes/${created.id}/start`, undefined, { expect: 200 });
    exitedWith(await d.join(created.id), 0);
    assert.equal((await d.run({ argv: ['true'] })).name, 'Process-6');
  });

  daemonTest('with an orderly shutdown before it nothing is lost', { env: { FORKFUL_BOOT_ID: '11111111-1111-4111-8111-111111111111' } }, async (d) => {
    const done = await d.run({ shell: 'exit 2' });
    const stopped = await d.spawn({ argv: ['sleep', '1000'] });
    await d.end();
    d.env.FORKFUL_BOOT_ID = '22222222-2222-4222-8222-222222222222';
    await d.start();
    exitedWith(await d.process(done.id), 2);
    assert.equal((await d.process(stopped.id)).state, 'exited');
  });
});
