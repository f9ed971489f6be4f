// The lectures' pipes (rows 18, 25, 38): children that know nothing but their URL and their token.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem, range } from '../lib/check.mjs';

/** What every child of these rows begins with: a Connection over HTTP. */
const HELP = `
import json, os, urllib.error, urllib.request
class Connection:
    def __init__(self, pipe, end):
        self.url = os.environ["FORKFUL_URL"] + "/v1/pipes/" + pipe + "/" + end
    def call(self, verb, data=None):
        request = urllib.request.Request(self.url + verb, data=b"" if data is None else json.dumps(data).encode(), method="POST")
        request.add_header("Authorization", "Bearer " + os.environ["FORKFUL_TOKEN"])
        if data is not None: request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request) as answer: return json.load(answer)
        except urllib.error.HTTPError as error:
            code = json.load(error)["code"]
            if code == "eof": raise EOFError
            if code == "broken_pipe": raise BrokenPipeError
            raise OSError(code)
    def send(self, value): self.call("/send?wait=60", value)
    def recv(self): return self.call("/recv?wait=60")["body"]
    def close(self): self.call("/close")
`;

const make = (d, name, config = {}) => d.call('PUT', `/v1/pipes/${name}`, { body: config, expect: 201 });
const child = (d, code, more) => d.python(HELP + code, more);
const send = (d, where, body) => d.post(`/v1/pipes/${where}/send`, body, { expect: 200 });
const recv = (d, where) => d.call('POST', `/v1/pipes/${where}/recv?wait=30`);

suite('seeds with pipes', () => {
  daemonTest('row 18: a child squares what comes through a duplex pipe, and its end is the end of file', async (d) => {
    await make(d, 'p');
    const { id } = await child(d, `
connection = Connection("p", "b")
connection.send([n * n for n in connection.recv()])`);
    await send(d, 'p/a', [1, 2, 3, 4, 5]);
    assert.deepEqual((await recv(d, 'p/a')).body.body, [1, 4, 9, 16, 25]);
    exitedWith(await d.join(id), 0);
    const { cause } = problem(await recv(d, 'p/a'), 410, 'eof');
    assert.deepEqual([cause.ended, cause.owner, cause.exitcode], ['owner_ended', id, 0]);
    problem(await d.call('POST', '/v1/pipes/p/a/send', { body: 1 }), 409, 'broken_pipe');
  });

  daemonTest('row 25: two processes chat, and each waits for the other', async (d) => {
    await make(d, 'chat');
    const talk = (end, first) => child(d, `
import time
name = os.environ["FORKFUL_PROCESS_NAME"]
chat = Connection("chat", "${end}")
for n in range(10):
    if ${first}: chat.send("%s %d" % (name, n))
    heard = chat.recv()
    print(time.monotonic_ns(), heard, flush=True)
    if not ${first}: chat.send("%s %d" % (name, n))
`, { name: first === 'True' ? 'A' : 'B' });
    const a = await talk('a', 'True');
    const b = await talk('b', 'False');
    for (const { id } of [a, b]) exitedWith(await d.join(id), 0);
    const heard = (await d.logsText(a.id) + await d.logsText(b.id)).trim().split('\n').map((line) => line.split(/ (.*)/));
    const lines = heard.sort((x, y) => Number(BigInt(x[0]) - BigInt(y[0]))).map(([, line]) => line);
    assert.deepEqual(lines, range(0, 9).flatMap((n) => [`A ${n}`, `B ${n}`]));
  });

  daemonTest('row 25: a chat whose one side is killed ends for the other at once', async (d) => {
    await make(d, 'chat');
    const a = await child(d, `
chat = Connection("chat", "a")
chat.send("hello")
try: chat.recv()
except EOFError: print("end of file")
try: chat.send("are you there?")
except BrokenPipeError: print("broken pipe")`);
    const b = await child(d, 'chat = Connection("chat", "b")\nprint(chat.recv(), flush=True)\nimport time; time.sleep(1000)');
    await until('it has heard', async () => (await d.logsText(b.id)) === 'hello\n');
    await d.post(`/v1/processes/${b.id}/kill`, undefined, { expect: 200 });
    exitedWith(await d.join(a.id), 0);
    assert.equal(await d.logsText(a.id), 'end of file\nbroken pipe\n');
  });

  daemonTest('row 38: a child sends through a pipe of one direction', async (d) => {
    await make(d, 'p', { duplex: false });
    const { id } = await child(d, `
reader, writer = Connection("p", "a"), Connection("p", "b")
for wrong in (lambda: reader.send("x"), writer.recv):
    try: wrong()
    except OSError as error: print(error)
writer.send("Hello World")
writer.close()`);
    assert.equal((await recv(d, 'p/a')).body.body, 'Hello World');
    problem(await recv(d, 'p/a'), 410, 'eof');
    problem(await d.call('POST', '/v1/pipes/p/a/send', { body: 1 }), 409, 'wrong_direction');
    exitedWith(await d.join(id), 0);
    assert.equal(await d.logsText(id), 'wrong_direction\nwrong_direction\n');
  });
});
