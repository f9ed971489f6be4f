// What the models of all kinds share: owners, holds, calls that wait, and how a command is made.
//
// The real side is a daemon and its owners (`world`), the model a plain object (`m`) with one member per object and
// a list of all holds that were ever given. A call that waits belongs to both: the model says when it is due and what
// its answer must be. After every command all that is due must be answered, nothing else may be, and what GET shows
// of every object must be the model's.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sleep, soon, until } from '../lib/daemon.mjs';
import { liver, session } from '../lib/owners.mjs';
import { send } from '../lib/proc.mjs';

export const OWNERS = 3; // the first is a session, the others are processes
export const ADMIN = OWNERS; // the bare admin token: nobody
const KINDS = ['session', 'process', 'process'];

export const owner = fc.nat(OWNERS - 1);
export const anybody = fc.nat(ADMIN);

const shown = (given) => Object.entries(given).map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(', ');

/**
 * Makes commands of fast-check that touch only parts with such a name (plural; none: all of them): out of what one is
 * called with, command(name, args, run, check): run(m, world, args) does it and says what must follow.
 */
export const commandsOf = (...plurals) => function command(name, args, run, check = () => true) {
  return args.map((given) => ({
    check: (m) => check(m, given),
    async run(m, world) {
      await run(m, world, given);
      await world.settle(m, m.parts.filter((one) => plurals.length === 0 || plurals.includes(one.plural)));
    },
    toString: () => `${name}(${shown(given)})`,
  }));
};
const command = commandsOf();

/** Only of an owner that lives; the admin always does. */
export const lives = (m, { who }) => who === ADMIN || m.alive[who];

/** The one of `list` that a number from the generator means; null where there is none. */
export const pick = (list, index) => (list.length === 0 ? null : list[index % list.length]);

export function newModel(parts) {
  return { ...parts, alive: Array(OWNERS).fill(true), holds: [], due: [], parts: Object.values(parts) };
}

/** A hold that is being given; its id comes with the answer. */
export function give(m, hold) {
  const given = { id: null, live: true, ended: null, depth: 1, sure: true, ...hold };
  m.holds.push(given);
  return given;
}

export function end(hold, how) {
  hold.live = false;
  hold.ended = how;
}

/** What any action on a hold that has ended is answered. One that began and ended by its holder's will may be forgotten by a kill. */
export function ended_problem(answer, hold) {
  if (!hold.sure && answer.status === 404) return;
  assert.equal(answer.status, 410, `${answer}`);
  assert.equal(answer.body.cause.ended, hold.ended, `${answer}`);
}

export const code = (status, word) => (answer) => assert.deepEqual([answer.status, answer.body.code], [status, word], `${answer}`);

export class World {
  constructor(d) {
    this.d = d;
    this.owners = [];
    this.parked = new Set();
    this.run = 0;
    this.commands = 0;
  }

  /** Objects with names of their own, owners that live. `parts`: the models, each knows how it is made. */
  async begin(m) {
    this.run += 1;
    for (let who = 0; who < OWNERS; who += 1) this.owners[who] ??= await this.make_owner(who);
    await Promise.all(m.parts.map((part) => this.d.call('PUT', this.path(part), { body: part.config, expect: 201 })));
  }

  async finish(m) {
    await Promise.all(m.parts.map((part) => this.d.delete(this.path(part), { expect: [204, 404] })));
    await Promise.allSettled([...this.parked].map((call) => call.promise));
    this.parked.clear();
    for (let who = 0; who < OWNERS; who += 1) if (!m.alive[who]) this.owners[who] = null;
  }

  path(part) { return `/v1/${part.plural}/${part.name}-${this.run}`; }

  make_owner(who) { return KINDS[who] === 'session' ? session(this.d, 3600) : liver(this.d); }

  client(who) { return who === ADMIN ? this.d.admin : this.owners[who].client; }

  call(who, method, path, options) {
    return this.client(who).call(method, path, options);
  }

  async waits() { return (await this.d.get('/v1/waits')).body.waits.length; }

  /** A call that is expected to wait: it does before this returns. */
  async park(who, path, options) {
    const before = await this.waits();
    const leaver = new AbortController();
    const call = { who, answered: false, leave: () => leaver.abort() };
    call.promise = this.call(who, 'POST', path, { ...options, signal: leaver.signal });
    call.promise.then(() => { call.answered = true; }, (error) => { call.failed = error; });
    this.parked.add(call);
    await until('it waits', async () => {
      if (call.failed) throw Object.assign(call.failed, { final: true });
      return call.answered || (await this.waits()) > before;
    }, { every: 0.001, within: 10 });
    return call;
  }

  /** All that is due is answered as it should be, nothing else is, and these parts look like the model. */
  async settle(m, parts) {
    for (const { call, verify } of m.due.splice(0)) {
      verify(await soon(call.promise, 'a call that is due is answered', 20));
      this.parked.delete(call);
    }
    this.commands += 1;
    await Promise.all(parts.map(async (part) => {
      part.compare((await this.d.get(this.path(part))).body);
      await part.look?.(this);
    }));
    for (const call of this.parked) assert.ok(!call.answered, 'a call was answered that should wait');
  }

  forget(call) {
    this.parked.delete(call);
    call.promise.catch(() => {});
    call.leave();
  }
}

/* ---- what concerns all kinds ---- */

const exitcodes = { session: null, process: -9 };

const end_owner = command('end_owner', fc.record({ who: owner }), async (m, world, { who }) => {
  const { id, pid } = world.owners[who];
  if (KINDS[who] === 'session') {
    await world.d.delete(`/v1/sessions/${id}`);
  } else {
    send(pid, 'SIGKILL');
    await world.d.join(id);
  }
  m.alive[who] = false;
  const cause = { owner: id, exitcode: exitcodes[KINDS[who]] };
  for (const part of m.parts) part.drop_calls?.(m, who);
  for (const part of m.parts) part.owner_ended?.(m, who, cause);
}, lives);

const new_owner = command('new_owner', fc.record({ who: owner }), async (m, world, { who }) => {
  world.owners[who].client.close();
  world.owners[who] = await world.make_owner(who);
  m.alive[who] = true;
}, (m, given) => !lives(m, given));

/** SIGKILL. Who waited has lost his connection, and asks no more. */
const kill_server = command('kill_server', fc.constant({}), async (m, world) => {
  const calls = [...world.parked];
  // A place that was seen and not promised to anybody may not be stored yet. What is answered here is, with all before it.
  const { body: { id } } = await world.d.post('/v1/sessions', {}, { expect: 201 });
  await world.d.delete(`/v1/sessions/${id}`);
  await world.d.killServer();
  await Promise.all(calls.map((call) => call.promise.then(() => assert.fail('answered by a server that was killed'), () => {})));
  world.parked.clear();
  for (const { client } of world.owners) client.reconnect();
  for (const hold of m.holds) if (!hold.live) hold.sure = false;
  for (const part of m.parts) part.server_killed(m);
});

/** The client of a call that waits closes its connection. */
const leave = command('leave', fc.record({ which: fc.nat(), part: fc.nat() }), async (m, world, { which, part }) => {
  const { call, left } = pick(pick(m.parts, part).leavers(), which);
  world.forget(call);
  left(m);
  await until('it does not wait any more', async () => {
    const where = pick(m.parts, part);
    return where.waits((await world.d.get(world.path(where))).body);
  }, { every: 0.001 });
}, (m, { part }) => (pick(m.parts, part).leavers?.() ?? []).length > 0);

/** Time for what should not happen. */
const pause = command('pause', fc.constant({}), () => sleep(0.005));

export const world_commands = [end_owner, end_owner, new_owner, new_owner, kill_server, leave, leave, leave, leave, pause];
