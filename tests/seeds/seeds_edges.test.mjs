// Edges of multiprocessing's own surface that no other test names: what deadlocks, leaks or lies there and must not here.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { daemonTest, REPOSITORY, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem, range } from '../lib/check.mjs';
import { Contract } from '../contract/contract.mjs';
import { liver, session } from '../lib/owners.mjs';
import { alive, send } from '../lib/proc.mjs';
import { test } from 'node:test';

/** One HTTP call out of Python: call(method, path, body) gives (status, JSON). */
const CLIENT = `
import json, os, sys, threading, urllib.error, urllib.request
def call(method, path, body=None):
    request = urllib.request.Request(os.environ["FORKFUL_URL"] + path, None if body is None else json.dumps(body).encode(),
        {"Authorization": "Bearer " + os.environ["FORKFUL_TOKEN"], "Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer: return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error: return error.code, json.loads(error.read())
`;
const child = (d, code, more) => d.python(CLIENT + code, more);

suite('a queue has no feeder thread', () => {
  daemonTest('so who puts much and exits is joined before anybody has received, and what was answered is stored', async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    const { id } = await child(d, 'for n in range(20): assert call("POST", "/v1/queues/q/messages", {"n": n, "padding": "x" * 100000})[0] == 201');
    exitedWith(await d.join(id), 0);
    await d.killServer();
    const { messages } = (await d.post('/v1/queues/q/receive?max=100', undefined, { expect: 200 })).body;
    assert.deepEqual(messages.map((one) => one.body.n), range(0, 19));
  });

  daemonTest('so a killed reader leaves no lock behind that stops all others', async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    const reader = await child(d, 'call("POST", "/v1/queues/q/receive?wait=60")');
    await until('it waits', async () => (await d.get('/v1/queues/q')).body.waiters === 1);
    await d.post(`/v1/processes/${reader.id}/kill`, undefined, { expect: 200 });
    await d.join(reader.id);
    await d.post('/v1/queues/q/messages', 1, { expect: 201 });
    assert.equal((await d.post('/v1/queues/q/receive', undefined, { expect: 200 })).body.messages[0].attempt, 1);
  });

  daemonTest('task_done once too often is 410 with the cause, and changes no count', async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    for (const n of [1, 2]) await d.post('/v1/queues/q/messages', n, { expect: 201 });
    const [{ hold }] = (await d.post('/v1/queues/q/receive', undefined, { expect: 200 })).body.messages;
    await d.post(`/v1/holds/${hold}/ack`, undefined, { expect: 200 });
    for (let i = 0; i < 3; i += 1) assert.equal(problem(await d.post(`/v1/holds/${hold}/ack`), 410, 'hold_ended').cause.ended, 'acked');
    const { unfinished, ready, delayed, leased } = (await d.get('/v1/queues/q')).body;
    assert.deepEqual([unfinished, ready + delayed + leased], [1, 1]);
  });
});

suite('a lock', () => {
  daemonTest('is released by whoever has been handed its hold, and by nobody who has not', async (d) => {
    await d.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    const [one, two] = [await session(d), await liver(d)];
    const { id } = (await one.client.call('POST', '/v1/locks/l/acquire', { body: {}, expect: 200 })).body;
    problem(await two.client.call('POST', '/v1/holds/h_01jd8m3q7v0x4t5k6n7p8q9r0s/release'), 404, 'not_found');
    await two.client.call('POST', `/v1/holds/${id}/release`, { expect: 200 });
    const next = (await two.client.call('POST', '/v1/locks/l/acquire', { body: {}, expect: 200 })).body;
    assert.deepEqual([next.previous.ended, next.previous.owner], ['released', two.id], 'it tells who released it');
    assert.equal(problem(await one.client.call('POST', `/v1/holds/${id}/release`), 410, 'hold_ended').cause.owner, two.id);
    assert.equal((await d.get('/v1/locks/l')).body.held, true);
  });

  daemonTest('that is reentrant belongs to the process: all its threads share one hold, and depth counts them', async (d) => {
    await d.call('PUT', '/v1/locks/r', { body: { reentrant: true }, expect: 201 });
    const { id } = await child(d, `
seen = []
threads = [threading.Thread(target=lambda: seen.append(call("POST", "/v1/locks/r/acquire", {}))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
holds = {body["id"] for status, body in seen if status == 200}
depths = sorted(body["depth"] for status, body in seen)
left = [call("POST", "/v1/holds/" + next(iter(holds)) + "/release")[1]["depth"] for _ in range(3)]
print(json.dumps([len(holds), depths, left]), flush=True)
sys.stdin.read()`, { stdin: 'pipe' });
    const told = await until('it has told', async () => { const text = await d.logsText(id); return text.endsWith('\n') && JSON.parse(text); });
    assert.deepEqual(told, [1, [1, 2, 3, 4], [3, 2, 1]]);
    problem(await d.post('/v1/locks/r/acquire', { ttl_seconds: 5 }), 400, 'bad_request');
    await d.call('POST', `/v1/processes/${id}/stdin?eof=true`, { expect: 202 });
    await d.join(id);
    assert.equal((await d.get('/v1/locks/r')).body.held, false);
  });
});

suite('a process', () => {
  daemonTest('is known by its id, never by its pid: a signal to one that has ended reaches nobody', async (d) => {
    const { id, pid } = await d.run({ argv: ['true'] });
    const other = await d.spawn({ argv: ['sleep', '1000'] });
    for (const scope of ['main', 'group', 'tree']) problem(await d.post(`/v1/processes/${id}/signal`, { signal: 'KILL', scope }), 409, 'not_running');
    problem(await d.call('GET', `/v1/processes/${pid}`), 404, 'not_found');
    assert.ok(alive(other.pid));
  });

  daemonTest('has no exit code before it was reaped, however dead it is', async (d) => {
    const { id, pid } = await d.spawn({ argv: ['sleep', '1000'] });
    const { keeper_pid } = await d.system();
    send(keeper_pid, 'SIGSTOP');
    send(pid, 'SIGKILL');
    const before = await d.process(id);
    send(keeper_pid, 'SIGCONT');
    assert.deepEqual([before.state, before.exitcode, before.exit], ['running', null, null]);
    assert.equal((await d.join(id)).exitcode, -9);
  });

  daemonTest('finds its own children by its token', async (d) => {
    const { id } = await child(d, `
mine = [call("POST", "/v1/processes", {"argv": ["sleep", "1000"]})[1]["id"] for _ in range(2)]
me = call("GET", "/v1/processes/me")[1]
found = call("GET", "/v1/processes?state=running&parent=" + me["id"])[1]["items"]
print(json.dumps([sorted(mine) == sorted(one["id"] for one in found), me["id"]]), flush=True)`);
    exitedWith(await d.join(id), 0);
    assert.deepEqual(JSON.parse(await d.logsText(id)), [true, id]);
  });

  daemonTest('may use as much as the control group allows: both numbers are told', async (d) => {
    const { cpu_count, cpu_usable, cpu_quota } = await d.system();
    assert.ok(cpu_count >= cpu_usable && cpu_usable >= 1);
    assert.ok(cpu_quota === null || cpu_quota > 0);
  });
});

test('the table of Python\'s exceptions names only codes that there are', () => {
  const { codes } = new Contract();
  const text = readFileSync(`${REPOSITORY}/docs/coordination.md`, 'utf8');
  const table = text.slice(text.indexOf('## Python\'s exceptions'), text.indexOf('## Threads or processes'));
  const named = [...table.matchAll(/(\d{3}) `([a-z_]+)`/g)];
  assert.ok(named.length > 25);
  assert.deepEqual(named.filter(([, , code]) => !codes.has(code)), []);
});
