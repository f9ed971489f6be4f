// Looking into a living process, and deleting a record.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { problem, TIME } from '../lib/check.mjs';
import { alive, childrenOf, cmdline, send } from '../lib/proc.mjs';

suite('tree', () => {
  daemonTest('lists the living descendants, parents first, with what escaped', async (d) => {
    const { id, pid } = await d.sh('sleep 1001 & setsid sh -c "sleep 1002 & wait" & (sleep 1003 &) & wait; exec sleep 1004');
    const items = await until('all are there', async () => {
      const { body } = await d.get(`/v1/processes/${id}/tree`);
      const sleeps = body.items.filter((one) => one.argv[0] === 'sleep').map((one) => one.argv[1]);
      return ['1001', '1002', '1003'].every((one) => sleeps.includes(one)) && body.items;
    });
    assert.deepEqual([items[0].pid, items[0].depth], [pid, 0]);
    const place = new Map(items.map((one, i) => [one.pid, i]));
    for (const one of items.slice(1)) {
      assert.ok(one.depth >= 1);
      if (place.has(one.ppid)) assert.ok(place.get(one.ppid) < place.get(one.pid), 'a parent stands before its child');
    }
    assert.equal((await d.process(id)).descendants, items.length - 1);
  });

  daemonTest('and the count of descendants know what has shed parent, session and environment, where cgroups can be written', async (d) => {
    const { kernel } = await d.system();
    const { id } = await d.python(`
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    print(os.getpid(), flush=True)
    if os.fork() == 0: os.execve("/bin/sleep", ["inner", "1000"], {})
    os.execve("/bin/sleep", ["outer", "1000"], {})
os.wait()
time.sleep(1000)`);
    const outer = Number(await until('it has told', async () => (await d.logsText(id)).trim()));
    const inner = await until('both sleep', () => cmdline(outer) === 'outer 1000' && childrenOf(outer).find((pid) => cmdline(pid) === 'inner 1000'));
    try {
      const { items } = (await d.get(`/v1/processes/${id}/tree`)).body;
      assert.deepEqual(items.slice(1).map((one) => [one.pid, one.depth, one.argv[0]]), kernel.cgroup ? [[outer, 1, 'outer'], [inner, 2, 'inner']] : []);
      for (const where of ['', '/stats']) assert.equal((await d.get(`/v1/processes/${id}${where}`)).body.descendants, items.length - 1);
      await d.post(`/v1/processes/${id}/stop`, { grace_seconds: 0 }, { expect: 202 });
      await d.join(id);
      if (kernel.cgroup) await until('all have ended', () => !alive(outer) && !alive(inner));
    } finally { for (const pid of [outer, inner]) if (/^(inn|out)er 1000$/.test(cmdline(pid))) send(pid, 'SIGKILL'); }
  });

  daemonTest('of an ended process is empty, or what it left behind', async (d) => {
    const gone = await d.run({ argv: ['true'] });
    assert.deepEqual((await d.get(`/v1/processes/${gone.id}/tree`)).body, { id: gone.id, items: [] });
    const left = await d.run({ shell: 'sleep 1000 & exit 0' });
    await until('the child is listed', async () => (await d.get(`/v1/processes/${left.id}/tree`)).body.items[0]?.argv[0] === 'sleep');
    assert.equal((await d.process(left.id)).descendants, 1);
    const [child] = (await d.get(`/v1/processes/${left.id}/tree`)).body.items;
    await d.delete(`/v1/processes/${left.id}?kill=true`);
    await until('the child is gone', () => !alive(child.pid));
  });
});

suite('stats', () => {
  daemonTest('tell what a process uses now', async (d) => {
    const { id, pid } = await d.python('import threading,time\nx = bytearray(50 << 20)\nfor _ in range(2): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\nsum(range(3000000))\nprint("ready")\ntime.sleep(1000)');
    await until('it is ready', async () => (await d.logsText(id)) === 'ready\n');
    const { body } = await d.get(`/v1/processes/${id}/stats`);
    assert.match(body.at, TIME);
    assert.deepEqual([body.id, body.pid, body.threads, body.descendants], [id, pid, 3, 0]);
    assert.ok(body.rss_bytes > 50 << 20 && body.rss_bytes < 500 << 20, `${body.rss_bytes}`);
    assert.ok(body.cpu_user_seconds > 0.01);
    assert.equal(body.fds, 3);
  });

  daemonTest('of many come in one answer, without those that do not run', async (d) => {
    const [a, done, b] = [await d.sh('sleep 1000'), await d.run({ argv: ['true'] }), await d.sh('sleep 1000')];
    const { items } = (await d.get(`/v1/processes/stats?ids=${b.id},${done.id},p_0,${a.id}`)).body;
    assert.deepEqual(items.map((one) => [one.id, one.pid]), [[b.id, b.pid], [a.id, a.pid]]);
    assert.ok(items.every((one) => one.rss_bytes > 0 && one.fds === 3 && TIME.test(one.at)));
    for (const query of ['', '?ids=', `?ids=${Array(101).fill(a.id).join()}`]) problem(await d.call('GET', `/v1/processes/stats${query}`), 400, 'invalid_parameter');
  });

  daemonTest('of what does not run are 409', async (d) => {
    const done = await d.run({ argv: ['true'] });
    problem(await d.call('GET', `/v1/processes/${done.id}/stats`), 409, 'not_running');
    const created = await d.spawn({ argv: ['true'], start: false });
    problem(await d.call('GET', `/v1/processes/${created.id}/stats`), 409, 'not_started');
  });
});

suite('DELETE', () => {
  daemonTest('takes record and output of an ended process', async (d) => {
    const { id } = await d.run({ shell: 'echo output' });
    await d.delete(`/v1/processes/${id}`);
    for (const where of ['', '/logs', '/tree', '/stats', '/join']) problem(await d.call('GET', `/v1/processes/${id}${where}`), 404, 'not_found');
    problem(await d.call('DELETE', `/v1/processes/${id}`), 404, 'not_found');
    assert.deepEqual(await d.list(), []);
    await d.restart();
    problem(await d.call('GET', `/v1/processes/${id}`), 404, 'not_found');
  });

  daemonTest('of a living one is 409, and with kill ends it and its tree first', async (d) => {
    const { id, pid } = await d.sh('setsid sleep 1000 & echo $!; wait');
    problem(await d.call('DELETE', `/v1/processes/${id}`), 409, 'process_alive');
    const escaped = Number(await until('it has told', () => d.logsText(id)));
    assert.ok(alive(pid));
    await d.delete(`/v1/processes/${id}?kill=true`);
    assert.ok(!alive(pid), 'the answer comes when it has ended');
    await until('what had escaped is gone too', () => !alive(escaped));
    problem(await d.call('GET', `/v1/processes/${id}`), 404, 'not_found');
  });

  daemonTest('of a created one works, and its name is not given again', async (d) => {
    const { id, name } = await d.spawn({ argv: ['true'], start: false });
    await d.delete(`/v1/processes/${id}`);
    assert.equal(name, 'Process-1');
    assert.equal((await d.spawn({ argv: ['true'], start: false })).name, 'Process-2');
  });

  daemonTest('ends the streams of what is deleted', async (d) => {
    const { id } = await d.sh('echo one; exec sleep 1000');
    const stream = await d.stream(`/v1/processes/${id}/logs?follow=true`, { accept: 'application/x-ndjson' });
    const records = stream.records();
    assert.equal((await records.next()).value.text, 'one');
    const rest = records.next();
    await d.delete(`/v1/processes/${id}?kill=true`);
    assert.equal((await rest).done, true);
  });
});
