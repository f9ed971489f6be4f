// The model of values: a whole number that does not wrap, and a list.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { code, commandsOf, pick } from './world.mjs';

const command = commandsOf('values');

const MOST = 2 ** 31 - 1;

export class ValueModel {
  constructor(name, config) {
    Object.assign(this, { name, plural: 'values', config });
    this.server_killed(null, true);
  }

  change(value) {
    this.value = value;
    this.version += 1;
  }

  get is_list() { return Array.isArray(this.value); }

  /** What is not durable is then what it was made with. */
  server_killed(m, first = false) {
    if (first || !this.config.durable) Object.assign(this, { value: this.config.value, version: 1 });
  }

  compare(shown) { assert.deepEqual([shown.value, shown.version], [this.value, this.version], this.name); }
}

/** One operation: `expected` is [status, code] or the value that the answer shows after model.change. */
async function operate(world, model, verb, body, { refused, change, touched }) {
  const answer = await world.d.post(`${world.path(model)}/${verb}`, body);
  if (refused) {
    code(...refused)(answer);
    return;
  }
  assert.equal(answer.status, 200, `${answer}`);
  model.change(change);
  assert.deepEqual([answer.body.value, answer.body.version], [touched, model.version], `${answer}`);
}

const of = (m, list) => (index) => pick(m.parts.filter((one) => one instanceof ValueModel && one.is_list === list), index);
const v = fc.nat();
const item = fc.integer({ min: 0, max: 5 });

const add = command('add', fc.record({ v, n: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -MOST - 1, max: MOST })) }), async (m, world, { v: index, n }) => {
  const model = of(m, false)(index);
  const sum = model.value + n;
  const refused = sum > MOST || sum < -MOST - 1 ? [422, 'out_of_range'] : null;
  await operate(world, model, 'add', { n }, { refused, change: sum, touched: sum });
});

const append = command('append', fc.record({ v, item }), async (m, world, { v: index, item: one }) => {
  const model = of(m, true)(index);
  await operate(world, model, 'append', { item: one }, { change: [...model.value, one], touched: one });
});

const pop = command('pop', fc.record({ v, at: fc.constantFrom(-3, -2, -1, -1, 0, 1) }), async (m, world, { v: index, at }) => {
  const model = of(m, true)(index);
  const place = at < 0 ? model.value.length + at : at;
  const refused = place < 0 || place >= model.value.length ? [422, 'out_of_range'] : null;
  await operate(world, model, 'pop', { index: at }, { refused, change: model.value.filter((_, i) => i !== place), touched: model.value[place] });
});

const remove = command('remove', fc.record({ v, item }), async (m, world, { v: index, item: one }) => {
  const model = of(m, true)(index);
  const place = model.value.indexOf(one);
  await operate(world, model, 'remove', { item: one }, { refused: place < 0 ? [404, 'no_such_key'] : null, change: model.value.filter((_, i) => i !== place), touched: one });
});

/** With the value that is there, or with one that mostly is not. */
const compare_and_set = command('compare_and_set', fc.record({ v, right: fc.boolean(), expected: item, value: item, list: fc.boolean() }), async (m, world, given) => {
  const model = of(m, given.list)(given.v);
  const wrap = (one) => (given.list ? [one] : one);
  const expected = given.right ? model.value : wrap(given.expected);
  const same = JSON.stringify(expected) === JSON.stringify(model.value);
  const value = wrap(given.value);
  await operate(world, model, 'compare_and_set', { expected, value }, { refused: same ? null : [409, 'differs'], change: value, touched: value });
});

export const value_commands = [add, add, append, append, pop, remove, compare_and_set];
