// The third lecture as far as conditions and barriers go (rows 19, 20 and 20b).
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith } from '../lib/check.mjs';

/** A child of the lecture: `call(method, path, body)` answers (status, JSON). */
const python = (d, body, more) => d.python(`
import json, os, time, urllib.error, urllib.request
def call(method, path, body=None):
    request = urllib.request.Request(os.environ["FORKFUL_URL"] + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + os.environ["FORKFUL_TOKEN"], "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer: return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error: return error.code, json.loads(error.read())
${body}`, more);

const told = async (d, { id }) => JSON.parse(await d.logsText(id));

suite('seed C', () => {
  daemonTest('row 19: notify wakes one, notify_all all', async (d) => {
    await d.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    await d.call('PUT', '/v1/conditions/c', { body: { lock: 'l' }, expect: 201 });
    const children = [];
    for (let i = 0; i < 3; i += 1) {
      children.push(await python(d, `
hold = call("POST", "/v1/locks/l/acquire?wait=30", {})[1]
answer = call("POST", "/v1/conditions/c/wait?wait=30", {"hold": hold["id"]})[1]
call("POST", "/v1/holds/" + answer["hold"]["id"] + "/release")
print(json.dumps(answer["notified"]))`));
    }
    const waiters = async () => (await d.get('/v1/conditions/c')).body.waiters;
    const ended = async () => (await d.list('?state=exited')).length;
    await until('three wait', async () => await waiters() === 3);
    assert.equal((await d.post('/v1/conditions/c/notify', { n: 1 }, { expect: 200 })).body.notified, 1);
    await until('one has ended', async () => await ended() === 1);
    assert.equal(await waiters(), 2);
    assert.equal((await d.post('/v1/conditions/c/notify_all', {}, { expect: 200 })).body.notified, 2);
    for (const child of children) {
      exitedWith(await d.join(child.id), 0);
      assert.equal(await told(d, child), true);
    }
  });

  daemonTest('row 20: nobody goes on before the last has come', async (d) => {
    await d.call('PUT', '/v1/barriers/b', { body: {}, expect: 422 });
    await d.call('PUT', '/v1/barriers/b', { body: { parties: 2 }, expect: 201 });
    const children = [];
    for (const seconds of [0.5, 1]) {
      children.push(await python(d, `
time.sleep(${seconds})
came = time.time()
status, body = call("POST", "/v1/barriers/b/wait?wait=10")
print(json.dumps([status, body["index"], came, time.time()]))`));
    }
    const answers = [];
    for (const child of children) {
      exitedWith(await d.join(child.id), 0);
      answers.push(await told(d, child));
    }
    assert.deepEqual(answers.map(([status]) => status), [200, 200]);
    assert.deepEqual(answers.map(([, index]) => index).sort(), [0, 1]);
    const last = Math.max(...answers.map(([, , came]) => came));
    assert.ok(answers.every(([, , , went]) => went >= last), 'none before the last has come');
  });

  daemonTest('row 20b: the death of one that waits breaks the barrier at once', async (d) => {
    await d.call('PUT', '/v1/barriers/b', { body: { parties: 3 }, expect: 201 });
    const wait = 'status, body = call("POST", "/v1/barriers/b/wait?wait=60")\nprint(json.dumps([status, body["code"], body["cause"]]))';
    const first = await python(d, wait);
    await until('it waits', async () => (await d.get('/v1/barriers/b')).body.n_waiting === 1);
    const second = await python(d, wait);
    await until('both wait', async () => (await d.get('/v1/barriers/b')).body.n_waiting === 2);
    process.kill(first.pid, 'SIGKILL');
    exitedWith(await d.join(second.id), 0);
    const [status, code, cause] = await told(d, second);
    assert.deepEqual([status, code, cause.reason, cause.owner, cause.exitcode], [409, 'broken', 'owner_ended', first.id, -9]);
  });
});
