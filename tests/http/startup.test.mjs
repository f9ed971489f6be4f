// Starting: what is refused, with which exit status and words; what the configuration does.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, Daemon, daemonTest, PATIENCE, runBinary, suite, until } from '../lib/daemon.mjs';
import { Client } from '../lib/client.mjs';
import { alive, send } from '../lib/proc.mjs';

const loopback_6 = Object.values(networkInterfaces()).flat().some((one) => one.address === '::1');

/** `serve` in `d`'s directory, which must be refused: exit status and words. */
async function refused(d, words, code = 1, args = []) {
  const result = await runBinary([...d.command_line(), ...args], { env: d.env });
  assert.equal(result.code, code, `${result.stdout}${result.stderr}`);
  assert.equal(result.stdout, '', 'nothing is announced');
  for (const word of [words].flat()) assert.match(result.stderr, word);
}

async function withDirectory(body) {
  const d = new Daemon();
  try {
    await body(d);
  } finally {
    d.sweep();
  }
}

const sqlite = (file, script) => execFileSync('python3', ['-c', `import sqlite3,sys\nc=sqlite3.connect(sys.argv[1])\n${script}\nc.commit()`, file]);

suite('the command line', () => {
  test('help is printed wherever it is asked for, and is no error', async () => {
    for (const args of [['--help'], ['-h'], ['help'], ['serve', '--help'], ['serve', '-h'], ['serve', '--max-processes', '5', '--help']]) {
      const { code, stdout, stderr } = await runBinary(args);
      assert.equal(code, 0, args.join(' '));
      assert.match(stdout, /forkful serve \[OPTION\][^]*--listen ADDR:PORT[^]*--max-processes/);
      assert.equal(stderr, '');
    }
  });

  test('--version tells the version, --version --json as JSON', async () => {
    const plain = await runBinary(['--version']);
    assert.equal(plain.code, 0);
    assert.match(plain.stdout, /\b\d+\.\d+\.\d+/);
    const json = await runBinary(['--version', '--json']);
    assert.equal(json.code, 0);
    assert.match(JSON.parse(json.stdout).version, /^\d+\.\d+\.\d+/);
    assert.ok(plain.stdout.includes(JSON.parse(json.stdout).version));
  });

  test('what it does not know is a usage error, exit 2, told on stderr', async () => {
    for (const args of [['nonsense'], ['serve', '--nonsense'], ['serve', 'word'], ['serve', '--listen'], ['serve', '--state-dir', ''], ['--nonsense'],
      ['serve', '--listen', 'nowhere'], ['serve', '--listen', '127.0.0.1:99999'], ['serve', '--max-processes', 'many']]) {
      const result = await runBinary(args, { env: { HOME: tmpdir() } });
      assert.equal(result.code, 2, `${args.join(' ')}: ${result.stderr}`);
      assert.ok(result.stderr.length > 10, args.join(' '));
      assert.equal(result.stdout, '');
    }
  });

  test('--help tells the commands, exit 0', async () => {
    const result = await runBinary(['--help']);
    assert.equal(result.code, 0);
    assert.match(result.stdout, /serve/);
  });
});

suite('the first line', () => {
  daemonTest('says where it listens, its pid and its directory', async (d) => {
    assert.match(d.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.deepEqual(Object.keys(d.first).sort(), ['listening', 'pid', 'state_dir']);
    assert.ok(alive(d.first.pid));
    assert.equal(d.first.pid, d.launched.child.pid);
    assert.equal(d.launched.stdout.split('\n').length, 2, 'one line and no more');
  });

  daemonTest('lists every listener, also on IPv6', { listen: ['127.0.0.1:0', loopback_6 ? '[::1]:0' : '127.0.0.2:0', '127.0.0.1:0'] }, async (d) => {
    const urls = d.first.listening.filter((one) => one.startsWith('http'));
    assert.equal(new Set(urls).size, 3);
    for (const url of urls) {
      const client = new Client({ url, token: d.token });
      assert.equal((await client.call('GET', '/v1/system')).status, 200);
      client.close();
    }
  });
});

suite('a start is refused', () => {
  daemonTest('on a state directory that another daemon uses', async (d) => {
    const other = new Daemon({ dir: d.dir });
    await refused(other, [/already|in use|another/i, new RegExp(d.stateDir)]);
    const different_runtime = new Daemon({ dir: d.dir });
    different_runtime.runtimeDir = path.join(d.dir, 'run2');
    await refused(different_runtime, /already|in use|another/i);
    assert.equal((await d.run({ argv: ['true'] })).exitcode, 0);
  });

  test('on an address that is not loopback without TLS and auth', () => withDirectory(async (d) => {
    for (const listen of ['0.0.0.0:0', '[::]:0', '192.0.2.1:8717']) {
      d.listen = [listen];
      await refused(d, /loopback/i, 1);
    }
  }));

  daemonTest('on a port that is taken', async (d) => {
    const other = new Daemon({ listen: [new URL(d.url).host] });
    try {
      await refused(other, [/in use/i, new RegExp(new URL(d.url).port)]);
    } finally { other.sweep(); }
  });

  daemonTest('by a database that is corrupt, and its path is told', async (d) => {
    await d.run({ argv: ['true'] });
    await d.end();
    for (const file of ['state.db', 'logs.db']) {
      const place = path.join(d.stateDir, file);
      const whole = readFileSync(place);
      for (const broken of [Buffer.from('this is no database at all, but a text that is long enough to be one'), Buffer.concat([whole.subarray(0, 100), Buffer.alloc(Math.max(4096, whole.length - 100), 0x5a)])]) {
        for (const side of ['-wal', '-shm']) rmSync(place + side, { force: true });
        writeFileSync(place, broken);
        await refused(d, new RegExp(place));
        assert.ok(readFileSync(place).equals(broken), 'it is not touched');
      }
      writeFileSync(place, whole);
    }
    await d.start();
    assert.equal((await d.list()).length, 1);
  });

  daemonTest('by a database that one may only read, and its path is told', async (d) => {
    await d.run({ argv: ['true'] });
    await d.end();
    const root = process.getuid() === 0; // who may write everything: then it is somebody else
    const belongs_to = (id) => { if (root) execFileSync('chown', ['-R', `${id}:${id}`, d.stateDir, d.runtimeDir]); };
    const as = root ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] : ['env'];
    const bin = path.join(d.dir, 'forkful');
    copyFileSync(BINARY, bin);
    chmodSync(d.dir, 0o711);
    belongs_to(65534);
    for (const file of ['state.db', 'logs.db']) {
      const place = path.join(d.stateDir, file);
      chmodSync(place, 0o400);
      const { status, stdout, stderr } = spawnSync(as[0], [...as.slice(1), bin, ...d.command_line()], { env: { ...process.env, ...d.env }, encoding: 'utf8', timeout: PATIENCE * 1000 });
      assert.deepEqual([status, stdout], [1, ''], stderr);
      assert.match(stderr, new RegExp(`${place}.*(read|permission)`, 'i'));
      chmodSync(place, 0o600);
    }
    belongs_to(0);
    await d.start();
    assert.equal((await d.list()).length, 1);
  });

  daemonTest('by a database of a newer schema, and left alone', async (d) => {
    await d.end();
    for (const file of ['state.db', 'logs.db']) {
      const place = path.join(d.stateDir, file);
      const before = readFileSync(place);
      sqlite(place, 'c.execute("PRAGMA user_version=9999")');
      await refused(d, [/newer/i, new RegExp(place)]);
      writeFileSync(place, before);
    }
    await d.start();
  });

  daemonTest('by a token file that others can read', async (d) => {
    await d.end();
    chmodSync(path.join(d.stateDir, 'token'), 0o644);
    await refused(d, [/token/, /0?600|mode|permission|readable/i]);
    chmodSync(path.join(d.stateDir, 'token'), 0o600);
    await d.start();
  });

  test('by a configuration that cannot be read or understood, with file and line', () => withDirectory(async (d) => {
    mkdirSync(d.stateDir, { recursive: true });
    for (const [config, words] of [['max_processes = 10\nmax_procs = 5\n', [/forkful\.conf:2/, /max_procs/]], ['max_processes = many\n', [/forkful\.conf:1/, /max_processes/]],
      ['max_processes 5\n', /forkful\.conf:1/], ['log.level = loud\n', [/forkful\.conf:1/, /debug/]]]) {
      d.config = config;
      const result = await runBinary(d.command_line());
      assert.ok([1, 2].includes(result.code), `${config}: ${result.code}`);
      for (const word of [words].flat()) assert.match(result.stderr, word);
    }
    d.config = undefined;
    const missing = await runBinary([...d.command_line(), '--config', path.join(d.dir, 'no.conf')]);
    assert.ok([1, 2].includes(missing.code));
    assert.match(missing.stderr, /no\.conf/);
  }));
});

suite('directories', () => {
  daemonTest('state holds the databases, the token and the socket, for this user alone', async (d) => {
    for (const file of ['state.db', 'logs.db', 'token', 'forkful.sock']) assert.ok(existsSync(path.join(d.stateDir, file)), file);
    const mode = (file) => execFileSync('stat', ['-c', '%a', file]).toString().trim();
    assert.equal(mode(d.stateDir), '700');
    for (const file of ['state.db', 'logs.db']) assert.match(mode(path.join(d.stateDir, file)), /^600$/);
  });

  test('are taken from the environment when no option names them', async () => {
    for (const variable of ['STATE_DIRECTORY', 'XDG_STATE_HOME']) {
      const dir = mkdtempSync(path.join(tmpdir(), 'forkful-home-'));
      const d = new Daemon({ dir });
      d.made_dir = true;
      d.command_line = () => ['serve', '--listen', '127.0.0.1:0', '--runtime-dir', d.runtimeDir];
      d.env = { [variable]: dir, HOME: dir };
      d.stateDir = variable === 'STATE_DIRECTORY' || process.getuid() === 0 ? dir : path.join(dir, 'forkful');
      if (variable === 'XDG_STATE_HOME' && process.getuid() === 0) { d.sweep(); continue; }
      try {
        await d.start();
        assert.equal(d.first.state_dir, d.stateDir);
        await d.stop();
      } finally { d.sweep(); }
    }
  });

  test('may have long paths', () => withDirectory(async (d) => {
    const long = (count) => path.join(d.dir, ...Array(count).fill('d'.repeat(200)));
    d.stateDir = path.join(long(2), 'state');
    d.runtimeDir = path.join(long(4), 'run');
    d.args = ['--socket', 'none'];
    await d.start();
    assert.equal((await d.system()).state_dir, d.stateDir);
    assert.equal((await d.run({ argv: ['true'] })).exitcode, 0);
    await d.killServer();
    assert.equal((await d.list()).length, 1);
    await d.stop();
    d.stateDir = path.join(long(3), 'state');
    await refused(d, /path has \d+ bytes; 480 is the most/);
  }));

  daemonTest('may be moved between two runs, and an orderly end leaves whole files without side files', async (d) => {
    const { id } = await d.run({ shell: 'echo kept' });
    await d.end();
    assert.deepEqual(readdirSync(d.stateDir).filter((name) => /\.db/.test(name)).sort(), ['logs.db', 'state.db']);
    renameSync(d.stateDir, path.join(d.dir, 'moved'));
    d.stateDir = path.join(d.dir, 'moved');
    await d.start();
    assert.equal(await d.logsText(id), 'kept\n');
  });

  daemonTest('left behind by a killed daemon are taken over: stale socket and lock do not matter', async (d) => {
    await d.killBoth();
    await d.start();
    assert.equal((await d.unix.call('GET', '/v1/system')).status, 200);
  });
});

suite('configuration', () => {
  daemonTest('limits living processes: one more is 429, and there is room again after an end', { config: '# a comment\nmax_processes = 3\n\n' }, async (d) => {
    const made = [];
    for (let i = 0; i < 3; i += 1) made.push(await d.spawn({ argv: ['sleep', '1000'] }));
    const answer = await d.post('/v1/processes', { argv: ['true'] });
    assert.deepEqual([answer.status, answer.body.code], [429, 'limit_reached'], `${answer}`);
    assert.match(answer.headers['retry-after'], /^\d+$/);
    await d.post(`/v1/processes/${made[0].id}/kill`, undefined, { expect: 200 });
    await d.join(made[0].id);
    assert.equal((await d.run({ argv: ['true'] })).exitcode, 0);
  });

  daemonTest('is read again at SIGHUP, and no child notices', { config: 'max_processes = 1\n' }, async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    assert.equal((await d.post('/v1/processes', { argv: ['true'] })).status, 429);
    writeFileSync(path.join(d.dir, 'forkful.conf'), 'max_processes = 5\nlog.level = debug\n');
    send(d.pid, 'SIGHUP');
    await until('the new limit holds', async () => (await d.system()).limits.max_processes === 5);
    assert.equal((await d.get('/v1/log/level')).body.level, 'debug');
    assert.equal((await d.run({ argv: ['true'] })).exitcode, 0);
    assert.equal((await d.process(id)).alive, true);
  });

  daemonTest('that is bad at SIGHUP changes nothing and is told in the log', { config: 'max_processes = 7\n' }, async (d) => {
    writeFileSync(path.join(d.dir, 'forkful.conf'), 'max_processes = none\n');
    send(d.pid, 'SIGHUP');
    await until('it is told', async () => (await d.get('/v1/log?level=warning')).body.items.some((one) => /max_processes/.test(one.text)));
    assert.equal((await d.system()).limits.max_processes, 7);
  });

  daemonTest('on the command line wins over the file', { config: 'max_processes = 7\nlog.level = error\n', args: ['--max-processes=9'] }, async (d) => {
    assert.equal((await d.system()).limits.max_processes, 9);
    assert.equal((await d.get('/v1/log/level')).body.level, 'error');
  });

  daemonTest('keeps at most so many ended records', { config: 'retention.ended_count = 5\n' }, async (d) => {
    const made = [];
    for (let i = 0; i < 12; i += 1) made.push((await d.run({ argv: ['true'] })).id);
    const alive_one = await d.spawn({ argv: ['sleep', '1000'] });
    const kept = await until('the oldest are gone', async () => { const list = await d.list(); return list.length <= 6 && list; });
    assert.deepEqual(kept.map((one) => one.id), [...made.slice(-5), alive_one.id]);
  });
});
