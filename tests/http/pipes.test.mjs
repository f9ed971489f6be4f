// Pipes: two ends, messages in order, and an end that goes with its owner.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { faults, problem, range } from '../lib/check.mjs';
import { liver, session } from '../lib/owners.mjs';
import { sleep, timed } from '../lib/wait.mjs';

const P = '/v1/pipes/p';
const make = (d, body = {}, where = P) => d.call('PUT', where, { body, expect: 201 });
const send = (client, end, body, { wait = 0, ...more } = {}) => client.call('POST', `${P}/${end}/send?wait=${wait}`, { body, ...more });
const recv = (client, end, { wait = 0, query = '', ...more } = {}) => client.call('POST', `${P}/${end}/recv?wait=${wait}${query}`, more);
const got = async (call) => { const answer = await call; assert.equal(answer.status, 200, `${answer}`); return answer.body; };
const sent = async (call) => (await got(call)).sequence;
const look = async (d, end, query = '') => (await d.get(`${P}/${end}${query}`)).body;
const close = (client, end) => client.call('POST', `${P}/${end}/close`);
const kill = (d, one) => d.post(`/v1/processes/${one.id}/kill`, undefined, { expect: 200 });
const text = (body, type = 'text/plain') => ({ raw: Buffer.from(body), headers: { 'Content-Type': type } });

suite('a pipe', () => {
  daemonTest('is made once, and again only the same', async (d) => {
    const made = await make(d);
    assert.deepEqual([made.body.name, made.body.kind, made.body.duplex, made.body.max_bytes, made.body.durable], ['p', 'pipe', true, 65536, true]);
    for (const end of ['a', 'b']) {
      assert.deepEqual(made.body.ends[end], { end, owner: null, hold: null, readable: false, writable: true, eof: false, closed: false,
        messages: 0, bytes: 0, sent: 0, receivers: 0, senders: 0, cause: null });
    }
    assert.deepEqual((await d.call('PUT', P, { body: { duplex: true }, expect: 200 })).body, made.body);
    assert.deepEqual(faults(problem(await d.call('PUT', P, { body: { duplex: false } }), 409, 'config_differs')), ['/duplex config_differs']);
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/pipes/q', { body: { duplex: 1, max_bytes: 0, max: 1 } }), 422)),
      ['/duplex invalid_value', '/max unknown_field', '/max_bytes invalid_value']);
    assert.deepEqual((await d.get('/v1/pipes')).body.items, [made.body]);
    await d.delete(P);
    problem(await d.call('GET', P), 404, 'not_found');
    problem(await send(d, 'a', 1), 404, 'not_found');
  });

  daemonTest('has the ends a and b and no other', async (d) => {
    await make(d);
    for (const end of ['c', 'A', 'ab', '%20']) {
      problem(await d.call('GET', `${P}/${end}`), 404, 'not_found');
      problem(await send(d, end, 1), 404, 'not_found');
      problem(await recv(d, end), 404, 'not_found');
      problem(await close(d, end), 404, 'not_found');
    }
    problem(await recv(d, 'a', { query: '&max_bytes=-1' }), 400, 'invalid_parameter');
    problem(await recv(d, 'a', { body: { max: 1 } }), 422, 'unknown_field');
    problem(await d.call('POST', `${P}/a/send?size=1`, { body: 1 }), 400, 'unknown_parameter');
  });

  daemonTest('gives at one end, in order, what was sent at the other', async (d) => {
    await make(d);
    for (const i of range(1, 5)) assert.equal(await sent(send(d, 'a', [i, null, 'x'])), i);
    assert.equal(await sent(send(d, 'b', 'back')), 1);
    for (const i of range(1, 5)) {
      const one = await got(recv(d, 'b'));
      assert.deepEqual([one.sequence, one.body, one.content_type], [i, [i, null, 'x'], 'application/json']);
    }
    assert.equal((await got(recv(d, 'a'))).body, 'back');
    problem(await recv(d, 'b'), 409, 'not_granted');
    const { seconds } = await timed(async () => problem(await recv(d, 'b', { wait: 0.2 }), 409, 'not_granted'));
    assert.ok(seconds >= 0.2);
  });

  daemonTest('keeps bytes and their content type, and gives them raw where they are asked for', async (d) => {
    await make(d);
    const bytes = Buffer.from([0, 255, 10, 13, 200]);
    const raw = { headers: { Accept: 'application/octet-stream' } };
    for (const round of [0, 1]) {
      await sent(send(d, 'a', undefined, { raw: bytes, headers: { 'Content-Type': 'image/x' } }));
      await sent(send(d, 'a', undefined, text('grüß')));
      await sent(send(d, 'a', undefined, text('not {json', 'application/json')));
      await sent(send(d, 'a', undefined, { raw: Buffer.alloc(0) }));
      if (round) await d.killServer();
      const accept = round ? raw : {};
      const [one, two, three, four] = [await recv(d, 'b', accept), await recv(d, 'b', accept), await recv(d, 'b', accept), await recv(d, 'b', accept)];
      if (round) {
        assert.deepEqual([one.bytes, one.type, one.headers['x-sequence']], [bytes, 'image/x', '5']);
        assert.match(one.headers['x-sent-at'], /^2.*Z$/);
        assert.deepEqual([two.bytes.toString(), two.type], ['grüß', 'text/plain']);
        assert.deepEqual([four.bytes.length, four.type], [0, 'application/octet-stream']);
      } else {
        assert.deepEqual([one.body.body_base64, one.body.content_type, one.body.body], [bytes.toString('base64'), 'image/x', undefined]);
        assert.deepEqual([two.body.body, three.body.body], ['grüß', 'not {json']);
        assert.deepEqual([four.body.body, four.body.size_bytes], ['', 0]);
      }
    }
    problem(await recv(d, 'b', { headers: { Accept: 'application/octet-stream;q=0, image/png' } }), 406, 'not_acceptable');
  });

  daemonTest('that is not duplex sends from b to a only', async (d) => {
    await make(d, { duplex: false });
    problem(await send(d, 'a', 1), 409, 'wrong_direction');
    problem(await recv(d, 'b'), 409, 'wrong_direction');
    problem(await d.call('GET', `${P}/b?wait=1`), 409, 'wrong_direction');
    await sent(send(d, 'b', 'Hello World'));
    const [a, b] = [await look(d, 'a'), await look(d, 'b')];
    assert.deepEqual([a.readable, a.writable, b.readable, b.writable], [true, false, false, true]);
    assert.equal((await got(recv(d, 'a'))).body, 'Hello World');
  });

  daemonTest('gives who waits the message at once, first come first served', async (d) => {
    await make(d);
    const order = [];
    const waiting = [];
    for (const i of range(0, 2)) {
      waiting.push(got(recv(d, 'b', { wait: 30 })).then((one) => order.push([i, one.body])));
      await until('it waits', async () => (await look(d, 'b')).receivers === i + 1);
    }
    for (const i of range(0, 2)) await sent(send(d, 'a', `m${i}`));
    await Promise.all(waiting);
    assert.deepEqual(order.sort(), [[0, 'm0'], [1, 'm1'], [2, 'm2']]);
  });

  daemonTest('keeps a message that is longer than max_bytes', async (d) => {
    await make(d);
    await sent(send(d, 'a', undefined, text('12345')));
    problem(await recv(d, 'b', { query: '&max_bytes=4' }), 413, 'payload_too_large');
    assert.equal((await got(recv(d, 'b', { query: '&max_bytes=5' }))).body, '12345');
    const small = recv(d, 'b', { wait: 30, query: '&max_bytes=2' });
    await until('it waits', async () => (await look(d, 'b')).receivers === 1);
    const large = recv(d, 'b', { wait: 30 });
    await until('both wait', async () => (await look(d, 'b')).receivers === 2);
    await sent(send(d, 'a', undefined, text('abc')));
    problem(await small, 413, 'payload_too_large');
    assert.equal((await got(large)).body, 'abc');
  });

  daemonTest('that is full lets senders wait, in order, and refuses who does not', async (d) => {
    await make(d, { max_bytes: 10 });
    await sent(send(d, 'a', undefined, text('1234567')));
    await sent(send(d, 'a', undefined, text('890')));
    const refused = await send(d, 'a', undefined, text('x'));
    problem(refused, 429, 'full');
    assert.equal(refused.headers['retry-after'], '1');
    problem(await send(d, 'a', undefined, { ...text('x'), wait: 0.1 }), 429, 'full');
    const first = send(d, 'a', undefined, { ...text('first that waits'), wait: 30 });
    await until('it waits', async () => (await look(d, 'a')).senders === 1);
    const second = send(d, 'a', undefined, { ...text('x'), wait: 30 });
    await until('both wait', async () => (await look(d, 'a')).senders === 2);
    assert.equal((await look(d, 'a')).writable, false);
    assert.equal((await got(recv(d, 'b'))).body, '1234567');
    assert.equal((await look(d, 'a')).senders, 2, 'the second does not overtake');
    assert.equal((await got(recv(d, 'b'))).body, '890');
    assert.equal(await sent(first), 3, 'larger than the limit, it goes in alone');
    assert.equal((await got(recv(d, 'b'))).body, 'first that waits');
    assert.equal(await sent(second), 4);
    assert.equal((await got(recv(d, 'b'))).sequence, 4);
    assert.equal((await look(d, 'b')).bytes, 0);
  });

  for (const how of ['runs out of time', 'closes its connection']) {
    daemonTest(`lets in what fits when a larger send in front of it ${how}`, async (d) => {
      await make(d, { max_bytes: 4 });
      await sent(send(d, 'a', undefined, text('12')));
      const leaver = d.as(d.token);
      const large = send(leaver, 'a', undefined, { ...text('345'), wait: how === 'runs out of time' ? 0.5 : 60 });
      large.catch(() => {});
      await until('it waits', async () => (await look(d, 'a')).senders === 1);
      const small = send(d, 'a', undefined, { ...text('6'), wait: 60 });
      await until('both wait', async () => (await look(d, 'a')).senders === 2);
      if (how === 'closes its connection') leaver.agent.destroy();
      assert.equal(await sent(small), 2);
      assert.equal((await look(d, 'b')).bytes, 3);
    });
  }

  daemonTest('holds 1024 messages and no more', async (d) => {
    await make(d);
    for (let i = 0; i < 1024; i += 64) await Promise.all(range(1, 64).map(() => sent(send(d, 'a', undefined, text('')))));
    problem(await send(d, 'a', undefined, text('')), 429, 'full');
    await d.killServer();
    assert.equal((await look(d, 'b')).messages, 1024);
    for (const i of range(1, 3)) assert.equal((await got(recv(d, 'b'))).sequence, i);
    await sent(send(d, 'a', undefined, text('')));
  });

  daemonTest('takes no message over the limit of payloads', { config: 'max_payload_bytes = 2048\n' }, async (d) => {
    await make(d);
    problem(await send(d, 'a', undefined, text('x'.repeat(2049))), 413, 'payload_too_large');
    problem(await send(d, 'a', undefined, text('x', `text/${'x'.repeat(300)}`)), 400, 'bad_request');
    assert.deepEqual([(await look(d, 'b')).messages, (await look(d, 'a')).owner], [0, null]);
    await sent(send(d, 'a', undefined, text('x'.repeat(2048))));
  });

  daemonTest('of large messages gives each as it was, also after a crash', async (d) => {
    await make(d);
    const large = Buffer.alloc(3 << 20, 'forkful ');
    await sent(send(d, 'a', undefined, { raw: large }));
    problem(await send(d, 'a', 1), 429, 'full');
    await sent(send(d, 'b', 'the other way is free'));
    await d.killServer();
    const one = await recv(d, 'b', { headers: { Accept: 'application/octet-stream' } });
    assert.ok(one.bytes.equals(large));
    assert.equal((await got(recv(d, 'a'))).body, 'the other way is free');
  });

  daemonTest('is looked at without any effect, and waited for until it is readable', async (d) => {
    await make(d);
    const one = await liver(d);
    const { seconds } = await timed(async () => assert.equal((await look(d, 'b', '?wait=0.2')).readable, false));
    assert.ok(seconds >= 0.2);
    const waits = one.client.call('GET', `${P}/b?wait=30`);
    await sent(send(d, 'a', 1));
    assert.deepEqual([(await waits).body.readable, (await waits).body.messages, (await waits).body.owner], [true, 1, null]);
    assert.equal((await look(d, 'b', '?wait=30')).readable, true);
    await got(recv(d, 'b'));
    const until_end = look(d, 'b', '?wait=30');
    await got(close(d, 'a'));
    const end = await until_end;
    assert.deepEqual([end.readable, end.eof, end.closed], [true, true, false]);
  });

  daemonTest('that is deleted tells everybody who waits', async (d) => {
    await make(d, { max_bytes: 1 });
    await sent(send(d, 'b', 1));
    const calls = [recv(d, 'b', { wait: 30 }), send(d, 'b', 2, { wait: 30 }), d.call('GET', `${P}/b?wait=30`)];
    await until('all wait', async () => { const b = await look(d, 'b'); return b.receivers === 1 && b.senders === 1; });
    await d.delete(P);
    for (const call of calls) problem(await call, 410, 'deleted');
  });

  daemonTest('asks for a live hold where If-Hold names one', async (d) => {
    await make(d);
    const guard = { headers: { 'If-Hold': 'h_01jd8m3q7v0x4t5k6n7p8q9r0s' } };
    problem(await send(d, 'a', 1, guard), 412, 'hold_ended');
    problem(await recv(d, 'b', guard), 412, 'hold_ended');
    problem(await d.call('POST', `${P}/a/close`, guard), 412, 'hold_ended');
    assert.deepEqual([(await look(d, 'a')).closed, (await look(d, 'b')).messages], [false, 0]);
  });
});

suite('an end of a pipe', () => {
  daemonTest('belongs to the first owner that uses it, and to nobody else', async (d) => {
    await make(d);
    const one = await liver(d);
    const other = await session(d);
    problem(await recv(one.client, 'b'), 409, 'not_granted');
    const [hold] = (await d.get('/v1/holds?resource=pipes/p')).body.items;
    assert.deepEqual([hold.kind, hold.owner, hold.expires_at], ['pipe_end', one.id, null]);
    assert.deepEqual([(await look(d, 'b')).owner, (await look(d, 'b')).hold, (await look(d, 'a')).owner], [one.id, hold.id, null]);
    for (const client of [d, other.client]) {
      problem(await recv(client, 'b'), 409, 'end_claimed');
      problem(await send(client, 'b', 1), 409, 'end_claimed');
      problem(await close(client, 'b'), 409, 'end_claimed');
    }
    await sent(send(d, 'a', 'of the admin'));
    assert.equal((await look(d, 'a')).owner, null, 'the admin uses it and does not get it');
    await sent(send(other.client, 'a', 'of the session'));
    problem(await send(d, 'a', 1), 409, 'end_claimed');
    assert.equal((await look(d, 'a')).owner, other.id);
    for (const body of ['of the admin', 'of the session']) assert.equal((await got(recv(one.client, 'b'))).body, body);
  });

  daemonTest('is not claimed by who goes the wrong way', async (d) => {
    await make(d, { duplex: false });
    const one = await liver(d);
    problem(await recv(one.client, 'b'), 409, 'wrong_direction');
    problem(await send(one.client, 'a', 1), 409, 'wrong_direction');
    assert.deepEqual((await d.get('/v1/holds?resource=pipes/p')).body.items, []);
  });

  daemonTest('that is closed lets the other drain, then tells the end', async (d) => {
    await make(d);
    const one = await liver(d);
    for (const i of range(1, 3)) await sent(send(one.client, 'a', i));
    await sent(send(d, 'b', 'nobody will receive this'));
    const closed = await got(close(one.client, 'a'));
    assert.deepEqual([closed.closed, closed.messages, closed.owner], [true, 0, null]);
    problem(await send(one.client, 'a', 1), 409, 'closed');
    problem(await recv(one.client, 'a'), 409, 'closed');
    for (const i of range(1, 3)) assert.equal((await got(recv(d, 'b'))).body, i);
    const eof = problem(await recv(d, 'b', { wait: 30 }), 410, 'eof');
    assert.deepEqual([eof.cause.ended, eof.cause.owner, eof.cause.exitcode], ['closed', one.id, null]);
    assert.equal(problem(await send(d, 'b', 1), 409, 'broken_pipe').cause.ended, 'closed');
    assert.equal((await look(d, 'b', '?wait=30')).readable, true, 'poll is true at the end of file');
    assert.equal((await got(close(one.client, 'a'))).closed, true, 'again: no effect');
    await got(close(d, 'b'));
    assert.equal((await look(d, 'b', '?wait=30')).closed, true);
  });

  daemonTest('that nobody had is closed without a cause', async (d) => {
    await make(d);
    await got(close(d, 'a'));
    assert.equal(problem(await recv(d, 'b'), 410, 'eof').cause, null);
    problem(await recv(d, 'a'), 409, 'closed');
    await d.killServer();
    assert.equal(problem(await send(d, 'b', 1), 409, 'broken_pipe').cause, null);
  });

  daemonTest('goes with its process, by kill -9 too, and all who wait are told at once', async (d) => {
    await make(d, { max_bytes: 3 });
    const one = await liver(d);
    const [reader, writer] = [await session(d), await session(d)];
    problem(await recv(one.client, 'b'), 409, 'not_granted');
    await sent(send(d, 'a', 123));
    const calls = [recv(d, 'a', { wait: 60 }), send(d, 'a', 4, { wait: 60 }), d.call('GET', `${P}/a?wait=60`)];
    await until('all wait', async () => { const a = await look(d, 'a'); return a.receivers === 1 && a.senders === 1; });
    const own = recv(one.client, 'b', { wait: 60, query: '&max_bytes=0' });
    problem(await own, 413, 'payload_too_large');
    await kill(d, one);
    const eof = problem(await calls[0], 410, 'eof');
    assert.deepEqual([eof.cause.ended, eof.cause.owner, eof.cause.exitcode], ['owner_ended', one.id, -9]);
    assert.equal(problem(await calls[1], 409, 'broken_pipe').cause.exitcode, -9);
    assert.deepEqual([(await calls[2]).body.readable, (await calls[2]).body.eof], [true, true]);
    assert.equal((await d.process(one.id)).exitcode, -9, 'who is told finds the exit recorded');
    problem(await recv(reader.client, 'b'), 409, 'closed');
    problem(await send(writer.client, 'a', 1), 409, 'broken_pipe');
  });

  daemonTest('of a process that has sent and gone is drained first', async (d) => {
    await make(d);
    const one = await liver(d);
    for (const i of range(1, 3)) await sent(send(one.client, 'b', { i }));
    await kill(d, one);
    await d.join(one.id);
    await d.killServer();
    for (const i of range(1, 3)) assert.deepEqual((await got(recv(d, 'a'))).body, { i });
    assert.equal(problem(await recv(d, 'a'), 410, 'eof').cause.exitcode, -9);
  });

  daemonTest('goes with its session', async (d) => {
    await make(d);
    const one = await session(d);
    const waits = recv(one.client, 'a', { wait: 60 });
    await until('it waits', async () => (await look(d, 'a')).receivers === 1);
    await d.delete(`/v1/sessions/${one.id}`);
    problem(await waits, 401, 'owner_ended');
    assert.deepEqual([problem(await recv(d, 'b'), 410, 'eof').cause.owner], [one.id]);
  });

  daemonTest('whose hold is broken by the admin is closed; released, it is the next one\'s', async (d) => {
    await make(d);
    const one = await liver(d);
    const other = await session(d);
    const waits = recv(one.client, 'a', { wait: 60 });
    await until('it waits', async () => (await look(d, 'a')).receivers === 1);
    const { hold } = await look(d, 'a');
    problem(await d.call('POST', `/v1/holds/${hold}/ack`), 422, 'invalid_value');
    await d.post(`/v1/holds/${hold}/release`, undefined, { expect: 200 });
    problem(await waits, 410, 'hold_ended');
    assert.equal((await look(d, 'a')).owner, null);
    await sent(send(d, 'b', 'for the next'));
    assert.equal((await got(recv(other.client, 'a'))).body, 'for the next');
    problem(await recv(one.client, 'a'), 409, 'end_claimed');
    await d.delete(`/v1/holds/${(await look(d, 'a')).hold}`);
    assert.equal(problem(await recv(d, 'b'), 410, 'eof').cause.ended, 'broken');
    problem(await recv(other.client, 'a'), 409, 'closed');
  });

  daemonTest('gives nothing to a client that is gone', async (d) => {
    await make(d, { max_bytes: 1 });
    for (const [end, field, call] of [['b', 'receivers', (client) => recv(client, 'b', { wait: 30 })],
      ['a', 'senders', (client) => send(client, 'a', 'lost', { wait: 30 })]]) {
      if (field === 'senders') await sent(send(d, 'a', 1));
      const client = d.as(d.token);
      call(client).catch(() => {});
      await until('it waits', async () => (await look(d, end))[field] === 1);
      client.close();
      await until('it does not any more', async () => (await look(d, end))[field] === 0);
      if (field === 'receivers') {
        await sent(send(d, 'a', 0));
        assert.equal((await got(recv(d, 'b'))).body, 0);
      }
    }
    assert.equal((await got(recv(d, 'b'))).body, 1);
    problem(await recv(d, 'b'), 409, 'not_granted');
  });

  daemonTest('keeps the message of a client that has gone before the server looked', async (d) => {
    await make(d);
    const { server_pid } = await d.system();
    for (const i of range(1, 10)) {
      const client = d.as(d.token);
      recv(client, 'b', { wait: 30 }).catch(() => {});
      await until('it waits', async () => (await look(d, 'b')).receivers === 1);
      process.kill(server_pid, 'SIGSTOP');
      client.close();
      const sending = send(d, 'a', i);
      await sleep(0.02);
      process.kill(server_pid, 'SIGCONT');
      await sent(sending);
      assert.equal((await got(recv(d, 'b', { wait: 5 }))).body, i);
    }
  });

  daemonTest('gives a repeat with the same Idempotency-Key the same message', async (d) => {
    await make(d);
    const key = { headers: { 'Idempotency-Key': 'one' } };
    for (const i of range(1, 2)) await sent(send(d, 'a', i));
    assert.equal((await got(recv(d, 'b', key))).body, 1);
    await d.killServer();
    assert.equal((await got(recv(d, 'b', key))).body, 1);
    assert.equal((await got(recv(d, 'b'))).body, 2);
  });
});

suite('a pipe and the end of the server', () => {
  daemonTest('nothing that was answered is lost, nothing that was received comes again', async (d) => {
    await make(d);
    const one = await liver(d);
    for (const i of range(1, 4)) await sent(send(one.client, 'a', i));
    assert.equal((await got(recv(d, 'b'))).body, 1);
    const before = (await d.get(P)).body;
    await d.killServer();
    assert.deepEqual((await d.get(P)).body, before);
    problem(await send(d, 'a', 1), 409, 'end_claimed');
    for (const i of range(2, 4)) assert.deepEqual((({ sequence, body }) => [sequence, body])(await got(recv(d, 'b'))), [i, i]);
    assert.equal(await sent(send(one.client, 'a', 5)), 5);
  });

  daemonTest('kill -9 while messages run: each answered one arrives once, in order', async (d) => {
    await make(d);
    const total = 150;
    const keyed = (i, what) => ({ patient: 60, expect: [200, 409, 429], headers: { 'Idempotency-Key': `${what}-${i}` } });
    const sending = (async () => {
      for (const i of range(1, total)) {
        const answer = await send(d, 'a', i, { wait: 5, ...keyed(i, 'send') });
        assert.equal(answer.status, 200);
      }
    })();
    const seen = [];
    const receiving = (async () => {
      for (let i = 0; seen.length < total; i += 1) {
        const answer = await recv(d, 'b', { wait: 1, ...keyed(i, 'recv') });
        if (answer.status === 200) seen.push(answer.body.body);
      }
    })();
    for (const part of [30, 70, 110]) {
      await until('some have come', () => seen.length >= part, { within: 60 });
      await d.killServer();
    }
    await Promise.all([sending, receiving]);
    assert.deepEqual(seen, range(1, total));
  });

  daemonTest('an owner that ends while no server runs closes its end', async (d) => {
    await make(d);
    const one = await liver(d);
    await sent(send(one.client, 'a', 'last words'));
    const { server_pid } = await d.system();
    process.kill(server_pid, 'SIGSTOP');
    process.kill(one.pid, 'SIGKILL');
    process.kill(server_pid, 'SIGKILL');
    await d.otherServer(server_pid);
    assert.equal((await got(recv(d, 'b', { wait: 10 }))).body, 'last words');
    const eof = problem(await recv(d, 'b', { wait: 10 }), 410, 'eof');
    assert.deepEqual([eof.cause.ended, eof.cause.exitcode], ['owner_ended', -9]);
    await d.killServer();
    assert.equal(problem(await send(d, 'b', 1), 409, 'broken_pipe').cause.exitcode, -9);
  });
});
