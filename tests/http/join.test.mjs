// Joining: who waits gets the end when it is recorded, or the state when time runs out.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, problem } from '../lib/check.mjs';
import { timed } from '../lib/wait.mjs';

suite('join', () => {
  daemonTest('answers 200 with the running process when time runs out', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const { seconds, value } = await timed(() => d.get(`/v1/processes/${id}/join?wait=0.5`));
    assert.ok(seconds >= 0.45, `${seconds}`);
    assert.deepEqual([value.body.state, value.body.alive, value.body.exitcode], ['running', true, null]);
    const at_once = await timed(() => d.get(`/v1/processes/${id}/join?wait=0`));
    assert.equal(at_once.value.body.alive, true);
  });

  daemonTest('answers as soon as the process ends', async (d) => {
    const { id } = await d.sh('read line; exit 3', { stdin: 'pipe' });
    const joining = d.get(`/v1/processes/${id}/join?wait=300`);
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: 'go\n', expect: 202 });
    exitedWith((await joining).body, 3);
  });

  daemonTest('waits 30 s when it is left out, so an end within that is seen', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1'] });
    exitedWith((await d.get(`/v1/processes/${id}/join`)).body, 0);
  });

  daemonTest('a wait over 300 is clipped, not refused', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    exitedWith((await d.get(`/v1/processes/${id}/join?wait=100000`)).body, 0);
  });

  daemonTest('works after the end, again and again, and after a restart', async (d) => {
    const { id } = await d.run({ shell: 'exit 9' });
    for (let i = 0; i < 3; i += 1) exitedWith((await d.get(`/v1/processes/${id}/join?wait=300`)).body, 9);
    await d.restart();
    exitedWith((await d.get(`/v1/processes/${id}/join?wait=300`)).body, 9);
  });

  daemonTest('many joiners all get the end', async (d) => {
    const { id } = await d.sh('read line; exit 6', { stdin: 'pipe' });
    const joins = Array.from({ length: 100 }, () => d.get(`/v1/processes/${id}/join?wait=60`));
    await d.get('/v1/system');
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    for (const one of await Promise.all(joins)) exitedWith(one.body, 6);
  });

  daemonTest('joiners that go away disturb nobody', async (d) => {
    const { id } = await d.sh('read line; exit 2', { stdin: 'pipe' });
    const abort = new AbortController();
    const gone = Array.from({ length: 20 }, () => d.call('GET', `/v1/processes/${id}/join?wait=60`, { signal: abort.signal }).catch((error) => error.name));
    const stays = d.get(`/v1/processes/${id}/join?wait=60`);
    await d.get('/v1/system');
    abort.abort();
    assert.deepEqual([...new Set(await Promise.all(gone))], ['AbortError']);
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    exitedWith((await stays).body, 2);
  });

  daemonTest('what was not started is 409 not_started', async (d) => {
    const { id } = await d.spawn({ argv: ['true'], start: false });
    problem(await d.call('GET', `/v1/processes/${id}/join`), 409, 'not_started');
  });

  daemonTest('a process that joins itself is 409 would_deadlock', async (d) => {
    const { id } = await d.sh('echo $FORKFUL_TOKEN; exec sleep 1000');
    const token = (await until('it has told', () => d.logsText(id))).trim();
    problem(await d.call('GET', `/v1/processes/${id}/join?wait=60`, { token }), 409, 'would_deadlock');
  });

  daemonTest('a process deleted while it is joined ends the wait', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const joining = d.call('GET', `/v1/processes/${id}/join?wait=60`);
    await d.get('/v1/system');
    await d.delete(`/v1/processes/${id}?kill=true`);
    const answer = await joining;
    if (answer.status === 200) killedBy(answer.body, 9, 'SIGKILL');
    else problem(answer, 404, 'not_found');
  });

  daemonTest('over a crash of the server can be asked again and gives the end', async (d) => {
    const { id } = await d.sh('read line; exit 8', { stdin: 'pipe' });
    const joining = d.call('GET', `/v1/processes/${id}/join?wait=60`, { patient: 60, expect: 200 });
    await d.killServer();
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', patient: 30, expect: 202 });
    exitedWith((await joining).body, 8);
  });

  daemonTest('over the Unix socket is the same', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '0.2'] });
    exitedWith((await d.unix.call('GET', `/v1/processes/${id}/join?wait=30`, { expect: 200 })).body, 0);
  });
});
