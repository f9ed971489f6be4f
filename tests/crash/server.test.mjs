// The server may be killed at any instant: nothing is lost, nothing happens twice, no child notices.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Daemon, daemonTest, PATIENCE, soon, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, range } from '../lib/check.mjs';
import { Load, random } from '../lib/load.mjs';
import { alive, send } from '../lib/proc.mjs';
import { sleep } from '../lib/wait.mjs';

/** The feed tells of each process one beginning and one end. */
async function verifyChanges(d, load) {
  const begun = new Map();
  const ended = new Map();
  let after = 0;
  for (;;) {
    const { body } = await d.get(`/v1/changes?limit=500&after=${after}&type=process.started,process.exited,process.lost`);
    if (body.items.length === 0) break;
    for (const one of body.items) {
      const map = one.type === 'process.started' ? begun : ended;
      map.set(one.ref, (map.get(one.ref) ?? 0) + 1);
    }
    after = body.next_after;
  }
  for (const id of load.made.values()) assert.deepEqual([begun.get(id), ended.get(id)], [1, 1], id);
}

daemonTest('a server killed a hundred times under load loses no line, no exit code and no process', { seconds: 300 }, async (d) => {
  const load = new Load(d, { width: 30 });
  const next = random(4711);
  const { keeper_pid } = await d.system({ patient: PATIENCE });
  for (let kill = 0; kill < 100; kill += 1) {
    const { server_pid } = await d.system({ patient: PATIENCE });
    await sleep(next() * 0.04);
    send(server_pid, 'SIGKILL');
    d.admin.reconnect();
    if (kill % 10 === 9) await load.progress(5);
  }
  await load.finish();
  const { jobs } = await load.verify();
  assert.ok(jobs >= 30);
  await verifyChanges(d, load);
  const system = await d.system();
  assert.equal(system.keeper_pid, keeper_pid);
  assert.ok(system.server_restarts >= 100);
});

suite('killed', () => {
  for (const point of ['server_after_read', 'server_before_tail', 'writer_before_commit', 'writer_between_files', 'writer_after_commit']) {
    for (const passage of [1, 2, 5, 20]) {
      test(`at the fault point ${point}, passage ${passage}, the server loses nothing`, { timeout: PATIENCE * 6000 }, async () => {
        const d = new Daemon();
        const once = path.join(d.dir, 'happened');
        d.env = { FORKFUL_FAULT: `${point}:${passage}`, FORKFUL_FAULT_ONCE: once };
        try {
          await d.start();
          const load = new Load(d, { width: 5 });
          await load.progress(10);
          await until('the fault has happened', () => existsSync(once));
          await load.progress(5);
          await load.finish();
          await load.verify();
          await verifyChanges(d, load);
          await d.stop();
        } finally { d.sweep(); }
      });
    }
  }

  daemonTest('before it has answered, the server leaves no process that nobody knows', async (d) => {
    for (let round = 0; round < 8; round += 1) {
      const { server_pid } = await d.system({ patient: PATIENCE });
      const answers = range(1, 10).map((i) => d.call('POST', '/v1/processes', { body: { argv: ['sleep', '1000'], name: `r${round}-${i}` } }).then((one) => one.body.id, () => null));
      await sleep(round * 0.001);
      send(server_pid, 'SIGKILL');
      d.admin.reconnect();
      const known = (await Promise.all(answers)).filter(Boolean);
      await d.otherServer(server_pid);
      const list = new Set((await d.list()).map((one) => one.id));
      for (const id of known) assert.ok(list.has(id), 'what was answered is there');
    }
    const names = (await d.list()).map((one) => one.name);
    assert.equal(new Set(names).size, names.length, 'nothing was made twice');
    for (const one of await d.list()) assert.ok(one.state === 'running' && alive(one.pid), JSON.stringify(one));
  });

  daemonTest('while children write much, the server is told all of it', { seconds: 180 }, async (d) => {
    const { id } = await d.python('import sys\nfor i in range(1, 600001): sys.stdout.write("line %d\\n" % i)');
    for (let i = 0; i < 8; i += 1) {
      await d.killServer();
      await sleep(0.02);
    }
    exitedWith(await d.join(id), 0);
    assert.equal(await d.logsText(id), range(1, 600000).map((i) => `line ${i}\n`).join(''));
  });

  daemonTest('with a client waiting for a lock of time, deadlines still hold: timeout and session', async (d) => {
    const { body: session } = await d.post('/v1/sessions', { ttl_seconds: 2 }, { expect: 201 });
    const daemonic = await d.spawn({ argv: ['sleep', '1000'], daemon: true }, { token: session.token });
    const timed = await d.spawn({ argv: ['sleep', '1000'], timeout_seconds: 2 });
    for (let i = 0; i < 3; i += 1) await d.killServer();
    killedBy(await d.join(timed.id), 15, 'SIGTERM', 'timeout');
    killedBy(await d.join(daemonic.id), 15, 'SIGTERM', 'parent_exit');
  });

  daemonTest('and stopped in between, the server makes children wait but loses nothing', { args: ['--spool-bytes', '8M'], seconds: 180 }, async (d) => {
    const { server_pid } = await d.system();
    const made = await d.python('import sys\nfor i in range(1, 2000001): sys.stdout.write("line %d\\n" % i)');
    send(server_pid, 'SIGSTOP');
    await sleep(1);
    assert.ok(alive(made.pid), 'it is held by the full spool');
    send(server_pid, 'SIGCONT');
    exitedWith(await d.join(made.id), 0);
    const bytes = await d.logsBytes(made.id);
    assert.equal(bytes.length, range(1, 2000000).reduce((sum, i) => sum + 6 + String(i).length, 0));
    assert.ok(bytes.subarray(-13).equals(Buffer.from('line 2000000\n')));
  });

  daemonTest('the server is started again for callers that come meanwhile: they just wait', async (d) => {
    const { server_pid } = await d.system();
    send(server_pid, 'SIGKILL');
    d.admin.reconnect();
    const answers = await soon(Promise.all(range(1, 20).map(() => d.system({ patient: PATIENCE }))), 'all are answered');
    assert.ok(answers.every((one) => one.server_pid !== server_pid));
  });
});

daemonTest('a process that was made first and started later is known as started after a crash of both', async (d) => {
  const { id } = await d.spawn({ argv: ['sleep', '1000'], start: false });
  const { body: { pid } } = await d.post(`/v1/processes/${id}/start`, undefined, { expect: 200 });
  await d.killServer();
  assert.equal((await d.process(id)).state, 'running');
  await d.killBoth();
  await d.start();
  assert.deepEqual([(await d.process(id)).state, (await d.process(id)).pid], ['running', pid]);
});

suite('a server that cannot start any more', () => {
  /** Makes the database a thing that no server can open, and kills the server. Gives what puts it back. */
  async function break_server(d) {
    const file = path.join(d.stateDir, 'state.db');
    await d.killServer({ wait: false });
    renameSync(file, `${file}.good`);
    mkdirSync(file);
    return () => { rmdirSync(file); renameSync(`${file}.good`, file); };
  }

  daemonTest('does not hold up a SIGTERM: the keeper stops all alone, and the next start knows how they ended', async (d) => {
    const polite = await d.sh('trap "echo asked; exit 5" TERM; touch up1; while :; do sleep 0.02; done', { cwd: d.dir });
    const rude = await d.sh('trap "" TERM; touch up2; while :; do sleep 1000; done', { cwd: d.dir, stop: { grace_seconds: 0.5 } });
    const tree = await d.sh('sleep 1000 & sleep 1000 & exit 3');
    await d.join(tree.id);
    for (const file of ['up1', 'up2']) await until('it is up', () => existsSync(path.join(d.dir, file)));
    const repair = await break_server(d);
    const { child } = d.launched;
    send(d.pid, 'SIGTERM');
    await until('the keeper has ended', () => child.exitCode !== null || child.signalCode !== null);
    assert.equal(child.exitCode, 1);
    for (const { pid } of [polite, rude]) assert.ok(!alive(pid));
    for (const one of d.clients) one.close();
    repair();
    await d.start();
    const first = await d.process(polite.id);
    exitedWith(first, 5);
    assert.equal(first.exit.reason, 'shutdown');
    assert.match(await d.logsText(polite.id), /^asked$/m);
    killedBy(await d.process(rude.id), 9, 'SIGKILL', 'shutdown');
    const last = await d.process(tree.id);
    assert.deepEqual([last.descendants, last.output.open], [0, false]);
  });

  daemonTest('that comes back in time takes the signal itself', async (d) => {
    const { id } = await d.sh('trap "exit 5" TERM; touch up; while :; do sleep 0.02; done', { cwd: d.dir });
    await until('it is up', () => existsSync(path.join(d.dir, 'up')));
    const repair = await break_server(d);
    send(d.pid, 'SIGTERM');
    repair();
    await until('the keeper has ended', () => d.launched.child.exitCode !== null, { within: 60 });
    assert.equal(d.launched.child.exitCode, 0);
    for (const one of d.clients) one.close();
    await d.start();
    exitedWith(await d.process(id), 5);
  });
});
