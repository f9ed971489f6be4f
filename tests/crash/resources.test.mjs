// When the machine has no more to give: no processes, no descriptors, no disk. The daemon says so and goes on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Daemon, daemonTest, PATIENCE, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem, range } from '../lib/check.mjs';
import { childrenOf } from '../lib/proc.mjs';

suite('out of descriptors', () => {
  daemonTest('a connection that cannot be accepted waits until it can', { env: { FORKFUL_FAIL: 'accept:EMFILE:5' } }, async (d) => {
    assert.equal((await d.get('/healthz')).status, 200);
    assert.equal((await d.unix.call('GET', '/v1/system')).status, 200);
  });
});

suite('out of processes', () => {
  for (const [what, fault] of [['fork', 'fork:EAGAIN'], ['fork', 'fork:ENOMEM'], ['pipe', 'pipe:EMFILE'], ['pipe', 'pipe:ENFILE']]) {
    daemonTest(`a ${what} that fails (${fault}) is 503 with Retry-After and leaves nothing behind`, { env: { FORKFUL_FAIL: `${fault}:6` } }, async (d) => {
      const { keeper_pid, server_pid } = await d.system();
      const fds = () => [keeper_pid, server_pid].map((pid) => readdirSync(`/proc/${pid}/fd`).length);
      const first = await d.post('/v1/processes', { argv: ['true'], stdin: 'pipe' });
      problem(first, 503, 'unavailable');
      assert.match(first.headers['retry-after'], /^[1-9]\d*$/);
      const before = fds();
      for (let i = 0; i < 5; i += 1) problem(await d.post('/v1/processes', { argv: ['true'], stdin: 'pipe' }), 503, 'unavailable');
      assert.deepEqual(fds(), before);
      assert.deepEqual(await d.list(), []);
      assert.deepEqual(childrenOf(keeper_pid), [server_pid]);
      exitedWith(await d.run({ argv: ['true'] }), 0);
    });
  }

  daemonTest('a later start that fails for want of processes may be tried again', { env: { FORKFUL_FAIL: 'fork:EAGAIN:1' } }, async (d) => {
    const { id } = await d.spawn({ argv: ['true'], start: false });
    problem(await d.post(`/v1/processes/${id}/start`), 503, 'unavailable');
    assert.equal((await d.process(id)).state, 'created');
    await d.post(`/v1/processes/${id}/start`, undefined, { expect: 200 });
    exitedWith(await d.join(id), 0);
  });
});

suite('out of disk', () => {
  const MB = 1 << 20;
  // Lines that do not pack: what is written is what the disk has to take.
  const line = (i) => `${createHash('sha384').update(String(i)).digest('base64').slice(0, 63)}\n`;
  const write = (megabytes) => `import base64, hashlib, sys
for i in range(${megabytes * 16384}): sys.stdout.write(base64.b64encode(hashlib.sha384(b"%d" % i).digest()).decode()[:63] + "\\n")`;

  daemonTest('a commit that fails for a while makes health degraded, and everything is there afterwards', { seconds: 180 }, async (d) => {
    await d.end();
    await d.start({ FORKFUL_FAIL: 'writer_commit:ENOSPC:12' });
    const { id } = (await d.call('POST', '/v1/processes', { body: { shell: 'echo kept; exit 3' }, patient: 60, expect: 201 })).body;
    exitedWith(await d.join(id), 3);
    assert.equal(await d.logsText(id), 'kept\n');
    await until('it is well again', async () => (await d.system()).health === 'ok');
    await d.get('/readyz');
  });

  daemonTest('a database that is full is told by health, readyz and 507, and nothing is lost', { env: { FORKFUL_DB_MAX_PAGES: '200' }, seconds: 180 }, async (d) => {
    const kept = await d.run({ shell: 'echo before; exit 2' });
    const writer = await d.python(write(8));
    await until('the database is full', async () => (await d.system()).health === 'degraded', { within: 60 });
    problem(await d.call('POST', '/v1/processes', { body: { argv: ['true'] } }), 507, 'storage_full');
    assert.equal((await d.call('GET', '/readyz')).status, 503);
    await d.get('/healthz');
    exitedWith(await d.process(kept.id), 2);
    assert.equal(await d.logsText(kept.id), 'before\n');
    await d.killBoth();
    delete d.env.FORKFUL_DB_MAX_PAGES;
    await d.start();
    assert.ok((await d.list()).every((one) => [kept.id, writer.id].includes(one.id)), 'what was refused is not there');
    const { body: done } = await d.get(`/v1/processes/${writer.id}/join?wait=30`);
    assert.equal(done.alive, false);
    const bytes = await d.logsBytes(writer.id);
    assert.ok(bytes.toString().startsWith(range(0, 999).map(line).join('')));
    if (done.state === 'exited') assert.equal(bytes.length, 8 * MB);
  });

  daemonTest('a shutdown while the database is full leaves in the spool what the next start stores', { env: { FORKFUL_DB_MAX_PAGES: '200' }, seconds: 180 }, async (d) => {
    const writer = await d.python(write(8));
    await until('the database is full', async () => (await d.system()).health === 'degraded', { within: 60 });
    const { child } = d.launched;
    await d.call('POST', '/v1/shutdown', { body: { wait_seconds: 0 } });
    await until('the daemon has ended', () => child.exitCode !== null, { within: 90 });
    delete d.env.FORKFUL_DB_MAX_PAGES;
    await d.start();
    const { body: done } = await d.get(`/v1/processes/${writer.id}/join?wait=30`);
    assert.equal(done.state, 'exited', JSON.stringify(done));
    const bytes = await d.logsBytes(writer.id);
    assert.ok(bytes.length > 2 * MB, `${bytes.length} bytes`);
    const lines = range(0, Math.floor(bytes.length / 64) - 1).map(line).join('');
    assert.ok(bytes.toString().startsWith(lines), 'without a hole');
  });

  daemonTest('a disk that is full and has room again later takes up what waited in the spool', { wrap: 'ulimit -Sf 40000', args: ['--spool-bytes', '16M'], seconds: 180 }, async (d) => {
    const writer = await d.python(write(40), { output: { max_bytes: 100 * MB } });
    await until('the disk is full', async () => (await d.system()).health === 'degraded', { within: 60 });
    const refused = await d.call('POST', '/v1/processes', { body: { argv: ['true'] } });
    assert.ok([503, 507].includes(refused.status), `${refused}`);
    assert.equal((await d.process(writer.id)).alive, true, 'it waits for room');
    const { keeper_pid, server_pid } = await d.system();
    for (const pid of [keeper_pid, server_pid]) execFileSync('prlimit', ['--pid', String(pid), '--fsize=unlimited']);
    exitedWith(await d.join(writer.id), 0);
    assert.equal((await d.system()).health, 'ok');
    const bytes = await d.logsBytes(writer.id);
    assert.equal(bytes.length, 40 * MB);
    assert.ok(bytes.equals(Buffer.from(range(0, 40 * 16384 - 1).map(line).join(''))));
    assert.equal((await d.list()).length, 1, 'what was refused was not made');
    exitedWith(await d.run({ argv: ['true'] }), 0);
  });
});

test('a limit of open files that is too small for a server is told, and nothing is left behind', { timeout: PATIENCE * 2000 }, async () => {
  const d = new Daemon({ wrap: 'ulimit -n 30' });
  try {
    const launched = d.launch();
    await launched.ended;
    assert.equal(launched.code, 1);
    assert.match(launched.stderr, /limit of open files \(RLIMIT_NOFILE, 30\) is too small/);
  } finally {
    d.sweep();
  }
});
