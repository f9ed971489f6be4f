// Signals: to the main process, its group, its tree; terminate, kill, pause and resume.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, problem } from '../lib/check.mjs';
import { alive, childrenOf, stat } from '../lib/proc.mjs';
import { sleep } from '../lib/wait.mjs';

const reporter = `
import signal, time, sys
for number in sys.argv[1:]:
    signal.signal(int(number), lambda n, f: print("got", n, flush=True))
print("ready", flush=True)
while True: time.sleep(0.05)`;

/** A main process, a child in its group and one that has left its session; each tells of USR1. */
const family = `
trap "echo main" USR1
(trap "echo group" USR1; echo ready; while :; do sleep 0.02; done) &
setsid sh -c 'trap "echo escaped" USR1; echo ready; while :; do sleep 0.02; done' &
echo ready; while :; do sleep 0.02; done`;

const waitFor = (d, id, count, word) => until(`${word} stands ${count} times in the output`, async () => {
  const text = await d.logsText(id);
  return text.split('\n').filter((line) => line === word).length === count && text;
});
const signal = (d, id, body) => d.post(`/v1/processes/${id}/signal`, body);

suite('signal', () => {
  daemonTest('takes names with and without SIG, numbers and real-time signals', async (d) => {
    const { id } = await d.python(reporter, { argv: ['python3', '-u', '-c', reporter, '10', '12', '15', '34', '37', '63'] });
    await waitFor(d, id, 1, 'ready');
    for (const [given, out, number] of [['SIGUSR1', 'SIGUSR1', 10], ['USR2', 'SIGUSR2', 12], [15, 'SIGTERM', 15],
      ['SIGRTMIN', 'SIGRTMIN', 34], ['RTMIN+3', 'SIGRTMIN+3', 37], ['SIGRTMAX-1', null, 63]]) {
      const answer = await signal(d, id, { signal: given });
      assert.equal(answer.status, 202, `${answer}`);
      if (out) assert.equal(answer.body.signal, out);
      assert.equal(answer.body.scope, 'main');
      await waitFor(d, id, 1, `got ${number}`);
    }
  });

  daemonTest('refuses what is no signal', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    for (const bad of ['SIGFOO', '', 0, -9, 65, 1.5, true, null, 'SIGRTMIN+99', '15;', 'sigterm!']) {
      const answer = await signal(d, id, { signal: bad });
      assert.equal(answer.status, 422, `${JSON.stringify(bad)}: ${answer}`);
      assert.equal(answer.body.errors[0].pointer, '/signal');
    }
    assert.equal((await signal(d, id, { signal: 'TERM', scope: 'world' })).status, 422);
    assert.equal((await d.process(id)).alive, true);
  });

  daemonTest('reaches the main process, its group, or the whole tree with what called setsid', async (d) => {
    const { id } = await d.sh(family);
    await waitFor(d, id, 3, 'ready');
    await signal(d, id, { signal: 'USR1' });
    await waitFor(d, id, 1, 'main');
    await signal(d, id, { signal: 'USR1', scope: 'group' });
    await waitFor(d, id, 1, 'group');
    await waitFor(d, id, 2, 'main');
    await signal(d, id, { signal: 'USR1', scope: 'tree' });
    await waitFor(d, id, 1, 'escaped');
    await waitFor(d, id, 2, 'group');
    await waitFor(d, id, 3, 'main');
  });

  daemonTest('that kills is told in exitcode and exit', async (d) => {
    for (const [name, number] of [['SIGTERM', 15], ['SIGINT', 2], ['SIGHUP', 1], ['SIGKILL', 9], ['SIGRTMIN+3', 37]]) {
      const { id } = await d.spawn({ argv: ['sleep', '1000'] });
      assert.equal((await signal(d, id, { signal: name })).status, 202);
      killedBy(await d.join(id), number, name, 'signal');
    }
  });

  daemonTest('to an ended process is 409 not_running', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    for (const scope of ['main', 'group', 'tree']) problem(await signal(d, id, { signal: 'TERM', scope }), 409, 'not_running');
  });

  daemonTest('a handled one does not end the process', async (d) => {
    const { id } = await d.sh('trap "exit 5" TERM; echo ready; while :; do sleep 0.02; done');
    await waitFor(d, id, 1, 'ready');
    await signal(d, id, { signal: 'TERM' });
    exitedWith(await d.join(id), 5);
  });
});

suite('terminate and kill', () => {
  daemonTest('send SIGTERM and SIGKILL to main, and have no effect on an ended one', async (d) => {
    for (const [verb, number, name] of [['terminate', 15, 'SIGTERM'], ['kill', 9, 'SIGKILL']]) {
      const { id } = await d.spawn({ argv: ['sleep', '1000'] });
      const answer = await d.post(`/v1/processes/${id}/${verb}`, undefined, { expect: 200 });
      assert.equal(answer.body.id, id);
      const done = await d.join(id);
      killedBy(done, number, name, 'signal');
      const again = await d.post(`/v1/processes/${id}/${verb}`, undefined, { expect: 200 });
      assert.deepEqual([again.body.exitcode, again.body.exited_at, again.body.revision], [done.exitcode, done.exited_at, done.revision]);
    }
  });

  daemonTest('reach main alone', async (d) => {
    const { id, pid } = await d.sh('sleep 1000 & wait');
    const child = await until('the child runs', () => childrenOf(pid)[0]);
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    killedBy(await d.join(id), 9, 'SIGKILL');
    assert.ok(alive(child), 'the child goes on');
    await until('it is seen as a descendant', async () => (await d.process(id)).descendants === 1);
  });

  daemonTest('of what was not started are 409 not_started', async (d) => {
    const { id } = await d.spawn({ argv: ['true'], start: false });
    for (const verb of ['terminate', 'kill', 'pause', 'resume', 'stop']) problem(await d.post(`/v1/processes/${id}/${verb}`), 409, 'not_started');
  });
});

suite('pause and resume', () => {
  const counting = 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done';

  daemonTest('hold the whole tree and let it go on', async (d) => {
    const { id } = await d.sh(`(${counting}) & setsid sh -c '${counting}' & ${counting}`);
    const bytes = async () => (await d.process(id)).output.stdout_bytes;
    await until('it writes', async () => (await bytes()) > 100);
    await d.post(`/v1/processes/${id}/pause`, undefined, { expect: 200 });
    let last = -1;
    await until('it is quiet', async () => {
      const before = last;
      last = await bytes();
      return before === last;
    }, { every: 0.3 });
    await sleep(0.5);
    assert.equal(await bytes(), last, 'nothing is written while it is paused');
    assert.equal((await d.process(id)).alive, true);
    await d.post(`/v1/processes/${id}/resume`, undefined, { expect: 200 });
    await until('it writes again', async () => (await bytes()) > last + 100);
  });

  daemonTest('a paused tree can be stopped and killed', async (d) => {
    for (const act of [(id) => d.post(`/v1/processes/${id}/stop`, { grace_seconds: 0.3 }, { expect: 202 }),
      (id) => d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 }), (id) => d.delete(`/v1/processes/${id}?kill=true`)]) {
      const { id, pid } = await d.spawn({ argv: ['sleep', '1000'] });
      await d.post(`/v1/processes/${id}/pause`, undefined, { expect: 200 });
      await act(id);
      await until('it is gone', () => !stat(pid));
    }
  });

  daemonTest('are 409 not_running after the end, and a resume of what runs has no effect', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    problem(await d.post(`/v1/processes/${id}/pause`), 409, 'not_running');
    problem(await d.post(`/v1/processes/${id}/resume`), 409, 'not_running');
    const other = await d.spawn({ argv: ['sleep', '1000'] });
    assert.equal((await d.post(`/v1/processes/${other.id}/resume`, undefined, { expect: 200 })).body.alive, true);
  });
});
