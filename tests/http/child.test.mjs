// What every child is given and what it is spared: its environment, its descriptors, its signals, its session.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith } from '../lib/check.mjs';
import { childrenOf, stat } from '../lib/proc.mjs';

const open_fds = `
import os
held = []
for fd in range(4096):
    try: os.fstat(fd)
    except OSError: continue
    held.append((fd, os.readlink(f"/proc/self/fd/{fd}")))
print(held)`;

suite('a child', () => {
  daemonTest('finds its own URL, socket, token, id and name in its environment', async (d) => {
    const { id } = await d.sh('env | grep ^FORKFUL_ | sort; exec sleep 1000', { name: 'worker 1' });
    const text = await until('it has told', async () => { const t = await d.logsText(id); return t.split("\n").length > 5 && t; });
    const seen = Object.fromEntries(text.trim().split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    assert.equal(seen.FORKFUL_URL, d.url);
    assert.equal(seen.FORKFUL_SOCKET, d.socket);
    assert.equal(seen.FORKFUL_PROCESS_ID, id);
    assert.equal(seen.FORKFUL_PROCESS_NAME, 'worker 1');
    assert.match(seen.FORKFUL_TOKEN, new RegExp(`^fkp_${id.slice(2)}_[0-9a-f]{64}$`));
    assert.equal((await d.as(seen.FORKFUL_TOKEN).call('GET', '/v1/processes/me', { expect: 200 })).body.id, id);
  });

  daemonTest('made with api false has no token', async (d) => {
    const { id } = await d.run({ shell: 'env | grep -c ^FORKFUL_TOKEN', api: false });
    assert.equal(await d.logsText(id), '0\n');
  });

  daemonTest('never sees the admin token or fault settings of the daemon', async (d) => {
    const { id } = await d.run({ argv: ['env'] });
    assert.ok(!(await d.logsText(id)).includes(d.token));
  });

  daemonTest('holds only descriptors 0, 1 and 2, whatever else goes on', async (d) => {
    const others = await Promise.all(Array.from({ length: 20 }, () => d.spawn({ argv: ['sleep', '1000'], stdin: 'pipe' })));
    const follower = await d.stream(`/v1/processes/${others[0].id}/logs?follow=true`, { accept: 'application/x-ndjson' });
    for (const stdin of ['null', 'pipe', { text: 'x' }]) {
      const { id } = await d.run({ argv: ['python3', '-c', open_fds], stdin });
      const text = await d.logsText(id);
      assert.equal((text.match(/\(\d+, '/g) ?? []).length, 3, text);
      assert.match(text, stdin === 'null' ? /^\[\(0, '\/dev\/null'\), \(1, 'pipe:.*\), \(2, 'pipe:/ : /^\[\(0, /);
    }
    follower.close();
  });

  daemonTest('has default signal dispositions and an empty mask, even when the daemon was started with ignored ones', { wrap: "trap '' PIPE USR1 INT HUP CHLD" }, async (d) => {
    const { id } = await d.run({ argv: ['cat', '/proc/self/status'] });
    const status = await d.logsText(id);
    for (const field of ['SigIgn', 'SigBlk', 'SigCgt']) assert.match(status, new RegExp(`^${field}:\\t0+$`, 'm'), status);
  });

  daemonTest('leads its own session and process group and has no terminal', async (d) => {
    const { pid } = await d.spawn({ argv: ['sleep', '1000'] });
    const seen = stat(pid);
    assert.deepEqual([seen.session, seen.pgrp], [pid, pid]);
    const { id } = await d.run({ argv: ['python3', '-c', 'import os\ntry: os.open("/dev/tty", os.O_RDWR); print("tty")\nexcept OSError: print("none")'] });
    assert.equal(await d.logsText(id), 'none\n');
  });

  daemonTest('that is orphaned by its parent is reaped and leaves no zombie', async (d) => {
    const { keeper_pid } = await d.system();
    const { id } = await d.run({ shell: '(sleep 0.05; exit 3) & (sleep 0.1 &) & exit 0' });
    assert.equal((await d.process(id)).exitcode, 0);
    await until('the keeper has no zombie child', () => childrenOf(keeper_pid).every((pid) => stat(pid)?.state !== 'Z'));
    await until('its tree is empty', async () => (await d.process(id)).descendants === 0);
  });

  daemonTest('whose grandchild holds the pipe has ended, and its output is open until the grandchild ends', async (d) => {
    const done = await d.run({ shell: '(sleep 1; echo late) & echo early; exit 5' });
    exitedWith(done, 5);
    assert.equal(done.output.open, true);
    const closed = await until('the pipe is closed', async () => { const p = await d.process(done.id); return !p.output.open && p; });
    assert.equal(closed.exitcode, 5);
    const stream = await d.stream(`/v1/processes/${done.id}/logs?follow=true`, { accept: 'text/plain' });
    assert.equal((await stream.bytes()).toString(), 'early\nlate\n');
  });

  daemonTest('never becomes a zombie of the keeper, over hundreds of short runs', async (d) => {
    const { keeper_pid } = await d.system();
    const made = [];
    for (let round = 0; round < 10; round += 1) {
      made.push(...await Promise.all(Array.from({ length: 30 }, (_, i) => d.spawn({ shell: `exit ${i}` }))));
    }
    await Promise.all(made.map(async ({ id }, i) => exitedWith(await d.join(id), i % 30)));
    await until('no child of the keeper is a zombie', () => childrenOf(keeper_pid).every((pid) => stat(pid)?.state !== 'Z'));
    assert.equal(new Set(made.map((one) => one.id)).size, 300);
  });
});
