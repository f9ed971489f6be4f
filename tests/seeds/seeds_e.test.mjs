// The fifth text as far as processes go (rows 31 to 35): names and pids, recursion, whole lines, daemons, exit codes.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, killedBy, range } from '../lib/check.mjs';

suite('seed E', () => {
  daemonTest('row 31: five named processes have one parent pid and a pid each', async (d) => {
    const made = [];
    for (let i = 0; i < 5; i += 1) {
      const code = 'import os,sys\nprint("name: %s, argument : %s" % (os.environ["FORKFUL_PROCESS_NAME"], sys.argv[1]))\nprint("parent pid:%s  pid:%s" % (os.getppid(), os.getpid()))';
      made.push(await d.spawn({ argv: ['python3', '-c', code, String(i)], name: `process ${i}` }));
    }
    for (const [i, { id, pid, ppid, name }] of made.entries()) {
      assert.equal(name, `process ${i}`);
      exitedWith(await d.join(id), 0);
      assert.equal(await d.logsText(id), `name: process ${i}, argument : ${i}\nparent pid:${ppid}  pid:${pid}\n`);
    }
    assert.equal(new Set(made.map((one) => one.ppid)).size, 1);
    assert.equal(new Set(made.map((one) => one.pid)).size, 5);
    assert.equal(made[0].ppid, (await d.system()).keeper_pid);
  });

  daemonTest('row 32: a program that spawns itself without end comes to the limit, 429, and the daemon lives', { config: 'max_processes = 12\n' }, async (d) => {
    const code = `
import json, os, sys, time, urllib.request, urllib.error
request = urllib.request.Request(os.environ["FORKFUL_URL"] + "/v1/processes", method="POST",
    data=json.dumps({"argv": ["python3", "-c", os.environ["CODE"]], "env": {"CODE": os.environ["CODE"]}}).encode())
request.add_header("Authorization", "Bearer " + os.environ["FORKFUL_TOKEN"])
request.add_header("Content-Type", "application/json")
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["code"])
sys.stdout.flush()
time.sleep(1000)`;
    await d.spawn({ argv: ['python3', '-c', code], env: { CODE: code } });
    const refused = await until('one is refused', async () => {
      const texts = await Promise.all((await d.list()).map((one) => d.logsText(one.id)));
      return texts.find((text) => text.startsWith('429'));
    });
    assert.equal(refused, '429 limit_reached\n');
    assert.equal((await d.list()).length, 12);
    await d.post('/v1/processes/actions', { filter: { state: ['running'] }, action: 'kill' }, { expect: 200 });
    for (const { id } of await d.list()) await d.join(id);
    exitedWith(await d.run({ argv: ['true'] }), 0);
  });

  daemonTest('row 33: twenty children that write a thousand lines each are not garbled', async (d) => {
    const made = await Promise.all(range(0, 19).map((n) => d.python(`import sys\nfor i in range(1000):\n    print("child ${n} line %d" % i, file=(sys.stdout, sys.stderr)[i % 2])`)));
    for (const [n, { id }] of made.entries()) {
      exitedWith(await d.join(id), 0);
      const items = await d.logs(id);
      assert.deepEqual(items.map((one) => one.seq), range(1, 1000));
      assert.deepEqual(new Set(items.map((one) => one.text)), new Set(range(0, 999).map((i) => `child ${n} line ${i}`)));
      for (const stream of ['stdout', 'stderr']) {
        const numbers = items.filter((one) => one.stream === stream).map((one) => Number(one.text.split(' ')[3]));
        assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
      }
    }
  });

  daemonTest('row 34: a daemon is terminated at its parent\'s end, so Exit never appears; joined it does', async (d) => {
    const job = (seconds) => `import time\nprint("Start", flush=True)\ntime.sleep(${seconds})\nprint("Exit")`;
    const ends = async (seconds, join) => {
      const { body: session } = await d.post('/v1/sessions', {}, { expect: 201 });
      const { id } = await d.python(job(seconds), { name: 'daemon', daemon: true }, { token: session.token });
      await until('it has begun', async () => (await d.logsText(id)).startsWith('Start\n'));
      if (join) await d.join(id, { token: session.token });
      await d.delete(`/v1/sessions/${session.id}`);
      await d.join(id);
      return d.logsText(id);
    };
    assert.equal(await ends(1000, false), 'Start\n');
    assert.equal(await ends(0.5, true), 'Start\nExit\n');
  });

  daemonTest('row 35: jobs end with 0, 1 and, once joined, -15, and the codes stay readable', async (d) => {
    const job = (seconds, end) => `import os,sys,time\nprint("Start name: %s, pid:%s" % (os.environ["FORKFUL_PROCESS_NAME"], os.getpid()), flush=True)\ntime.sleep(${seconds})\n${end}`;
    const made = [];
    for (const [name, code] of [['good_job', job(0.3, 'pass')], ['fail_job', job(0.3, 'sys.exit(1)')], ['kill_job', job(1000, 'pass')]]) {
      const { id, alive } = await d.spawn({ argv: ['python3', '-u', '-c', code], name, start: false });
      assert.equal(alive, false);
      await d.post(`/v1/processes/${id}/start`, undefined, { expect: 200 });
      made.push(id);
    }
    const [good, fail, kill] = made;
    for (const id of [good, fail]) await d.join(id);
    await until('kill_job runs', async () => (await d.logsText(kill)).startsWith('Start'));
    const { body: at_once } = await d.post(`/v1/processes/${kill}/terminate`, undefined, { expect: 200 });
    assert.ok(at_once.exitcode === null || at_once.exitcode === -15, 'right after terminate it may still be unknown');
    killedBy(await d.join(kill), 15, 'SIGTERM', 'signal');
    await d.restart();
    assert.deepEqual(await Promise.all(made.map(async (id) => (await d.process(id)).exitcode)), [0, 1, -15]);
  });
});
