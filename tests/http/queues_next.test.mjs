// Who is next at a queue when something in front of him goes away: the first in the queue's order, and whoever fits.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';

const make = (d, config) => d.call('PUT', '/v1/queues/q', { body: config, expect: 201 });
const put = (d, body, query = '') => d.call('POST', `/v1/queues/q/messages${query}`, { body, expect: 201 });
const receive = async (d, query = '', options = {}) => (await d.call('POST', `/v1/queues/q/receive${query}`, { expect: 200, ...options })).body.messages;
const bodies = (messages) => messages.map((one) => one.body);
const look = async (d) => (await d.get('/v1/queues/q')).body;
const waiting = (d, key, count) => until(`${count} ${key}`, async () => (await look(d))[key] === count);
const session = async (d) => (await d.post('/v1/sessions', { ttl_seconds: 60 }, { expect: 201 })).body;

suite('next is whom it fits:', () => {
  daemonTest('several leases that end with their owner give who waits the first message, not the last that came back', async (d) => {
    await make(d, {});
    for (const [body, priority] of [['a', 0], ['b', 0], ['first', 5], ['c', 0]]) await put(d, body, `?priority=${priority}`);
    const { token, id } = await session(d);
    await receive(d, '?max=4', { token });
    const parked = [receive(d, '?wait=20')];
    await waiting(d, 'waiters', 1);
    parked.push(receive(d, '?wait=20&max=2'));
    await waiting(d, 'waiters', 2);
    await d.delete(`/v1/sessions/${id}`);
    assert.deepEqual([bodies(await parked[0]), bodies(await parked[1])], [['first'], ['a', 'b']]);
    assert.equal((await look(d)).ready, 1);
  });

  for (const [how, give_up] of [['runs out of time', null], ['closes its connection', (d, one, leave) => leave.abort()],
    ['loses its owner', (d, one) => d.delete(`/v1/sessions/${one.id}`)]]) {
    daemonTest(`a put that fits goes in when a larger one in front of it ${how}`, async (d) => {
      await make(d, { max_messages: 3 });
      await put(d, 1);
      await put(d, 2);
      const owner = await session(d);
      const leave = new AbortController();
      const large = d.call('POST', `/v1/queues/q/batch?wait=${give_up ? 60 : 0.5}`, { body: { messages: [{ body: 3 }, { body: 4 }] }, token: owner.token, signal: leave.signal });
      large.catch(() => {});
      await waiting(d, 'putters', 1);
      const small = put(d, 5, '?wait=60');
      await waiting(d, 'putters', 2);
      if (give_up) await give_up(d, owner, leave);
      assert.equal((await small).status, 201);
      assert.deepEqual(bodies(await receive(d, '?max=9')), [1, 2, 5]);
    });
  }
});
