// The end of the daemon is the end of a Python parent: daemonic processes are ended, the others joined.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, problem } from '../lib/check.mjs';
import { alive, send } from '../lib/proc.mjs';
import { timed } from '../lib/wait.mjs';

const gone = (d) => until('the daemon has ended', () => !alive(d.pid), { within: 60 });
const ready = (d, id) => until('it is ready', async () => (await d.logsText(id)).includes('ready\n'));
const stubborn = 'trap "" TERM; echo ready; while :; do sleep 1000; done';

suite('shutdown', () => {
  daemonTest('ends daemonic processes at once and joins the others', async (d) => {
    const daemonic = await d.sh('echo ready; sleep 1000; echo Exiting', { daemon: true });
    const free = await d.sh('echo ready; read x; echo Exiting; exit 3', { stdin: 'pipe' });
    await ready(d, daemonic.id);
    await ready(d, free.id);
    const { body } = await d.post('/v1/shutdown', { wait_seconds: 60 }, { expect: 202 });
    assert.deepEqual([body.state, body.wait_seconds], ['draining', 60]);
    killedBy(await d.join(daemonic.id), 15, 'SIGTERM', 'shutdown');
    assert.equal((await d.process(free.id)).state, 'running');
    problem(await d.post('/v1/processes', { argv: ['true'] }), 503, 'shutting_down');
    await d.call('POST', `/v1/processes/${free.id}/stdin`, { raw: '\n', expect: 202 });
    await gone(d);
    await d.start();
    exitedWith(await d.process(free.id), 3);
    assert.equal((await d.process(free.id)).exit.reason, 'exit_code');
    assert.equal(await d.logsText(free.id), 'ready\nExiting\n');
    assert.equal(await d.logsText(daemonic.id), 'ready\n');
  });

  daemonTest('stops what still lives after wait_seconds with its own signal and grace, reason shutdown', async (d) => {
    const polite = await d.sh('trap "exit 5" USR1; trap "" TERM; echo ready; while :; do sleep 0.02; done', { stop: { signal: 'USR1', grace_seconds: 60 } });
    const rude = await d.sh(stubborn, { stop: { grace_seconds: 0.3 } });
    await ready(d, polite.id);
    await ready(d, rude.id);
    await d.post('/v1/shutdown', { wait_seconds: 0.3 }, { expect: 202 });
    await gone(d);
    await d.start();
    const polite_end = await d.process(polite.id);
    exitedWith(polite_end, 5);
    assert.equal(polite_end.exit.reason, 'shutdown');
    killedBy(await d.process(rude.id), 9, 'SIGKILL', 'shutdown');
  });

  daemonTest('leaves no descendants and no open output in the records of what had ended before', async (d) => {
    const noisy = await d.sh('(sleep 0.2; echo late; exec sleep 1000) & exit 3');
    const silent = await d.sh('sleep 1000 </dev/null >/dev/null 2>&1 & exit 3');
    for (const { id } of [noisy, silent]) assert.ok((await d.join(id)).descendants > 0);
    await until('it has told', async () => (await d.logsText(noisy.id)) === 'late\n');
    await d.restart();
    for (const { id } of [noisy, silent]) {
      const done = await d.process(id);
      exitedWith(done, 3);
      assert.deepEqual([done.descendants, done.output.open, done.output.dropped_bytes], [0, false, 0]);
      assert.deepEqual((await d.logs(id)).filter((one) => one.gap), []);
    }
  });

  daemonTest('with nothing alive is over at once, whatever wait_seconds says', async (d) => {
    await d.run({ argv: ['true'] });
    const { seconds } = await timed(async () => {
      await d.post('/v1/shutdown', { wait_seconds: 3600 }, { expect: 202 });
      await gone(d);
    });
    assert.ok(seconds < 20, `${seconds}`);
    await d.start();
  });

  daemonTest('by SIGTERM or SIGINT is the same', async (d) => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const daemonic = await d.sh('echo ready; exec sleep 1000', { daemon: true });
      const free = await d.sh('read x; exit 4', { stdin: 'pipe' });
      await ready(d, daemonic.id);
      send(d.pid, signal);
      killedBy(await d.join(daemonic.id), 15, 'SIGTERM', 'shutdown');
      await d.call('POST', `/v1/processes/${free.id}/stdin`, { raw: '\n', expect: 202 });
      await gone(d);
      assert.equal((await d.launched.ended).code, 0);
      await d.start();
      exitedWith(await d.process(free.id), 4);
    }
  });

  daemonTest('by Control-C, which the whole process group gets', async (d) => {
    for (const signal of ['SIGINT', 'SIGTERM']) {
      const free = await d.sh('exec sleep 1000', { stop: { grace_seconds: 5 } });
      const daemonic = await d.sh('exec sleep 1000', { daemon: true });
      send(-d.pid, signal);
      killedBy(await d.join(daemonic.id), 15, 'SIGTERM', 'shutdown');
      await d.post(`/v1/processes/${free.id}/kill`, undefined, { expect: 200 });
      await gone(d);
      assert.equal((await d.launched.ended).code, 0);
      await d.start();
    }
  });

  daemonTest('by a signal is not forgotten when the server dies of SIGKILL at that moment', async (d) => {
    for (let round = 0; round < 5; round += 1) {
      const { server_pid } = await d.system();
      send(server_pid, 'SIGSTOP');
      send(d.pid, 'SIGTERM');
      send(server_pid, 'SIGKILL');
      await gone(d);
      assert.equal((await d.launched.ended).code, 0);
      await d.start();
    }
  });

  daemonTest('answers those who join what it waits for', async (d) => {
    const { id } = await d.sh('read x; exit 6', { stdin: 'pipe' });
    const joining = d.get(`/v1/processes/${id}/join?wait=60`);
    await d.post('/v1/shutdown', { wait_seconds: 60 }, { expect: 202 });
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    exitedWith((await joining).body, 6);
    await gone(d);
    await d.start();
  });

  daemonTest('by a second signal waits no longer, and gives each its own signal and grace', async (d) => {
    const polite = await d.sh('trap "exit 5" USR1; trap "" TERM; echo ready; while :; do sleep 0.02; done', { stop: { signal: 'USR1', grace_seconds: 60 } });
    const rude = await d.sh(stubborn, { stop: { grace_seconds: 0.2 } });
    await ready(d, polite.id);
    await ready(d, rude.id);
    await d.call('PUT', '/v1/log/level', { body: { level: 'debug' }, expect: 200 });
    send(d.pid, 'SIGINT');
    await until('it waits', async () => (await d.call('GET', '/readyz')).status === 503);
    send(d.pid, 'SIGINT');
    const { seconds } = await timed(() => gone(d));
    assert.ok(seconds < 8, `the standard wait is 10 s: ${seconds}`);
    await d.start();
    exitedWith(await d.process(polite.id), 5);
    killedBy(await d.process(rude.id), 9, 'SIGKILL', 'shutdown');
  });

  daemonTest('asked for twice takes the shorter wait', async (d) => {
    const { id } = await d.sh(stubborn, { stop: { grace_seconds: 0.2 } });
    await ready(d, id);
    await d.post('/v1/shutdown', { wait_seconds: 3600 }, { expect: 202 });
    await d.post('/v1/shutdown', { wait_seconds: 0 }, { expect: 202 });
    await gone(d);
    await d.start();
    killedBy(await d.process(id), 9, 'SIGKILL', 'shutdown');
  });

  daemonTest('goes on after a crash of the server in the middle of it', async (d) => {
    const { id } = await d.sh(stubborn, { stop: { grace_seconds: 0.3 } });
    await ready(d, id);
    await d.post('/v1/shutdown', { wait_seconds: 2 }, { expect: 202 });
    const { server_pid } = await d.system();
    send(server_pid, 'SIGKILL');
    await gone(d);
    await d.start();
    killedBy(await d.process(id), 9, 'SIGKILL', 'shutdown');
  });

  daemonTest('leaves created processes as they are, and takes grandchildren along', async (d) => {
    const created = await d.spawn({ argv: ['true'], start: false });
    const { id } = await d.sh('setsid sh -c "trap \\"\\" TERM; echo \\$\\$; sleep 1000; sleep 1000" & wait; sleep 1000', { stop: { grace_seconds: 0.3 } });
    const escaped = Number(await until('it has told', () => d.logsText(id)));
    await d.post('/v1/shutdown', { wait_seconds: 0 }, { expect: 202 });
    await gone(d);
    await until('what escaped is gone', () => !alive(escaped));
    await d.start();
    assert.equal((await d.process(created.id)).state, 'created');
  });

  daemonTest('with a bad body is 422', async (d) => {
    for (const body of [{ wait_seconds: -1 }, { wait_seconds: 'long' }, { wait: 1 }]) assert.equal((await d.post('/v1/shutdown', body)).status, 422);
    await d.get('/readyz');
  });

  daemonTest('closes streams and frees the port', async (d) => {
    const { id } = await d.sh('echo ready; exec sleep 1000', { daemon: true });
    const records = (await d.stream(`/v1/processes/${id}/logs?follow=true`, { accept: 'application/x-ndjson' })).records();
    assert.equal((await records.next()).value.text, 'ready');
    const rest = records.next();
    await d.post('/v1/shutdown', { wait_seconds: 5 }, { expect: 202 });
    assert.equal((await rest).done, true);
    await gone(d);
    await assert.rejects(d.call('GET', '/healthz'));
    await d.start();
  });
});
