// Stop: the whole tree, first asked, then killed.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { between, exitedWith, killedBy, micros, problem } from '../lib/check.mjs';
import { alive, stat } from '../lib/proc.mjs';

const stop = (d, id, body, options) => d.post(`/v1/processes/${id}/stop`, body, { expect: 202, ...options });
const stubborn = 'trap "" TERM; echo ready; while :; do sleep 1000; done';
const ready = (d, id) => until('it is ready', async () => (await d.logsText(id)).includes('ready\n'));

suite('stop', () => {
  daemonTest('sends SIGTERM and tells when SIGKILL follows', async (d) => {
    const { id } = await d.sh('trap "while [ ! -e go ]; do sleep 0.02; done; exit 4" TERM; echo ready; while :; do sleep 0.02; done', { cwd: d.dir });
    await ready(d, id);
    const before = Date.now();
    const { body } = await stop(d, id, { grace_seconds: 100 });
    assert.deepEqual([body.id, body.signal, body.state], [id, 'SIGTERM', 'stopping']);
    const away = micros(body.deadline_at) / 1e6 - before / 1000;
    assert.ok(away > 99 && away < 100 + 30, `${away}`);
    assert.equal((await d.process(id)).state, 'stopping');
    assert.equal((await d.process(id)).alive, true);
    writeFileSync(path.join(d.dir, 'go'), '');
    const done = await d.join(id);
    exitedWith(done, 4);
    assert.equal(done.exit.reason, 'stopped');
  });

  daemonTest('uses the process\'s own signal and grace when nothing is said', async (d) => {
    const { id } = await d.sh('trap "exit 6" USR1; trap "" TERM; echo ready; while :; do sleep 0.02; done', { stop: { signal: 'SIGUSR1', grace_seconds: 200 } });
    await ready(d, id);
    const before = Date.now();
    const { body } = await stop(d, id, undefined);
    assert.equal(body.signal, 'SIGUSR1');
    assert.ok(micros(body.deadline_at) / 1e6 - before / 1000 > 199);
    exitedWith(await d.join(id), 6);
  });

  daemonTest('kills what does not listen when the grace has run out', async (d) => {
    const { id } = await d.sh(stubborn);
    await ready(d, id);
    const { body } = await stop(d, id, { grace_seconds: 0.4 });
    const done = await d.join(id);
    killedBy(done, 9, 'SIGKILL', 'stopped');
    assert.ok(between(body.deadline_at, done.exited_at) > -0.05, 'not before the deadline');
  });

  daemonTest('takes children, grandchildren and what has called setsid or forked twice', async (d) => {
    const { id } = await d.sh(`
      sleep 1001 & echo $!
      (sleep 1002 & echo $!)
      setsid sh -c 'trap "" TERM HUP; echo $$; sleep 1003; sleep 1004' &
      setsid setsid sh -c '(setsid sleep 1005 & echo $!); exit' &
      while :; do sleep 1006; done`);
    const pids = await until('all four have told their pid', async () => {
      const told = (await d.logsText(id)).split('\n').filter((line) => /^\d+$/.test(line)).map(Number);
      return told.length === 4 && told;
    });
    assert.ok(pids.every(alive));
    await stop(d, id, { grace_seconds: 0.5 });
    await d.join(id);
    await until('all of the tree are gone', () => pids.every((pid) => !alive(pid)));
    await until('the record says so', async () => (await d.process(id)).descendants === 0);
  });

  daemonTest('with no grace kills at once', async (d) => {
    const { id } = await d.sh(stubborn);
    await ready(d, id);
    await stop(d, id, { grace_seconds: 0 });
    killedBy(await d.join(id), 9, 'SIGKILL', 'stopped');
  });

  daemonTest('repeated may shorten the deadline and never lengthens it', async (d) => {
    const { id } = await d.sh(stubborn);
    await ready(d, id);
    const first = (await stop(d, id, { grace_seconds: 100 })).body;
    const longer = (await stop(d, id, { grace_seconds: 1000 })).body;
    assert.equal(longer.deadline_at, first.deadline_at);
    const shorter = (await stop(d, id, { grace_seconds: 50 })).body;
    assert.ok(between(first.deadline_at, shorter.deadline_at) < -40);
    await stop(d, id, { grace_seconds: 0.1 });
    killedBy(await d.join(id), 9, 'SIGKILL', 'stopped');
  });

  daemonTest('survives a crash of the server: the deadline holds', async (d) => {
    const { id } = await d.sh(stubborn);
    await ready(d, id);
    await stop(d, id, { grace_seconds: 1 });
    await d.killServer();
    killedBy(await d.join(id), 9, 'SIGKILL', 'stopped');
  });

  daemonTest('of an ended process is 409 not_running', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    problem(await d.post(`/v1/processes/${id}/stop`, {}), 409, 'not_running');
  });

  daemonTest('refuses an unknown field, a negative grace and an unknown signal', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    for (const body of [{ grace: 1 }, { grace_seconds: -1 }, { signal: 'SIGX' }]) assert.equal((await d.post(`/v1/processes/${id}/stop`, body)).status, 422);
    assert.equal((await d.process(id)).state, 'running');
  });

  daemonTest('of many at once ends them all', async (d) => {
    const made = await Promise.all(Array.from({ length: 30 }, () => d.sh('sleep 1000 & wait')));
    await Promise.all(made.map(({ id }) => stop(d, id, { grace_seconds: 5 })));
    for (const { id, pid } of made) {
      assert.equal((await d.join(id)).exit.reason, 'stopped');
      assert.equal(stat(pid), null);
    }
  });
});
