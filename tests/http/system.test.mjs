// The daemon tells about itself and the machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { TIME } from '../lib/check.mjs';
import { alive, stat } from '../lib/proc.mjs';

const nproc = (...args) => Number(execFileSync('nproc', args, { env: { ...process.env, OMP_NUM_THREADS: '', OMP_THREAD_LIMIT: '' } }));

/** Prometheus text format 0.0.4: { name: { type, help, samples: [{ name, labels, value }] } }; throws on what is none. */
function parse_metrics(text) {
  assert.ok(text.endsWith('\n'));
  const families = {};
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment;
      families[name] ??= { samples: [] };
      assert.equal(families[name][kind.toLowerCase()], undefined, `${kind} of ${name} stands once`);
      assert.equal(families[name].samples.length, 0, `${kind} stands before the samples`);
      families[name][kind.toLowerCase()] = rest;
    } else {
      const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (NaN|[+-]?Inf|[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)$/.exec(line);
      assert.ok(sample, `a sample: ${line}`);
      const family = families[sample[1]] ?? families[sample[1].replace(/_(bucket|sum|count|total)$/, '')];
      assert.ok(family, `${sample[1]} has a family`);
      family.samples.push({ name: sample[1], labels: sample[2] ?? '', value: Number(sample[3].replace('Inf', 'Infinity')) });
    }
  }
  return families;
}

suite('the system', () => {
  daemonTest('tells what multiprocessing tells: cpu_count, usable ones, start methods', async (d) => {
    const system = await d.system();
    assert.deepEqual(system.start_methods, ['spawn']);
    assert.equal(system.cpu_count, nproc('--all'));
    assert.equal(system.cpu_usable, nproc());
    assert.ok(Math.abs(system.memory.total_bytes - os.totalmem()) < 1 << 20);
  });

  daemonTest('tells its pids, times, directories and listeners', async (d) => {
    const system = await d.system();
    assert.equal(system.keeper_pid, d.first.pid);
    assert.equal(stat(system.server_pid).ppid, system.keeper_pid);
    assert.notEqual(system.server_pid, system.keeper_pid);
    assert.match(system.started_at, TIME);
    assert.ok(Math.abs(Date.now() - Date.parse(system.started_at)) < 60_000);
    assert.equal(system.state_dir, d.stateDir);
    assert.equal(system.runtime_dir, d.runtimeDir);
    assert.deepEqual([...system.listeners].sort(), [...d.first.listening].sort());
    assert.equal(d.first.state_dir, d.stateDir);
    assert.equal(system.server_restarts, 0);
    assert.equal(system.health, 'ok');
    assert.ok(system.limits.max_processes > 0);
  });

  daemonTest('counts the records in each state', async (d) => {
    await d.run({ argv: ['true'] });
    await d.run({ argv: ['false'] });
    await d.spawn({ argv: ['sleep', '1000'] });
    await d.spawn({ argv: ['true'], start: false });
    const failed = await d.spawn({ argv: ['/no/such'], start: false });
    await d.post(`/v1/processes/${failed.id}/start`);
    assert.deepEqual((await d.system()).processes, { created: 1, pending: 0, running: 1, stopping: 0, exited: 2, failed: 1, lost: 0 });
  });

  daemonTest('counts the restarts of the server', async (d) => {
    await d.killServer();
    await d.killServer();
    const system = await d.system();
    assert.equal(system.server_restarts, 2);
    assert.equal(system.keeper_pid, d.pid);
  });

  daemonTest('has capabilities, which keep what they promise', async (d) => {
    const { body } = await d.get('/v1/capabilities');
    assert.equal(body.executor, 'local');
    for (const word of ['signal.tree', 'stdin.pipe', 'output.block']) assert.ok(body.items.includes(word), word);
    assert.ok(Array.isArray(body.not_supported));
  });

  daemonTest('has metrics in Prometheus\' format that count what happened', async (d) => {
    for (let i = 0; i < 3; i += 1) await d.run({ shell: 'echo hello' });
    const answer = await d.get('/metrics');
    assert.match(answer.type, /^text\/plain; version=0\.0\.4/);
    const families = parse_metrics(answer.text);
    for (const [name, family] of Object.entries(families)) {
      assert.match(name, /^(forkful|process)_/);
      assert.ok(family.help && family.type, `${name} has HELP and TYPE`);
      assert.ok(family.samples.length > 0, `${name} has a sample`);
      if (family.type === 'counter') for (const one of family.samples) assert.ok(one.value >= 0);
    }
    const names = Object.keys(families).join(' ');
    for (const word of ['process', 'spool', 'request']) assert.match(names, new RegExp(word));
    const sum = (name) => families[name]?.samples.reduce((total, one) => total + one.value, 0);
    assert.ok(Object.keys(families).some((name) => sum(name) === 3), 'something counts the three processes');
  });

  daemonTest('has metrics of what processes coordinate with', async (d) => {
    for (const [path, body] of [['queues/q', {}], ['locks/l', {}], ['semaphores/s', { value: 2 }]]) await d.call('PUT', `/v1/${path}`, { body, expect: 201 });
    for (let i = 0; i < 3; i += 1) await d.post('/v1/queues/q/messages', 'abcd', { expect: 201 });
    const { body } = await d.post('/v1/queues/q/receive?max=2', undefined, { expect: 200 });
    await d.post(`/v1/holds/${body.messages[0].hold}/ack`, undefined, { expect: 200 });
    await d.post('/v1/locks/l/acquire', {}, { expect: 200 });
    const waiting = d.post('/v1/locks/l/acquire?wait=60', {}).catch(() => {});
    const read = async () => {
      const families = parse_metrics((await d.get('/metrics')).text);
      return (name, labels = '') => families[`forkful_${name}`]?.samples.find((one) => one.labels === labels)?.value;
    };
    const at = await until('the call waits', async () => { const now = await read(); return now('waiting_calls', 'kind="lock"') === 1 && now; });
    assert.deepEqual([at('objects', 'kind="queue"'), at('objects', 'kind="pipe"'), at('holds', 'kind="message"'), at('holds', 'kind="lock"'), at('locks_held')], [1, 0, 1, 1, 1]);
    assert.deepEqual([at('messages', 'state="ready"'), at('messages', 'state="leased"'), at('messages_put_total'), at('messages_acked_total'), at('queue_bytes', 'queue="q"')], [1, 1, 3, 1, 12]);
    assert.deepEqual([at('queue_messages', 'queue="q",state="ready"'), at('queue_put_total', 'queue="q"'), at('queue_acked_total', 'queue="q"'), at('queue_receivers', 'queue="q"')], [1, 3, 1, 0]);
    assert.deepEqual([at('lock_held', 'lock="l"'), at('lock_waiters', 'lock="l"'), at('semaphore_available', 'semaphore="s"')], [1, 1, 2]);
    assert.ok(at('journal_used_bytes') <= at('journal_size_bytes') && at('journal_size_bytes') > 0);
    await d.call('DELETE', '/v1/queues/q', { expect: 204 });
    const then = await read();
    assert.deepEqual([then('messages_put_total'), then('messages_acked_total'), then('messages_memory_bytes'), then('queue_put_total', 'queue="q"')], [3, 1, 0, undefined]);
    await d.call('DELETE', '/v1/locks/l', { expect: 204 });
    await waiting;
  });

  daemonTest('has metrics whose names say what they are, and not more of them than was asked for', { args: ['--metrics-objects', '3'] }, async (d) => {
    for (let i = 0; i < 8; i += 1) await d.call('PUT', `/v1/queues/q${i}`, { body: {}, expect: 201 });
    const families = parse_metrics((await d.get('/metrics')).text);
    for (const [name, { help, type }] of Object.entries(families)) {
      assert.ok(help && ['gauge', 'counter'].includes(type), name);
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      assert.match(name, /^forkful_[a-z]+(_[a-z]+)*$/);
      if (/bytes|seconds/.test(name)) assert.match(name, /_(bytes|seconds)(_total)?$/);
    }
    assert.equal(families.forkful_objects.samples.find((one) => one.labels === 'kind="queue"').value, 8);
    assert.deepEqual(families.forkful_queue_put_total.samples.map((one) => one.labels), ['queue="q0"', 'queue="q1"', 'queue="q2"']);
  });

  for (const [sync, always] of [['normal', false], ['full', true]]) {
    daemonTest(`syncs ${always ? 'every commit' : 'only what is promised as durable'} with sync=${sync}`, { args: ['--sync', sync] }, async (d) => {
      const count = async (name) => Number(new RegExp(`^forkful_writer_${name}_total (\\d+)$`, 'm').exec((await d.get('/metrics')).text)[1]);
      await d.call('PUT', '/v1/locks/l', { expect: 201 });
      const { body } = await d.post('/v1/locks/l/acquire', {}, { expect: 200 });
      await d.post(`/v1/holds/${body.id}/release`, undefined, { expect: 200 });
      await d.run({ argv: ['true'] });
      const [batches, durable] = [await count('batches'), await count('durable_batches')];
      assert.equal(durable > 0, always);
      if (always) assert.ok(batches - durable <= 2, `${durable} of ${batches}`); // what the start has written
      await d.call('PUT', '/v1/queues/q', { expect: 201 });
      await d.post('/v1/queues/q/messages', 1, { expect: 201 });
      assert.ok(await count('durable_batches') > durable, 'a message of a durable queue is synced in any case');
    });
  }

  daemonTest('counts ends by their reason, also of processes that are deleted', async (d) => {
    const ends = async () => Object.fromEntries([...(await d.get('/metrics')).text.matchAll(/^forkful_processes_ended_total\{reason="(\w+)"\} (\d+)$/gm)].map(([, reason, count]) => [reason, Number(count)]));
    const { id } = await d.run({ argv: ['true'] });
    await d.run({ argv: ['false'] });
    await d.run({ shell: 'kill -KILL $$' });
    await d.delete(`/v1/processes/${id}`);
    const counted = await ends();
    assert.deepEqual([counted.exit_code, counted.signal, counted.timeout], [2, 1, 0]);
  });

  daemonTest('is healthy and ready without a token', async (d) => {
    assert.deepEqual((await d.get('/healthz', { token: null })).body, { status: 'ok' });
    assert.deepEqual((await d.get('/readyz', { token: null })).body, { status: 'ready' });
  });

  daemonTest('is not ready while it shuts down, and still healthy', async (d) => {
    const { id } = await d.sh('read x', { stdin: 'pipe' });
    await d.post('/v1/shutdown', { wait_seconds: 60 }, { expect: 202 });
    const ready = await d.call('GET', '/readyz', { token: null });
    assert.equal(ready.status, 503, `${ready}`);
    await d.get('/healthz', { token: null });
    assert.equal((await d.system()).health, 'draining');
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    await until('the daemon has ended', () => !alive(d.pid));
    d.sweep();
  });
});
