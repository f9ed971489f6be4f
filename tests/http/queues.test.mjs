// Queues: put, receive, lease, take, limits, order, waiting, closing.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { between, faults, problem, range } from '../lib/check.mjs';
import { now, sleep, timed } from '../lib/wait.mjs';

const MESSAGE_ID = /^m_[0-9a-hjkmnp-tv-z]{26}$/;

const make = async (d, name = 'q', config) => (await d.call('PUT', `/v1/queues/${name}`, { body: config, expect: 201 })).body;
const look = async (d, name = 'q') => (await d.get(`/v1/queues/${name}`)).body;
const put = (d, body, query = '', options = {}) => d.call('POST', `/v1/queues/q/messages${query}`, { body, expect: 201, ...options });
const receive = async (d, query = '', options = {}) => (await d.call('POST', `/v1/queues/q/receive${query}`, { expect: 200, ...options })).body.messages;
const bodies = (messages) => messages.map((one) => one.body);
const act = (d, hold, verb, body, options = {}) => d.call('POST', `/v1/holds/${hold}/${verb}`, { body, expect: 200, ...options });
const waiting = (d, key, count) => until(`${count} ${key}`, async () => (await look(d))[key] === count);
const session = async (d, ttl_seconds = 60) => (await d.post('/v1/sessions', { ttl_seconds }, { expect: 201 })).body;

suite('a queue', () => {
  daemonTest('is made once, found, listed and deleted', async (d) => {
    const made = await make(d);
    assert.deepEqual([made.max_messages, made.max_bytes, made.max_attempts, made.lease_seconds, made.durable], [0, 0, 0, null, true]);
    assert.equal((await d.call('PUT', '/v1/queues/q', { body: { max_messages: 0, durable: true }, expect: 200 })).body.created_at, made.created_at);
    assert.deepEqual(faults(problem(await d.call('PUT', '/v1/queues/q', { body: { max_messages: 3, lease_seconds: 2.5 } }), 409, 'config_differs')), ['/lease_seconds config_differs', '/max_messages config_differs']);
    await make(d, 'other', { durable: false, max_attempts: 4 });
    assert.deepEqual((await d.get('/v1/queues')).body.items.map((one) => one.name), ['q', 'other']);
    assert.equal((await d.call('PUT', '/v1/queues/q', { body: { max_messages: -1, lease_seconds: 0, colour: 1 } })).body.errors.length, 3);
    await d.delete('/v1/queues/q');
    problem(await d.call('GET', '/v1/queues/q'), 404, 'not_found');
    problem(await d.call('POST', '/v1/queues/q/receive'), 404, 'not_found');
  });

  daemonTest('gives back what was put: JSON as JSON, text as text, bytes as bytes', async (d) => {
    await make(d, 'q', { durable: false });
    const answer = await put(d, { deep: [1, null, 'ü'] });
    assert.match(answer.body.id, MESSAGE_ID);
    assert.equal(answer.headers.location, `/v1/queues/q/messages/${answer.body.id}`);
    await d.call('POST', '/v1/queues/q/messages', { raw: 'Grüße', headers: { 'Content-Type': 'text/plain; charset=utf-8' }, expect: 201 });
    await d.call('POST', '/v1/queues/q/messages', { raw: Buffer.from([0xff, 0, 1]), headers: { 'Content-Type': 'image/x' }, expect: 201 });
    await d.call('POST', '/v1/queues/q/messages', { raw: '{"no":json}', headers: { 'Content-Type': 'application/json' }, expect: 201 });
    await d.call('POST', '/v1/queues/q/messages', { raw: '', expect: 201 });
    const got = await receive(d, '?max=10');
    assert.equal(got[0].id, answer.body.id);
    assert.deepEqual(got.map((one) => [one.content_type, one.body ?? one.body_base64]), [
      ['application/json', { deep: [1, null, 'ü'] }], ['text/plain; charset=utf-8', 'Grüße'], ['image/x', '/wAB'],
      ['application/json', '{"no":json}'], [null, '']]);
    assert.deepEqual(got.map((one) => one.attempt), [1, 1, 1, 1, 1]);
    assert.ok(got.every((one, i) => i === 0 || one.fence > got[i - 1].fence));
  });

  daemonTest('gives the raw payload with the rest in headers, and 204 when there is none', async (d) => {
    await make(d);
    const bytes = Buffer.from(range(0, 255));
    const { body } = await d.call('POST', '/v1/queues/q/messages?priority=-7', { raw: bytes, headers: { 'Content-Type': 'image/png' }, expect: 201 });
    const raw = { headers: { Accept: 'application/octet-stream' } };
    const got = await d.call('POST', '/v1/queues/q/receive', { ...raw, expect: 200 });
    assert.deepEqual(got.bytes, bytes);
    assert.equal(got.type, 'image/png');
    assert.deepEqual(['x-message-id', 'x-attempt', 'x-priority'].map((name) => got.headers[name]), [body.id, '1', '-7']);
    await act(d, got.headers['x-hold'], 'ack');
    assert.equal((await d.call('POST', '/v1/queues/q/receive', raw)).status, 204);
    problem(await d.call('POST', '/v1/queues/q/receive?max=2', raw), 400, 'invalid_parameter');
    await put(d, 1);
    const taken = await d.call('POST', '/v1/queues/q/receive?mode=take', { ...raw, expect: 200 });
    assert.deepEqual([taken.text, taken.headers['x-hold']], ['1', undefined]);
  });

  daemonTest('counts what is in it, and what went through it', async (d) => {
    await make(d);
    for (const n of range(1, 4)) await put(d, n);
    await put(d, 5, '?delay=100');
    const [one, two] = await receive(d, '?max=2');
    await act(d, one.hold, 'ack');
    await act(d, two.hold, 'bury', { reason: 'no good' });
    await receive(d, '?mode=take');
    await receive(d);
    const state = await look(d);
    assert.deepEqual([state.ready, state.delayed, state.leased, state.buried, state.unfinished, state.bytes], [0, 1, 1, 1, 2, 3]);
    assert.deepEqual([state.put_total, state.acked_total, state.taken_total, state.waiters], [5, 1, 1, 0]);
    assert.ok(state.oldest_age_seconds >= 0 && state.oldest_age_seconds < 60);
    const { body } = await d.get(`/v1/queues/q/messages/${two.id}`);
    assert.deepEqual([body.state, body.reason, body.attempts[0].ended, body.body], ['buried', 'no good', 'buried', 2]);
    problem(await d.call('GET', `/v1/queues/q/messages/${one.id}`), 404, 'not_found');
  });

  daemonTest('is ordered by priority, then by age; what is given back keeps its place', async (d) => {
    await make(d);
    for (const [body, priority] of [['a', 0], ['b', 5], ['c', 0], ['d', -1], ['e', 5]]) await put(d, body, `?priority=${priority}`);
    const [first] = await receive(d);
    assert.equal(first.body, 'b');
    await act(d, first.hold, 'release');
    const all = await receive(d, '?max=10');
    assert.deepEqual(bodies(all), ['b', 'e', 'a', 'c', 'd']);
    for (const one of [all[4], all[0], all[2]]) await act(d, one.hold, 'release');
    const again = await receive(d, '?max=10');
    assert.deepEqual(bodies(again), ['b', 'a', 'd']);
    assert.deepEqual(again.map((one) => one.attempt), [3, 2, 2]);
  });

  daemonTest('takes a batch as a whole or not at all', async (d) => {
    await make(d, 'q', { max_messages: 4 });
    const answer = await d.post('/v1/queues/q/batch', { messages: [{ body: null }, { body: 'x', content_type: 'text/plain', priority: 9 }, { body_base64: '/wA=', delay: 2 }] }, { expect: 201 });
    assert.deepEqual(answer.body.messages.map((one) => one.state), ['ready', 'ready', 'delayed']);
    problem(await d.post('/v1/queues/q/batch', { messages: [{ body: 1 }, { body: 2 }] }), 429, 'full');
    problem(await d.post('/v1/queues/q/batch', { messages: range(1, 5).map((body) => ({ body })) }), 413, 'payload_too_large');
    const bad = await d.post('/v1/queues/q/batch', { messages: [{ body: 1, body_base64: '' }, {}, { body_base64: '?' }, { body: 1, content_type: 'text/plain' }, { body: 1 }] });
    assert.deepEqual(faults(problem(bad, 422, 'invalid_value')), ['/messages/0 invalid_value', '/messages/1 invalid_value', '/messages/2/body_base64 invalid_value', '/messages/3/body invalid_value']);
    problem(await d.post('/v1/queues/q/batch', { messages: [] }), 422);
    assert.equal((await look(d)).put_total, 3);
    const got = await receive(d, '?max=3');
    assert.deepEqual(got.map((one) => [one.body, one.content_type]), [['x', 'text/plain'], [null, 'application/json']]);
    const [late] = await receive(d, '?wait=10');
    assert.equal(late.body_base64, '/wA=');
  });

  daemonTest('tells all faults of a query at once', async (d) => {
    await make(d);
    assert.deepEqual(faults(problem(await d.call('POST', '/v1/queues/q/receive?max=0&mode=steal&lease=-1&x=1'), 400)), ['lease invalid_parameter', 'max invalid_parameter', 'mode invalid_parameter', 'x unknown_parameter']);
    assert.deepEqual(faults(problem(await d.call('POST', '/v1/queues/q/messages?priority=1.5&ttl=0&delay=x'), 400)), ['delay invalid_parameter', 'priority invalid_parameter', 'ttl invalid_parameter']);
    problem(await d.call('POST', '/v1/queues/q/receive?lease=0'), 400, 'invalid_parameter');
    problem(await d.call('GET', '/v1/queues/q/messages?state=lost'), 400, 'invalid_parameter');
    problem(await d.call('GET', '/v1/queues/q/messages/m_1'), 404, 'not_found');
    problem(await d.call('POST', '/v1/queues/q/messages', { body: 1, headers: { 'If-Hold': 'h_1' } }), 412, 'hold_ended');
  });
});

suite('a lease', () => {
  daemonTest('ends once: a second ack is 410 and tells how it ended', async (d) => {
    await make(d);
    await put(d, 1);
    const [{ hold }] = await receive(d);
    await act(d, hold, 'ack');
    const late = problem(await d.call('POST', `/v1/holds/${hold}/ack`), 410, 'hold_ended');
    assert.match(late.detail, /acked/);
    problem(await d.call('POST', '/v1/queues/q/messages', { body: 2, headers: { 'If-Hold': hold } }), 412, 'hold_ended');
  });

  daemonTest('of the bare token expires after 30 seconds, or as the queue or the call says', async (d) => {
    await make(d, 'q', { lease_seconds: 7 });
    await put(d, 1);
    const [one] = await receive(d);
    const length = async (hold) => { const { body } = await d.get(`/v1/holds/${hold}`); return between(body.granted_at, body.expires_at); };
    assert.equal(await length(one.hold), 7);
    await act(d, one.hold, 'release');
    const [two] = await receive(d, '?lease=0.3');
    assert.equal(await length(two.hold), 0.3);
    const [three] = await receive(d, '?wait=20');
    assert.equal(three.attempt, 3);
    const { body } = await d.get(`/v1/queues/q/messages/${three.id}`);
    assert.deepEqual(body.attempts.map((attempt) => attempt.ended), ['released', 'expired', null]);
  });

  daemonTest('of a process ends with it, and the exit code is told', async (d) => {
    await make(d);
    await put(d, 'work');
    const { id } = await d.sh('curl -sf -X POST -H "Authorization: Bearer $FORKFUL_TOKEN" "$FORKFUL_URL/v1/queues/q/receive?wait=20"; echo; exec sleep 1000');
    await waiting(d, 'leased', 1);
    const { items: [hold] } = (await d.get('/v1/holds?resource=queues/q')).body;
    assert.deepEqual([hold.owner, hold.expires_at], [id, null]);
    const { seconds, value } = await timed(async () => {
      const parked = receive(d, '?wait=20');
      await waiting(d, 'waiters', 1);
      await d.post(`/v1/processes/${id}/kill`, undefined, { expect: 200 });
      return (await parked)[0];
    });
    assert.ok(seconds < 10);
    assert.deepEqual([value.body, value.attempt], ['work', 2]);
    const [first] = (await d.get(`/v1/queues/q/messages/${value.id}`)).body.attempts;
    assert.deepEqual([first.owner, first.ended, first.exitcode, first.hold], [id, 'owner_ended', -9, hold.id]);
    const late = problem(await d.call('POST', `/v1/holds/${hold.id}/ack`), 410, 'hold_ended');
    assert.match(late.detail, new RegExp(id));
  });

  daemonTest('of a session ends with it', async (d) => {
    await make(d, 'q', { durable: false });
    const { token, id } = await session(d);
    await put(d, 1);
    const [one] = await receive(d, '', { token });
    await d.delete(`/v1/sessions/${id}`);
    const [two] = await receive(d, '?wait=10');
    assert.deepEqual([two.id, two.attempt], [one.id, 2]);
  });

  daemonTest('that is released with a delay comes back after it', async (d) => {
    await make(d);
    await put(d, 1);
    const [{ hold }] = await receive(d);
    const begun = now();
    await act(d, hold, 'release', { delay_seconds: 2 });
    assert.equal((await look(d)).delayed, 1);
    assert.deepEqual(await receive(d), []);
    assert.deepEqual(bodies(await receive(d, '?wait=20')), [1]);
    assert.ok(now() - begun > 1.99, `${now() - begun}`);
  });

  daemonTest('is renewed by touch', async (d) => {
    await make(d);
    await put(d, 1);
    const [{ hold }] = await receive(d, '?lease=2');
    for (const begun = now(); now() - begun < 2.6; await sleep(0.2)) await act(d, hold, 'touch');
    await act(d, hold, 'ack');
    assert.equal((await look(d)).acked_total, 1);
  });

  daemonTest('that was the last one allowed buries the message, and a kick makes it ready', async (d) => {
    await make(d, 'q', { max_attempts: 2 });
    const { body: { id } } = await put(d, 'poison');
    let last;
    for (const n of [1, 2]) {
      const { id: process } = await d.sh('curl -sf -X POST -H "Authorization: Bearer $FORKFUL_TOKEN" "$FORKFUL_URL/v1/queues/q/receive?wait=20"; exit 3');
      const ended = await d.join(process);
      assert.equal(ended.exitcode, 3);
      last = process;
      if (n === 1) assert.equal((await look(d)).ready, 1);
    }
    const { body } = await d.get(`/v1/queues/q/messages/${id}`);
    assert.deepEqual([body.state, body.reason, body.attempts.length], ['buried', 'max_attempts', 2]);
    assert.deepEqual([body.hold, body.owner, body.exitcode], [null, last, 3]);
    assert.deepEqual(body.attempts.map((one) => [one.number, one.ended, one.exitcode]), [[1, 'owner_ended', 3], [2, 'owner_ended', 3]]);
    assert.deepEqual((await d.get('/v1/changes?type=queue.message_buried')).body.items.map((one) => [one.ref, one.data.message]), [['q', id]]);
    assert.equal((await look(d)).unfinished, 0);
    assert.deepEqual((await d.post('/v1/queues/q/kick', { max: 5 }, { expect: 200 })).body, { kicked: 1 });
    const kicked = (await d.get(`/v1/queues/q/messages/${id}`)).body;
    assert.deepEqual([kicked.owner, kicked.exitcode, kicked.attempts.length], [null, null, 2]);
    assert.equal((await receive(d))[0].attempt, 1);
    assert.deepEqual((await d.post('/v1/queues/q/kick', undefined, { expect: 200 })).body, { kicked: 0 });
  });

  daemonTest('that the admin breaks gives the message to the next', async (d) => {
    await make(d);
    await put(d, 1);
    const [{ hold }] = await receive(d);
    await d.delete(`/v1/holds/${hold}`);
    assert.deepEqual((await receive(d)).map((one) => one.attempt), [2]);
  });
});

suite('receiving', () => {
  daemonTest('waits, first come first served, and takes what is there', async (d) => {
    await make(d);
    const order = [];
    const parked = [];
    for (const n of range(0, 3)) {
      parked.push(receive(d, '?wait=20&max=5').then((got) => { order.push(n); return got; }));
      await waiting(d, 'waiters', n + 1);
    }
    for (const n of range(0, 3)) {
      await put(d, n);
      assert.deepEqual(bodies(await parked[n]), [n]);
    }
    assert.deepEqual(order, [0, 1, 2, 3]);
    const { seconds, value } = await timed(() => receive(d, '?wait=0.3'));
    assert.deepEqual(value, []);
    assert.ok(seconds >= 0.3);
  });

  daemonTest('by a client that has gone gets nothing', async (d) => {
    for (const durable of [true, false]) {
      await make(d, 'q', { durable });
      const leave = new AbortController();
      const gone = d.call('POST', '/v1/queues/q/receive?wait=60&mode=take', { signal: leave.signal }).catch((error) => error.name);
      await waiting(d, 'waiters', 1);
      const stays = receive(d, '?wait=20');
      await waiting(d, 'waiters', 2);
      leave.abort();
      assert.equal(await gone, 'AbortError');
      await waiting(d, 'waiters', 1);
      await put(d, 'for who stays');
      assert.deepEqual(bodies(await stays), ['for who stays']);
      await d.delete('/v1/queues/q');
    }
  });

  daemonTest('is told when the queue is deleted, or its session ends', async (d) => {
    await make(d);
    const { token, id } = await session(d);
    const mine = d.call('POST', '/v1/queues/q/receive?wait=60', { token });
    const other = d.call('POST', '/v1/queues/q/receive?wait=60');
    const join = (async () => { await put(d, 1, '?delay=100'); return d.call('GET', '/v1/queues/q/join?wait=60'); })();
    await waiting(d, 'waiters', 2);
    await waiting(d, 'delayed', 1);
    await d.delete(`/v1/sessions/${id}`);
    problem(await mine, 401, 'owner_ended');
    await until('the join waits', async () => (await d.get('/v1/waits')).body.waits.length === 2);
    await d.delete('/v1/queues/q');
    problem(await other, 410, 'deleted');
    problem(await join, 410, 'deleted');
  });

  daemonTest('takes a message at most once, whoever asks', async (d) => {
    await make(d, 'q', { durable: false });
    await d.post('/v1/queues/q/batch', { messages: range(1, 300).map((body) => ({ body })) }, { expect: 201 });
    const got = (await Promise.all(range(1, 40).map(() => receive(d, '?mode=take&max=7')))).flat();
    const rest = await receive(d, '?mode=take&max=100');
    assert.deepEqual(bodies([...got, ...rest]).sort((a, b) => a - b), range(1, 300));
    assert.deepEqual([(await look(d)).taken_total, (await look(d)).unfinished], [300, 0]);
  });

  daemonTest('is one of the things to wait for', async (d) => {
    await make(d);
    const ready = d.post('/v1/wait?wait=20', { any: [{ queue: 'q' }] });
    await put(d, 1);
    assert.deepEqual((await ready).body.ready, [{ queue: 'q' }]);
    assert.deepEqual(bodies(await receive(d)), [1]);
    assert.deepEqual((await d.post('/v1/wait?wait=0', { any: [{ queue: 'q' }] })).body.ready, []);
  });
});

suite('a full queue', () => {
  daemonTest('answers 429, or lets wait, first come first served', async (d) => {
    for (const durable of [true, false]) {
      await make(d, 'q', { max_messages: 2, durable });
      await put(d, 1);
      await put(d, 2);
      const refused = await d.call('POST', '/v1/queues/q/messages', { body: 3 });
      problem(refused, 429, 'full');
      assert.ok(Number(refused.headers['retry-after']) >= 1);
      problem(await d.call('POST', '/v1/queues/q/messages?wait=0.2', { body: 3 }), 429, 'full');
      const parked = [];
      for (const n of [3, 4]) {
        parked.push(put(d, n, '?wait=20'));
        await waiting(d, 'putters', n - 2);
      }
      const leave = new AbortController();
      const gone = put(d, 'never', '?wait=60', { signal: leave.signal }).catch((error) => error.name);
      await waiting(d, 'putters', 3);
      leave.abort();
      await gone;
      await waiting(d, 'putters', 2);
      assert.deepEqual(bodies(await receive(d, '?mode=take')), [1]);
      await parked[0];
      assert.equal((await look(d)).putters, 1);
      assert.deepEqual(bodies(await receive(d)), [2]);
      await parked[1];
      assert.deepEqual(bodies(await receive(d, '?max=9')), [3, 4]);
      await d.delete('/v1/queues/q');
    }
  });

  daemonTest('counts bytes too, and what never fits is 413', async (d) => {
    await make(d, 'q', { max_bytes: 10 });
    const text = (raw) => d.call('POST', '/v1/queues/q/messages', { raw });
    assert.equal((await text('123456')).status, 201);
    problem(await text('12345'), 429, 'full');
    assert.equal((await text('1234')).status, 201);
    problem(await text('12345678901'), 413, 'payload_too_large');
  });

  daemonTest('of the daemon is 507, and gets room again', { config: 'queues.max_total_bytes = 1M\nmax_payload_bytes = 300K\n' }, async (d) => {
    await make(d, 'q', { durable: false });
    const raw = Buffer.alloc(250 * 1024);
    for (const n of range(1, 4)) await d.call('POST', '/v1/queues/q/messages', { raw, expect: 201, n });
    const refused = await d.call('POST', '/v1/queues/q/messages', { raw });
    problem(refused, 507, 'storage_full');
    problem(await d.call('POST', '/v1/queues/q/messages', { raw: Buffer.alloc(400 * 1024) }), 413, 'payload_too_large');
    await receive(d, '?mode=take');
    await d.call('POST', '/v1/queues/q/messages', { raw, expect: 201 });
    await d.delete('/v1/queues/q');
    await make(d, 'q', { durable: false });
    for (const n of range(1, 4)) await d.call('POST', '/v1/queues/q/messages', { raw, expect: 201, n });
  });
});

suite('time', () => {
  daemonTest('a delayed message waits, one whose time is over goes', async (d) => {
    await make(d);
    await put(d, 'late', '?delay=0.5');
    await put(d, 'short', '?ttl=0.4');
    await put(d, 'kept', '?ttl=100');
    await put(d, 'never', '?ttl=0.2&delay=50');
    assert.deepEqual([(await look(d)).ready, (await look(d)).delayed], [2, 2]);
    await until('two have expired', async () => (await look(d)).expired_total === 2);
    await waiting(d, 'ready', 2);
    assert.deepEqual(bodies(await receive(d, '?max=9')), ['late', 'kept']);
  });

  daemonTest('does not run out on a message that is leased', async (d) => {
    await make(d);
    await put(d, 1, '?ttl=0.3');
    const [one] = await receive(d);
    await sleep(0.5);
    assert.equal((await look(d)).leased, 1);
    await act(d, one.hold, 'release');
    assert.deepEqual([(await look(d)).ready, (await look(d)).expired_total], [0, 1]);
  });
});

suite('looking and cleaning up', () => {
  daemonTest('messages are listed in pages and by state, without an effect', async (d) => {
    await make(d);
    await d.post('/v1/queues/q/batch', { messages: range(1, 7).map((body) => ({ body, priority: body % 2 })) }, { expect: 201 });
    await receive(d, '?max=2');
    const list = async (query) => (await d.get(`/v1/queues/q/messages${query}`)).body;
    assert.deepEqual(bodies((await list('')).items), range(1, 7));
    assert.deepEqual((await list('?state=leased')).items.map((one) => [one.body, one.attempt]), [[1, 1], [3, 1]]);
    const first = await list('?state=ready,buried&limit=3');
    const rest = await list(`?state=ready,buried&limit=3&page_token=${first.next_page_token}`);
    assert.deepEqual(bodies([...first.items, ...rest.items]), [2, 4, 5, 6, 7]);
    assert.equal(rest.next_page_token, null);
    problem(await d.call('GET', `/v1/queues/q/messages?state=ready&page_token=${first.next_page_token}`), 400, 'invalid_page_token');
    assert.ok((await list('?state=ready')).items.every((one) => one.attempt === 0));
  });

  daemonTest('a large body is left out of a list', async (d) => {
    await make(d);
    await d.call('POST', '/v1/queues/q/messages', { raw: 'x'.repeat(70000), expect: 201 });
    const [item] = (await d.get('/v1/queues/q/messages')).body.items;
    assert.deepEqual([item.size_bytes, 'body' in item], [70000, false]);
    assert.equal((await d.get(`/v1/queues/q/messages/${item.id}`)).body.body.length, 70000);
  });

  daemonTest('a purge deletes by state, and breaks leases only when told', async (d) => {
    await make(d);
    for (const n of range(1, 4)) await put(d, n);
    await put(d, 5, '?delay=100');
    const [{ hold }] = await receive(d);
    const purge = async (query) => (await d.call('DELETE', `/v1/queues/q/messages${query}`, { expect: 200 })).body.purged;
    assert.equal(await purge('?state=delayed'), 1);
    assert.equal(await purge(''), 3);
    assert.equal((await look(d)).leased, 1);
    assert.equal(await purge('?state=leased'), 1);
    assert.equal((await d.get(`/v1/holds/${hold}`)).body.ended, 'broken');
    problem(await d.call('POST', `/v1/holds/${hold}/ack`), 410, 'hold_ended');
    assert.deepEqual([(await look(d)).unfinished, (await look(d)).bytes], [0, 0]);
  });
});

suite('the end', () => {
  daemonTest('join waits until nothing is unfinished', async (d) => {
    for (const durable of [true, false]) {
      await make(d, 'q', { durable });
      assert.equal((await d.get('/v1/queues/q/join')).body.unfinished, 0);
      await put(d, 1);
      await put(d, 2);
      assert.equal((await d.get('/v1/queues/q/join?wait=0.2')).body.unfinished, 2);
      const joined = d.get('/v1/queues/q/join?wait=20');
      for (const one of await receive(d, '?max=2')) await act(d, one.hold, 'ack');
      assert.equal((await joined).body.unfinished, 0);
      await d.delete('/v1/queues/q');
    }
  });

  daemonTest('a closed queue takes nothing, is drained, and then says so', async (d) => {
    await make(d, 'q', { max_messages: 2 });
    await put(d, 1);
    await put(d, 2);
    const putter = d.call('POST', '/v1/queues/q/messages?wait=60', { body: 3 });
    await waiting(d, 'putters', 1);
    assert.equal((await d.post('/v1/queues/q/close', undefined, { expect: 200 })).body.closed, true);
    problem(await putter, 409, 'closed');
    problem(await d.call('POST', '/v1/queues/q/messages', { body: 3 }), 409, 'closed');
    problem(await d.post('/v1/queues/q/batch', { messages: [{ body: 3 }] }), 409, 'closed');
    const [one, two] = await receive(d, '?max=2');
    const parked = range(1, 3).map(() => d.call('POST', '/v1/queues/q/receive?wait=60'));
    await waiting(d, 'waiters', 3);
    await act(d, one.hold, 'ack');
    await act(d, two.hold, 'release');
    const answers = await Promise.race(parked.map(async (call) => (await call).body));
    assert.deepEqual(bodies(answers.messages), [2]);
    await act(d, answers.messages[0].hold, 'ack');
    const statuses = (await Promise.all(parked)).map((answer) => answer.body.code ?? 'received').sort();
    assert.deepEqual(statuses, ['closed', 'closed', 'received']);
    problem(await d.call('POST', '/v1/queues/q/receive'), 410, 'closed');
    assert.deepEqual((await d.get('/v1/changes?type=queue.closed')).body.items.map((change) => change.ref), ['q']);
  });

  daemonTest('a queue that is closed at once drops what waits, and what comes back', async (d) => {
    await make(d);
    for (const n of range(1, 3)) await put(d, n);
    const [one] = await receive(d);
    await d.post('/v1/queues/q/close', { immediate: true }, { expect: 200 });
    assert.deepEqual([(await look(d)).ready, (await look(d)).leased], [0, 1]);
    problem(await d.call('POST', '/v1/queues/q/receive?wait=60'), 410, 'closed');
    assert.deepEqual((await d.post('/v1/wait', { any: [{ queue: 'q' }] }, { expect: 200 })).body.ready, [{ queue: 'q' }]);
    await act(d, one.hold, 'release');
    assert.equal((await look(d)).unfinished, 0);
    problem(await d.call('POST', '/v1/queues/q/receive'), 410, 'closed');
  });

  daemonTest('a queue that is closed at once tells who waits, though a message is still leased', async (d) => {
    await make(d);
    await put(d, 1);
    const [one] = await receive(d);
    const parked = [1, 2].map(() => d.call('POST', '/v1/queues/q/receive?wait=60'));
    await until('both wait', async () => (await look(d)).waiters === 2);
    const joining = d.get('/v1/queues/q/join?wait=60');
    await d.post('/v1/queues/q/close', undefined, { expect: 200 });
    assert.equal((await look(d)).waiters, 2, 'the message may come back');
    await d.post('/v1/queues/q/close', { immediate: true }, { expect: 200 });
    for (const answer of await Promise.all(parked)) problem(answer, 410, 'closed');
    await act(d, one.hold, 'ack');
    assert.equal((await joining).body.unfinished, 0);
  });

  daemonTest('a queue goes with its owner when it was made so', async (d) => {
    const { token, id } = await session(d);
    await d.call('PUT', '/v1/queues/q', { body: { lifetime: 'owner' }, token, expect: 201 });
    await put(d, 1);
    await d.delete(`/v1/sessions/${id}`);
    problem(await d.call('GET', '/v1/queues/q'), 404, 'not_found');
    problem(await d.call('PUT', '/v1/queues/q', { body: { lifetime: 'owner' } }), 422, 'invalid_value');
  });
});
