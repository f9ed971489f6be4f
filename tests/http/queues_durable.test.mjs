// What a queue keeps when its server is killed, or the whole daemon ends: durable ones all, memory queues their names.
import assert from 'node:assert/strict';
import { daemonTest, suite, until, PATIENCE } from '../lib/daemon.mjs';
import { problem, range } from '../lib/check.mjs';

const patient = PATIENCE;
const make = (d, name, config) => d.call('PUT', `/v1/queues/${name}`, { body: config, expect: 201 });
const look = async (d, name = 'q') => (await d.get(`/v1/queues/${name}`, { patient })).body;
const put = (d, body, query = '', options = {}) => d.call('POST', `/v1/queues/q/messages${query}`, { body, expect: 201, ...options });
const receive = async (d, query = '', options = {}) => (await d.call('POST', `/v1/queues/q/receive${query}`, { expect: 200, ...options })).body.messages;
const bodies = (messages) => messages.map((one) => one.body);

suite('a durable queue', () => {
  daemonTest('has all its messages after a kill of the server, in their order and states', async (d) => {
    await make(d, 'q', { max_attempts: 3 });
    await d.post('/v1/queues/q/batch', { messages: range(1, 50).map((body) => ({ body, priority: body % 3 })) }, { expect: 201 });
    await put(d, 'delayed', '?delay=1000');
    const [acked, buried, leased] = await receive(d, '?max=3&lease=1000');
    await d.call('POST', `/v1/holds/${acked.hold}/ack`, { expect: 200 });
    await d.call('POST', `/v1/holds/${buried.hold}/bury`, { body: { reason: 'bad' }, expect: 200 });
    const before = await look(d);
    const list = (await d.get('/v1/queues/q/messages?limit=500')).body.items;
    await d.killServer();
    const { oldest_age_seconds: _, ...after } = await look(d);
    const { oldest_age_seconds: __, ...same } = before;
    assert.deepEqual(after, same);
    assert.deepEqual((await d.get('/v1/queues/q/messages?limit=500')).body.items, list);
    await d.call('POST', `/v1/holds/${leased.hold}/ack`, { expect: 200 });
    problem(await d.call('POST', `/v1/holds/${acked.hold}/ack`), 410, 'hold_ended');
    const rest = await receive(d, '?max=100&mode=take');
    const expected = [2, 1, 0].flatMap((priority) => range(1, 50).filter((n) => n % 3 === priority)).slice(3);
    assert.deepEqual(bodies(rest), expected);
    await d.restart();
    assert.deepEqual([(await look(d)).ready, (await look(d)).delayed, (await look(d)).buried, (await look(d)).put_total], [0, 1, 1, 51]);
  });

  daemonTest('leaves a lease with the process that has it, over a kill of the server', async (d) => {
    await make(d, 'q');
    await put(d, 'work');
    const { id } = await d.sh(`H=$(curl -sf -X POST -H "Authorization: Bearer $FORKFUL_TOKEN" -H 'Accept: application/octet-stream' -D - -o /dev/null "$FORKFUL_URL/v1/queues/q/receive" | tr -d '\\r' | sed -n 's/^X-Hold: //ip')
      echo has $H; read go
      curl -s --retry 20 --retry-all-errors -o /dev/null -w '%{http_code}\\n' -X POST -H "Authorization: Bearer $FORKFUL_TOKEN" "$FORKFUL_URL/v1/holds/$H/ack"`, { stdin: 'pipe' });
    await until('it has the message', async () => (await d.logsText(id)).startsWith('has h_'));
    await d.killServer();
    assert.equal((await look(d)).leased, 1);
    assert.deepEqual(await receive(d), []);
    await d.call('POST', `/v1/processes/${id}/stdin`, { raw: '\n', expect: 202, patient });
    assert.equal((await d.join(id)).exitcode, 0);
    assert.match(await d.logsText(id), /\n200\n$/);
    assert.deepEqual([(await look(d)).acked_total, (await look(d)).unfinished], [1, 0]);
  });

  daemonTest('gives back what a process had that ended while no server ran', async (d) => {
    await make(d, 'q');
    await put(d, 'work');
    const { id, pid } = await d.sh('curl -sf -o /dev/null -X POST -H "Authorization: Bearer $FORKFUL_TOKEN" "$FORKFUL_URL/v1/queues/q/receive"; exec sleep 1000');
    await until('it is leased', async () => (await look(d)).leased === 1);
    const old = await d.killServer({ wait: false });
    process.kill(pid, 'SIGKILL');
    await d.otherServer(old);
    const [again] = await until('it is back', async () => { const got = await receive(d, '?wait=5'); return got.length && got; });
    const [first] = (await d.get(`/v1/queues/q/messages/${again.id}`)).body.attempts;
    assert.deepEqual([again.attempt, first.owner, first.ended, first.exitcode], [2, id, 'owner_ended', -9]);
  });

  daemonTest('loses nothing that was answered, whenever the server is killed, and doubles nothing', { seconds: 120 }, async (d) => {
    await make(d, 'q');
    const answered = [];
    const tried = [];
    let stop = false;
    const producer = async (n) => {
      for (let i = 0; !stop; i += 1) {
        const body = `${n}-${i}`;
        tried.push(body);
        try {
          const { status } = await d.call('POST', '/v1/queues/q/messages', { body });
          if (status === 201) answered.push(body);
        } catch (error) { if (error.final || error.code === 'ERR_ASSERTION') throw error; }
      }
    };
    const producers = range(1, 6).map(producer);
    for (const n of [1, 2, 3]) {
      const goal = answered.length + 60 * n;
      await until('some were put', () => answered.length >= goal);
      await d.killServer();
    }
    stop = true;
    await Promise.all(producers);
    const got = [];
    for (;;) {
      const messages = await receive(d, '?mode=take&max=1000', { patient });
      if (messages.length === 0) break;
      got.push(...bodies(messages));
    }
    assert.equal(new Set(got).size, got.length, 'each once');
    const there = new Set(got);
    assert.deepEqual(answered.filter((one) => !there.has(one)), []);
    const known = new Set(tried);
    assert.deepEqual(got.filter((one) => !known.has(one)), []);
  });

  daemonTest('stays closed, and its delays and times to live go on', async (d) => {
    await make(d, 'q');
    await make(d, 'closed');
    await d.post('/v1/queues/closed/close', undefined, { expect: 200 });
    await put(d, 'late', '?delay=0.5');
    await put(d, 'short', '?ttl=0.5');
    await d.killServer();
    problem(await d.call('POST', '/v1/queues/closed/messages', { body: 1 }), 409, 'closed');
    problem(await d.call('POST', '/v1/queues/closed/receive'), 410, 'closed');
    assert.deepEqual(bodies(await until('the delay is over', async () => { const got = await receive(d, '?wait=5&mode=take'); return bodies(got).includes('late') && got; })), ['late']);
    await until('the other has expired', async () => { const state = await look(d); return state.expired_total + state.taken_total === 2; });
  });

  daemonTest('takes a receive with an Idempotency-Key once: a repeat gets the same lease', async (d) => {
    await make(d, 'q');
    await put(d, 1);
    await put(d, 2);
    const headers = { 'Idempotency-Key': 'one' };
    const first = await receive(d, '?lease=1000', { headers });
    await d.killServer();
    assert.deepEqual(await receive(d, '?lease=1000', { headers, patient }), first);
    assert.deepEqual([(await look(d)).leased, (await look(d)).ready], [1, 1]);
    await d.call('POST', `/v1/holds/${first[0].hold}/ack`, { expect: 200 });
  });

  daemonTest('takes a put with an Idempotency-Key once', async (d) => {
    await make(d, 'q');
    const headers = { 'Idempotency-Key': 'one' };
    const first = await put(d, 1, '', { headers });
    const again = await put(d, 1, '', { headers });
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.deepEqual(again.body, first.body);
    assert.equal((await look(d)).put_total, 1);
  });
});

suite('a queue in memory', () => {
  daemonTest('is there and empty after a kill of the server', async (d) => {
    await make(d, 'q', { durable: false, max_messages: 5 });
    await put(d, 1);
    await put(d, 2);
    const [{ hold }] = await receive(d);
    await d.killServer();
    const state = await look(d);
    assert.deepEqual([state.max_messages, state.durable, state.ready, state.leased, state.bytes], [5, false, 0, 0, 0]);
    problem(await d.call('POST', `/v1/holds/${hold}/ack`), 404, 'not_found');
    await put(d, 3);
    assert.deepEqual(bodies(await receive(d)), [3]);
  });
});
