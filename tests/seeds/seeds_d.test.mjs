// The fourth text as far as processes go (rows 26 to 29): parents that end, zombies, daemons, join.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { between, exitedWith, killedBy } from '../lib/check.mjs';
import { childrenOf, stat } from '../lib/proc.mjs';

const run_proc = (seconds) => `
import os, sys, time
n = 0
while n < 3:
    print("subProcess %s run" % os.getpid()); sys.stdout.flush()
    time.sleep(${seconds})
    n += 1`;
const class_form = (seconds) => `
import os, sys, time
class Myprocess:
    def __init__(self, wTime): self.wTime = wTime
    def run(self):
        n = 0
        while n < 3:
            print("subProcess %s run" % os.getpid()); sys.stdout.flush()
            time.sleep(self.wTime)
            n += 1
Myprocess(${seconds}).run()`;

suite('seed D', () => {
  daemonTest('row 26: the parent ends and the child goes on to its own end', async (d) => {
    const { body: session } = await d.post('/v1/sessions', {}, { expect: 201 });
    const made = await d.python(run_proc(0.4), {}, { token: session.token });
    await until('it runs', async () => (await d.logsText(made.id)).includes('run'));
    await d.delete(`/v1/sessions/${session.id}`);
    assert.equal((await d.process(made.id)).state, 'running');
    const done = await d.join(made.id);
    exitedWith(done, 0);
    assert.equal(await d.logsText(made.id), `subProcess ${made.pid} run\n`.repeat(3));
  });

  daemonTest('row 26: after a thousand short processes none is a zombie', async (d) => {
    const { keeper_pid } = await d.system();
    const made = [];
    for (let round = 0; round < 40; round += 1) made.push(...await Promise.all(Array.from({ length: 25 }, () => d.spawn({ argv: ['true'] }))));
    for (const { id } of made) exitedWith(await d.join(id), 0);
    await until('no child of the keeper is in state Z', () => childrenOf(keeper_pid).every((pid) => stat(pid)?.state !== 'Z'));
    for (const { pid } of made) assert.ok(stat(pid)?.ppid !== keeper_pid);
  });

  daemonTest('row 27: with daemon true the child prints nothing more once its parent has ended', async (d) => {
    const { body: session } = await d.post('/v1/sessions', {}, { expect: 201 });
    const made = await d.python(run_proc(1000), { daemon: true }, { token: session.token });
    await until('it runs', async () => (await d.logsText(made.id)).includes('run'));
    await d.delete(`/v1/sessions/${session.id}`);
    killedBy(await d.join(made.id), 15, 'SIGTERM', 'parent_exit');
    assert.equal(await d.logsText(made.id), `subProcess ${made.pid} run\n`);
  });

  for (const [row, code] of [['row 28: a daemon', run_proc], ['row 29: the class form of a daemon', class_form]]) {
    daemonTest(`${row} that is joined runs to its end: three lines, and only then the parent's`, async (d) => {
      const { body: session } = await d.post('/v1/sessions', {}, { expect: 201 });
      const made = await d.python(code(0.4), { daemon: true }, { token: session.token });
      const { body: done } = await d.get(`/v1/processes/${made.id}/join?wait=30`, { token: session.token });
      exitedWith(done, 0);
      assert.ok(between(done.started_at, done.exited_at) >= 1.2);
      assert.equal(await d.logsText(made.id), `subProcess ${made.pid} run\n`.repeat(3));
    });
  }
});
