// Who closes his connection while his call is parked gets nothing: no message, no lock, no place. What he waited
// for goes to the next who asks, at once, also when the close and the grant meet.
import assert from 'node:assert/strict';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { random } from '../lib/load.mjs';
import { session } from '../lib/owners.mjs';
import { asking, LISTENERS } from '../lib/parked.mjs';
import { sleep } from '../lib/wait.mjs';

const RACES = 200;

const look = async (d, where) => (await d.get(where)).body;
const post = async (d, where, body, expect = 200) => (await d.call('POST', where, { body, expect })).body;
const release = (d, hold) => post(d, `/v1/holds/${hold}/release`);

/** A queue whose receivers lease or take. */
const receiving = (mode, durable) => ({
  what: `${mode === 'take' ? 'a take' : 'a lease'} from a queue${durable ? '' : ' in memory'}`,
  setup: (d) => d.call('PUT', '/v1/queues/q', { body: { durable }, expect: 201 }),
  ask: () => ({ path: `/v1/queues/q/receive?wait=60&mode=${mode}` }),
  waiters: async (d) => (await look(d, '/v1/queues/q')).waiters,
  grant: (d, n) => post(d, '/v1/queues/q/messages', { n }, 201),
  async next(d, n) {
    const { messages: [message] } = await post(d, '/v1/queues/q/receive?wait=10');
    assert.deepEqual([message?.body, message?.attempt], [{ n }, 1]);
    await post(d, `/v1/holds/${message.hold}/ack`);
  },
  /** Either the message is there, or it is leased to the one who has left, or taken. */
  async settled(d, left) {
    const { ready, leased, taken_total: taken, put_total: put, acked_total: acked } = await look(d, '/v1/queues/q');
    assert.equal(ready + leased + taken + acked, put, 'none is lost');
    await left();
    await until('what was leased is back', async () => (await look(d, '/v1/queues/q')).leased === 0);
    const { messages } = await post(d, '/v1/queues/q/receive');
    assert.equal(messages.length, mode === 'take' ? ready : 1);
    for (const { hold } of messages) await post(d, `/v1/holds/${hold}/ack`);
  },
});

const permits = (kind, body) => ({
  what: `an acquire of a ${kind}`,
  async setup(d) {
    await d.call('PUT', `/v1/${kind}s/o`, { body, expect: 201 });
    this.held = (await post(d, `/v1/${kind}s/o/acquire`, { ttl_seconds: 600 })).id;
  },
  ask: () => ({ path: `/v1/${kind}s/o/acquire?wait=60`, body: {} }),
  waiters: async (d) => (await look(d, `/v1/${kind}s/o`)).waiters,
  grant(d) { return release(d, this.held); },
  async next(d) { this.held = (await post(d, `/v1/${kind}s/o/acquire?wait=10`, { ttl_seconds: 600 })).id; },
  async settled(d, left) {
    await left();
    await this.next(d);
  },
});

const barrier = {
  what: 'a place in a barrier',
  setup: (d) => d.call('PUT', '/v1/barriers/b', { body: { parties: 2 }, expect: 201 }),
  ask: () => ({ path: '/v1/barriers/b/wait?wait=60' }),
  waiters: async (d) => (await look(d, '/v1/barriers/b')).n_waiting,
  grant: (d) => d.call('POST', '/v1/barriers/b/wait?wait=0'),
  async next(d) {
    assert.equal((await this.granted).status, 409, 'nobody was there to pass with');
    const both = [d.call('POST', '/v1/barriers/b/wait?wait=10'), d.call('POST', '/v1/barriers/b/wait?wait=10')];
    assert.deepEqual((await Promise.all(both)).map((one) => one.body.index).sort(), [0, 1]);
  },
  async settled(d, left) {
    await until('nobody has a place', async () => (await look(d, '/v1/barriers/b')).n_waiting === 0);
    await left();
    assert.equal((await look(d, '/v1/barriers/b')).broken, false);
  },
};

const pipe = {
  what: 'a recv of a pipe',
  setup: (d) => d.call('PUT', '/v1/pipes/p', { body: {}, expect: 201 }),
  bare: true, // an end that an owner uses is its own
  ask: () => ({ path: '/v1/pipes/p/b/recv?wait=60' }),
  waiters: async (d) => (await look(d, '/v1/pipes/p/b')).receivers,
  grant: (d, n) => post(d, '/v1/pipes/p/a/send', { n }),
  async next(d, n) { assert.deepEqual((await post(d, '/v1/pipes/p/b/recv?wait=10')).body, { n }); },
  async settled(d) { await d.call('POST', '/v1/pipes/p/b/recv?wait=0', { expect: [200, 409] }); },
};

/** A bounded queue is full: who waits to put leaves, and what he brought must not go in. */
const putting = {
  what: 'a put into a full queue',
  async setup(d) {
    await d.call('PUT', '/v1/queues/q', { body: { durable: false, max_messages: 1 }, expect: 201 });
    await post(d, '/v1/queues/q/messages', 'first', 201);
  },
  ask: () => ({ path: '/v1/queues/q/messages?wait=60', body: '"of who has left"' }),
  waiters: async (d) => (await look(d, '/v1/queues/q')).putters,
  grant: (d) => post(d, '/v1/queues/q/receive?mode=take'),
  async next(d) {
    const { ready } = await look(d, '/v1/queues/q');
    assert.equal(ready, 0, 'there is room');
    await post(d, '/v1/queues/q/messages?wait=10', 'next', 201);
  },
  async settled(d) {
    const { ready } = await look(d, '/v1/queues/q');
    if (ready === 0) await post(d, '/v1/queues/q/messages', 'next', 201);
  },
};

/** The lock goes, the ticket stays: it is notified, and the next call with it is told so. */
const condition = {
  what: 'a wait for a condition',
  async setup(d) {
    await d.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    await d.call('PUT', '/v1/conditions/c', { body: { lock: 'l' }, expect: 201 });
  },
  async ask(d, owner) {
    this.owner = owner;
    const { id } = await post(owner.client, '/v1/locks/l/acquire?wait=10', {});
    return { path: '/v1/conditions/c/wait?wait=60', body: { hold: id } };
  },
  waiters: async (d) => (await look(d, '/v1/conditions/c')).waiters,
  left: async (d) => assert.equal((await look(d, '/v1/conditions/c')).waiters, 1, 'its ticket waits on'),
  async grant(d) {
    [this.ticket] = (await look(d, '/v1/conditions/c')).holds;
    assert.equal((await post(d, '/v1/conditions/c/notify')).notified, 1);
  },
  async next(d) {
    const { notified, hold } = await post(this.owner.client, '/v1/conditions/c/wait?wait=10', { ticket: this.ticket.id });
    assert.equal(notified, true);
    await release(d, hold.id);
  },
  async settled(d, left) {
    await this.next(d);
    await left();
  },
};

const KINDS = [receiving('lease', true), receiving('lease', false), receiving('take', true), receiving('take', false),
  permits('lock', {}), permits('semaphore', { value: 1, max: 1 }), barrier, condition, pipe, putting];

/** Asks and is seen to wait. */
async function park(d, kind, listener, owner) {
  const { path, body } = await kind.ask(d, owner);
  const call = asking(d, listener, path, { body, token: kind.bare ? d.token : owner.token });
  await until('it waits', async () => (await kind.waiters(d)) === 1, { every: 0.001 });
  return call;
}

async function grant(d, kind, n) {
  kind.granted = kind.grant(d, n);
  await kind.granted;
}

/** Each test has its own: some keep what they hold. */
const each = (body) => { for (const kind of KINDS) body({ ...kind }); };

/** Of try number `n`: each listener and way has its turn. A half-close is sent later than the call that asks for it. */
const QUICK = LISTENERS.flatMap(([listener, ways]) => ways.filter((way) => way !== 'a half-close').map((way) => [listener, way]));
const turn = (n) => QUICK[n % QUICK.length];

suite('a client that leaves', () => {
  for (const [listener, ways] of LISTENERS) {
    for (const way of ways) {
      each((kind) => {
        daemonTest(`by ${way} over ${listener} gives up ${kind.what}`, async (d) => {
          const owner = await session(d, 600);
          await kind.setup(d);
          for (let n = 0; n < 3; n += 1) {
            const call = await park(d, kind, listener, owner);
            call.leave(way);
            if (kind.left) await kind.left(d);
            else await until('it does not wait any more', async () => (await kind.waiters(d)) === 0);
            await grant(d, kind, n);
            await kind.next(d, n);
            assert.equal(call.got, '');
            call.socket.destroy();
          }
        });
      });
    }
  }
});

suite('a client that left an instant before what he waits for came', () => {
  each((kind) => {
    daemonTest(`gives up ${kind.what}`, { seconds: 240 }, async (d) => {
      const owner = await session(d, 600);
      await kind.setup(d);
      for (let n = 0; n < RACES; n += 1) {
        const [listener, way] = turn(n);
        const call = await park(d, kind, listener, owner);
        call.leave(way);
        await grant(d, kind, n);
        await kind.next(d, n);
      }
    });
  });
});

suite('a client that leaves while what he waits for comes', () => {
  each((kind) => {
    daemonTest(`has it or gives up ${kind.what}: nothing is lost`, { seconds: 240 }, async (d) => {
      const next = random(4711);
      await kind.setup(d);
      for (let n = 0; n < RACES; n += 1) {
        const [listener, way] = turn(n);
        const owner = await session(d, 600);
        const call = await park(d, kind, listener, owner);
        const granting = grant(d, kind, n);
        const pause = next() * 3;
        if (pause > 1) await sleep((pause - 1) / 1000);
        call.leave(way);
        await granting;
        await kind.settled(d, () => d.delete(`/v1/sessions/${owner.id}`));
        owner.client.close();
      }
    });
  });
});
