// The third lecture's locks and semaphores (rows 19 and 21b): the children note when they were inside.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith } from '../lib/check.mjs';

/** What every child begins with: one connection, `call(method, path, body)` gives (status, JSON). */
const CLIENT = `
import http.client, json, os, sys, time
from urllib.parse import urlsplit
place = urlsplit(os.environ["FORKFUL_URL"])
connection = http.client.HTTPConnection(place.hostname, place.port)
def call(method, path, body=None):
    connection.request(method, path, None if body is None else json.dumps(body),
                       {"Authorization": "Bearer " + os.environ["FORKFUL_TOKEN"], "Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
def acquire(path, wait=60):
    status, body = call("POST", path + "/acquire?wait=%s" % wait, {})
    assert status == 200, body
    return body["id"]
def release(hold):
    status, body = call("POST", "/v1/holds/" + hold + "/release")
    assert status == 200, body
def visits(path, count, seconds):
    """Goes in and out: [begun, ended] of each stay, by the clock that all processes share."""
    stays = []
    for _ in range(count):
        hold = acquire(path)
        begun = time.monotonic_ns()
        time.sleep(seconds)
        stays.append([begun, time.monotonic_ns()])
        release(hold)
    print(json.dumps(stays))
`;

const child = (d, code, more) => d.python(CLIENT + code, more);
const told = async (d, { id }) => { exitedWith(await d.join(id), 0); return JSON.parse(await d.logsText(id)); };

/** How many were inside at once, at most. */
function crowd(stays) {
  const steps = stays.flatMap(([begun, ended]) => [[begun, 1], [ended, -1]]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let [inside, most] = [0, 0];
  for (const [, step] of steps) most = Math.max(most, inside += step);
  return most;
}

async function stays(d, children, code) {
  const made = [];
  for (let i = 0; i < children; i += 1) made.push(await child(d, code));
  return (await Promise.all(made.map((one) => told(d, one)))).flat();
}

suite('seeds of locks', () => {
  daemonTest('row 19: two children that share a lock are never inside at once', async (d) => {
    await d.call('PUT', '/v1/locks/l', { expect: 201 });
    const all = await stays(d, 2, 'visits("/v1/locks/l", 50, 0.005)');
    assert.equal(all.length, 100);
    assert.equal(crowd(all), 1);
  });

  daemonTest('row 19: a reentrant lock is its owner\'s again, and another waits for the last release', async (d) => {
    await d.call('PUT', '/v1/locks/r', { body: { reentrant: true }, expect: 201 });
    const owner = await child(d, `
first, second = acquire("/v1/locks/r"), acquire("/v1/locks/r", 0)
assert first == second
print("in", flush=True)
sys.stdin.readline()
release(first)
print("once", flush=True)
sys.stdin.readline()
released = time.monotonic_ns()
release(second)
print(released)`, { stdin: 'pipe' });
    const says = (text) => until(`it says ${text}`, async () => (await d.logsText(owner.id)).endsWith(text));
    const waiters = async () => (await d.get('/v1/locks/r')).body.waiters;
    await says('in\n');
    const other = await child(d, `
assert call("POST", "/v1/locks/r/acquire", {})[1]["code"] == "not_granted"
hold = acquire("/v1/locks/r")
print(time.monotonic_ns())
release(hold)`);
    await until('the other waits', async () => await waiters() === 1);
    await d.call('POST', `/v1/processes/${owner.id}/stdin`, { raw: '\n', expect: 202 });
    await says('once\n');
    assert.equal(await waiters(), 1, 'one release of two is not enough');
    await d.call('POST', `/v1/processes/${owner.id}/stdin`, { raw: '\n', expect: 202 });
    const granted = await told(d, other);
    exitedWith(await d.join(owner.id), 0);
    const released = Number((await d.logsText(owner.id)).split('\n')[2]);
    assert.ok(granted > released, `${granted} > ${released}`);
  });

  daemonTest('row 19: of eight children a semaphore of three lets three in at once', async (d) => {
    await d.call('PUT', '/v1/semaphores/s', { body: { value: 3, max: 3 }, expect: 201 });
    const all = await stays(d, 8, 'visits("/v1/semaphores/s", 5, 0.1)');
    assert.equal(all.length, 40);
    assert.equal(crowd(all), 3);
    assert.equal((await d.get('/v1/semaphores/s')).body.available, 3);
  });

  daemonTest('row 21b: two processes read and write a number under a lock 1000 times, and it is 0', { seconds: 120 }, async (d) => {
    await d.call('PUT', '/v1/values/num', { body: { type: 'double', value: 0, durable: false }, expect: 201 });
    await d.call('PUT', '/v1/locks/num', { expect: 201 });
    const made = [];
    for (const n of [1, -1]) {
      made.push(await child(d, `
for _ in range(1000):
    hold = acquire("/v1/locks/num")
    value = call("GET", "/v1/values/num")[1]["value"]
    status, body = call("PUT", "/v1/values/num/value", {"value": value + ${n}})
    assert status == 200, body
    release(hold)`));
    }
    for (const { id } of made) exitedWith(await d.join(id, { within: 100 }), 0);
    const { body } = await d.get('/v1/values/num');
    assert.deepEqual([body.value, body.version], [0, 2001]);
  });
});
