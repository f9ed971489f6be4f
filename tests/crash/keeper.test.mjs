// The keeper is killed: the server becomes the next one. Children go on, what is told is true.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Daemon, daemonTest, PATIENCE, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, range } from '../lib/check.mjs';
import { Load } from '../lib/load.mjs';
import { alive, childrenOf, stat } from '../lib/proc.mjs';

/** Exited with `code` as it did, or lost; nothing else is true. */
function exitedOrLost(done, code) {
  if (done.state === 'lost') assert.deepEqual([done.exitcode, done.exit.kind, done.exit.reason], [null, 'lost', 'keeper_lost'], JSON.stringify(done));
  else exitedWith(done, code);
  return done.state;
}

suite('a killed keeper', () => {
  daemonTest('is replaced, and everything works afterwards', async (d) => {
    const before = await d.system();
    const quiet = await d.sh('read x; echo "got $x"; exit 7', { stdin: 'pipe' });
    const ended = await d.run({ shell: 'echo done; exit 3' });
    await d.killKeeper();
    const after = await d.system();
    assert.notEqual(after.keeper_pid, before.keeper_pid);
    assert.ok(alive(quiet.pid), 'the child goes on');
    exitedWith(await d.process(ended.id), 3);
    assert.equal((await d.process(quiet.id)).state, 'running');
    await d.call('POST', `/v1/processes/${quiet.id}/stdin`, { raw: 'word\n', patient: PATIENCE, expect: 202 });
    exitedOrLost(await d.join(quiet.id), 7);
    assert.equal(await d.logsText(quiet.id), 'got word\n');
    const fresh = await d.run({ shell: 'echo fresh; exit 5' });
    exitedWith(fresh, 5);
    assert.equal(fresh.ppid, after.keeper_pid);
    assert.equal(await d.logsText(fresh.id), 'fresh\n');
  });

  daemonTest('leaves all output of children that write on, in order and without repeat', async (d) => {
    const made = await Promise.all(range(1, 10).map((n) => d.sh(`i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo "child ${n} line $i"; sleep 0.01; done; exit ${n}`)));
    for (let i = 0; i < 3; i += 1) await d.killKeeper();
    for (const [i, { id }] of made.entries()) {
      const done = await d.join(id);
      exitedOrLost(done, i + 1);
      const wanted = range(1, 200).map((line) => `child ${i + 1} line ${line}\n`).join('');
      const got = await d.logsText(id);
      if (got !== wanted) {
        const gaps = (await d.logs(id)).filter((one) => one.gap);
        assert.ok(gaps.some((one) => one.gap.reason === 'keeper_lost'), `${got.length} of ${wanted.length} bytes and no gap`);
        const numbers = got.split('\n').map((line) => Number(/line (\d+)$/.exec(line)?.[1])).filter((n) => n > 0);
        assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b));
      }
    }
  });

  daemonTest('leaves signals, stop with the whole tree, pause and timeouts in force', async (d) => {
    const stubborn = 'trap "" TERM; echo ready; while :; do sleep 1000; done';
    const tree = await d.sh('setsid sleep 1000 & echo $!; trap "" TERM; while :; do sleep 1000; done');
    const timed = await d.sh(stubborn, { timeout_seconds: 2, stop: { grace_seconds: 0.3 } });
    const stopping = await d.sh(stubborn);
    const victim = await d.spawn({ argv: ['sleep', '1000'] });
    const escaped = Number(await until('it has told', () => d.logsText(tree.id)));
    for (const { id } of [timed, stopping]) await until('it is ready', async () => (await d.logsText(id)) === 'ready\n');
    await d.post(`/v1/processes/${stopping.id}/stop`, { grace_seconds: 1.5 }, { expect: 202 });
    await d.killKeeper();
    await d.post(`/v1/processes/${victim.id}/signal`, { signal: 'INT' }, { patient: PATIENCE, expect: 202 });
    const ended = await d.join(victim.id);
    if (ended.state !== 'lost') killedBy(ended, 2, 'SIGINT');
    await d.post(`/v1/processes/${tree.id}/pause`, undefined, { expect: 200 });
    await d.post(`/v1/processes/${tree.id}/resume`, undefined, { expect: 200 });
    await d.post(`/v1/processes/${tree.id}/stop`, { grace_seconds: 0.3 }, { expect: 202 });
    await d.join(tree.id);
    await until('what had escaped is gone', () => !alive(escaped));
    for (const { id, pid } of [timed, stopping]) {
      await d.join(id);
      assert.ok(!alive(pid));
    }
  });

  for (const output of ['log', 'null']) {
    daemonTest(`leaves a stop in force whose main process has ended before (output: ${output})`, async (d) => {
      const { id } = await d.sh(`sh -c 'trap "" TERM; touch ready; while :; do sleep 1000; done' & echo $! > straggler; trap "exit 3" TERM; touch up; while :; do sleep 0.02; done`, { cwd: d.dir, stdout: output, stderr: output });
      for (const file of ['ready', 'up']) await until('it is ready', () => existsSync(path.join(d.dir, file)));
      const straggler = Number(readFileSync(path.join(d.dir, 'straggler')));
      await d.post(`/v1/processes/${id}/stop`, { grace_seconds: 4 }, { expect: 202 });
      exitedWith(await d.join(id), 3);
      assert.ok(alive(straggler) && (await d.process(id)).descendants > 0);
      await d.killKeeper();
      await until('it is killed at the deadline', () => !alive(straggler));
      await until('the record says so', async () => (await d.process(id)).descendants === 0);
      exitedWith(await d.process(id), 3);
    });
  }

  daemonTest('ten times over is replaced ten times, and the same children live', { seconds: 180 }, async (d) => {
    const made = await Promise.all(range(1, 5).map((n) => d.sh(`read x; exit ${n}`, { stdin: 'pipe' })));
    const keepers = new Set();
    for (let i = 0; i < 10; i += 1) {
      keepers.add(await d.killKeeper());
      assert.ok(made.every(({ pid }) => alive(pid)));
      exitedWith(await d.run({ shell: `exit ${i}` }, { patient: PATIENCE }), i);
    }
    assert.equal(keepers.size, 10);
    for (const [i, { id }] of made.entries()) {
      await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', patient: PATIENCE, expect: 202 });
      exitedOrLost(await d.join(id), i + 1);
    }
  });

  daemonTest('under load: every exit is true or lost, every line is true or a gap', { seconds: 180 }, async (d) => {
    const load = new Load(d, { width: 10 });
    for (let i = 0; i < 5; i += 1) {
      await load.progress(8);
      await d.killKeeper();
    }
    await load.progress(8);
    await load.finish();
    const { jobs } = await load.verify({ keeper_killed: true });
    assert.ok(jobs > 40);
  });

  daemonTest('and then the server too is still one daemon', async (d) => {
    const { id } = await d.sh('read x; exit 4', { stdin: 'pipe' });
    await d.killKeeper();
    await d.killServer();
    await d.killServer();
    await d.killKeeper();
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', patient: PATIENCE, expect: 202 });
    exitedOrLost(await d.join(id), 4);
    exitedWith(await d.run({ argv: ['true'] }), 0);
  });

  daemonTest('tells so in the feed, keeps the lock, and leaves no zombie behind', async (d) => {
    const made = await Promise.all(range(1, 5).map(() => d.sh('read x', { stdin: 'pipe' })));
    await d.killKeeper();
    const { items } = (await d.get('/v1/changes?type=daemon.keeper_lost')).body;
    assert.equal(items.length, 1);
    const other = new Daemon({ dir: d.dir }).launch();
    await other.ended;
    assert.equal(other.code, 1, 'a second daemon is still refused');
    for (const { id } of made) await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    for (const { id } of made) await d.join(id);
    const { keeper_pid } = await d.system();
    await until('the new keeper has no zombie', () => childrenOf(keeper_pid).every((pid) => stat(pid)?.state !== 'Z'));
  });

  daemonTest('at once answers what was asked of it meanwhile', async (d) => {
    const spawns = range(1, 20).map((i) => d.call('POST', '/v1/processes', { body: { shell: `exit ${i}`, name: `n${i}` }, patient: 60, expect: 201 }));
    await d.killKeeper();
    const made = (await Promise.all(spawns)).map((one) => one.body);
    for (const [i, { id }] of made.entries()) exitedOrLost(await d.join(id), i + 1);
    const names = (await d.list()).map((one) => one.name);
    assert.equal(new Set(names).size, names.length, 'nothing was made twice');
  });
});

suite('a keeper killed', () => {
  for (const point of ['keeper_after_fork', 'keeper_after_started', 'keeper_before_exited', 'keeper_after_exited', 'keeper_after_read']) {
    for (const passage of [1, 3, 10]) {
      test(`at the fault point ${point}, passage ${passage}, is replaced, and nothing untrue is told`, { timeout: PATIENCE * 6000 }, async () => {
        const d = new Daemon();
        const once = path.join(d.dir, 'happened');
        d.env = { FORKFUL_FAULT: `${point}:${passage}`, FORKFUL_FAULT_ONCE: once };
        try {
          await d.start();
          const load = new Load(d, { width: 4 });
          await load.progress(12);
          await until('the fault has happened', () => existsSync(once));
          await load.progress(6);
          await load.finish();
          await load.verify({ keeper_killed: true });
          await d.stop();
        } finally { d.sweep(); }
      });
    }
  }
});
