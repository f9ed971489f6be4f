// Queues under kill -9 of the server: what was answered is there, what was acked is gone, and both once.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Daemon, daemonTest, PATIENCE, suite, until } from '../lib/daemon.mjs';
import { range } from '../lib/check.mjs';
import { random } from '../lib/load.mjs';
import { liver, session } from '../lib/owners.mjs';
import { send } from '../lib/proc.mjs';
import { sleep } from '../lib/wait.mjs';

const KILLS = 100;
const WORKERS = 8;
const RELEASED = 0.1; // of the leases; the others are acked

/** What everybody has been told, and what must not be told twice. */
class Ledger {
  constructor() {
    Object.assign(this, { stop: false, tried: new Set(), answered: new Set(), acked: new Set(), taken: new Set(), fences: new Map(), failure: null });
  }

  /** Runs `body` again and again; a broken connection is part of the test, everything else is not. */
  async worker(client, body) {
    while (!this.stop && !this.failure) {
      try {
        await body();
      } catch (error) {
        if (error.final || error.code === 'ERR_ASSERTION') this.failure ??= error;
        client.reconnect();
        await sleep(0.005);
      }
    }
  }

  check() { if (this.failure) throw this.failure; }

  saw(message) {
    const name = message.body.name;
    assert.ok(!this.acked.has(name) && !this.taken.has(name), `${name} was acked and came again`);
    assert.ok(this.tried.has(name), `nobody put ${name}`);
    if (message.hold) {
      assert.equal(this.fences.get(message.fence) ?? message.hold, message.hold, `fence ${message.fence} twice`);
      this.fences.set(message.fence, message.hold);
    }
  }
}

/** Numbered messages. Half of the producers repeat what was not answered, with a key; the others go on with the next. */
function producer(d, ledger, number) {
  const client = d.as(d.token);
  const keyed = number % 2 === 0;
  let next = 0;
  return ledger.worker(client, async () => {
    const name = `${number}-${next}`;
    ledger.tried.add(name);
    const options = { body: { name, producer: number, number: next }, expect: 201, ...(keyed ? { headers: { 'Idempotency-Key': name } } : {}) };
    if (!keyed) next += 1;
    await client.call('POST', '/v1/queues/q/messages', options);
    ledger.answered.add(name);
    if (keyed) next += 1;
  });
}

/** New messages of one producer come to one consumer in the order in which they were put. */
function in_order(last, message) {
  const { producer: from, number } = message.body;
  if (message.attempt !== 1) return;
  assert.ok(number > (last.get(from) ?? -1), `${number} of producer ${from} came after ${last.get(from)}`);
  last.set(from, number);
}

/** Leases, acks, sometimes releases; after each break gives back what it does not know that it has. */
async function consumer(d, ledger, owner, number) {
  const { client } = owner;
  const next = random(number + 1);
  const last = new Map();
  let unsure = null; // an ack whose answer was lost
  let lost = false;
  const ack = async ({ hold, name }) => {
    const answer = await client.call('POST', `/v1/holds/${hold}/ack`);
    if (answer.status === 410 && unsure) assert.equal(answer.body.cause.ended, 'acked', `${answer}`);
    else assert.equal(answer.status, 200, `${answer}`);
    assert.ok(!ledger.acked.has(name), `${name} was acked twice`);
    ledger.acked.add(name);
    unsure = null;
  };
  const give_back = async () => {
    const { body } = await client.call('GET', '/v1/holds?owner=me&resource=queues/q', { expect: 200 });
    for (const { id } of body.items) await client.call('POST', `/v1/holds/${id}/release`, { expect: [200, 410] });
  };
  await ledger.worker(client, async () => {
    if (unsure) await ack(unsure);
    if (lost) await give_back();
    lost = true;
    const { body } = await client.call('POST', `/v1/queues/q/receive?wait=1&max=${1 + (number % 3)}`, { expect: 200 });
    body.messages.forEach((message) => { ledger.saw(message); in_order(last, message); });
    for (const { hold, body: { name } } of body.messages) {
      if (next() < RELEASED) {
        await client.call('POST', `/v1/holds/${hold}/release`, { expect: 200 });
      } else {
        unsure = { hold, name };
        await ack(unsure);
      }
    }
    lost = false;
  });
  await until('an ack of which nothing is known is repeated', async () => { if (unsure) await ack(unsure); return true; });
  await until('what it has is given back', async () => { await give_back(); return true; });
}

/** Takes, each time with a key of its own that is repeated until it is answered: so also exactly once. */
function taker(d, ledger, number) {
  const client = d.as(d.token);
  let turn = 0;
  return ledger.worker(client, async () => {
    const headers = { 'Idempotency-Key': `take-${number}-${turn}` };
    const { body } = await client.call('POST', '/v1/queues/q/receive?mode=take&wait=0.2', { headers, patient: PATIENCE, expect: 200 });
    turn += 1;
    for (const message of body.messages) {
      ledger.saw(message);
      ledger.taken.add(message.body.name);
    }
  });
}

/** Kills until it is enough; sometimes in the middle of a burst, sometimes after some quiet work. */
async function killer(d, ledger, kills) {
  const next = random(4711);
  for (let kill = 0; kill < kills && !ledger.failure; kill += 1) {
    const { server_pid } = await d.system({ patient: PATIENCE });
    await sleep(next() ** 2 * 0.5);
    send(server_pid, 'SIGKILL');
    d.admin.reconnect();
  }
}

/** The rest, in one go: by priority and sequence, so each producer's messages in their order, also those that came back. */
async function drain(d, ledger) {
  const numbers = new Map();
  for (;;) {
    const { messages } = (await d.call('POST', '/v1/queues/q/receive?mode=take&max=1000', { patient: PATIENCE, expect: 200 })).body;
    if (messages.length === 0) return;
    for (const message of messages) {
      const { name, producer: from, number } = message.body;
      ledger.saw(message);
      ledger.taken.add(name);
      assert.ok(number > (numbers.get(from) ?? -1), `${name} is not where it was put`);
      numbers.set(from, number);
    }
  }
}

async function work(d, ledger, kills) {
  const owners = await Promise.all(range(1, WORKERS).map((n) => (n % 2 ? session(d, 600) : liver(d))));
  const all = [...range(0, WORKERS - 1).map((n) => producer(d, ledger, n)),
    ...owners.map((owner, n) => consumer(d, ledger, owner, n)), ...range(1, 2).map((n) => taker(d, ledger, n))];
  await kills();
  ledger.stop = true;
  await Promise.all(all);
  ledger.check();
}

async function verify(d, ledger) {
  const state = (await d.get('/v1/queues/q', { patient: PATIENCE })).body;
  assert.deepEqual([state.leased, state.delayed, state.buried], [0, 0, 0]);
  await drain(d, ledger);
  const there = new Set([...ledger.acked, ...ledger.taken]);
  assert.deepEqual([...ledger.answered].filter((name) => !there.has(name)), [], 'what was answered was not lost');
  const { put_total, acked_total, taken_total, unfinished, bytes } = (await d.get('/v1/queues/q')).body;
  assert.deepEqual([put_total, acked_total, taken_total, unfinished, bytes],
    [there.size, ledger.acked.size, ledger.taken.size, 0, 0]);
}

daemonTest('a queue of which the server is killed a hundred times under load loses nothing, doubles nothing and keeps its order', { seconds: 240 }, async (d, t) => {
  const ledger = new Ledger();
  await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
  await work(d, ledger, () => killer(d, ledger, KILLS));
  await verify(d, ledger);
  t.diagnostic(`${ledger.answered.size} put, ${ledger.acked.size} acked, ${ledger.taken.size} taken`);
  assert.ok(ledger.acked.size > KILLS, `only ${ledger.acked.size} were acked`);
  assert.ok((await d.system()).server_restarts >= KILLS);
});

suite('killed at a point of its own', () => {
  for (const point of ['server_before_tail', 'writer_before_commit', 'writer_between_files', 'writer_after_commit']) {
    for (const passage of [3, 40, 200]) {
      test(`${point}, passage ${passage}, the server loses and doubles no message`, { timeout: PATIENCE * 6000 }, async () => {
        const d = new Daemon();
        const once = path.join(d.dir, 'happened');
        d.env = { FORKFUL_FAULT: `${point}:${passage}`, FORKFUL_FAULT_ONCE: once };
        try {
          await d.start();
          const ledger = new Ledger();
          await d.call('PUT', '/v1/queues/q', { body: {}, patient: PATIENCE, expect: [200, 201] });
          await work(d, ledger, () => until('the fault has happened', () => existsSync(once)));
          await verify(d, ledger);
          await d.stop();
        } finally { d.sweep(); }
      });
    }
  }
});
