// `forkful run`: a program of the daemon's as if it ran here. The binary itself is the client.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, daemonTest, runBinary, soon, suite, until } from '../lib/daemon.mjs';
import { lines } from '../lib/streams.mjs';
import { problem, range } from '../lib/check.mjs';
import { alive, send } from '../lib/proc.mjs';

const MANY = 5_000_000;

/** Bytes of all values in an order that a shift or a hole would disturb. */
function noise(count, seed) {
  const bytes = Buffer.alloc(count);
  for (let i = 0, x = seed; i < count; i += 1) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
    bytes[i] = x >> 16;
  }
  return bytes;
}

/** Starts `forkful run` against `d`. `ended` gives { code, signal, stdout, stderr } with all bytes; those of stdout from `read` on when not `reading`. */
function begin(d, args, { stdin = 'ignore', env = {}, reading = true, target = ['--state-dir', d.stateDir] } = {}) {
  const child = spawn(BINARY, ['run', ...target, ...args], { env: { PATH: process.env.PATH, HOME: d.dir, DAEMON_UNDER_TEST: d.dir, ...env }, cwd: d.dir, stdio: [stdin, 'pipe', 'pipe'] });
  const out = [];
  const err = [];
  const read = () => { child.stdout.on('data', (piece) => out.push(piece)); };
  child.stderr.on('data', (piece) => err.push(piece));
  if (reading) read();
  child.stdin?.on('error', () => {});
  const closed = new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err) }));
  });
  return { child, read, get ended() { return soon(closed, 'run ends', 60); }, get text() { return Buffer.concat(out).toString(); } };
}

const run = (d, args, options) => begin(d, args, options).ended;

const same = (got, wanted, what) => assert.ok(got.equals(wanted), `${what}: ${got.length} of ${wanted.length} bytes, or others`);

suite('output', () => {
  daemonTest('of both streams comes through byte for byte', async (d) => {
    const [out, err] = [noise(MANY, 1), noise(MANY, 2)];
    writeFileSync(path.join(d.dir, 'out'), out);
    writeFileSync(path.join(d.dir, 'err'), err);
    const { code, stdout, stderr } = await run(d, ['sh', '-c', 'cat err >&2 & cat out; wait']);
    assert.equal(code, 0);
    same(stdout, out, 'stdout');
    same(stderr, err, 'stderr');
  });

  daemonTest('comes as it is written, unfinished lines too', async (d) => {
    const one = begin(d, ['sh', '-c', 'printf "name: "; read name; echo "hello $name"'], { stdin: 'pipe' });
    await until('the question comes', () => one.text === 'name: ');
    one.child.stdin.end('you\n');
    assert.equal((await one.ended).stdout.toString(), 'name: hello you\n');
  });

  daemonTest('comes line by line, each as soon as it is written', async (d) => {
    const one = begin(d, ['sh', '-c', 'while read x; do echo "got $x"; done'], { stdin: 'pipe', reading: false });
    const got = lines(one.child.stdout);
    for (let i = 0; i < 20; i += 1) {
      one.child.stdin.write(`${i}\n`);
      assert.equal((await soon(got.next(), 'the line comes')).value, `got ${i}`);
    }
    one.child.stdin.end();
    assert.equal((await got.next()).done, true);
    assert.equal((await one.ended).code, 0);
  });

  daemonTest('ends with the program, though somebody it left behind holds the streams', async (d) => {
    const { code, stdout } = await run(d, ['sh', '-c', 'sleep 1000 & echo begun']);
    assert.deepEqual([code, stdout.toString()], [0, 'begun\n']);
  });

  daemonTest('that nobody reads any more ends the program as in a pipeline', async (d) => {
    const one = begin(d, ['sh', '-c', 'while :; do echo y; done']); // slower than we read: nothing is dropped
    await until('it writes', () => one.text.length > 0);
    one.child.stdout.destroy();
    assert.equal((await one.ended).code, 128 + 13);
  });

  daemonTest('that the daemon has dropped is told, exit 125', async (d) => {
    const one = begin(d, ['--output-max-bytes', '65536', '--name', 'loud', 'sh', '-c', 'head -c 20000000 /dev/zero; echo last'], { reading: false });
    const loud = await until('it has written all', async () => (await d.list('?name=loud&state=exited'))[0]);
    assert.ok(loud.output.dropped_bytes > 0);
    one.read();
    const { code, stdout, stderr } = await one.ended;
    assert.equal(code, 125);
    assert.match(stderr.toString(), /dropped bytes of stdout/);
    assert.ok(stdout.length < 20000005 && stdout.equals(Buffer.alloc(stdout.length)), `${stdout.length}`);
  });
});

suite('the exit status', () => {
  daemonTest('is that of the program, as a shell would tell it', async (d) => {
    for (const [script, status] of [['exit 0', 0], ['exit 7', 7], ['exit 255', 255], ['kill -9 $$', 137], ['kill -TERM $$', 143]]) {
      const { code, stderr } = await run(d, ['sh', '-c', script]);
      assert.deepEqual([code, stderr.toString()], [status, ''], script);
    }
  });

  daemonTest('tells what was not found, not executable, refused', { config: 'max_processes = 2\n' }, async (d) => {
    for (const [args, status, words] of [[['/no/such/program'], 127, /no\/such\/program/], [['no-such-program'], 127, /no-such-program/],
      [['/etc/passwd'], 126, /Permission denied/], [['--cwd', '/no/such/directory', 'true'], 125, /cwd/], [['--user', 'no-such-user', 'true'], 125, /user/]]) {
      const { code, stdout, stderr } = await run(d, args);
      assert.deepEqual([code, stdout.length], [status, 0], `${args}: ${stderr}`);
      assert.match(stderr.toString(), words);
    }
    for (let i = 0; i < 2; i += 1) await d.spawn({ argv: ['sleep', '1000'] });
    assert.equal((await run(d, ['true'])).code, 125);
    const wrong = await run(d, ['true'], { target: ['--url', d.url], env: { FORKFUL_TOKEN: 'wrong' } });
    assert.deepEqual([wrong.code, /401/.test(wrong.stderr)], [125, true]);
  });

  test('is 3 where no daemon is, 2 where the command line is wrong', async () => {
    for (const [args, status] of [[['--state-dir', '/no/such', 'true'], 3], [['--url', 'http://127.0.0.1:1', 'true'], 3], [[], 2], [['--nonsense', 'true'], 2], [['--name'], 2],
      [['--url', 'https://127.0.0.1:1', 'true'], 2], [['--url', 'http://192.0.2.1:8717', 'true'], 2], [['--timeout', 'soon', 'true'], 2], [['--label', 'word', 'true'], 2],
      [['--detach', '--stdin', 'true'], 2], [['--detach=yes', 'true'], 2]]) {
      const result = await runBinary(['run', ...args], { env: { HOME: '/no/such', FORKFUL_TOKEN: 'x' } });
      assert.equal(result.code, status, `${args}: ${result.stderr}`);
      assert.match(result.stderr, /^forkful run: .+\n$/);
      assert.equal(result.stdout, '');
    }
  });

  test('of --help is 0', async () => {
    const result = await runBinary(['run', '--help']);
    assert.deepEqual([result.code, result.stderr], [0, '']);
    for (const word of [/--state-dir/, /--detach/, /125/, /127/]) assert.match(result.stdout, word);
  });
});

suite('the program', () => {
  daemonTest('is made as the options say, and what follows it is left alone', async (d) => {
    const { code, stdout } = await run(d, ['--name', 'mine', '--label', 'team=a', '--label=k=v=w', '--env', 'A=b', '-e', 'OURS', '--env', 'MISSING', '--cwd', 'state', '--timeout', '50', '--user', String(process.getuid()),
      '--', 'sh', '-c', 'echo "$A $OURS $MISSING $PWD $*"', 'sh', '--name', '-d'], { env: { OURS: 'from here' } });
    assert.deepEqual([code, stdout.toString()], [0, `b from here  ${d.stateDir} --name -d\n`]);
    const [made] = await d.list();
    assert.deepEqual([made.name, made.labels, made.parent], ['mine', { team: 'a', k: 'v=w' }, null]);
  });

  daemonTest('runs where we are, and is found over TCP as on the socket', async (d) => {
    for (const target of [['--state-dir', d.stateDir], ['--url', d.url, '--state-dir', d.stateDir], [`--url=${d.url}/`]]) {
      const { code, stdout } = await run(d, ['pwd'], { target, env: { FORKFUL_TOKEN: d.token } });
      assert.deepEqual([code, stdout.toString()], [0, `${d.dir}\n`]);
    }
    const { code } = await run(d, ['true'], { target: [], env: { STATE_DIRECTORY: d.stateDir } });
    assert.equal(code, 0);
  });

  daemonTest('is ended when its time is over', async (d) => {
    assert.equal((await run(d, ['--timeout', '0.2', 'sleep', '1000'])).code, 143);
  });

  daemonTest('is only begun with --detach, which prints its id', async (d) => {
    const { code, stdout } = await run(d, ['--detach', 'sleep', '1000']);
    assert.equal(code, 0);
    assert.equal((await d.process(stdout.toString().trim())).state, 'running');
  });

  daemonTest('of a child of the daemon has that as its parent', async (d) => {
    const { id } = await d.spawn({ argv: ['/bin/sh', '-c', '"$0" run sh -c "echo inner; exit 3"; echo $?', BINARY] });
    assert.equal((await d.join(id)).exitcode, 0);
    assert.equal(await d.logsText(id), 'inner\n3\n');
    assert.equal((await d.list()).find((one) => one.id !== id).parent, id);
  });

  daemonTest('goes on when we are killed', async (d) => {
    const one = begin(d, ['sh', '-c', 'echo begun; exec sleep 1000']);
    await until('it has begun', () => one.text === 'begun\n');
    one.child.kill('SIGKILL');
    await one.ended;
    assert.ok(alive((await d.list())[0].pid));
  });
});

suite('input', () => {
  daemonTest('is fed byte for byte to its end', async (d) => {
    const bytes = noise(MANY, 3);
    const one = begin(d, ['cat'], { stdin: 'pipe' });
    one.child.stdin.end(bytes);
    const { code, stdout } = await one.ended;
    assert.equal(code, 0);
    same(stdout, bytes, 'what cat has read and written');
  });

  daemonTest('is taken from us no faster than the program reads', async (d) => {
    const bytes = noise(MANY, 4);
    const one = begin(d, ['sh', '-c', 'echo waiting; until [ -e go ]; do sleep 0.05; done; exec cat'], { stdin: 'pipe' });
    one.child.stdin.end(bytes);
    await until('it waits', () => one.text === 'waiting\n');
    await d.system();
    assert.ok(one.child.stdin.writableLength > MANY / 2, 'most is still ours');
    writeFileSync(path.join(d.dir, 'go'), '');
    same((await one.ended).stdout.subarray(8), bytes, 'what cat has read and written');
  });

  daemonTest('that the program does not want is no error', async (d) => {
    const one = begin(d, ['sh', '-c', 'exec 0<&-; sleep 0.2; exit 4'], { stdin: 'pipe' });
    one.child.stdin.end(noise(MANY, 5));
    assert.equal((await one.ended).code, 4);
  });
});

suite('signals', () => {
  daemonTest('are passed on to the program', async (d) => {
    for (const name of ['INT', 'TERM', 'HUP', 'QUIT', 'USR1', 'USR2']) {
      const one = begin(d, ['sh', '-c', `trap 'echo got ${name}; exit 9' ${name}; echo ready; while :; do sleep 0.05; done`]);
      await until('it is ready', () => one.text === 'ready\n');
      one.child.kill(`SIG${name}`);
      const { code, stdout } = await one.ended;
      assert.deepEqual([code, stdout.toString()], [9, `ready\ngot ${name}\n`]);
    }
  });

  daemonTest('a second interrupt stops it, a third kills it', async (d) => {
    const one = begin(d, ['sh', '-c', "trap 'echo int' INT; trap 'echo term' TERM; echo ready; while :; do sleep 0.05; done"]);
    for (const seen of ['ready\n', 'ready\nint\n', 'ready\nint\nterm\n']) {
      await until('it has come that far', () => one.text === seen);
      one.child.kill('SIGINT');
    }
    assert.equal((await one.ended).code, 137);
    assert.equal((await d.list())[0].exit.reason, 'stopped');
  });

  daemonTest('are passed on also while nobody reads our output', async (d) => {
    const one = begin(d, ['sh', '-c', 'head -c 2000000 /dev/zero; exec sleep 1000'], { reading: false });
    await until('all is written', async () => (await d.list())[0]?.output.stdout_bytes === 2000000);
    one.child.kill('SIGTERM');
    await until('it has ended', async () => !(await d.list())[0].alive);
    one.read();
    const { code, stdout } = await one.ended;
    assert.deepEqual([code, stdout.length], [143, 2000000]);
  });

  daemonTest('of the terminal go to all of its group', async (d) => {
    writeFileSync(path.join(d.dir, 'terminal.py'), `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
seen = b""
while b"ready" not in seen: seen += os.read(terminal, 1000)
os.write(terminal, b"\\x03")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`);
    const child = spawn('python3', [path.join(d.dir, 'terminal.py'), BINARY, 'run', '--state-dir', d.stateDir, 'sh', '-c', 'echo ready; sleep 1000'], { env: { PATH: process.env.PATH, DAEMON_UNDER_TEST: d.dir } });
    const code = await soon(new Promise((resolve) => { child.once('exit', resolve); }), 'it ends');
    assert.equal(code, 130);
    assert.equal((await d.list())[0].descendants, 0);
  });
});

suite('a killed server', () => {
  daemonTest('leaves no trace in output and exit status, and nothing is started twice', async (d) => {
    const one = begin(d, ['python3', '-uc', `
import sys, time
for i in range(1, 20001):
    sys.stdout.write("line %d\\n" % i)
    if i % 50 == 0: sys.stdout.flush(); sys.stderr.write("%d\\n" % i); time.sleep(0.005)
sys.exit(7)`]);
    for (const part of [1, 2, 3, 4]) {
      await until('it goes on', () => one.text.length > part * 30000);
      await d.killServer();
    }
    const { code, stdout, stderr } = await one.ended;
    assert.equal(code, 7);
    assert.equal(stdout.toString(), range(1, 20000).map((i) => `line ${i}\n`).join(''));
    assert.equal(stderr.toString(), range(1, 400).map((i) => `${i * 50}\n`).join(''));
    assert.equal((await d.list()).length, 1);
  });

  daemonTest('is no end of a stream on which nothing has come yet', async (d) => {
    const one = begin(d, ['sh', '-c', 'echo ready; until [ -e go ]; do sleep 0.05; done; echo late >&2']);
    await until('it is ready', () => one.text === 'ready\n');
    for (let i = 0; i < 5; i += 1) await d.killServer();
    writeFileSync(path.join(d.dir, 'go'), '');
    const { code, stderr } = await one.ended;
    assert.deepEqual([code, stderr.toString()], [0, 'late\n']);
  });

  daemonTest('at any step of the start makes one process', async (d) => {
    const points = ['server_after_read', 'writer_before_commit', 'writer_between_files', 'writer_after_commit'];
    let kills = 0;
    for (const [number, point] of points.flatMap((one) => [3, 4, 5].map((passage) => `${one}:${passage}`)).entries()) {
      const once = path.join(d.dir, point);
      await d.restart({ FORKFUL_FAULT: point, FORKFUL_FAULT_ONCE: once });
      const before = existsSync(once);
      const { code, stdout, stderr } = await run(d, ['--name', point, 'sh', '-c', `echo ${number}; exit ${number}`]);
      assert.deepEqual([code, stdout.toString(), stderr.toString()], [number, `${number}\n`, ''], point);
      assert.equal((await d.list(`?name=${point}`)).length, 1);
      if (existsSync(once) && !before) kills += 1;
    }
    assert.ok(kills > points.length, `${kills} servers were killed meanwhile`);
  });

  daemonTest('leaves input open, and what comes later is fed', async (d) => {
    const one = begin(d, ['cat'], { stdin: 'pipe' });
    one.child.stdin.write('before ');
    await until('it came back', () => one.text === 'before ');
    await d.killServer();
    one.child.stdin.end('after');
    assert.equal((await one.ended).stdout.toString(), 'before after');
  });
});

suite('logs from an offset', () => {
  const logs = (id, query) => `/v1/processes/${id}/logs${query}`;

  daemonTest('are the rest of one stream', async (d) => {
    const { id } = await d.run({ shell: 'echo hello; echo other >&2; printf end' });
    assert.equal(await d.logsText(id, '?stream=stdout&offset=3'), 'lo\nend');
    assert.equal(await d.logsText(id, '?stream=stderr&offset=0&follow=true'), 'other\n');
    assert.equal(await d.logsText(id, '?stream=stdout&offset=9'), '');
  });

  daemonTest('are asked for as bytes of one stream, with nothing else', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    for (const query of ['?offset=1', '?offset=1&stream=stdout,stderr', '?offset=1&stream=stdout&tail=1', '?offset=-1&stream=stdout', '?offset=1&stream=stdout&grep=x']) {
      assert.equal(problem(await d.call('GET', logs(id, query), { headers: { Accept: 'text/plain' } }), 400, 'invalid_parameter').errors[0].parameter, 'offset', query);
    }
    problem(await d.call('GET', logs(id, '?offset=1&stream=stdout'), { headers: { Accept: 'application/x-ndjson' } }), 400, 'invalid_parameter');
  });

  daemonTest('end where bytes are gone', async (d) => {
    const { id } = await d.run({ shell: 'head -c 3000000 /dev/zero; echo last', output: { max_bytes: 65536 } });
    for (const offset of [0, 1000000]) assert.equal(await d.logsText(id, `?stream=stdout&follow=true&offset=${offset}`), '');
    assert.equal(await d.logsText(id, '?stream=stdout&offset=3000000'), 'last\n');
  });
});

suite('a daemon that goes', () => {
  daemonTest('in order has told how the program ended', { config: 'shutdown.wait_seconds = 0.1\n' }, async (d) => {
    const one = begin(d, ['sh', '-c', 'echo begun; exec sleep 1000']);
    await until('it has begun', () => one.text === 'begun\n');
    await d.terminate();
    assert.equal((await one.ended).code, 143);
    await d.start();
  });

  daemonTest('and comes back is waited for; what it did not see is 125', async (d) => {
    const one = begin(d, ['sh', '-c', 'echo begun; exec sleep 1000']);
    await until('it has begun', () => one.text === 'begun\n');
    const [{ pid }] = await d.list();
    await d.killBoth();
    send(pid, 'SIGKILL');
    await until('it is gone', () => !alive(pid));
    await d.start();
    const { code, stdout, stderr } = await one.ended;
    assert.deepEqual([code, stdout.toString()], [125, 'begun\n'], `${stderr}`);
    assert.match(stderr.toString(), /was not seen/);
  });

  daemonTest('and comes back while the process lives is waited for until that has ended', async (d) => {
    const one = begin(d, ['sh', '-c', 'echo begun; exec sleep 1000']);
    await until('it has begun', () => one.text === 'begun\n');
    const [{ id }] = await d.list();
    await d.killBoth();
    await d.start();
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    const { code, stdout, stderr } = await one.ended;
    const told = (await d.system()).kernel.pidfd_exit_info;
    assert.deepEqual([code, stdout.toString()], [told ? 137 : 125, 'begun\n'], `${stderr}`);
  });

  daemonTest('for good is 3, after some patience', async (d) => {
    const one = begin(d, ['sh', '-c', 'echo begun; exec sleep 1000']);
    await until('it has begun', () => one.text === 'begun\n');
    d.tolerated = (await d.list()).map((process) => process.pid);
    await d.killBoth();
    const { code, stderr } = await one.ended;
    assert.equal(code, 3);
    assert.match(stderr.toString(), /answers no more.*p_/);
    await d.start();
  });
});
