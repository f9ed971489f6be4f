// The lectures' queues (rows 13, 14, 17, 24, 37): children that know nothing but their URL and their token.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem, range } from '../lib/check.mjs';
import { timed } from '../lib/wait.mjs';
import { spawn } from 'node:child_process';

/** What every child of these rows begins with: put, get and done over HTTP. */
const HELP = `
import json, os, sys, urllib.error, urllib.request
Q = os.environ["FORKFUL_URL"] + "/v1/queues/"
def call(url, data=None, method="POST"):
    request = urllib.request.Request(url, data=b"" if data is None else json.dumps(data).encode(), method=method)
    request.add_header("Authorization", "Bearer " + os.environ["FORKFUL_TOKEN"])
    if data is not None: request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer: return json.load(answer)
def put(queue, value): return call(Q + queue + "/messages", value)
def get(queue, query="?wait=60"): return call(Q + queue + "/receive" + query)["messages"]
def done(message): call(os.environ["FORKFUL_URL"] + "/v1/holds/" + message["hold"] + "/ack")
`;

const make = (d, name, config) => d.call('PUT', `/v1/queues/${name}`, { body: config, expect: 201 });
const child = (d, code, more) => d.python(HELP + code, more);
const receive = async (d, name, query = '') => (await d.call('POST', `/v1/queues/${name}/receive${query}`, { expect: 200 })).body.messages;

const CONSUMER = `
while True:
    for message in get("tasks"):
        if message["body"] is None:
            done(message)
            sys.exit(0)
        put("results", message["body"] * message["body"])
        done(message)
`;

async function consumers(d) {
  const { cpu_count } = await d.system();
  await make(d, 'tasks');
  await make(d, 'results');
  return Promise.all(range(1, 2 * cpu_count).map((n) => child(d, CONSUMER, { name: `Consumer-${n}` })));
}

async function squares(d, tasks) {
  const results = await receive(d, 'results', `?max=100&mode=take`);
  assert.deepEqual(results.map((one) => one.body).sort((a, b) => a - b), tasks.map((n) => n * n).sort((a, b) => a - b));
}

suite('seeds with queues', () => {
  daemonTest('row 13: an object goes to a worker through a queue', async (d) => {
    await make(d, 'q');
    const { id } = await child(d, `
message = get("q", "?wait=30")[0]
print("Doing something fancy in %s for %s!" % (os.environ["FORKFUL_PROCESS_NAME"], message["body"]["name"]))
done(message)`);
    await d.post('/v1/queues/q/messages', { name: 'Fancy Dan' }, { expect: 201 });
    exitedWith(await d.join(id), 0);
    assert.equal(await d.logsText(id), 'Doing something fancy in Process-1 for Fancy Dan!\n');
  });

  daemonTest('row 14: a JoinableQueue with consumers, poison pills, join, and results', async (d) => {
    const made = await consumers(d);
    const tasks = range(0, 9);
    await d.post('/v1/queues/tasks/batch', { messages: [...tasks.map((body) => ({ body })), ...made.map(() => ({ body: null }))] }, { expect: 201 });
    await until('all is done', async () => (await d.get('/v1/queues/tasks/join?wait=30')).body.unfinished === 0);
    await squares(d, tasks);
    for (const { id } of made) exitedWith(await d.join(id), 0);
  });

  daemonTest('row 14b: a consumer that is killed gives its task back, and join comes true', async (d) => {
    await make(d, 'tasks');
    await make(d, 'results');
    const stuck = await child(d, 'message = get("tasks")[0]\nprint("has", flush=True)\nsys.stdin.read()', { stdin: 'pipe' });
    await d.post('/v1/queues/tasks/messages', 7, { expect: 201 });
    await until('it has the task', async () => (await d.logsText(stuck.id)) === 'has\n');
    await d.post('/v1/queues/tasks/batch', { messages: [{ body: 3 }, { body: null, priority: -1 }] }, { expect: 201 });
    assert.equal((await d.get('/v1/queues/tasks/join?wait=0')).body.unfinished, 3);
    const joined = d.get('/v1/queues/tasks/join?wait=60');
    await d.post(`/v1/processes/${stuck.id}/kill`, undefined, { expect: 200 });
    assert.equal((await d.join(stuck.id)).exitcode, -9);
    const other = await child(d, CONSUMER);
    assert.equal((await joined).body.unfinished, 0);
    exitedWith(await d.join(other.id), 0);
    await squares(d, [3, 7]);
  });

  daemonTest('row 14c: closing the queue stands for the pills', async (d) => {
    await make(d, 'tasks');
    await make(d, 'results');
    const made = await Promise.all(range(1, 3).map(() => child(d, `
try:
    while True:
        for message in get("tasks"):
            put("results", message["body"] ** 2)
            done(message)
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["code"])`)));
    await d.post('/v1/queues/tasks/batch', { messages: range(1, 12).map((body) => ({ body })) }, { expect: 201 });
    await d.post('/v1/queues/tasks/close', undefined, { expect: 200 });
    for (const { id } of made) {
      exitedWith(await d.join(id), 0);
      assert.equal(await d.logsText(id), '410 closed\n');
    }
    await squares(d, range(1, 12));
  });

  daemonTest('row 17: a mixed list comes back unchanged, and then there is nothing', async (d) => {
    await make(d, 'q');
    const { id } = await child(d, 'put("q", [os.environ["FORKFUL_PROCESS_NAME"], 42, None, "hello"])');
    exitedWith(await d.join(id), 0);
    const [{ body }] = await receive(d, 'q');
    assert.deepEqual(body, ['Process-1', 42, null, 'hello']);
    assert.deepEqual(await receive(d, 'q'), []);
  });

  daemonTest('row 24: two clients that share nothing but address and token; a wrong token is refused', async (d) => {
    await make(d, 'shared');
    const url = `${d.url}/v1/queues/shared`;
    const curl = (...args) => new Promise((resolve) => {
      const shell = spawn('curl', ['-s', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
      let out = '';
      shell.stdout.on('data', (piece) => { out += piece; });
      shell.once('close', () => resolve(out));
    });
    const key = ['-H', `Authorization: Bearer ${d.token}`];
    const late = curl(...key, '-X', 'POST', `${url}/receive?wait=30`);
    await until('the second client waits', async () => (await d.get('/v1/queues/shared')).body.waiters === 1);
    assert.match(await curl(...key, '-H', 'Content-Type: text/plain', '--data', 'hello', `${url}/messages`), /"id":"m_/);
    assert.equal(JSON.parse(await late).messages[0].body, 'hello');
    await curl(...key, '-H', 'Content-Type: text/plain', '--data', 'hello again', `${url}/messages`);
    assert.equal(JSON.parse(await curl(...key, '-X', 'POST', `${url}/receive`)).messages[0].body, 'hello again');
    for (const wrong of [[], ['-H', `Authorization: Bearer fkf_${'0'.repeat(64)}`]]) {
      assert.equal(JSON.parse(await curl(...wrong, '-X', 'POST', `${url}/receive`)).status, 401);
    }
    problem(await d.call('POST', '/v1/queues/shared/receive', { token: null }), 401, 'unauthorized');
  });

  daemonTest('row 37: a child puts, another gets, in either order of their starts', async (d) => {
    await make(d, 'q');
    const give = () => child(d, 'put("q", "Hello world")', { name: 'put_data' });
    const take = () => child(d, 'message = get("q", "?wait=30&mode=take")[0]\nprint(message["body"])', { name: 'get_data' });
    for (const order of [[give, take], [take, give]]) {
      const { seconds } = await timed(async () => {
        const made = [];
        for (const start of order) made.push(await start());
        for (const { id, name } of made) {
          exitedWith(await d.join(id), 0);
          assert.equal(await d.logsText(id), name === 'get_data' ? 'Hello world\n' : '');
        }
      });
      assert.ok(seconds < 30);
    }
  });
});
