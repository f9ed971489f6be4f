// Attacks through the file system: what lies where the daemon expects its own, links that lead elsewhere, and programs
// and directories that are none.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Daemon, daemonTest, runBinary, suite } from '../lib/daemon.mjs';
import { exitedWith, problem } from '../lib/check.mjs';
import { answersSoon } from './wire.mjs';

const root = process.getuid() === 0;
const TOKEN = `fkf_${'a'.repeat(64)}\n`;

/** `serve` in the directory of `d` must be refused, naming what is wrong, and announce nothing. */
async function refused(d, words, what) {
  const { code, stdout, stderr } = await runBinary([...d.command_line(), ...d.args], { env: d.env });
  assert.deepEqual([code, stdout], [1, ''], `${what}: ${stderr}`);
  assert.match(stderr, words, what);
}

const withDirectory = (body) => async () => {
  const d = new Daemon();
  try {
    mkdirSync(d.stateDir, { recursive: true, mode: 0o700 });
    await body(d);
  } finally {
    d.sweep();
  }
};

suite('the token file', () => {
  test('can be read or written by others, or belongs to them', withDirectory(async (d) => {
    const file = path.join(d.stateDir, 'token');
    writeFileSync(file, TOKEN, { mode: 0o600 });
    for (const mode of [0o644, 0o640, 0o620, 0o604, 0o602, 0o666, 0o610]) {
      chmodSync(file, mode);
      await refused(d, /token/, mode.toString(8));
      assert.equal(statSync(file).mode & 0o777, mode, 'it is not repaired: somebody may have read it');
    }
    chmodSync(file, 0o600);
    if (root) {
      chownSync(file, 65534, 65534);
      await refused(d, /uid 65534/, 'a foreign owner');
    }
  }));

  test('is a link, a directory, a pipe or no token', withDirectory(async (d) => {
    const file = path.join(d.stateDir, 'token');
    const elsewhere = path.join(d.dir, 'elsewhere');
    writeFileSync(elsewhere, TOKEN, { mode: 0o600 });
    for (const [what, make] of [['a link', () => symlinkSync(elsewhere, file)], ['a link to nothing', () => symlinkSync('/no/such/file', file)], ['a directory', () => mkdirSync(file, { mode: 0o700 })],
      ['a pipe', () => execFileSync('mkfifo', ['-m', '600', file])], ['empty', () => writeFileSync(file, '', { mode: 0o600 })], ['short', () => writeFileSync(file, 'fkf_abc\n', { mode: 0o600 })],
      ['a line too many', () => writeFileSync(file, `${TOKEN}${TOKEN}`, { mode: 0o600 })], ['a NUL', () => writeFileSync(file, `fkf_${'a'.repeat(32)}\0${'a'.repeat(31)}\n`, { mode: 0o600 })]]) {
      make();
      await refused(d, /token/, what);
      rmSync(file, { recursive: true });
    }
    assert.equal(readFileSync(elsewhere, 'utf8'), TOKEN);
    assert.ok(!existsSync('/no/such/file'));
  }));

  test('is made through a link that lies where the new one is written', withDirectory(async (d) => {
    const elsewhere = path.join(d.dir, 'elsewhere');
    writeFileSync(elsewhere, 'untouched');
    symlinkSync(elsewhere, path.join(d.stateDir, 'token.new'));
    await d.start();
    assert.match(d.token, /^fkf_[0-9a-f]{64}$/);
    assert.ok(lstatSync(path.join(d.stateDir, 'token')).isFile());
    assert.equal(readFileSync(elsewhere, 'utf8'), 'untouched');
    await d.stop();
  }));
});

suite('the directories', () => {
  test('may be written by others, or belong to them', withDirectory(async (d) => {
    for (const dir of [d.stateDir, d.runtimeDir]) {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      for (const mode of [0o770, 0o702, 0o777, 0o1777]) {
        chmodSync(dir, mode);
        await refused(d, /others may write/, mode.toString(8));
      }
      chmodSync(dir, 0o700);
      if (root) {
        chownSync(dir, 65534, 65534);
        await refused(d, /belongs to uid 65534/, 'a foreign owner');
        chownSync(dir, 0, 0);
      }
    }
  }));

  test('hold a lock that is a link', withDirectory(async (d) => {
    const elsewhere = path.join(d.dir, 'elsewhere');
    writeFileSync(elsewhere, 'untouched');
    symlinkSync(elsewhere, path.join(d.stateDir, 'lock'));
    await refused(d, /lock/, 'a link');
    assert.equal(readFileSync(elsewhere, 'utf8'), 'untouched');
  }));

  test('are files, or lead into a file', withDirectory(async (d) => {
    for (const name of ['a-file', 'a-file/below']) {
      writeFileSync(path.join(d.dir, 'a-file'), '');
      const other = new Daemon({ dir: d.dir });
      other.stateDir = path.join(d.dir, name);
      await refused(other, /a-file/, name);
    }
  }));
});

suite('the socket', () => {
  test('is a file, a directory or a link that must not be removed', withDirectory(async (d) => {
    const file = path.join(d.stateDir, 'forkful.sock');
    const elsewhere = path.join(d.dir, 'elsewhere');
    writeFileSync(elsewhere, 'untouched');
    for (const make of [() => writeFileSync(file, 'mine'), () => mkdirSync(file), () => symlinkSync(elsewhere, file), () => symlinkSync('/no/such/socket', file)]) {
      make();
      await refused(d, /forkful\.sock/, `${make}`);
      assert.ok(lstatSync(file), 'it is left alone');
      rmSync(file, { recursive: true });
    }
    assert.equal(readFileSync(elsewhere, 'utf8'), 'untouched');
  }));

  test('is another program\'s, which goes on listening', withDirectory(async (d) => {
    const file = path.join(d.stateDir, 'forkful.sock');
    const other = net.createServer((one) => one.on('error', () => {}).end('mine'));
    await new Promise((resolve) => { other.listen(file, resolve); });
    try {
      await refused(d, /another program answers/, 'a living socket');
      const client = net.connect(file);
      let got = '';
      client.on('data', (piece) => { got += piece; });
      await new Promise((resolve) => { client.once('close', resolve); });
      assert.equal(got, 'mine');
    } finally { other.close(); }
  }));

  daemonTest('is the same for a second daemon, which takes nothing away from the first', async (d) => {
    const second = new Daemon();
    try {
      mkdirSync(second.dir, { recursive: true });
      second.args = ['--socket', d.socket];
      await refused(second, /another program answers|in use/, 'a second daemon');
    } finally { second.sweep(); }
    assert.equal((await d.unix.call('GET', '/v1/system')).status, 200);
  });

  daemonTest('is taken away while the daemon runs, and TCP goes on', async (d) => {
    renameSync(d.socket, `${d.socket}.stolen`);
    symlinkSync('/no/such/socket', d.socket);
    await d.killServer();
    await answersSoon(d);
    rmSync(d.socket);
    renameSync(`${d.socket}.stolen`, d.socket);
    assert.equal((await d.unix.call('GET', '/v1/system')).status, 200);
  });
});

suite('a program or a working directory', () => {
  daemonTest('is a directory, a device, a pipe, a socket, nothing, or not to be executed', async (d) => {
    const at = (name) => path.join(d.dir, name);
    execFileSync('mkfifo', ['-m', '777', at('pipe')]);
    writeFileSync(at('text'), 'echo hello\n', { mode: 0o755 });
    writeFileSync(at('empty'), '', { mode: 0o755 });
    writeFileSync(at('plain'), '#!/bin/sh\n', { mode: 0o644 });
    symlinkSync(at('loop'), at('loop'));
    symlinkSync('/etc', at('link-to-directory'));
    for (const program of [d.dir, at('pipe'), '/dev/null', '/dev/zero', d.socket, at('text'), at('empty'), at('plain'), at('loop'), at('link-to-directory'), '', '/', '.', '..', '/proc/self/mem', `${at('plain')}/x`, '/no\nsuch\nfile', 'x'.repeat(5000), `/${'x/'.repeat(3000)}`]) {
      problem(await d.post('/v1/processes', { argv: [program] }), 422, 'spawn_failed');
    }
    for (const cwd of [at('pipe'), at('text'), '/dev/null', at('loop'), '/no/such/directory', `${d.dir}/../../../../../no/such`]) {
      problem(await d.post('/v1/processes', { argv: ['true'], cwd }), 422, 'spawn_failed');
    }
    for (const cwd of ['relative', '../..', '~', '', 'x'.repeat(5000)]) problem(await d.post('/v1/processes', { argv: ['true'], cwd }), 422);
    assert.deepEqual(await d.list(), []);
    await answersSoon(d);
  });

  daemonTest('is swapped again and again while children are started there', async (d) => {
    const [one, two, here] = ['one', 'two', 'here'].map((name) => path.join(d.dir, name));
    for (const dir of [one, two]) mkdirSync(dir);
    symlinkSync(one, here);
    let going = true;
    const swapper = (async () => {
      for (let i = 0; going; i += 1) {
        symlinkSync(i % 2 ? one : two, `${here}.new`);
        renameSync(`${here}.new`, here);
        await new Promise((resolve) => { setImmediate(resolve); });
      }
    })();
    const made = await Promise.all(Array.from({ length: 60 }, () => d.spawn({ argv: ['pwd', '-P'], cwd: here })));
    for (const { id } of made) {
      exitedWith(await d.join(id), 0);
      assert.ok([`${one}\n`, `${two}\n`].includes(await d.logsText(id)));
    }
    going = false;
    await swapper;
  });

  daemonTest('has a newline, a blank, a quote or a word of the shell in its name', async (d) => {
    const dir = mkdtempSync(path.join(tmpdir(), 'forkful-odd-'));
    try {
      for (const name of ['a\nb', 'a b', '$(touch evil)', ';touch evil;', '`touch evil`', "'", '"', '-rf', '*', '\\', '\x1b[2J', 'ü']) {
        const program = path.join(dir, name);
        writeFileSync(program, '#!/bin/sh\nprintf "%s" "$0"\n', { mode: 0o755 });
        const { id } = await d.run({ argv: [program], cwd: dir });
        assert.equal(await d.logsText(id), program);
      }
      assert.ok(!existsSync(path.join(dir, 'evil')));
    } finally { rmSync(dir, { recursive: true }); }
  });
});

suite('a database', () => {
  daemonTest('is a link, a directory or somebody else\'s file, at the next start', async (d) => {
    await d.run({ argv: ['true'] });
    await d.end();
    for (const name of ['state.db', 'logs.db']) {
      const file = path.join(d.stateDir, name);
      const kept = path.join(d.dir, `${name}.kept`);
      renameSync(file, kept);
      mkdirSync(file);
      await refused(d, new RegExp(name.replace('.', '\\.')), `${name} is a directory`);
      rmSync(file, { recursive: true });
      writeFileSync(file, 'SQLite format 3\0 and then something else, long enough to be looked at as a header of a database'.padEnd(8192, 'x'));
      await refused(d, new RegExp(name.replace('.', '\\.')), `${name} is garbage`);
      rmSync(file);
      const target = path.join(d.dir, 'target');
      writeFileSync(target, 'untouched');
      symlinkSync(target, file);
      await refused(d, new RegExp(name.replace('.', '\\.')), `${name} is a link`);
      assert.equal(readFileSync(target, 'utf8'), 'untouched');
      rmSync(file);
      renameSync(kept, file);
    }
    await d.start();
    assert.equal((await d.list()).length, 1);
  });
});
