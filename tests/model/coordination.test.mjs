// Random commands of three owners, the admin and a killer against a small model of what each object should be.
//
// FORKFUL_SEED=N (as printed) runs the same commands again, FORKFUL_SEED=N,PATH,COMMANDS (as told with a failure)
// only the shortest ones that failed. FORKFUL_MODEL_SECONDS bounds how long it goes on.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { now } from '../lib/wait.mjs';
import { barrier_commands, BarrierModel } from './barrier.mjs';
import { lock_commands, PermitModel } from './lock.mjs';
import { queue_commands, QueueModel } from './queue.mjs';
import { value_commands, ValueModel } from './value.mjs';
import { newModel, World, world_commands } from './world.mjs';

const SECONDS = Number(process.env.FORKFUL_MODEL_SECONDS ?? 50);
const SHRINK_SECONDS = 60; // to find shorter commands that fail too
const [given_seed, path, replayPath] = (process.env.FORKFUL_SEED || '').split(',');
const SEED = given_seed ? Number(given_seed) : Math.floor(Math.random() * 2 ** 31);
const RUNS = 10000; // more than there is time for
const COMMANDS = 60;

const config = fc.record({
  max_messages: fc.constantFrom(0, 3),
  max_attempts: fc.constantFrom(0, 2),
  durable: fc.boolean(),
  parties: fc.integer({ min: 1, max: 4 }),
});

const model_of = ({ max_messages, max_attempts, durable, parties }) => newModel({
  queue: new QueueModel('queue', { durable: true, max_messages, max_attempts }),
  memory: new QueueModel('memory', { durable: false, max_messages: 0, max_attempts }),
  lock: new PermitModel('lock', 'locks', {}),
  reentrant: new PermitModel('reentrant', 'locks', { reentrant: true }),
  semaphore: new PermitModel('semaphore', 'semaphores', { value: 2, max: 3 }),
  barrier: new BarrierModel('barrier', { parties }),
  number: new ValueModel('number', { type: 'int32', value: 0, durable }),
  list: new ValueModel('list', { value: [1], durable }),
});

/** One run of the property: the same for the shrinker. */
async function run(world, settings, commands) {
  const m = model_of(settings);
  await world.begin(m);
  try {
    await fc.asyncModelRun(() => ({ model: m, real: world }), commands);
  } finally {
    await world.finish(m);
  }
}

/** Until the time is over; after a failure some more, for the shrinker. */
function bounded(body) {
  let deadline = now() + SECONDS;
  let failed = false;
  let runs = 0;
  return {
    count: () => runs,
    async body(...args) {
      if (now() > deadline) return;
      runs += 1;
      try {
        await body(...args);
      } catch (error) {
        if (!failed) deadline = now() + SHRINK_SECONDS;
        failed = true;
        throw error;
      }
    },
  };
}

const KINDS = {
  queues: [...queue_commands, ...world_commands],
  'locks, semaphores and barriers': [...lock_commands, ...barrier_commands, ...world_commands],
  'all kinds together': [...queue_commands, ...lock_commands, ...barrier_commands, ...value_commands, ...world_commands],
};

suite('what random commands do to', () => {
  for (const [kind, commands] of Object.entries(KINDS)) {
    daemonTest(`${kind} is what the model says`, { seconds: SECONDS + SHRINK_SECONDS + 60 }, async (d, t) => {
      t.diagnostic(`FORKFUL_SEED=${SEED}`);
      const world = new World(d);
      const { body, count } = bounded((settings, list) => run(world, settings, list));
      const property = fc.asyncProperty(config, fc.commands(commands, { maxCommands: COMMANDS, size: 'max', replayPath }), body);
      const result = await fc.check(property, { seed: SEED, path, numRuns: path ? 1 : RUNS });
      t.diagnostic(`${count()} runs, ${world.commands} commands`);
      if (result.failed) {
        const error = result.errorInstance;
        const shown = fc.stringify(result.counterexample);
        const replay = /replayPath="([^"]*)"/.exec(shown)?.[1] ?? '';
        assert.fail(`FORKFUL_SEED='${result.seed},${result.counterexamplePath},${replay}'\n${shown}\n${error?.stack ?? error}`);
      }
      assert.ok(path || count() >= 5, `only ${count()} runs`);
    });
  }
});
