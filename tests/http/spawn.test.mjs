// Every field of a spawn request does what openapi.yaml says. What the child is beyond them: child.test.mjs.
import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { between, exitedWith, faults, killedBy, PROCESS_ID, problem, TIME } from '../lib/check.mjs';
import { stat } from '../lib/proc.mjs';

const print_argv = 'import json,sys; print(json.dumps(sys.argv[1:]))';
const root = process.getuid() === 0;

suite('what runs', () => {
  daemonTest('argv reaches the program as it is, without a shell', async (d) => {
    const args = ['plain', 'with space', '', '*', '$HOME', '"quoted"', 'a\nb', '-v', 'grüße', '日本', '\u202e', '\t'];
    const { id, argv } = await d.spawn({ argv: ['python3', '-c', print_argv, ...args] });
    assert.deepEqual(argv, ['python3', '-c', print_argv, ...args]);
    exitedWith(await d.join(id), 0);
    assert.deepEqual(JSON.parse(await d.logsText(id)), args);
  });

  daemonTest('shell gives the line to /bin/sh -c', async (d) => {
    const made = await d.spawn({ shell: 'printf "b\\na\\n" | sort; exit 3' });
    assert.deepEqual(made.argv, ['/bin/sh', '-c', 'printf "b\\na\\n" | sort; exit 3']);
    exitedWith(await d.join(made.id), 3);
    assert.equal(await d.logsText(made.id), 'a\nb\n');
  });

  daemonTest('a program without a slash is found in the PATH of the child', async (d) => {
    const dir = mkdtempSync(path.join(d.dir, 'path-'));
    await d.run({ argv: ['/bin/sh', '-c', `printf '#!/bin/sh\\necho mine\\n' > ${dir}/own-program; chmod +x ${dir}/own-program`] });
    const { id } = await d.run({ argv: ['own-program'], env: { PATH: `${dir}:/usr/bin:/bin` } });
    assert.equal(await d.logsText(id), 'mine\n');
    problem(await d.post('/v1/processes', { argv: ['own-program'] }), 422, 'spawn_failed');
  });

  daemonTest('the answer is 201 with Location and the whole record', async (d) => {
    const answer = await d.post('/v1/processes', { argv: ['sleep', '1000'], labels: { team: 'a' }, env: { K: 'secret-value' } }, { expect: 201 });
    const made = answer.body;
    assert.match(made.id, PROCESS_ID);
    assert.equal(answer.headers.location, `/v1/processes/${made.id}`);
    const { keeper_pid } = await d.system();
    assert.deepEqual(
      [made.name, made.state, made.alive, made.ppid, made.parent, made.daemon, made.labels, made.env_keys, made.exited_at, made.exitcode, made.exit, made.descendants],
      ['Process-1', 'running', true, keeper_pid, null, false, { team: 'a' }, ['K'], null, null, null, 0]);
    assert.equal(stat(made.pid).ppid, keeper_pid);
    assert.match(made.created_at, TIME);
    assert.ok(between(made.created_at, made.started_at) >= 0);
    assert.deepEqual((await d.process(made.id)).argv, ['sleep', '1000']);
    assert.doesNotMatch(answer.text + (await d.get('/v1/changes?snapshot=true')).text + (await d.get('/v1/log')).text, /secret-value/);
  });

  daemonTest('times and usage of an ended process are filled in and make sense', async (d) => {
    const done = await d.run({ argv: ['python3', '-c', 'sum(range(3000000)); print(1)'] });
    assert.ok(between(done.created_at, done.started_at) >= 0);
    assert.ok(between(done.started_at, done.exited_at) > 0);
    assert.ok(done.usage.cpu_user_seconds > 0);
    assert.ok(done.usage.max_rss_bytes > 1e6 && done.usage.max_rss_bytes < 1e9, `${done.usage.max_rss_bytes}`);
    assert.deepEqual(done.output, { stdout_bytes: 2, stderr_bytes: 0, dropped_bytes: 0, open: false });
  });

  daemonTest('exit codes are Python\'s: 0 to 255, and minus the signal', async (d) => {
    for (const code of [0, 1, 2, 77, 255]) exitedWith(await d.run({ shell: `exit ${code}` }), code);
    killedBy(await d.run({ shell: 'kill -KILL $$' }), 9, 'SIGKILL', 'signal');
    killedBy(await d.run({ shell: 'kill -SEGV $$' }), 11, 'SIGSEGV', 'signal');
    killedBy(await d.run({ argv: ['python3', '-c', 'import os,signal; os.kill(os.getpid(), signal.SIGRTMIN+3)'] }), 37, 'SIGRTMIN+3', 'signal');
  });
});

suite('name and labels', () => {
  daemonTest('a default name is Process-N, and N counts all processes made', async (d) => {
    assert.equal((await d.run({ argv: ['true'], name: 'my_service' })).name, 'my_service');
    assert.equal((await d.run({ argv: ['true'] })).name, 'Process-2');
    assert.equal((await d.spawn({ argv: ['true'], start: false })).name, 'Process-3');
    await d.restart();
    assert.equal((await d.run({ argv: ['true'] })).name, 'Process-4');
  });

  daemonTest('a name has 1 to 255 bytes and need not be unique', async (d) => {
    for (const name of ['x', 'worker 1', 'x'.repeat(255), `${'é'.repeat(127)}x`, '日'.repeat(85), '"\\</script>']) {
      for (let i = 0; i < 2; i += 1) assert.equal((await d.spawn({ argv: ['true'], name })).name, name);
    }
  });

  daemonTest('labels are kept', async (d) => {
    const labels = { team: 'a', 'x.y/z': '', grüße: '日本', '"': '\\' };
    const { id } = await d.run({ argv: ['true'], labels });
    await d.restart();
    assert.deepEqual((await d.process(id)).labels, labels);
  });
});

suite('surroundings', () => {
  daemonTest('cwd is where the child starts', async (d) => {
    const dir = realpathSync(mkdtempSync(path.join(tmpdir(), 'forkful-cwd-')));
    const done = await d.run({ argv: ['pwd', '-P'], cwd: dir });
    assert.equal(done.cwd, dir);
    assert.equal(await d.logsText(done.id), `${dir}\n`);
    await d.run({ argv: ['rmdir', dir] });
  });

  daemonTest('env is added to the daemon\'s environment, clear_env begins with none', { env: { FROM_DAEMON: 'yes', BOTH: 'daemon' } }, async (d) => {
    const environment = async (spec) => {
      const { id } = await d.run({ argv: ['python3', '-c', 'import json,os; print(json.dumps(dict(os.environ)))'], ...spec });
      return JSON.parse(await d.logsText(id));
    };
    const added = await environment({ env: { K: 'v', BOTH: 'child', EMPTY: '', 'odd-name.x': 'ü = "\n"' } });
    assert.deepEqual([added.FROM_DAEMON, added.K, added.BOTH, added.EMPTY, added['odd-name.x']], ['yes', 'v', 'child', '', 'ü = "\n"']);
    const { id } = await d.run({ argv: ['/usr/bin/env'], env: { K: 'v' }, clear_env: true });
    const names = (await d.logsText(id)).trim().split('\n').map((line) => line.split('=')[0]);
    assert.deepEqual(names.sort(), ['FORKFUL_PROCESS_ID', 'FORKFUL_PROCESS_NAME', 'FORKFUL_SOCKET', 'FORKFUL_TOKEN', 'FORKFUL_URL', 'K']);
    assert.match(await d.logsText(id), /^K=v$/m);
  });

  daemonTest('env_keys names what was given and no value is ever shown', async (d) => {
    const { id } = await d.run({ argv: ['true'], env: { B: 'geheim-1', A: 'geheim-2' } });
    const answer = await d.get(`/v1/processes/${id}`);
    assert.deepEqual(answer.body.env_keys.sort(), ['A', 'B']);
    for (const where of [`/v1/processes/${id}`, '/v1/processes', '/v1/changes', '/v1/changes?snapshot=true', '/v1/log', '/metrics']) {
      assert.doesNotMatch((await d.get(where)).text, /geheim/);
    }
  });

  daemonTest('umask is 022, or what was asked for', async (d) => {
    const mask = async (more) => parseInt(await d.logsText((await d.run({ shell: 'umask', ...more })).id), 8);
    assert.equal(await mask({}), 0o022);
    assert.equal(await mask({ umask: '077' }), 0o077);
    assert.equal(await mask({ umask: '0000' }), 0);
  });

  daemonTest('nice is taken from the request', async (d) => {
    const own = stat(process.pid).nice;
    assert.equal(stat((await d.spawn({ argv: ['sleep', '1000'], nice: 7 })).pid).nice, 7);
    assert.equal(stat((await d.spawn({ argv: ['sleep', '1000'], nice: own })).pid).nice, own);
  });

  daemonTest('rlimits are set, soft and hard', async (d) => {
    const { id } = await d.run({ shell: 'ulimit -Sn; ulimit -Hn; ulimit -Sv; ulimit -Hv; ulimit -St; ulimit -Ht', rlimits: { nofile: 123, as_bytes: 1 << 30, cpu_seconds: 77 } });
    assert.deepEqual((await d.logsText(id)).trim().split('\n').map(Number), [123, 123, 1048576, 1048576, 77, 79]);
  });

  daemonTest('all kinds of rlimits are offered', async (d) => {
    const rlimits = { core_bytes: 0, data_bytes: 1 << 29, fsize_bytes: 1 << 20, memlock_bytes: 4096, msgqueue_bytes: 4000, nproc: 321, sigpending: 55, stack_bytes: 1 << 21 };
    const { id } = await d.run({ argv: ['cat', '/proc/self/limits'], rlimits });
    const text = await d.logsText(id);
    const names = { core_bytes: 'core file size', data_bytes: 'data size', fsize_bytes: 'file size', memlock_bytes: 'locked memory', msgqueue_bytes: 'msgqueue size', nproc: 'processes', sigpending: 'pending signals', stack_bytes: 'stack size' };
    for (const [key, name] of Object.entries(names)) assert.match(text, new RegExp(`^Max ${name} +${rlimits[key]} +${rlimits[key]} `, 'm'));
  });

  daemonTest('without rlimits the child has the daemon\'s own, not what the daemon raised for itself', { wrap: 'ulimit -Sn 333; ulimit -Hn 20000' }, async (d) => {
    const { id } = await d.run({ shell: 'ulimit -Sn' });
    assert.equal(Number(await d.logsText(id)), 333);
  });

  daemonTest('a cpu limit ends the child by SIGXCPU', async (d) => {
    const done = await d.run({ shell: 'while :; do :; done', rlimits: { cpu_seconds: 1 } });
    killedBy(done, 24, 'SIGXCPU', 'signal');
  });

  daemonTest('user and group are changed for good when root asks, else refused', async (d) => {
    const spec = { shell: 'id -u; id -g; id -G', user: 'nobody', cwd: '/' };
    if (!root) {
      problem(await d.post('/v1/processes', spec), 422, 'spawn_failed');
      return;
    }
    const { id } = await d.run(spec);
    const [uid, gid, groups] = (await d.logsText(id)).trim().split('\n');
    assert.deepEqual([uid, gid, groups], ['65534', '65534', '65534']);
    const by_number = await d.run({ shell: 'id -u; id -g; id -G', user: 65534, group: 'daemon', cwd: '/' });
    assert.deepEqual((await d.logsText(by_number.id)).trim().split('\n'), ['65534', '1', '1']);
    const only_group = await d.run({ shell: 'id -u; id -g', group: 1 });
    assert.deepEqual((await d.logsText(only_group.id)).trim().split('\n'), ['0', '1']);
    const caps = await d.run({ argv: ['grep', '-E', 'Cap(Eff|Prm|Inh|Amb)', '/proc/self/status'], user: 'nobody', cwd: '/' });
    for (const line of (await d.logsText(caps.id)).trim().split('\n')) assert.match(line, /\t0+$/);
  });
});

suite('standard streams', () => {
  const echo_stdin = { argv: ['python3', '-c', 'import sys; d=sys.stdin.buffer.read(); sys.stdout.buffer.write(d)'] };

  daemonTest('stdin is empty when nothing is said', async (d) => {
    for (const more of [{}, { stdin: 'null' }]) {
      const done = await d.run({ ...echo_stdin, ...more });
      exitedWith(done, 0);
      assert.equal(done.output.stdout_bytes, 0);
    }
  });

  daemonTest('stdin takes a text or any bytes', async (d) => {
    const text = await d.run({ ...echo_stdin, stdin: { text: 'zwei\nZeilen ü' } });
    assert.equal(await d.logsText(text.id), 'zwei\nZeilen ü');
    problem(await d.post('/v1/processes', { ...echo_stdin, stdin: { text: 'a NUL goes as base64: \0' } }), 400, 'invalid_json');
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) & 255));
    const binary = await d.run({ ...echo_stdin, stdin: { base64: bytes.toString('base64') } });
    assert.ok((await d.logsBytes(binary.id)).equals(bytes));
    exitedWith(await d.run({ ...echo_stdin, stdin: { text: '' } }), 0);
  });

  daemonTest('stdin as a pipe takes what is posted', async (d) => {
    const { id } = await d.spawn({ ...echo_stdin, stdin: 'pipe' });
    await d.call('POST', `/v1/processes/${id}/stdin?eof=true`, { raw: 'hello', expect: 202 });
    exitedWith(await d.join(id), 0);
    assert.equal(await d.logsText(id), 'hello');
  });

  daemonTest('a stream that is null is not kept', async (d) => {
    const out = await d.run({ shell: 'echo out; echo err >&2', stdout: 'null' });
    assert.equal(await d.logsText(out.id), 'err\n');
    assert.deepEqual([out.output.stdout_bytes, out.output.stderr_bytes], [0, 4]);
    const err = await d.run({ shell: 'echo out; echo err >&2', stderr: 'null' });
    assert.equal(await d.logsText(err.id), 'out\n');
    const none = await d.run({ shell: 'echo out; echo err >&2', stdout: 'null', stderr: 'null' });
    assert.equal(await d.logsText(none.id), '');
    exitedWith(none, 0);
  });

  daemonTest('stderr merged into stdout keeps the exact order', async (d) => {
    const code = 'import os\nfor i in range(3000): os.write(1 + i % 2, b"%d\\n" % i)';
    const done = await d.run({ argv: ['python3', '-c', code], stderr: 'stdout' });
    assert.equal(await d.logsText(done.id), Array.from({ length: 3000 }, (_, i) => `${i}\n`).join(''));
    assert.equal(done.output.stderr_bytes, 0);
    const items = await d.logs(done.id);
    assert.ok(items.every((one, i) => one.stream === 'stdout' && one.text === `${i}`));
  });
});

suite('time and stop', () => {
  daemonTest('timeout_seconds stops a longer run, reason timeout', async (d) => {
    const done = await d.run({ argv: ['sleep', '1000'], timeout_seconds: 0.2 });
    killedBy(done, 15, 'SIGTERM', 'timeout');
    assert.ok(between(done.started_at, done.exited_at) >= 0.19);
  });

  daemonTest('a timeout escalates to SIGKILL, and takes what the process has started with it', async (d) => {
    const spec = { shell: 'trap "" TERM; sleep 1000 & echo $!; while :; do sleep 1000; done', timeout_seconds: 0.2, stop: { grace_seconds: 0.2 } };
    const done = await d.run(spec);
    killedBy(done, 9, 'SIGKILL', 'timeout');
    const child = Number(await d.logsText(done.id));
    await until('the grandchild is gone', () => !stat(child));
  });

  daemonTest('a run that ends before its timeout is not touched', async (d) => {
    const done = await d.run({ shell: 'exit 4', timeout_seconds: 30 });
    exitedWith(done, 4);
    assert.equal(done.exit.reason, 'exit_code');
  });

  daemonTest('stop says which signal a stop sends', async (d) => {
    const { id } = await d.sh('trap "exit 7" INT; echo ready; while :; do sleep 0.02; done', { stop: { signal: 'INT', grace_seconds: 60 } });
    await until('it is ready', async () => (await d.logsText(id)) === 'ready\n');
    const { body } = await d.post(`/v1/processes/${id}/stop`, {}, { expect: 202 });
    assert.equal(body.signal, 'SIGINT');
    const done = await d.join(id);
    exitedWith(done, 7);
    assert.equal(done.exit.reason, 'stopped');
  });
});

suite('start later', () => {
  daemonTest('start false keeps it in created until it is started, once', async (d) => {
    const made = await d.spawn({ argv: ['sh', '-c', 'echo once; exec sleep 1000'], start: false });
    assert.deepEqual([made.state, made.alive, made.pid, made.started_at, made.exitcode], ['created', false, null, null, null]);
    problem(await d.call('GET', `/v1/processes/${made.id}/join?wait=0`), 409, 'not_started');
    problem(await d.post(`/v1/processes/${made.id}/signal`, { signal: 'TERM' }), 409, 'not_started');
    const started = (await d.post(`/v1/processes/${made.id}/start`, undefined, { expect: 200 })).body;
    assert.deepEqual([started.state, started.alive], ['running', true]);
    problem(await d.post(`/v1/processes/${made.id}/start`), 409, 'already_started');
    await d.post(`/v1/processes/${made.id}/kill`, undefined, { expect: 200 });
    await d.join(made.id);
    problem(await d.post(`/v1/processes/${made.id}/start`), 409, 'already_started');
    assert.equal(await d.logsText(made.id), 'once\n');
  });

  daemonTest('two starts at once start it once', async (d) => {
    for (let round = 0; round < 5; round += 1) {
      const { id } = await d.spawn({ shell: 'echo ran', start: false });
      const answers = await Promise.all([1, 2, 3, 4].map(() => d.post(`/v1/processes/${id}/start`)));
      assert.deepEqual(answers.map((one) => one.status).sort(), [200, 409, 409, 409]);
      await d.join(id);
      assert.equal(await d.logsText(id), 'ran\n');
    }
  });

  daemonTest('what cannot be started later fails and says so, and the record stays', async (d) => {
    const { id } = await d.spawn({ argv: ['/no/such/program'], start: false });
    const body = problem(await d.post(`/v1/processes/${id}/start`), 422, 'spawn_failed');
    assert.deepEqual([body.errno, body.stage], ['ENOENT', 'exec']);
    const failed = await d.process(id);
    assert.deepEqual([failed.state, failed.alive, failed.exitcode, failed.pid, failed.exit], ['failed', false, null, null, null]);
    assert.deepEqual(failed.error, { errno: 'ENOENT', stage: 'exec' });
    await d.killServer();
    assert.deepEqual(await d.process(id), failed);
    assert.equal((await d.run({ argv: ['true'] })).error, null);
    problem(await d.post(`/v1/processes/${id}/start`), 409, 'already_started');
  });

  daemonTest('a created process outlives a restart of the daemon and can be started and deleted', async (d) => {
    const one = await d.spawn({ shell: 'echo "$K"; cat', start: false, env: { K: 'kept' }, stdin: { text: 'input' } });
    const two = await d.spawn({ argv: ['true'], start: false });
    await d.restart();
    assert.equal((await d.process(one.id)).state, 'created');
    await d.post(`/v1/processes/${one.id}/start`, undefined, { expect: 200 });
    exitedWith(await d.join(one.id), 0);
    assert.equal(await d.logsText(one.id), 'kept\ninput');
    await d.delete(`/v1/processes/${two.id}`);
    problem(await d.call('GET', `/v1/processes/${two.id}`), 404, 'not_found');
  });
});
