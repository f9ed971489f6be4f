// What cannot be executed is told by errno and stage, and nothing of it stays behind.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem } from '../lib/check.mjs';
import { childrenOf } from '../lib/proc.mjs';

async function fails(d, spec, errno, stage) {
  const body = problem(await d.post('/v1/processes', spec), 422, 'spawn_failed');
  assert.deepEqual([body.errno, body.stage], [errno, stage], JSON.stringify(body));
  assert.deepEqual(await d.list(), [], 'no record is kept');
}

suite('a spawn that fails', () => {
  daemonTest('for a missing program is ENOENT at exec', async (d) => {
    await fails(d, { argv: ['/no/such/program'] }, 'ENOENT', 'exec');
    await fails(d, { argv: ['no-such-program-anywhere'] }, 'ENOENT', 'exec');
    await fails(d, { argv: [''] }, 'ENOENT', 'exec');
    await fails(d, { argv: ['sh'], env: { PATH: '/nonexistent' } }, 'ENOENT', 'exec');
  });

  daemonTest('for a file that may not be executed, or a directory, is EACCES', async (d) => {
    const file = path.join(d.dir, 'plain');
    writeFileSync(file, '#!/bin/sh\n', { mode: 0o644 });
    await fails(d, { argv: [file] }, 'EACCES', 'exec');
    await fails(d, { argv: ['/etc'] }, 'EACCES', 'exec');
  });

  daemonTest('for a file of no format is ENOEXEC, for a missing interpreter ENOENT', async (d) => {
    const file = path.join(d.dir, 'noformat');
    writeFileSync(file, 'echo not a program\n');
    chmodSync(file, 0o755);
    await fails(d, { argv: [file] }, 'ENOEXEC', 'exec');
    const script = path.join(d.dir, 'script');
    writeFileSync(script, '#!/no/such/interpreter\n');
    chmodSync(script, 0o755);
    await fails(d, { argv: [script] }, 'ENOENT', 'exec');
  });

  daemonTest('for a bad working directory names the stage cwd', async (d) => {
    await fails(d, { argv: ['true'], cwd: '/etc/passwd' }, 'ENOTDIR', 'cwd');
    await fails(d, { argv: ['true'], cwd: '/no/such/directory' }, 'ENOENT', 'cwd');
    if (process.getuid() === 0) {
      const closed = path.join(d.dir, 'closed');
      mkdirSync(closed, { mode: 0o700 });
      await fails(d, { argv: ['true'], cwd: closed, user: 'nobody' }, 'EACCES', 'cwd');
    }
  });

  daemonTest('for an unknown user or group says so', async (d) => {
    for (const field of ['user', 'group']) {
      const answer = await d.post('/v1/processes', { argv: ['true'], [field]: 'no-such-account-here' });
      assert.equal(answer.status, 422, `${answer}`);
      if (answer.body.code === 'spawn_failed') assert.equal(answer.body.stage, field);
      else assert.deepEqual(answer.body.errors.map((one) => one.pointer), [`/${field}`]);
    }
    assert.deepEqual(await d.list(), []);
  });

  daemonTest('for arguments that are too long is E2BIG', { wrap: 'ulimit -Ss 8192' }, async (d) => {
    await fails(d, { argv: ['true', ...Array.from({ length: 30 }, () => 'x'.repeat(100_000))] }, 'E2BIG', 'exec');
  });

  daemonTest('leaves no process, no descriptor and no number behind', async (d) => {
    const { keeper_pid, server_pid } = await d.system();
    const fds = () => [keeper_pid, server_pid].map((pid) => readdirSync(`/proc/${pid}/fd`).length);
    await d.post('/v1/processes', { argv: ['/no/such/program'] });
    const before = { fds: fds(), children: childrenOf(keeper_pid) };
    for (let round = 0; round < 50; round += 1) {
      for (const spec of [{ argv: ['/no/such/program'], stdin: 'pipe' }, { argv: ['true'], cwd: '/nowhere' }, { argv: ['/etc'], stdin: { text: 'x' } }]) {
        problem(await d.post('/v1/processes', spec), 422, 'spawn_failed');
      }
    }
    await until('all is as it was', () => {
      assert.deepEqual({ fds: fds(), children: childrenOf(keeper_pid) }, before);
      return true;
    });
    assert.deepEqual(await d.list(), []);
    exitedWith(await d.run({ argv: ['true'] }), 0);
  });

  daemonTest('is not in the feed, and the next process has its own id', async (d) => {
    problem(await d.post('/v1/processes', { argv: ['/no/such/program'] }), 422, 'spawn_failed');
    const { items } = (await d.get('/v1/changes?type=process.created,process.started,process.exited,process.failed')).body;
    assert.deepEqual(items, []);
  });
});
