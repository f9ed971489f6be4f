// A tree whose main process has ended: what is left of it can still be stopped, signalled and let go on.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, problem } from '../lib/check.mjs';
import { alive, stat } from '../lib/proc.mjs';

const quiet = '</dev/null >/dev/null 2>&1';

/** A process that has ended and left one that ignores SIGTERM (`stubborn`) or does not: { id, left }. */
async function left_behind(d, { stubborn = false, more = {} } = {}) {
  const inner = stubborn ? "trap '' TERM; touch $up; while :; do sleep 1000; done" : 'touch $up; exec sleep 1000';
  const { id } = await d.sh(`up=$(mktemp -u); sh -c "${inner}" ${quiet} & echo $!; until [ -e $up ]; do sleep 0.02; done; rm $up; exit 3`, more);
  exitedWith(await d.join(id), 3);
  const left = Number(await d.logsText(id));
  assert.ok((await d.process(id)).descendants > 0 && alive(left));
  return { id, left };
}

for (const cgroup of [true, false]) {
  const options = cgroup ? {} : { env: { FORKFUL_FAIL: 'cgroup:ENOSYS' } };
  suite(`a tree without its main process, ${cgroup ? 'in a cgroup' : 'without cgroups'}`, () => {
    daemonTest('is stopped, and killed when it does not listen', options, async (d) => {
      const one = await left_behind(d);
      await d.post(`/v1/processes/${one.id}/stop`, { grace_seconds: 100 }, { expect: 202 });
      await until('it has ended', () => !alive(one.left));
      const two = await left_behind(d, { stubborn: true });
      await d.post(`/v1/processes/${two.id}/stop`, { grace_seconds: 100 }, { expect: 202 });
      await d.post(`/v1/processes/${two.id}/stop`, { grace_seconds: 0.2 }, { expect: 202 });
      await until('it was killed', () => !alive(two.left));
      await until('the record says so', async () => (await d.process(two.id)).descendants === 0);
      problem(await d.post(`/v1/processes/${two.id}/stop`, {}), 409, 'not_running');
      exitedWith(await d.process(two.id), 3);
    });

    daemonTest('is signalled and resumed as a tree, and not otherwise', options, async (d) => {
      const { id, left } = await left_behind(d);
      problem(await d.post(`/v1/processes/${id}/signal`, { signal: 'TERM' }), 409, 'not_running');
      problem(await d.post(`/v1/processes/${id}/pause`), 409, 'not_running');
      await d.post(`/v1/processes/${id}/signal`, { signal: 'STOP', scope: 'tree' }, { expect: 202 });
      await until('it is stopped', () => stat(left).state === 'T');
      await d.post(`/v1/processes/${id}/resume`, undefined, { expect: 200 });
      await until('it goes on', () => stat(left).state !== 'T');
      await d.post(`/v1/processes/${id}/signal`, { signal: 'TERM', scope: 'tree' }, { expect: 202 });
      await until('it has ended', () => !alive(left));
    });

    daemonTest('does not stay frozen when the main process ends while it is paused', options, async (d) => {
      const { id } = await d.sh(`sh -c 'while :; do echo >> ticks; sleep 0.02; done' ${quiet} & echo $!; wait`, { cwd: d.dir });
      const ticks = () => statSync(path.join(d.dir, 'ticks'), { throwIfNoEntry: false })?.size ?? 0;
      const left = Number(await until('it has told', () => d.logsText(id)));
      await until('it ticks', () => ticks() > 2);
      await d.post(`/v1/processes/${id}/pause`, undefined, { expect: 200 });
      await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
      const done = await d.join(id);
      killedBy(done, 9, 'SIGKILL');
      assert.deepEqual([done.paused, done.descendants > 0], [false, true]);
      const before = ticks();
      await until('it goes on', () => ticks() > before + 2);
      assert.ok(alive(left));
    });
  });
}

suite('a process stopped by SIGSTOP', () => {
  daemonTest('is resumed by resume', async (d) => {
    const { id, pid } = await d.spawn({ argv: ['sleep', '1000'] });
    await d.post(`/v1/processes/${id}/signal`, { signal: 'STOP' }, { expect: 202 });
    await until('it is stopped', () => stat(pid).state === 'T');
    await d.post(`/v1/processes/${id}/resume`, undefined, { expect: 200 });
    await until('it goes on', () => stat(pid).state !== 'T');
  });

  daemonTest('sees the signal of a stop, and is not killed after the grace', async (d) => {
    // No shell: one that is about to vfork waits for its child's exec, and is never seen as stopped when that is.
    const { id, pid } = await d.python('import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nprint("ready")\nwhile True: time.sleep(60)');
    await until('it is ready', async () => (await d.logsText(id)) === 'ready\n');
    await d.post(`/v1/processes/${id}/signal`, { signal: 'STOP', scope: 'tree' }, { expect: 202 });
    await until('it is stopped', () => stat(pid).state === 'T');
    await d.post(`/v1/processes/${id}/stop`, { grace_seconds: 100 }, { expect: 202 });
    exitedWith(await d.join(id), 5);
  });
});

suite('a daemon process that was not started', () => {
  daemonTest('is not started after its parent has ended: 409 parent_ended', async (d) => {
    const parent = await d.sh('echo $FORKFUL_TOKEN; exec sleep 1000');
    const client = d.as(await until('it has told', async () => (await d.logsText(parent.id)).trim()));
    const make = async (daemon) => (await client.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'], daemon, start: false }, expect: 201 })).body.id;
    const [first, second, third] = [await make(true), await make(true), await make(false)];
    await d.post(`/v1/processes/${first}/start`, undefined, { expect: 200 });
    await d.post(`/v1/processes/${parent.id}/kill`, undefined, { expect: 200 });
    await d.join(parent.id);
    problem(await d.post(`/v1/processes/${second}/start`), 409, 'parent_ended');
    assert.equal((await d.process(second)).state, 'created');
    await d.post(`/v1/processes/${third}/start`, undefined, { expect: 200 });
    await d.delete(`/v1/processes/${second}`);
  });
});
