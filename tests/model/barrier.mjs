// The model of a barrier: places in the order of arrival, what could not be told yet, and why it is broken.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ADMIN, anybody, code, commandsOf, lives, OWNERS } from './world.mjs';

const command = commandsOf('barriers');

const passed = (index, generation) => (answer) => assert.deepEqual([answer.status, answer.body], [200, { index, generation }], `${answer}`);
const broken = (cause) => (answer) => {
  code(409, 'broken')(answer);
  const { reason, owner, exitcode } = answer.body.cause;
  assert.deepEqual({ reason, owner, exitcode }, cause);
};

export class BarrierModel {
  constructor(name, config) {
    Object.assign(this, { name, plural: 'barriers', config, places: [], generation: 0, cause: null });
    this.untold = Array.from({ length: OWNERS }, () => []);
  }

  /** Every place ends: its call is answered, or its owner's next one. */
  end_all(m, verify_of) {
    this.places.splice(0).forEach(({ who, call }, index) => {
      if (call) m.due.push({ call, verify: verify_of(index) });
      else this.untold[who].push(verify_of(index));
    });
  }

  pass(m) {
    this.generation += 1;
    const { generation } = this;
    const last = this.places.length;
    this.end_all(m, (index) => passed(index, generation));
    return passed(last, generation);
  }

  break_up(m, reason, { owner = null, exitcode = null } = {}) {
    this.cause = { reason, owner, exitcode };
    const { cause } = this;
    this.end_all(m, () => broken(cause));
  }

  idle(who) { return who === ADMIN ? undefined : this.places.find((one) => one.who === who && !one.call); }

  /** What who comes is told at once; null: he waits. */
  arrive(m, who) {
    if (who !== ADMIN && this.untold[who].length > 0) return this.untold[who].shift();
    if (this.cause) return broken(this.cause);
    if (!this.idle(who) && this.places.length + 1 >= this.config.parties) return this.pass(m);
    return null;
  }

  // ---- what happens to all kinds ----
  drop_calls(m, who) {
    for (const place of this.places.filter((one) => one.who === who && one.call)) {
      m.due.push({ call: place.call, verify: code(401, 'owner_ended') });
      place.call = null;
    }
  }

  owner_ended(m, who, cause) {
    const had_place = this.places.some((one) => one.who === who);
    this.places = this.places.filter((one) => one.who !== who);
    if (had_place) this.break_up(m, 'owner_ended', cause);
    this.untold[who] = [];
  }

  /** Nobody's place ends with its call, an owner's does not. */
  server_killed() {
    this.places = this.places.filter((one) => one.who !== ADMIN);
    for (const place of this.places) place.call = null;
  }

  /** Not of processes: for those a closed connection may be the first sign of their death. */
  leavers() {
    return this.places.filter((one) => one.call && (one.who === 0 || one.who === ADMIN))
      .map((one) => ({ call: one.call, left: () => this.places.splice(this.places.indexOf(one), 1) }));
  }

  waits(shown) { return shown.n_waiting === this.places.length; }

  compare(shown) {
    assert.deepEqual([shown.n_waiting, shown.broken, shown.generation, shown.cause?.reason ?? null, shown.holds.length],
      [this.places.length, this.cause !== null, this.generation, this.cause?.reason ?? null, this.places.length], this.name);
  }
}

const arrive = command('arrive', fc.record({ who: anybody, wait: fc.constantFrom(0, 60) }), async (m, world, { who, wait }) => {
  const { barrier } = m;
  const path = `${world.path(barrier)}/wait?wait=${wait}`;
  const told = barrier.arrive(m, who);
  if (told) {
    told(await world.call(who, 'POST', path));
    return;
  }
  const place = barrier.idle(who) ?? { who, call: null };
  if (!barrier.places.includes(place)) barrier.places.push(place);
  if (wait === 0) {
    code(409, 'not_granted')(await world.call(who, 'POST', path));
    if (who === ADMIN) barrier.places.splice(barrier.places.indexOf(place), 1);
  } else {
    place.call = await world.park(who, path);
  }
}, lives);

const reset = command('reset', fc.constant({}), async (m, world) => {
  await world.d.post(`${world.path(m.barrier)}/reset`, undefined, { expect: 200 });
  m.barrier.break_up(m, 'reset');
  m.barrier.cause = null;
});

const abort = command('abort', fc.record({ who: anybody }), async (m, world, { who }) => {
  const answer = await world.call(who, 'POST', `${world.path(m.barrier)}/abort`);
  assert.equal(answer.status, 200, `${answer}`);
  const owner = who === ADMIN ? null : world.owners[who].id;
  if (!m.barrier.cause) m.barrier.break_up(m, 'aborted', { owner });
}, lives);

export const barrier_commands = [arrive, arrive, arrive, arrive, arrive, arrive, reset, abort];
