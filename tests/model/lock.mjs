// The model of locks and semaphores: free permits, who has one, and who waits in the order of asking.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ADMIN, anybody, code, commandsOf, end, ended_problem, give, lives, pick } from './world.mjs';

const command = commandsOf('locks', 'semaphores');

export class PermitModel {
  constructor(name, plural, config) {
    Object.assign(this, { name, plural, config, holders: [], waiters: [], previous: null, sure: true });
    this.free = config.value ?? 1;
  }

  own(who) { return this.config.reentrant ? this.holders.find((one) => one.who === who) : undefined; }

  grant(m, who) {
    const hold = give(m, { kind: 'permit', part: this, who });
    this.free -= 1;
    this.holders.push(hold);
    return this.told(hold);
  }

  told(hold) {
    const { depth } = hold;
    return (answer) => {
      assert.equal(answer.status, 200, `${answer}`);
      hold.id ??= answer.body.id;
      assert.deepEqual([answer.body.id, answer.body.depth], [hold.id, depth]);
    };
  }

  serve(m) {
    while (this.free > 0 && this.waiters.length > 0) {
      const { who, call } = this.waiters.shift();
      m.due.push({ call, verify: this.grant(m, who) });
    }
  }

  give_back(hold, how) {
    end(hold, how);
    this.holders.splice(this.holders.indexOf(hold), 1);
    this.free += 1;
    Object.assign(this, { previous: hold, sure: true });
  }

  act(m, hold, how) {
    if (how === 'released' && hold.depth > 1) hold.depth -= 1;
    else this.give_back(hold, how);
    this.serve(m);
  }

  // ---- what happens to all kinds ----
  drop_calls(m, who) {
    for (const one of this.waiters.filter((waits) => waits.who === who)) m.due.push({ call: one.call, verify: code(401, 'owner_ended') });
    this.waiters = this.waiters.filter((one) => one.who !== who);
  }

  /** Several of one owner end at once: which is last, nobody has promised. */
  owner_ended(m, who) {
    const held = this.holders.filter((one) => one.who === who);
    for (const hold of held) this.give_back(hold, 'owner_ended');
    if (held.length > 1) this.sure = false;
    this.serve(m);
  }

  server_killed() {
    this.waiters = [];
    this.sure = false;
  }

  leavers() {
    return this.waiters.map((one) => ({ call: one.call, left: () => this.waiters.splice(this.waiters.indexOf(one), 1) }));
  }

  waits(shown) { return shown.waiters === this.waiters.length; }

  compare(shown) {
    assert.deepEqual([shown.waiters, shown.holds.map((one) => [one.id, one.depth])],
      [this.waiters.length, this.holders.map((one) => [one.id, one.depth])], this.name);
    assert.equal(shown.available ?? Number(!shown.held), this.free, this.name);
    if (this.sure) assert.deepEqual([shown.previous?.hold, shown.previous?.ended], [this.previous?.id, this.previous?.ended], this.name);
  }
}

const permit_of = (m, index) => pick(m.parts.filter((one) => one instanceof PermitModel), index);
const permits = (m) => m.holds.filter((one) => one.kind === 'permit').slice(-8);

const acquire = command('acquire', fc.record({ l: fc.nat(), who: anybody, wait: fc.constantFrom(0, 60) }), async (m, world, { l, who, wait }) => {
  const permit = permit_of(m, l);
  const path = `${world.path(permit)}/acquire?wait=${wait}`;
  const body = who === ADMIN ? { ttl_seconds: 600 } : {};
  const own = permit.own(who);
  const refused = permit.config.reentrant && who === ADMIN;
  const granted = permit.free > 0 && permit.waiters.length === 0;
  if (!refused && !own && !granted && wait) {
    permit.waiters.push({ who, call: await world.park(who, path, { body }) });
    return;
  }
  const answer = await world.call(who, 'POST', path, { body });
  if (refused) code(400, 'bad_request')(answer);
  else if (own) {
    own.depth += 1;
    permit.told(own)(answer);
  } else if (granted) permit.grant(m, who)(answer);
  else code(409, 'not_granted')(answer);
}, lives);

const release = command('release', fc.record({ which: fc.nat(), broken: fc.constantFrom(false, false, true) }), async (m, world, { which, broken }) => {
  const hold = pick(permits(m), which);
  const where = `/v1/holds/${hold.id}`;
  const answer = await (broken ? world.call(ADMIN, 'DELETE', where) : world.call(ADMIN, 'POST', `${where}/release`));
  if (!hold.live) {
    ended_problem(answer, hold);
    return;
  }
  assert.equal(answer.status, broken ? 204 : 200, `${answer}`);
  hold.part.act(m, hold, broken ? 'broken' : 'released');
}, (m) => permits(m).length > 0);

const semaphores = (m) => m.parts.filter((one) => one.plural === 'semaphores');
const post = command('post', fc.record({ n: fc.integer({ min: 1, max: 2 }) }), async (m, world, { n }) => {
  const [permit] = semaphores(m);
  const answer = await world.d.post(`${world.path(permit)}/release`, { n });
  if (permit.free + permit.holders.length + n > permit.config.max) {
    code(409, 'over_release')(answer);
    return;
  }
  assert.equal(answer.status, 200, `${answer}`);
  permit.free += n;
  permit.serve(m);
}, (m) => semaphores(m).length > 0);

export const lock_commands = [acquire, acquire, acquire, acquire, acquire, acquire, release, release, release, release, post];
