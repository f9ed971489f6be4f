// Following output: history and what comes next from one cursor, in every form, over every interruption.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { daemonTest, suite, soon, until } from '../lib/daemon.mjs';
import { lineBytes, range, texts } from '../lib/check.mjs';
import { exchange, head } from '../lib/raw.mjs';
import { take } from '../lib/streams.mjs';
import { timed } from '../lib/wait.mjs';

const logs = (id, query = '') => `/v1/processes/${id}/logs${query}`;
/** Writes `count` numbered lines in bursts, with pauses, so that a follower is now behind and now waiting. */
const burst = (count, pause = 0.002) => `
import sys, time
for i in range(1, ${count + 1}):
    sys.stdout.write("line %d\\n" % i)
    if i % 97 == 0: sys.stdout.flush(); time.sleep(${pause})`;
const wanted = (count) => range(1, count).map((i) => `line ${i}`);

suite('following', () => {
  daemonTest('as NDJSON from the start gives every line once, and ends with the process', async (d) => {
    const { id } = await d.python(burst(20000));
    const stream = await d.stream(logs(id, '?follow=true'), { accept: 'application/x-ndjson' });
    assert.match(stream.headers['content-type'], /^application\/x-ndjson/);
    const items = await soon(take(stream.records()), 'the stream ends', 60);
    assert.deepEqual(items.map((one) => one.seq), range(1, 20000));
    assert.deepEqual(texts(items), wanted(20000));
  });

  daemonTest('as an event stream gives line events with ids and at last end', async (d) => {
    const { id } = await d.python(burst(5000));
    const stream = await d.stream(logs(id), { accept: 'text/event-stream' });
    const events = await soon(take(stream.events()), 'the stream ends', 60);
    assert.equal(events.at(-1).event, 'end');
    const lines = events.slice(0, -1);
    assert.ok(lines.every((one) => one.event === 'line' && one.id === String(one.data.seq)));
    assert.deepEqual(lines.map((one) => one.data.text), wanted(5000));
  });

  daemonTest('as raw bytes gives every byte once', async (d) => {
    const { id } = await d.python(burst(20000));
    const stream = await d.stream(logs(id, '?follow=true'), { accept: 'application/octet-stream' });
    const bytes = await soon(stream.bytes(), 'the stream ends', 60);
    assert.equal(bytes.toString(), `${wanted(20000).join('\n')}\n`);
  });

  daemonTest('begun at any moment has neither hole nor repeat', async (d) => {
    const { id } = await d.python(burst(20000, 0.004));
    const followers = [];
    for (let i = 0; i < 12; i += 1) {
      await until('it goes on', async () => (await d.process(id)).output.stdout_bytes > i * 8000);
      const accept = ['application/x-ndjson', 'text/event-stream', 'text/plain'][i % 3];
      followers.push(d.stream(logs(id, '?follow=true'), { accept }).then(async (stream) => {
        if (i % 3 === 0) return texts(await take(stream.records()));
        if (i % 3 === 1) return (await take(stream.events())).slice(0, -1).map((one) => one.data.text);
        return (await stream.bytes()).toString().trimEnd().split('\n');
      }));
    }
    for (const got of await soon(Promise.all(followers), 'all streams end', 60)) assert.deepEqual(got, wanted(20000));
  });

  daemonTest('gives a line as soon as it is written', async (d) => {
    const { id } = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
    const stream = await d.stream(logs(id, '?follow=true'), { accept: 'application/x-ndjson' });
    const records = stream.records();
    for (let i = 1; i <= 20; i += 1) {
      await d.call('POST', `/v1/processes/${id}/stdin`, { raw: `line ${i}\n`, expect: 202 });
      assert.equal((await soon(records.next(), 'the line comes')).value.text, `line ${i}`);
    }
    stream.close();
  });

  daemonTest('raw gives an unfinished line too', async (d) => {
    const { id } = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
    const stream = await d.stream(logs(id, '?follow=true'), { accept: 'text/plain' });
    const pieces = stream.pieces();
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: 'password: ', expect: 202 });
    assert.equal((await soon(pieces.next(), 'the piece comes')).value.toString(), 'password: ');
    stream.close();
  });

  daemonTest('with filters gives what fits them, old and new', async (d) => {
    const { id } = await d.sh('echo keep 1; echo drop 1; read x; echo keep 2; echo drop 2; echo keep 3 >&2', { stdin: 'pipe' });
    const stream = await d.stream(logs(id, '?follow=true&grep=keep&stream=stdout'), { accept: 'application/x-ndjson' });
    const records = stream.records();
    assert.equal((await soon(records.next())).value.text, 'keep 1');
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    assert.equal((await soon(records.next())).value.text, 'keep 2');
    assert.equal((await soon(records.next())).done, true);
  });

  daemonTest('with tail begins with the last lines, with tail 0 with what comes next', async (d) => {
    const { id } = await d.sh('for i in 1 2 3 4 5; do echo $i; done; read x; echo 6; read x', { stdin: 'pipe' });
    await d.get(logs(id, '?after=4&wait=30'), { headers: { Accept: 'application/json' } });
    const last_two = (await d.stream(logs(id, '?follow=true&tail=2'), { accept: 'application/x-ndjson' })).records();
    assert.deepEqual([(await soon(last_two.next())).value.text, (await soon(last_two.next())).value.text], ['4', '5']);
    const new_ones = (await d.stream(logs(id, '?follow=true&tail=0'), { accept: 'application/x-ndjson' })).records();
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    for (const one of [last_two, new_ones]) assert.equal((await soon(one.next())).value.text, '6');
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202 });
    for (const one of [last_two, new_ones]) assert.equal((await soon(one.next())).done, true);
  });

  daemonTest('a process that waits in created begins with its start', async (d) => {
    const { id } = await d.spawn({ shell: 'echo begun', start: false });
    const records = (await d.stream(logs(id, '?follow=true'), { accept: 'application/x-ndjson' })).records();
    const first = records.next();
    await d.post(`/v1/processes/${id}/start`, undefined, { expect: 200 });
    assert.equal((await soon(first)).value.text, 'begun');
    assert.equal((await soon(records.next())).done, true);
  });

  daemonTest('an ended process gives all and ends at once', async (d) => {
    const { id } = await d.run({ shell: 'echo one; echo two' });
    for (const [accept, read] of [['application/x-ndjson', async (s) => texts(await take(s.records()))],
      ['text/event-stream', async (s) => (await take(s.events())).filter((one) => one.event === 'line').map((one) => one.data.text)],
      ['text/plain', async (s) => (await s.bytes()).toString().trimEnd().split('\n')]]) {
      assert.deepEqual(await soon(read(await d.stream(logs(id, '?follow=true'), { accept }))), ['one', 'two']);
    }
  });

  daemonTest('with JSON is 400', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    assert.equal((await d.call('GET', logs(id, '?follow=true'), { headers: { Accept: 'application/json' } })).status, 400);
  });

  daemonTest('without follow NDJSON ends with what is there', async (d) => {
    const { id } = await d.sh('echo one; echo two; exec sleep 1000');
    await d.get(logs(id, '?after=1&wait=30'), { headers: { Accept: 'application/json' } });
    assert.deepEqual(texts(await soon(take((await d.stream(logs(id), { accept: 'application/x-ndjson' })).records()))), ['one', 'two']);
  });
});

suite('coming back', () => {
  daemonTest('with Last-Event-ID goes on behind that line', async (d) => {
    const { id } = await d.python(burst(6000, 0.004));
    const got = [];
    let last = null;
    for (let ended = false; !ended;) {
      const stream = await d.stream(logs(id), { accept: 'text/event-stream', headers: last === null ? {} : { 'Last-Event-ID': last } });
      for (const one of await soon(take(stream.events(), 700), 'the stream goes on')) {
        if (one.event === 'end') ended = true;
        else { got.push(one.data.text); last = one.id; }
      }
    }
    assert.deepEqual(got, wanted(6000));
  });

  daemonTest('with after goes on behind that line, and Last-Event-ID wins over it', async (d) => {
    const { id } = await d.python(burst(100));
    await d.join(id);
    const from = async (query, headers) => (await take((await d.stream(logs(id, query), { accept: 'text/event-stream', headers })).events(), 1))[0].data.seq;
    assert.equal(await from('?after=40'), 41);
    assert.equal(await from('?after=40', { 'Last-Event-ID': '70' }), 71);
  });

  daemonTest('over killed servers has every line once', async (d) => {
    const { id } = await d.python(burst(8000, 0.02));
    const got = [];
    let last = null;
    let done = false;
    const follower = (async () => {
      while (!done) {
        try {
          const stream = await d.stream(logs(id), { accept: 'text/event-stream', headers: last === null ? {} : { 'Last-Event-ID': last } });
          for await (const one of stream.events()) {
            if (one.event === 'end') { done = true; break; }
            got.push(one.data.text);
            last = one.id;
          }
        } catch { await d.system({ patient: 30 }); }
      }
    })();
    for (let i = 0; i < 4; i += 1) {
      await until('it goes on', () => got.length > i * 1000 || done);
      await d.killServer();
    }
    await soon(follower, 'the follower has all', 60);
    assert.deepEqual(got, wanted(8000));
  });
});

suite('slow and gone clients', () => {
  daemonTest('until a time ends then, whether anything comes or not', async (d) => {
    const quiet = await d.sh('exec sleep 1000');
    const one = await d.sh('echo one; exec sleep 1000');
    const many = await d.sh('while :; do echo one; sleep 0.02; done');
    for (const [{ id }, accept] of [[one, 'application/x-ndjson'], [one, 'text/plain'], [one, 'text/event-stream'], [many, 'text/plain'],
      [many, 'application/x-ndjson'], [quiet, 'text/plain'], [quiet, 'application/x-ndjson']]) {
      const at = new Date(Date.now() + 1500).toISOString();
      const { seconds } = await timed(async () => {
        const stream = await d.stream(`/v1/processes/${id}/logs?follow=true&until=${encodeURIComponent(at)}`, { accept });
        assert.equal((await stream.bytes()).includes('one'), id !== quiet.id);
      });
      assert.ok(seconds > 1 && seconds < 10, `${accept}: ${seconds}`);
    }
  });

  daemonTest('a stream that cannot be read on breaks off instead of ending', { env: { FORKFUL_FAIL: 'log_read:EIO:3' } }, async (d) => {
    const { id } = await d.run({ argv: ['echo', 'x'] });
    for (const accept of ['application/x-ndjson', 'text/event-stream', 'text/plain']) {
      const stream = await d.stream(logs(id), { accept });
      await assert.rejects(stream.bytes(), { code: 'ECONNRESET' });
    }
    assert.equal(await d.logsText(id), 'x\n');
    assert.match(d.stderr, /the database cannot be read/);
  });

  daemonTest('a client that is gone before its stream begins leaves nothing behind', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const { server_pid } = await d.system();
    const fds = () => readdirSync(`/proc/${server_pid}/fd`).length;
    const before = fds();
    // After the first call, which parks, the close is watched for. The second one comes in one segment with it.
    const client = await d.python(`
import os, socket, urllib.parse
at = urllib.parse.urlparse(os.environ["FORKFUL_URL"])
def get(s, path):
    s.sendall(("GET /v1/processes/${id}/%s HTTP/1.1\\r\\nHost: %s\\r\\nAuthorization: Bearer %s\\r\\n\\r\\n"
               % (path, at.netloc, os.environ["FORKFUL_TOKEN"])).encode())
kept = []
for _ in range(20):
    s = socket.create_connection((at.hostname, at.port))
    kept.append(s)
    get(s, "join?wait=0.01")
    s.recv(65536)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    get(s, "logs?follow=true")
    s.shutdown(socket.SHUT_WR)
for s in kept:
    while s.recv(65536): pass`);
    assert.equal((await d.join(client.id)).exitcode, 0);
    await until('their connections are closed', () => fds() <= before);
  });

  daemonTest('a client that does not read delays nobody and loses nothing', async (d) => {
    const { id } = await d.python('import sys\nfor i in range(1, 400001): sys.stdout.write("line %d\\n" % i)');
    const slow = await d.stream(logs(id, '?follow=true'), { accept: 'application/octet-stream' });
    assert.equal((await d.join(id)).exitcode, 0);
    for (let i = 0; i < 20; i += 1) await d.system();
    const bytes = await soon(slow.bytes(), 'the slow client gets all', 60);
    assert.equal(bytes.toString(), `${wanted(400000).join('\n')}\n`);
  });

  daemonTest('followers that go away leave nothing behind, whether there is output or none', async (d) => {
    const busy = await d.sh('while :; do echo tick; sleep 0.01; done');
    const quiet = await d.spawn({ argv: ['sleep', '1000'] });
    const { server_pid } = await d.system();
    const fds = () => readdirSync(`/proc/${server_pid}/fd`).length;
    const before = fds();
    for (const { id } of [busy, quiet]) {
      const streams = await Promise.all(Array.from({ length: 30 }, (_, i) => d.stream(logs(id, '?follow=true'), { accept: ['application/x-ndjson', 'text/event-stream', 'text/plain'][i % 3] })));
      assert.ok(fds() >= before + 30);
      for (const one of streams) one.close();
      await until('their connections are closed', () => fds() <= before);
    }
  });

  daemonTest('followers that speak HTTP/1.0 get all to the end of the connection, and leave nothing behind', async (d) => {
    const living = await d.sh('echo first; read x; echo last', { stdin: 'pipe' });
    const { server_pid } = await d.system();
    const fds = () => readdirSync(`/proc/${server_pid}/fd`).length;
    const before = fds();
    const request = head(d, `GET ${logs(living.id, '?follow=true')}`).replace('HTTP/1.1', 'HTTP/1.0');
    const readers = Array.from({ length: 10 }, () => exchange(d, request));
    await until('all are there', () => fds() >= before + 10);
    await d.call('POST', `/v1/processes/${living.id}/stdin`, { raw: '\n', expect: 202 });
    for (const one of await Promise.all(readers)) assert.deepEqual([one.status, one.text], [200, 'first\nlast\n']);
    await until('their connections are closed', () => fds() <= before);
  });

  daemonTest('lines of bytes that are no text come as base64', async (d) => {
    const { id } = await d.run({ argv: ['printf', '\\377\\n'] });
    const [one] = await take((await d.stream(logs(id), { accept: 'text/event-stream' })).events(), 1);
    assert.ok(lineBytes(one.data).equals(Buffer.from([0xff])));
  });
});
