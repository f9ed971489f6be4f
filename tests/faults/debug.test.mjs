// Memory that is not there. Each allocation of a request fails once, one after another. Whatever comes back is true: what is
// answered was done, what was refused was not, and a client that repeats a call under its Idempotency-Key has it done once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe } from 'node:test';
import { ends, faultyTest } from './faults.mjs';
import { PATIENCE, until } from '../lib/daemon.mjs';
import { texts } from '../lib/check.mjs';

const REFUSALS = [500, 503, 507];
const get = async (d, where) => (await d.get(where, { patient: PATIENCE })).body;
const number = async (d, name) => (await get(d, `/v1/values/${name}`)).value;
const put = (d, where, body = {}) => d.call('PUT', where, { body, expect: 201 });

/**
 * What is asked (`ask`: the nth call, [method, path, body]), what it answers, and `done`: how often it was done, over all calls.
 * Where `done` is missing the call only reads, and `same` compares what it gave.
 */
const calls = {
  'a process is made': {
    ask: (n) => ['POST', '/v1/processes', { argv: ['true'], name: 'made', labels: { n: String(n), team: 'a' }, env: { A: 'b' } }], answers: 201,
    done: async (d) => (await d.list('?name=made')).length,
  },
  'a process is signalled': {
    before: async (d) => ({ id: (await d.sh('trap "echo got" USR1; echo ready; while :; do read line; done', { stdin: 'pipe' })).id }),
    ask: (n, { id }) => ['POST', `/v1/processes/${id}/signal`, { signal: 'SIGCONT' }], answers: 202,
  },
  'bytes go to a process': {
    before: async (d) => ({ id: (await d.spawn({ argv: ['cat'], stdin: 'pipe' })).id }),
    ask: (n, { id }) => ['POST', `/v1/processes/${id}/stdin`, undefined, 'x\n'], answers: 202, keyless: true,
  },
  'processes are listed': {
    before: async (d) => { for (let i = 0; i < 3; i += 1) await d.run({ argv: ['true'], labels: { a: 'b' } }); },
    ask: () => ['GET', '/v1/processes?label=a%3Db&limit=2&order=-created_at'], answers: 200, same: (body) => body.items.map((one) => one.exitcode),
  },
  'a process is joined': {
    before: async (d) => ({ id: (await d.run({ shell: 'exit 7' })).id }),
    ask: (n, { id }) => ['GET', `/v1/processes/${id}/join?wait=5`], answers: 200, same: (body) => body.exitcode,
  },
  'output is read': {
    before: async (d) => ({ id: (await d.run({ shell: 'for i in 1 2 3 4 5; do echo line $i; done' })).id }),
    ask: (n, { id }) => ['GET', `/v1/processes/${id}/logs?limit=3`, undefined, undefined, { Accept: 'application/json' }], answers: 200, same: (body) => texts(body.items),
  },
  'output is searched': {
    before: async (d) => ({ id: (await d.run({ shell: 'for i in 1 2 3 4 5; do echo line $i; done' })).id }),
    ask: (n, { id }) => ['GET', `/v1/processes/${id}/logs?grep=l.*%5B24%5D`, undefined, undefined, { Accept: 'application/json' }], answers: 200, same: (body) => texts(body.items),
  },
  'a queue is made': {
    ask: (n) => ['PUT', `/v1/queues/q${n}`, { max_attempts: 3 }], answers: [200, 201],
    done: async (d) => (await get(d, '/v1/queues?limit=500')).items.length,
  },
  'a message is put': {
    before: (d) => put(d, '/v1/queues/q'),
    ask: (n) => ['POST', '/v1/queues/q/messages', { n, text: 'some text that is longer than a word or two' }], answers: 201,
    done: async (d) => (await get(d, '/v1/queues/q')).ready,
  },
  'messages are put by the batch': {
    before: (d) => put(d, '/v1/queues/q'),
    ask: (n) => ['POST', '/v1/queues/q/batch', { messages: [{ body: { n } }, { body: 'two' }] }], answers: [200, 201],
    done: async (d) => (await get(d, '/v1/queues/q')).ready / 2,
  },
  'a message is received': {
    before: async (d) => { await put(d, '/v1/queues/q'); for (let i = 0; i < 9; i += 1) await d.post('/v1/queues/q/batch', { messages: Array(100).fill({ body: 'm' }) }); },
    ask: () => ['POST', '/v1/queues/q/receive?lease=600'], answers: 200,
    done: async (d) => (await get(d, '/v1/queues/q')).leased,
  },
  'a lock is taken': {
    each: (d, n) => put(d, `/v1/locks/l${n}`),
    ask: (n) => ['POST', `/v1/locks/l${n}/acquire`, {}], answers: 200,
    done: async (d) => (await get(d, '/v1/locks?limit=500')).items.filter((one) => one.held).length,
  },
  'permits are taken': {
    before: (d) => put(d, '/v1/semaphores/s', { value: 500 }),
    ask: () => ['POST', '/v1/semaphores/s/acquire', {}], answers: 200,
    done: async (d) => 500 - (await get(d, '/v1/semaphores/s')).available,
  },
  'a number is added': {
    before: (d) => put(d, '/v1/values/v', { type: 'int64' }),
    ask: () => ['POST', '/v1/values/v/add', { n: 1 }], answers: 200, done: (d) => number(d, 'v'),
  },
  'a key is set in a value': {
    before: (d) => put(d, '/v1/values/v', { value: {} }),
    ask: (n) => ['POST', '/v1/values/v/set', { key: `key number ${n}`, value: { deep: ['er', n] } }], answers: 200,
    done: async (d) => Object.entries(await number(d, 'v')).filter(([key, item]) => key === `key number ${item.deep[1]}`).length,
  },
  'an event is set': {
    before: (d) => put(d, '/v1/events/e'),
    ask: () => ['POST', '/v1/events/e/set'], answers: 200, keyless: true,
  },
  'a pool does a task': {
    before: (d) => put(d, '/v1/pools/p', { processes: 1, mode: 'stdio', spec: { shell: 'while read n; do echo $((n * 2)); done' } }),
    ask: (n) => ['POST', '/v1/pools/p/tasks?wait=10', n], answers: [200, 201, 202],
    done: async (d) => (await get(d, '/v1/pools/p/tasks?limit=500')).items.length,
  },
  'something goes through a pipe': {
    before: (d) => put(d, '/v1/pipes/p'),
    ask: (n) => ['POST', '/v1/pipes/p/a/send', { n }], answers: [200, 201],
    done: async (d) => (await get(d, '/v1/pipes/p/b')).messages,
  },
  'a session is made': {
    ask: () => ['POST', '/v1/sessions', { ttl_seconds: 600 }], answers: 201,
    done: async (d) => (await get(d, '/v1/sessions')).items.length,
  },
  'a token is made': {
    ask: (n) => ['POST', '/v1/tokens', { scopes: ['read'], label: `n${n}` }], answers: 201,
    done: async (d) => (await get(d, '/v1/tokens')).items.filter((one) => one.label.startsWith('n')).length,
  },
  'figures are read': { ask: () => ['GET', '/v1/system'], answers: 200, same: (body) => body.health },
};

const MOST = 400;
const settled = (answer, { answers }) => [answers].flat().includes(answer.status);

/** One call while an allocation fails; null: the connection was closed without an answer. */
async function oneTry(d, [method, where, body, raw, headers]) {
  try {
    return await d.call(method, where, { body, raw, headers });
  } catch (error) {
    if (!['ECONNRESET', 'EPIPE', 'ECONNREFUSED'].includes(error.code)) throw error;
    return null;
  } finally { d.admin.reconnect(); }
}

/** The nth allocation fails during the call, then the client tries again. Gives how many allocations failed. */
async function attempt(d, faults, call, n, context, before) {
  const [method, where, body, raw, headers = {}] = call.ask(n, context);
  const keyed = method === 'POST' && !call.keyless ? { 'Idempotency-Key': randomUUID() } : {};
  const asked = [method, where, body, raw, { ...headers, ...keyed }];
  await call.each?.(d, n);
  faults.set('memory', 'ENOMEM', { skip: n, times: 1 });
  const answer = await oneTry(d, asked);
  const failed = faults.clear('memory');
  if (answer !== null && !settled(answer, call)) {
    assert.ok(REFUSALS.includes(answer.status), `${answer}`);
    if (call.done) assert.equal(await call.done(d), before, `it was refused: ${answer}`);
  }
  const again = answer !== null && settled(answer, call) ? answer : await d.call(method, where, { body, raw, headers: asked[4], patient: PATIENCE, expect: call.answers });
  if (call.same) assert.deepEqual(call.same(again.body), context.wanted ??= call.same(again.body));
  if (call.done && await call.done(d) !== before + 1) { const h = await get(d, "/v1/holds?limit=500"); console.log("DEBUG", n, String(answer), String(again), JSON.stringify(again.headers), failed, JSON.stringify(h.items.map((x) => [x.id, x.fence])), JSON.stringify(await get(d, "/v1/semaphores/s")), d.stderr); assert.fail("x"); }
  return failed;
}

describe('an allocation fails while', { concurrency: 2 }, () => {
  for (const [what, call] of Object.entries(calls).filter(([w]) => new RegExp(process.env.ONLY ?? '.').test(w))) {
    faultyTest(`${what}: each of them, one after another`, { seconds: 60 }, async (d, faults, t) => {
      const context = (await call.before?.(d)) ?? {};
      faults.set('exit', 'ENOMEM');
      let n = 0;
      for (let quiet = 0; n < MOST && quiet < 3; n += 1) {
        quiet = await attempt(d, faults, call, n, context, n) === 0 ? quiet + 1 : 0;
      }
      assert.ok(n > 5 && n < MOST, `${n} allocations`);
      t.diagnostic(`${n - 3} allocations, of which ${faults.clear('exit')} ended the server`);
      if (call.done) {
        await d.killServer();
        assert.equal(await call.done(d), n, 'what is stored is what was told');
      }
      assert.deepEqual(ends(d).crashes, []);
    });
  }
});
