// Attacks on the daemon's memory, which holds tokens and what passes through: cores it leaves behind, and other processes
// of its own user that look into it.
import assert from 'node:assert/strict';
import { chownSync, copyFileSync, readFileSync, readdirSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, Daemon, PATIENCE, soon, suite, until } from '../lib/daemon.mjs';
import { marked, send } from '../lib/proc.mjs';

const NOBODY = 65534;
const cores = (d) => readdirSync(d.dir).filter((name) => name.startsWith('core'));
const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
const dumps_here = /^core(\.%p)?$/.test(pattern); // else cores go to a program, or to another place

/** AddressSanitizer takes the right to dump core from what it is in. */
const mayDump = (pid) => !/^Max core file size +0 /m.test(readFileSync(`/proc/${pid}/limits`, 'latin1'));

/** The ring is mapped from this file: without its pages whoever touches it gets SIGBUS, the keeper too, which blocks signals. */
async function crashBoth(d) {
  truncateSync(path.join(d.runtimeDir, 'spool'), 0);
  await d.call('POST', '/v1/processes', { body: { argv: ['true'] } }).catch(() => {});
  await soon(d.launched.ended, 'the keeper ends', PATIENCE);
  assert.equal(d.launched.signal, 'SIGBUS');
  await until('the server is gone too', () => marked(d.mark).length === 0);
}

/** A daemon of a test that takes it down itself. */
async function crashed(args, body) {
  const d = new Daemon({ wrap: 'ulimit -c unlimited', args });
  try {
    await d.start();
    await body(d);
  } finally { d.sweep(); }
}

suite('a core of the daemon', () => {
  test('is not written when keeper and server crash, while those of children are', async () => {
    await crashed(['--core-dumps', 'false'], async (d) => {
      const { exit } = await d.run({ shell: 'kill -SEGV $$', cwd: d.dir });
      const wanted = dumps_here && mayDump(d.pid);
      assert.deepEqual([exit.signal, exit.core_dumped, cores(d).length], ['SIGSEGV', wanted, wanted ? 1 : 0]);
      const before = cores(d);
      const { server_pid } = await d.system();
      send(server_pid, 'SIGSEGV');
      await d.otherServer(server_pid);
      await crashBoth(d);
      assert.deepEqual(cores(d), before);
    });
  });

  test('is written where core_dumps says so, and holds the token', async () => {
    await crashed(['--core-dumps', 'true'], async (d) => {
      const { server_pid } = await d.system();
      const may = mayDump(server_pid);
      send(server_pid, 'SIGSEGV');
      await d.otherServer(server_pid);
      // Looked at before two more write theirs, perhaps into the same file.
      if (dumps_here && may) assert.ok(cores(d).some((name) => readFileSync(path.join(d.dir, name)).includes(d.token)));
      await crashBoth(d);
    });
  });
});

/** As an ordinary user: root may read everything. */
function ordinary(name, body) {
  test(name, async () => {
    const root = process.getuid() === 0;
    const d = new Daemon({ args: ['--core-dumps', 'false'], wrap: root ? `set -- --reuid=${NOBODY} --regid=${NOBODY} --clear-groups "$0" "$@"; exec setpriv "$@"` : undefined });
    if (root) chownSync(d.dir, NOBODY, NOBODY);
    d.bin = path.join(d.dir, 'forkful');
    copyFileSync(BINARY, d.bin);
    try {
      await d.start();
      await body(d);
      await d.stop();
    } finally { d.sweep(); }
  });
}

suite('a child of the daemon\'s own user', () => {
  ordinary('looks into the memory of keeper and server', async (d) => {
    const { keeper_pid, server_pid } = await d.system();
    const brother = await d.spawn({ argv: ['sleep', '1000'] });
    const code = `
import os
tries = {
  "environ": lambda pid: open("/proc/%d/environ" % pid).read(),
  "mem": lambda pid: open("/proc/%d/mem" % pid, "rb"),
  "maps": lambda pid: open("/proc/%d/maps" % pid).read(),
  "fd": lambda pid: os.listdir("/proc/%d/fd" % pid),
}
for pid in (${keeper_pid}, ${server_pid}, ${brother.pid}):
    for name, attempt in tries.items():
        try: attempt(pid); print(pid, "gave", name)
        except PermissionError: pass`;
    const { id } = await d.run({ argv: ['python3', '-c', code] });
    assert.equal(await d.logsText(id), ['environ', 'mem', 'maps', 'fd'].map((name) => `${brother.pid} gave ${name}\n`).join(''));
  });
});
