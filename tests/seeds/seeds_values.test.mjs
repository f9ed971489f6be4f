// The rows of the lectures on events and shared state (15, 21a, 22, 23, 36): the children are Python programs that
// know nothing but FORKFUL_URL and FORKFUL_TOKEN.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { between, exitedWith, range } from '../lib/check.mjs';
import { sleep } from '../lib/wait.mjs';

const CLIENT = `
import http.client, json, os, socket, sys, time
from urllib.parse import urlsplit
place = urlsplit(os.environ['FORKFUL_URL'])
token = os.environ['FORKFUL_TOKEN']
def call(method, path, body=None):
    connection = http.client.HTTPConnection(place.hostname, place.port)
    connection.request(method, path, None if body is None else json.dumps(body),
                       {'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json'})
    answer = connection.getresponse()
    data = json.loads(answer.read())
    assert answer.status < 300, data
    return data
def add_many(paths_and_bodies):
    """All of them, a thousand on their way at once: one connection, HTTP pipelining."""
    line = socket.create_connection((place.hostname, place.port))
    answers = line.makefile('rb')
    for at in range(0, len(paths_and_bodies), 1000):
        some = paths_and_bodies[at:at + 1000]
        line.sendall(b''.join(('POST %s HTTP/1.1\\r\\nHost: %s:%d\\r\\nAuthorization: Bearer %s\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%s'
            % (path, place.hostname, place.port, token, len(body), body)).encode() for path, body in some))
        for _ in some:
            assert b' 200 ' in answers.readline()
            length = 0
            while (header := answers.readline()) != b'\\r\\n':
                if header.lower().startswith(b'content-length:'):
                    length = int(header.split(b':')[1])
            answers.read(length)
`;

const child = (d, code, more) => d.python(CLIENT + code, more);

suite('seeds of events', () => {
  for (const row of ['row 15', 'row 36']) {
    daemonTest(`${row}: who waits for 2 s sees no event, who waits on sees it when it is set after 3 s`, async (d) => {
      await d.call('PUT', '/v1/events/e', { expect: 201 });
      const wait = (name, seconds) => child(d, `
print('wait_for_event starting', flush=True)
begun = time.monotonic()
is_set = call('GET', '/v1/events/e/wait?wait=${seconds}')['set']
print('event set:', is_set, '%.1f' % (time.monotonic() - begun))`, { name });
      const block = await wait('block', 60);
      const nonblock = await wait('non-block', 2);
      await until('both wait', async () => (await d.get('/v1/events/e')).body.waiters === 2);
      await sleep(3);
      await d.post('/v1/events/e/set', undefined, { expect: 200 });
      const [one, other] = [await d.join(block.id), await d.join(nonblock.id)];
      for (const process of [one, other]) exitedWith(process, 0);
      const [, set, seconds] = /event set: (\w+) ([\d.]+)\n$/.exec(await d.logsText(block.id));
      assert.equal(set, 'True');
      assert.ok(Math.abs(seconds - 3) <= 0.5, `after ${seconds} s`);
      const [, unset, waited] = /event set: (\w+) ([\d.]+)\n$/.exec(await d.logsText(nonblock.id));
      assert.equal(unset, 'False');
      assert.ok(Math.abs(waited - 2) <= 0.3, `after ${waited} s`);
      assert.ok(between(other.exited_at, one.exited_at) > 0.5, 'the timed one ends first');
    });
  }
});

suite('seeds of shared state', () => {
  daemonTest('row 21a: two processes add and subtract 100000 times, and the number is 0.0', { seconds: 120 }, async (d) => {
    await d.call('PUT', '/v1/values/num', { body: { type: 'double', value: 0, durable: false }, expect: 201 });
    const made = [];
    for (const n of ['1', '-1']) {
      made.push(await child(d, `add_many([('/v1/values/num/add', '{"n":${n}}')] * 100000)`));
    }
    for (const { id } of made) exitedWith(await d.join(id, { within: 100 }), 0);
    const answer = await d.get('/v1/values/num');
    assert.match(answer.text, /"value":0\.0,/);
    assert.equal(answer.body.version, 200001);
  });

  daemonTest('row 21a: also when every single add is stored before it is answered', { seconds: 60 }, async (d) => {
    await d.call('PUT', '/v1/values/num', { body: { type: 'double', value: 0 }, expect: 201 });
    const made = [];
    for (const n of [1, -1]) {
      made.push(await child(d, `
for _ in range(300):
    call('POST', '/v1/values/num/add', {'n': ${n}})`));
    }
    for (const { id } of made) exitedWith(await d.join(id, { within: 50 }), 0);
    const { body } = await d.get('/v1/values/num');
    assert.deepEqual([body.value, body.version], [0, 601]);
  });

  daemonTest('row 22: an array of ten comes back to zeros after 5000 times one up and one down in each cell', { seconds: 120 }, async (d) => {
    await d.call('PUT', '/v1/values/vet', { body: { type: 'int32[]', value: Array(10).fill(0), durable: false }, expect: 201 });
    const made = [];
    for (const n of [1, -1]) {
      made.push(await child(d, `
add_many([('/v1/values/vet/add', json.dumps({'index': k, 'n': ${n}})) for _ in range(5000) for k in range(10)])`));
    }
    for (const { id } of made) exitedWith(await d.join(id, { within: 100 }), 0);
    const { body } = await d.get('/v1/values/vet');
    assert.deepEqual([body.value, body.version], [Array(10).fill(0), 100001]);
  });

  daemonTest('row 23: ten workers append to one list, and it holds what each appended', async (d) => {
    await d.call('PUT', '/v1/values/list', { body: { value: [] }, expect: 201 });
    const made = [];
    for (const i of range(0, 9)) {
      made.push(await child(d, `
call('POST', '/v1/values/list/append', {'item': ${i}})
print(call('GET', '/v1/values/list')['value'])`));
    }
    for (const { id } of made) {
      exitedWith(await d.join(id), 0);
      assert.match(await d.logsText(id), /^\[[0-9, ]+\]\n$/);
    }
    const { body } = await d.get('/v1/values/list');
    assert.deepEqual([...body.value].sort((a, b) => a - b), range(0, 9));
    assert.equal(body.version, 11);
  });

  daemonTest('shared_memory: children write each its own part of one block, and the parent reads it in parts', async (d) => {
    const octets = { 'Content-Type': 'application/octet-stream' };
    await d.call('PUT', '/v1/values/block?durable=false', { raw: Buffer.alloc(4096), headers: octets, expect: 201 });
    const made = [];
    for (const i of range(0, 3)) {
      made.push(await d.python(`
import os, urllib.request
url = os.environ['FORKFUL_URL'] + '/v1/values/block/write?offset=${i * 1024}'
headers = {'Authorization': 'Bearer ' + os.environ['FORKFUL_TOKEN'], 'Content-Type': 'application/octet-stream'}
urllib.request.urlopen(urllib.request.Request(url, bytes([${i + 1}]) * 1024, headers, method='POST')).read()`));
    }
    for (const { id } of made) exitedWith(await d.join(id), 0);
    for (const i of range(0, 3)) {
      const headers = { Accept: 'application/octet-stream', Range: `bytes=${i * 1024}-${i * 1024 + 1023}` };
      const answer = await d.call('GET', '/v1/values/block', { headers, expect: 206 });
      assert.deepEqual(answer.bytes, Buffer.alloc(1024, i + 1));
    }
    assert.equal((await d.get('/v1/values/block')).body.version, 5);
  });
});
