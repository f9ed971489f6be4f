// The first lecture (rows 1 to 9) as processes over HTTP. Python children where the seed is Python.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { between, exitedWith, killedBy } from '../lib/check.mjs';
import { alive } from '../lib/proc.mjs';

const service = (seconds) => `import os,sys,time\nname = os.environ["FORKFUL_PROCESS_NAME"]\nprint(name, "Starting"); sys.stdout.flush()\ntime.sleep(${seconds})\nprint(name, "Exiting")`;

suite('seed A', () => {
  daemonTest('row 1: five workers, each joined before the next is started, run one after another', async (d) => {
    const done = [];
    for (let i = 0; i < 5; i += 1) {
      const one = await d.run({ argv: ['python3', '-c', 'print("Worker")'] });
      exitedWith(one, 0);
      assert.equal(await d.logsText(one.id), 'Worker\n');
      done.push(one);
    }
    for (let i = 1; i < 5; i += 1) assert.ok(between(done[i - 1].exited_at, done[i].started_at) >= 0);
  });

  daemonTest('row 2: five workers with an argument each print 0 to 4, in any order', async (d) => {
    const made = await Promise.all([0, 1, 2, 3, 4].map((i) => d.spawn({ argv: ['python3', '-c', 'import sys; print("Worker:", sys.argv[1])', String(i)] })));
    const lines = [];
    for (const { id } of made) {
      exitedWith(await d.join(id), 0);
      lines.push(await d.logsText(id));
    }
    assert.deepEqual(new Set(lines), new Set([0, 1, 2, 3, 4].map((i) => `Worker: ${i}\n`)));
  });

  daemonTest('row 3: five processes run a worker that lives in an imported module', async (d) => {
    writeFileSync(path.join(d.dir, 'import_worker.py'), 'def worker():\n    print("Worker")\n');
    const spec = { argv: ['python3', '-c', 'import import_worker; import_worker.worker()'], env: { PYTHONPATH: d.dir } };
    for (let i = 0; i < 5; i += 1) {
      const { id } = await d.run(spec);
      assert.equal(await d.logsText(id), 'Worker\n');
    }
  });

  daemonTest('row 4: names are as given, and the third process made is Process-3 by default', async (d) => {
    const first = await d.python(service(1.5), { name: 'my_service' });
    const second = await d.python(service(0.5), { name: 'worker 1' });
    const third = await d.python(service(0.5));
    assert.deepEqual([first.name, second.name, third.name], ['my_service', 'worker 1', 'Process-3']);
    const ended = [];
    for (const { id, name } of [first, second, third]) {
      const done = await d.join(id);
      exitedWith(done, 0);
      assert.equal(await d.logsText(id), `${name} Starting\n${name} Exiting\n`);
      ended.push(done);
    }
    assert.ok(between(ended[1].exited_at, ended[0].exited_at) > 0 && between(ended[2].exited_at, ended[0].exited_at) > 0, 'my_service is the last');
  });

  const daemon_job = 'import os,sys,time\nprint("Starting:", os.environ["FORKFUL_PROCESS_NAME"], os.getpid()); sys.stdout.flush()\ntime.sleep(2)\nprint("Exiting :", os.environ["FORKFUL_PROCESS_NAME"], os.getpid())';
  const quick_job = 'import os\nprint("Starting:", os.environ["FORKFUL_PROCESS_NAME"])\nprint("Exiting :", os.environ["FORKFUL_PROCESS_NAME"])';

  daemonTest('row 5: at the parent\'s end the daemon is ended and the non-daemon runs on', async (d) => {
    const { body: session } = await d.post('/v1/sessions', { ttl_seconds: 30 }, { expect: 201 });
    const daemonic = await d.python(daemon_job, { name: 'daemon', daemon: true }, { token: session.token });
    await until('the daemon has started', async () => (await d.logsText(daemonic.id)) === `Starting: daemon ${daemonic.pid}\n`);
    const free = await d.python(`import time\n${quick_job}\ntime.sleep(0.5)`, { name: 'non-daemon', daemon: false }, { token: session.token });
    await d.delete(`/v1/sessions/${session.id}`);
    exitedWith(await d.join(free.id), 0);
    killedBy(await d.join(daemonic.id), 15, 'SIGTERM', 'parent_exit');
    assert.doesNotMatch(await d.logsText(daemonic.id), /Exiting/);
    assert.equal(await d.logsText(free.id), 'Starting: non-daemon\nExiting : non-daemon\n');
  });

  daemonTest('row 5b: the same when the parent is the server: it TERMs daemons, joins the others and stops', async (d) => {
    const daemonic = await d.python(daemon_job.replace('sleep(2)', 'sleep(1000)'), { name: 'daemon', daemon: true });
    const free = await d.python('import time\nprint("Starting"); time.sleep(1); print("Exiting")');
    await until('the daemon has started', async () => (await d.logsText(daemonic.id)).startsWith('Starting'));
    await d.post('/v1/shutdown', { wait_seconds: 30 }, { expect: 202 });
    await until('the server has stopped', () => !alive(d.pid), { within: 60 });
    await d.start();
    killedBy(await d.process(daemonic.id), 15, 'SIGTERM', 'shutdown');
    assert.doesNotMatch(await d.logsText(daemonic.id), /Exiting/);
    exitedWith(await d.process(free.id), 0);
    assert.equal(await d.logsText(free.id), 'Starting\nExiting\n');
  });

  daemonTest('row 6: a daemon that is joined first prints start and end', async (d) => {
    const { body: session } = await d.post('/v1/sessions', { ttl_seconds: 30 }, { expect: 201 });
    const daemonic = await d.python(daemon_job, { name: 'daemon', daemon: true }, { token: session.token });
    const free = await d.python(quick_job, { name: 'non-daemon' }, { token: session.token });
    for (const { id } of [daemonic, free]) exitedWith((await d.get(`/v1/processes/${id}/join?wait=30`, { token: session.token })).body, 0);
    await d.delete(`/v1/sessions/${session.id}`);
    assert.equal(await d.logsText(daemonic.id), `Starting: daemon ${daemonic.pid}\nExiting : daemon ${daemonic.pid}\n`);
    assert.equal(await d.logsText(free.id), 'Starting: non-daemon\nExiting : non-daemon\n');
  });

  daemonTest('row 7: a process is not alive, alive, perhaps still alive after terminate, and not alive after join', async (d) => {
    const before = await d.spawn({ argv: ['python3', '-c', 'import time; print("Starting worker"); time.sleep(1000); print("Finished worker")'], start: false });
    assert.deepEqual([before.state, before.alive, before.exitcode], ['created', false, null]);
    const during = (await d.post(`/v1/processes/${before.id}/start`, undefined, { expect: 200 })).body;
    assert.deepEqual([during.state, during.alive, during.exitcode], ['running', true, null]);
    const sent = (await d.post(`/v1/processes/${before.id}/signal`, { signal: 'TERM' }, { expect: 202 })).body.process;
    if (sent.alive) assert.equal(sent.exitcode, null);
    const joined = await d.join(before.id);
    killedBy(joined, 15, 'SIGTERM', 'signal');
    assert.equal(joined.alive, false);
  });

  daemonTest('row 8: exit codes are 1, 0, 0, 1 and -15, as multiprocessing has them', async (d) => {
    const jobs = {
      exit_error: 'import sys\nsys.exit(1)', exit_ok: 'pass', return_value: 'def f(): return 1\nf()',
      raises: 'raise RuntimeError("There was an error!")', terminated: 'import time\ntime.sleep(1000)',
    };
    const made = {};
    for (const [name, code] of Object.entries(jobs)) made[name] = await d.python(code, { name });
    await d.post(`/v1/processes/${made.terminated.id}/terminate`, undefined, { expect: 200 });
    const codes = {};
    for (const [name, { id }] of Object.entries(made)) codes[name] = (await d.join(id)).exitcode;
    assert.deepEqual(codes, { exit_error: 1, exit_ok: 0, return_value: 0, raises: 1, terminated: -15 });
    const trace = await d.logsText(made.raises.id, '?stream=stderr');
    assert.match(trace, /^Traceback[\s\S]*RuntimeError: There was an error!\n$/);
  });

  daemonTest('row 8: a text is told on stderr with 1, 256 becomes 0, -1 becomes 255, SIGKILL is -9', async (d) => {
    const text = await d.run({ argv: ['python3', '-c', 'import sys; sys.exit("what a pity")'] });
    exitedWith(text, 1);
    assert.equal(await d.logsText(text.id, '?stream=stderr'), 'what a pity\n');
    exitedWith(await d.run({ argv: ['python3', '-c', 'import sys; sys.exit(256)'] }), 0);
    exitedWith(await d.run({ argv: ['python3', '-c', 'import sys; sys.exit(-1)'] }), 255);
    killedBy(await d.run({ argv: ['python3', '-c', 'import os; os.kill(os.getpid(), 9)'] }), 9, 'SIGKILL', 'signal');
  });

  daemonTest('row 9: a child is killable, and its larger footprint is told', async (d) => {
    const { id } = await d.python('x = bytearray(40 << 20)\nprint("ready")\nimport time; time.sleep(1000)');
    await until('it is ready', async () => (await d.logsText(id)) === 'ready\n');
    await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
    const done = await d.join(id);
    killedBy(done, 9, 'SIGKILL', 'signal');
    assert.ok(done.usage.max_rss_bytes > 40 << 20);
  });
});
