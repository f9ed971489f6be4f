// The model of a queue: messages in the order in which they came in, who waits to receive, who waits to put.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ADMIN, anybody, code, commandsOf, end, ended_problem, give, lives, pick } from './world.mjs';

const command = commandsOf('queues');

const LEASE = 'lease=600'; // longer than any run: leases end by what the test does

export class QueueModel {
  constructor(name, config) {
    Object.assign(this, { name, plural: 'queues', config, receivers: [], putters: [], next: 1 });
    this.clear();
  }

  clear() {
    Object.assign(this, { messages: [], closed: false, cut: false, put: 0, acked: 0, taken: 0 });
  }

  // ---- asking ----
  in(state) { return this.messages.filter((one) => one.state === state); }

  get waiting() { return this.in('ready').length + this.in('delayed').length; }

  get unfinished() { return this.waiting + this.in('leased').length; }

  get drained() { return this.closed && (this.cut || this.unfinished === 0); }

  has_room(count) { return !this.config.max_messages || this.waiting + count <= this.config.max_messages; }

  first() { return this.in('ready').reduce((best, one) => (best === null || one.priority > best.priority ? one : best), null); }

  make(count, priority, delayed) {
    return Array.from({ length: count }, () => {
      const message = { n: this.next, priority, state: delayed ? 'delayed' : 'ready', attempts: 0, hold: null };
      this.next += 1;
      return message;
    });
  }

  // ---- changing ----
  enter(items) {
    this.messages.push(...items);
    this.put += items.length;
  }

  remove(message) { this.messages.splice(this.messages.indexOf(message), 1); }

  /** What one receive gets; its answer is checked by the function that this gives. */
  grant(m, { who, max, take }) {
    const got = [];
    for (let message = this.first(); message && got.length < max; message = this.first()) {
      message.attempts += 1;
      if (take) {
        this.remove(message);
        this.taken += 1;
      } else {
        message.state = 'leased';
        message.hold = give(m, { kind: 'message', part: this, item: message, who });
      }
      got.push({ n: message.n, attempt: message.attempts, hold: message.hold });
    }
    return (answer) => {
      assert.equal(answer.status, 200, `${answer}`);
      const { messages } = answer.body;
      assert.deepEqual(messages.map((one) => [one.body.n, one.attempt, one.hold === null]), got.map((one) => [one.n, one.attempt, take]));
      got.forEach(({ hold }, i) => { if (hold) hold.id = messages[i].hold; });
    };
  }

  serve(m) {
    for (;;) {
      if (this.receivers.length > 0 && this.first()) {
        const receiver = this.receivers.shift();
        m.due.push({ call: receiver.call, verify: this.grant(m, receiver) });
      } else if (this.putters.length > 0 && this.has_room(this.putters[0].items.length)) {
        const { items, call } = this.putters.shift();
        this.enter(items);
        m.due.push({ call, verify: (answer) => assert.equal(answer.status, 201, `${answer}`) });
      } else {
        break;
      }
    }
    if (this.drained) for (const { call } of this.receivers.splice(0)) m.due.push({ call, verify: code(410, 'closed') });
  }

  /** A lease ended otherwise than by ack or bury. */
  give_back(hold, how) {
    const message = hold.item;
    end(hold, how);
    message.hold = null;
    const used_up = this.config.max_attempts && message.attempts >= this.config.max_attempts;
    if (this.cut) this.remove(message);
    else message.state = used_up ? 'buried' : 'ready';
  }

  act(m, hold, verb) {
    if (verb === 'ack') {
      end(hold, 'acked');
      this.acked += 1;
      this.remove(hold.item);
    } else if (verb === 'bury') {
      end(hold, 'buried');
      Object.assign(hold.item, { state: 'buried', hold: null });
    } else {
      this.give_back(hold, verb === 'release' ? 'released' : 'broken');
    }
    this.serve(m);
  }

  purge(m, states) {
    const gone = this.messages.filter((one) => states.includes(one.state));
    for (const message of gone) {
      if (message.hold) end(message.hold, 'broken');
      this.remove(message);
    }
    this.serve(m);
    return gone.length;
  }

  // ---- what happens to all kinds ----
  drop_calls(m, who) {
    for (const list of ['receivers', 'putters']) {
      for (const one of this[list].filter((waits) => waits.who === who)) m.due.push({ call: one.call, verify: code(401, 'owner_ended') });
      this[list] = this[list].filter((one) => one.who !== who);
    }
  }

  owner_ended(m, who) {
    for (const { hold } of this.in('leased')) if (hold.who === who) this.give_back(hold, 'owner_ended');
    this.serve(m);
  }

  server_killed(m) {
    Object.assign(this, { receivers: [], putters: [] });
    if (this.config.durable) return;
    for (const hold of m.holds) if (hold.part === this) Object.assign(hold, { live: false, sure: false });
    this.clear();
  }

  leavers() {
    return ['receivers', 'putters'].flatMap((list) => this[list].map((one) => ({ call: one.call, left: (m) => {
      this[list].splice(this[list].indexOf(one), 1);
      this.serve(m);
    } })));
  }

  waits(shown) { return shown.waiters === this.receivers.length && shown.putters === this.putters.length; }

  compare(shown) {
    const of_model = { ready: this.in('ready').length, delayed: this.in('delayed').length, leased: this.in('leased').length,
      buried: this.in('buried').length, unfinished: this.unfinished, closed: this.closed, waiters: this.receivers.length,
      putters: this.putters.length, put_total: this.put, acked_total: this.acked, taken_total: this.taken };
    assert.deepEqual(Object.fromEntries(Object.keys(of_model).map((key) => [key, shown[key]])), of_model, this.name);
  }

  async look(world) {
    const { items } = (await world.d.get(`${world.path(this)}/messages?limit=500`)).body;
    assert.deepEqual(items.map((one) => [one.body.n, one.state, one.attempt, one.priority, one.hold]),
      this.messages.map((one) => [one.n, one.state, one.attempts, one.priority, one.hold?.id ?? null]), this.name);
  }
}

/* ---- commands; `q` says which of the queues ---- */

const q = fc.nat();
const priority = fc.constantFrom(0, 0, 0, 1, -1);
const delay = fc.constantFrom(0, 0, 0, 1000); // not over before the end of the run
const queue_of = (m, index) => pick(m.parts.filter((one) => one instanceof QueueModel), index);

const request = (items, delayed) => ({ messages: items.map((one) => ({ body: { n: one.n }, priority: one.priority, delay: delayed })) });
const one_query = (item, delayed) => `priority=${item.priority}&delay=${delayed}`;

const put = command('put', fc.record({ q, who: anybody, priority, delay, count: fc.constantFrom(1, 1, 1, 2, 4), wait: fc.constantFrom(0, 0, 60) }), async (m, world, given) => {
  const queue = queue_of(m, given.q);
  const items = queue.make(given.count, given.priority, given.delay);
  const where = world.path(queue);
  const [path, body] = given.count === 1 ? [`${where}/messages?${one_query(items[0], given.delay)}&wait=${given.wait}`, { n: items[0].n }]
    : [`${where}/batch?wait=${given.wait}`, request(items, given.delay)];
  const fits = queue.putters.length === 0 && queue.has_room(given.count);
  const never = queue.config.max_messages && given.count > queue.config.max_messages;
  if (!fits && !never && !queue.closed && given.wait) {
    queue.putters.push({ who: given.who, items, call: await world.park(given.who, path, { body }) });
    return;
  }
  const answer = await world.call(given.who, 'POST', path, { body });
  if (queue.closed) code(409, 'closed')(answer);
  else if (never) code(413, 'payload_too_large')(answer);
  else if (!fits) code(429, 'full')(answer);
  else {
    assert.equal(answer.status, 201, `${answer}`);
    queue.enter(items);
    queue.serve(m);
  }
}, lives);

const receive = command('receive', fc.record({ q, who: anybody, max: fc.constantFrom(1, 1, 2, 5), take: fc.constantFrom(true, false, false, false), wait: fc.constantFrom(0, 60) }), async (m, world, { q: index, ...given }) => {
  const queue = queue_of(m, index);
  const path = `${world.path(queue)}/receive?max=${given.max}&wait=${given.wait}&${given.take ? 'mode=take' : LEASE}`;
  if (!queue.first() && !queue.drained && given.wait) {
    queue.receivers.push({ ...given, call: await world.park(given.who, path) });
    return;
  }
  const answer = await world.call(given.who, 'POST', path);
  if (queue.first()) {
    queue.grant(m, given)(answer);
    queue.serve(m);
  } else if (queue.drained) {
    code(410, 'closed')(answer);
  } else {
    assert.deepEqual(answer.body, { messages: [] });
  }
}, lives);

const leases = (m) => m.holds.filter((one) => one.kind === 'message').slice(-8);

const act = command('act', fc.record({ which: fc.nat(), verb: fc.constantFrom('ack', 'ack', 'release', 'bury', 'break') }), async (m, world, { which, verb }) => {
  const hold = pick(leases(m), which);
  const answer = await (verb === 'break' ? world.call(ADMIN, 'DELETE', `/v1/holds/${hold.id}`) : world.call(ADMIN, 'POST', `/v1/holds/${hold.id}/${verb}`));
  if (!hold.live) {
    ended_problem(answer, hold);
    return;
  }
  assert.equal(answer.status, verb === 'break' ? 204 : 200, `${answer}`);
  hold.part.act(m, hold, verb);
}, (m) => leases(m).length > 0);

const act_on_many = command('act_on_many', fc.record({ first: fc.nat(), count: fc.integer({ min: 1, max: 4 }), verb: fc.constantFrom('ack', 'release', 'bury') }), async (m, world, { first, count, verb }) => {
  const all = leases(m);
  const holds = Array.from({ length: Math.min(count, all.length) }, (_, i) => all[(first + i) % all.length]);
  const { body } = await world.d.post('/v1/holds/actions', { [verb]: holds.map((one) => one.id) }, { expect: 200 });
  holds.forEach((hold, i) => {
    const { status } = body.items[i];
    if (hold.live) hold.part.act(m, hold, verb);
    else assert.ok(status === 410 || (status === 404 && !hold.sure), JSON.stringify(body.items[i]));
  });
}, (m) => leases(m).length > 0);

const kick = command('kick', fc.record({ q, max: fc.integer({ min: 1, max: 3 }) }), async (m, world, { q: index, max }) => {
  const queue = queue_of(m, index);
  const { body } = await world.d.post(`${world.path(queue)}/kick`, { max }, { expect: 200 });
  const kicked = queue.in('buried').slice(0, max);
  for (const message of kicked) Object.assign(message, { state: 'ready', attempts: 0 });
  assert.deepEqual(body, { kicked: kicked.length });
  queue.serve(m);
});

const purge = command('purge', fc.record({ q, states: fc.constantFrom(null, ['ready'], ['leased'], ['buried', 'delayed']) }), async (m, world, { q: index, states }) => {
  const queue = queue_of(m, index);
  const { body } = await world.d.call('DELETE', `${world.path(queue)}/messages${states ? `?state=${states}` : ''}`, { expect: 200 });
  assert.deepEqual(body, { purged: queue.purge(m, states ?? ['ready', 'delayed', 'buried']) });
});

const close = command('close', fc.record({ q, immediate: fc.boolean() }), async (m, world, { q: index, immediate }) => {
  const queue = queue_of(m, index);
  await world.d.post(`${world.path(queue)}/close`, { immediate }, { expect: 200 });
  queue.closed = true;
  queue.cut ||= immediate;
  for (const { call } of queue.putters.splice(0)) m.due.push({ call, verify: code(409, 'closed') });
  if (immediate) queue.purge(m, ['ready', 'delayed']);
  queue.serve(m);
});

/** The queue goes, and another one has its name. */
const remake = command('remake', fc.record({ q }), async (m, world, { q: index }) => {
  const queue = queue_of(m, index);
  await world.d.delete(world.path(queue));
  for (const { call } of [...queue.receivers.splice(0), ...queue.putters.splice(0)]) m.due.push({ call, verify: code(410, 'deleted') });
  for (const { hold } of queue.in('leased')) end(hold, 'closed');
  queue.clear();
  await world.d.call('PUT', world.path(queue), { body: queue.config, expect: 201 });
});

const join = command('join', fc.record({ q }), async (m, world, { q: index }) => {
  const queue = queue_of(m, index);
  assert.equal((await world.d.get(`${world.path(queue)}/join?wait=0`)).body.unfinished, queue.unfinished);
});

const times = (count, one) => Array(count).fill(one);
export const queue_commands = [...times(7, put), ...times(8, receive), ...times(9, act), ...times(3, act_on_many), kick, kick, purge, close, remake, join];
