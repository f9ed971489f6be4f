// Every program in examples/, run as its README says, against a daemon of its own: what it prints is what is expected.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { daemonTest, REPOSITORY, soon, suite, until } from '../lib/daemon.mjs';
import { between, range } from '../lib/check.mjs';

const EXAMPLES = path.join(REPOSITORY, 'examples');
const seen = new Set(['measure']); // tests/seeds/seeds_measure.test.mjs

/** Starts examples/NAME/run with the daemon's address and token; its end gives { code, stdout, stderr }. */
function start(d, name, { args = [], input = '', env = { FORKFUL_TOKEN: d.token }, within = 60 } = {}) {
  const child = spawn(path.join(EXAMPLES, name, 'run'), args, {
    cwd: d.dir, stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: d.dir, DAEMON_UNDER_TEST: d.mark, FORKFUL_URL: d.url, ...env },
  });
  child.stdin.end(input);
  const result = { stdout: '', stderr: '' };
  child.stdout.on('data', (piece) => { result.stdout += piece; });
  child.stderr.on('data', (piece) => { result.stderr += piece; });
  return soon(new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...result, code }));
  }), `examples/${name}/run ends`, within);
}

/** Runs it and gives its lines. It must end with 0, silent on stderr, with its children ended as `codes` says. */
async function lines(d, name, { codes, ...options } = {}) {
  const { code, stdout, stderr } = await start(d, name, options);
  assert.deepEqual([code, stderr], [0, ''], stdout);
  assert.match(stdout, /\n$/);
  const ended = (await d.list('?order=created_at')).map((one) => one.exitcode);
  if (codes) assert.deepEqual(ended, codes, stdout);
  else assert.ok(ended.every((one) => one === 0), `${ended}: ${stdout}`);
  return stdout.slice(0, -1).split('\n');
}

/** A test of one example, which gets what it printed. */
function example(name, title, options, body) {
  seen.add(name);
  daemonTest(`${name}: ${title}`, async (d) => body(await lines(d, name, options), d));
}

/** The lines have this order, whatever stands between them. */
function inOrder(all, ...some) {
  const places = some.map((one) => all.indexOf(one));
  assert.ok(places.every((place, i) => place >= 0 && (i === 0 || place > places[i - 1])), `${some} in ${all.join('\n')}`);
}

const sorted = (list) => [...list].sort();

suite('examples', () => {
  example('message', 'an object goes to a worker', {}, (printed) => {
    assert.deepEqual(printed, ['Doing something fancy in Process-1 for Fancy Dan!']);
  });

  example('pool', 'sixteen tasks of a second take about two', {}, (printed) => {
    const ran = printed.filter((one) => /^Task \d+ ran in process \d+ at /.test(one));
    assert.deepEqual(ran.map((one) => Number(one.split(' ')[1])), range(0, 15));
    assert.ok(new Set(ran.map((one) => one.split(' ')[5])).size <= 8, printed.join('\n'));
    inOrder(printed, 'All tasks are given', ran[0], printed.at(-1));
    assert.match(printed.at(-1), /^All done after \d/);
    assert.ok(Number(printed.at(-1).split(' ')[3]) >= 2, printed.at(-1));
  });

  example('consumers', 'ten jobs are done and each consumer gets its pill', {}, async (printed, d) => {
    const count = (await d.system()).cpu_count * 2;
    assert.equal(printed[0], `Creating ${count} consumers`);
    const exits = printed.filter((line) => line.endsWith(': Exiting'));
    assert.deepEqual(sorted(exits), sorted(range(1, count).map((i) => `Consumer-${i}: Exiting`)));
    const jobs = printed.filter((line) => /^Consumer-\d+: \d/.test(line)).map((line) => line.split(': ')[1]);
    assert.deepEqual(sorted(jobs), range(0, 9).map((i) => `${i} * ${i}`));
    assert.deepEqual(sorted(printed.slice(-10)), range(0, 9).map((i) => `Result: ${i} * ${i} = ${i * i}`));
    assert.equal(printed.length, 1 + count + 10 + 10);
  });

  example('barrier', 'both go on when the second has woken', {}, async (printed, d) => {
    const timeless = printed.map((line) => line.replace(/ - \S+ \S+ /, ' - '));
    for (const name of ['Process-1', 'Process-2']) {
      inOrder(timeless, `${name} iniciando!!`, `${name} acordei!!`, `${name} - continuando processamento!!!`);
    }
    assert.equal(printed.length, 6);
    const [first, last] = await d.list('?order=created_at');
    assert.ok(between(last.started_at, first.exited_at) >= 1, 'the first goes on only when the last has slept its second');
  });

  example('squares', 'the list goes to the child and its squares come back', {}, (printed) => {
    assert.deepEqual(sorted(printed), ['Recebido...[1, 2, 3, 4, 5]', '[1, 4, 9, 16, 25]']);
  });

  example('pipe-hello', 'the parent hears the child', {}, (printed) => {
    assert.deepEqual(sorted(printed), ['Received message : Hello World', '[child] send a message to pipe : Hello World']);
  });

  example('chat', 'two processes speak in turn', {}, async (printed, d) => {
    const said = (name) => range(0, 4).map((n) => `${name} ${n}`);
    assert.deepEqual(sorted(printed), sorted([...said('Ana'), ...said('Bia')]));
    inOrder(printed, ...said('Ana'));
    inOrder(printed, ...said('Bia'));
    const [ana, bia] = await d.list('?order=created_at');
    assert.deepEqual([await d.logsText(ana.id), await d.logsText(bia.id)], [`${said('Bia').join('\n')}\n`, `${said('Ana').join('\n')}\n`]);
  });

  example('value', 'the number is 0.0 again', {}, async (printed, d) => {
    assert.deepEqual(printed, ['0.0']);
    assert.equal((await d.list()).length, 2);
  });

  example('array', 'the ten cells are 0 again', {}, async (printed, d) => {
    assert.deepEqual(printed, ['[0,0,0,0,0,0,0,0,0,0]']);
    assert.deepEqual((await d.list('?order=created_at')).map((one) => one.name), ['soma', 'subtracao']);
    assert.deepEqual((await d.get('/v1/values')).body.items, [], 'it cleans up');
  });

  example('manager-list', 'the list holds what ten workers appended', {}, (printed) => {
    const list = JSON.parse(/^Results: (.*)$/.exec(printed.at(-1))[1]);
    assert.deepEqual(sorted(list), range(0, 9));
    assert.deepEqual(sorted(printed.slice(0, -1).map((line) => line[0])), range(0, 9).map(String));
  });

  example('event', 'one waiter runs out of time, the other sees the event', {}, (printed) => {
    inOrder(printed, 'main: waiting before calling Event.set()', 'wait_for_event_timeout: e.is_set()-> False',
      'main: event is set');
    inOrder(printed, 'wait_for_event: starting', 'wait_for_event_timeout: e.is_set()-> False', 'wait_for_event: e.is_set()-> True');
    assert.equal(printed.length, 6);
  });

  example('log', 'DEBUG tells more than INFO', {}, (printed) => {
    assert.deepEqual(printed, [
      'log_to_stderr(DEBUG):', 'Doing some work', '[INFO/Process-1] child process calling sh',
      '[DEBUG/Process-1] process shutting down', '[INFO/Process-1] process exiting with exitcode 0',
      'get_logger().setLevel(INFO):', 'Doing some work', '[INFO/Process-2] child process calling sh',
      '[INFO/Process-2] process exiting with exitcode 0',
    ]);
  });

  example('terminate', 'not alive when joined', { codes: [-15] }, (printed) => {
    const own = printed.filter((line) => line !== 'Starting worker'); // it may be terminated before it says so
    assert.match(own[2], /^TERMINATED: <Process\(Process-1, (started|stopped\[SIGTERM\])\)> (True|False)$/);
    assert.deepEqual([own[0], own[1], own[3], own.length], ['BEFORE: <Process(Process-1, initial)> False',
      'DURING: <Process(Process-1, started)> True', 'JOINED: <Process(Process-1, stopped[SIGTERM])> False', 4]);
  });

  example('exit-codes', '1, 0, 0, 1 and -15', { codes: [1, 0, 0, 1, -15] }, (printed) => {
    const names = ['exit_error', 'exit_ok', 'return_value', 'raises', 'terminated'];
    assert.deepEqual(printed.filter((line) => line.startsWith('Starting')), names.map((name) => `Starting process for ${name}`));
    assert.deepEqual(printed.filter((line) => line.includes('.exitcode')),
      [1, 0, 0, 1, -15].map((code, i) => `${names[i]}.exitcode = ${code}`));
    inOrder(printed, 'Traceback (most recent call last):', 'RuntimeError: There was an error!', 'raises.exitcode = 1');
  });

  example('jobs', 'the codes of a good, a failed and a killed job', { codes: [0, 1, -15] }, (printed) => {
    const own = printed.filter((line) => !/^(Start|Exit) name:/.test(line));
    assert.deepEqual(own.slice(0, 4), ['Process check : good_job, False', 'Process check : fail_job, False', 'Process check : kill_job, True',
      'Terminate process : kill_job']);
    assert.match(own[4], /^Not joined yet: kill_job, exit code : (None|-15)$/);
    assert.deepEqual(own.slice(5), ['good_job, exit code : 0', 'fail_job, exit code : 1', 'kill_job, exit code : -15'].map((end) => `Process name: ${end}`));
    assert.ok(!printed.some((line) => line.startsWith('Exit name:kill_job')));
  });

  example('requires', 'one deployment after another, and a queue tells of each end', { codes: [0, -9, 3] }, async (printed, d) => {
    for (const name of ['first', 'second', 'third']) inOrder(printed, `${name}: begins`, `${name}: ends`);
    const [first, second, third] = await d.list('?order=created_at');
    assert.ok(second.started_at >= first.exited_at && third.started_at >= second.exited_at);
    assert.deepEqual(printed.filter((line) => line.includes('exitcode')), ['first: exitcode 0', 'second: exitcode -9', 'third: exitcode 3']);
  });

  example('remote-queue', 'the second client gets hello, and a wrong key is refused', {}, (printed) => {
    assert.deepEqual(printed, ['hello', '"status":401']);
  });
});

/** Whether nobody listens there now. */
const free = (port) => new Promise((resolve) => {
  const server = net.createServer().once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
});

/** A free port below those that the kernel gives out by itself, so that it stays free until the daemon has it. */
let port = 20000 + process.pid % 10000;
while (!await free(port)) port += 1;

daemonTest('remote-queue: a daemon on a given port, two clients with its token file', { listen: [`127.0.0.1:${port}`] }, async (d) => {
  assert.equal(d.url, `http://127.0.0.1:${port}`);
  const env = { FORKFUL_TOKEN_FILE: path.join(d.stateDir, 'token') };
  const getter = start(d, 'remote-queue', { args: ['2'], env });
  await until('the getter waits', async () => (await d.get('/v1/queues')).body.items[0]?.waiters === 1);
  assert.deepEqual(await start(d, 'remote-queue', { args: ['1'], env }), { code: 0, stdout: '', stderr: '' });
  assert.deepEqual(await getter, { code: 0, stdout: 'hello\n', stderr: '' });
});

daemonTest('chat: two people in two terminals, until one leaves', async (d) => {
  const b = start(d, 'chat', { args: ['b'], input: 'hi\nfine\nbye\n' });
  const a = start(d, 'chat', { args: ['a'], input: 'hello\nhow are you?\n' });
  assert.deepEqual(await a, { code: 0, stdout: 'hi\nfine\n', stderr: '' });
  assert.deepEqual(await b, { code: 0, stdout: 'hello\nhow are you?\n', stderr: 'the other one has left\n' });
  assert.deepEqual((await d.get('/v1/pipes')).body.items, [], 'the last one has taken the pipe away');
});

test('each example has a test and a line in the README', () => {
  const names = readdirSync(EXAMPLES, { withFileTypes: true }).filter((one) => one.isDirectory() && one.name !== '__pycache__').map((one) => one.name);
  assert.deepEqual(sorted(seen), sorted(names));
  const readme = readFileSync(path.join(EXAMPLES, 'README.md'), 'utf8');
  const commands = [...readme.matchAll(/`examples\/([a-z-]+)\/run` \|$/gm)].map((one) => one[1]);
  assert.deepEqual(sorted(commands), sorted(names));
});
