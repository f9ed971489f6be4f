// Memory that is not there. Each allocation of a request fails once, one after another. Whatever comes back is true: what is
// answered was done, what was refused was not, and a client that repeats a call under its Idempotency-Key has it done once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe } from 'node:test';
import { Clients } from './clients.mjs';
import { ends, faultyTest } from './faults.mjs';
import { PATIENCE, sleep } from '../lib/daemon.mjs';
import { texts } from '../lib/check.mjs';

const REFUSALS = [500, 503, 507];
const get = async (d, where) => (await d.get(where, { patient: PATIENCE })).body;
const number = async (d, name) => (await get(d, `/v1/values/${name}`)).value;
const put = (d, where, body = {}) => d.call('PUT', where, { body, patient: PATIENCE, expect: [200, 201] });

/**
 * What is asked (`ask`: the nth call, [method, path, body]), what it answers, and `done`: how often it was done, over all calls.
 * Where `done` is missing the call only reads, and `same` compares what it gave.
 */
const calls = {
  'a process is made': {
    ask: (n) => ['POST', '/v1/processes', { argv: ['true'], name: 'made', labels: { n: String(n), team: 'a' }, env: { A: 'b' } }], answers: 201,
    done: async (d) => (await d.list('?name=made')).length,
  },
  'a process is made under a policy, in a sandbox, with a secret': {
    config: `spawn.users = ${process.getuid()}\nspawn.executables = /usr/bin/\nspawn.directories = /\nspawn.env_allow = A*\nspawn.max_rlimits = nofile=99\nspawn.max_processes_per_owner = 9\nspawn.secret_directories = /etc\n`,
    each: (d) => d.spawn({ argv: ['true'], cwd: '/', sandbox: { seccomp: 'default', require: false } }, { patient: PATIENCE }), // its filter is made once
    ask: () => ['POST', '/v1/processes', { argv: ['true'], name: 'made', cwd: '/', env: { A: 'b' }, env_from: { A1: { file: '/etc/passwd' } }, sandbox: { read: ['/usr'], seccomp: 'default', require: false } }], answers: 201,
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
    ask: (n) => ['POST', '/v1/pools/p/tasks', n], answers: 202,
    done: async (d) => (await get(d, '/v1/pools/p/tasks?limit=500')).items.length,
  },
  'something goes through a pipe': {
    before: (d) => put(d, '/v1/pipes/p'),
    ask: (n) => ['POST', '/v1/pipes/p/a/send', { n }], answers: [200, 201],
    done: async (d) => (await get(d, '/v1/pipes/p/b')).messages,
  },
  'a session is made': {
    ask: () => ['POST', '/v1/sessions', { ttl_seconds: 600 }], answers: 201,
    done: async (d) => (await get(d, '/v1/sessions?limit=500')).items.length,
  },
  'a token is made': {
    ask: (n) => ['POST', '/v1/tokens', { scopes: ['read'], label: `n${n}` }], answers: 201,
    done: async (d) => (await get(d, '/v1/tokens?limit=500')).items.filter((one) => one.label.startsWith('n')).length,
  },
  'figures are read': { ask: () => ['GET', '/v1/system'], answers: 200, same: (body) => body.health },
};

const MOST = 400;

/** Behind the first allocations come the writer's, of which each costs a retry: of those every eighth, or all with FORKFUL_SWEEP=all. */
const DENSE = 36;
const STRIDE = process.env.FORKFUL_SWEEP === 'all' ? 1 : 8;

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

/**
 * The nth allocation fails during the call. With a key the client tries again until it is answered. Gives how many
 * allocations failed, and how often everything was done by now.
 */
async function attempt(d, faults, call, { n, context, before, keyed }) {
  const number = n * 2 + (keyed ? 1 : 0);
  const [method, where, body, raw, headers = {}] = call.ask(number, context);
  const asked = [method, where, body, raw, keyed ? { ...headers, 'Idempotency-Key': randomUUID() } : headers];
  await call.each?.(d, number);
  faults.set('memory', 'ENOMEM', { skip: n, times: 1 });
  let answer = await oneTry(d, asked);
  const failed = faults.clear('memory');
  const first = `${answer}`;
  if (answer !== null && !settled(answer, call)) {
    assert.ok(REFUSALS.includes(answer.status), first);
    if (call.done) assert.equal(await call.done(d), before, `it was refused: ${first}`);
    answer = null;
  }
  if (answer === null && (keyed || !call.done)) answer = await d.call(method, where, { body, raw, headers: asked[4], patient: PATIENCE, expect: call.answers });
  if (call.same) assert.deepEqual(call.same(answer.body), context.wanted ??= call.same(answer.body));
  const done = call.done ? await call.done(d) : before;
  if (call.done && answer !== null) assert.equal(done, before + 1, `once: ${first}, then ${answer}`);
  else assert.ok(done === before || done === before + 1, `not at all or once: ${first}`);
  return { failed, done };
}

describe('an allocation fails while', { concurrency: 4 }, () => {
  for (const [what, call] of Object.entries(calls)) {
    faultyTest(`${what}: each of them, one after another`, { seconds: 60, config: call.config }, async (d, faults, t) => {
      const context = (await call.before?.(d)) ?? {};
      faults.set('exit', 'ENOMEM');
      const ways = call.ask(0, context)[0] === 'POST' && !call.keyless ? [false, true] : [false];
      let n = 0;
      let done = 0;
      for (let quiet = 0; n < MOST && quiet < 2; n += n < DENSE ? 1 : STRIDE) {
        const seen = [];
        for (const keyed of ways) {
          seen.push(await attempt(d, faults, call, { n, context, before: done, keyed }));
          done = seen.at(-1).done;
        }
        quiet = seen.every((one) => one.failed === 0) ? quiet + 1 : 0;
      }
      assert.ok(n > 5 && n < MOST, `${n} allocations`);
      t.diagnostic(`some ${n} allocations; ${faults.clear('exit')} times the server could not go on`);
      if (call.done) {
        await d.killServer();
        assert.equal(await call.done(d), done, 'what is stored is what was told');
      }
      assert.deepEqual(ends(d).crashes, []);
    });
  }
});

describe('memory', { concurrency: 1 }, () => {
  for (const [what, per_mille, seed] of [['one allocation in a hundred fails', 10, 1], ['one in five', 200, 2]]) {
    faultyTest(`${what} for two seconds, and all that was answered is there, once`, { seconds: 90, seed }, async (d, faults) => {
      const clients = await new Clients(d).begin();
      faults.set('exit', 'ENOMEM');
      faults.set('memory', 'ENOMEM', { per_mille });
      await sleep(2);
      assert.ok(faults.clear('memory') > 3);
      await clients.advance();
      await clients.verify();
      assert.deepEqual(ends(d).crashes, []);
    });
  }

  faultyTest('none at all for a second, and children notice nothing', { seconds: 60 }, async (d, faults) => {
    const { id } = await d.sh('for i in $(seq 300); do echo line $i; sleep 0.01; done; exit 9');
    faults.set('exit', 'ENOMEM');
    faults.set('memory', 'ENOMEM');
    const refused = await oneTry(d, ['GET', '/v1/system']);
    assert.ok(refused === null || REFUSALS.includes(refused.status), `${refused}`);
    await sleep(1);
    faults.clear('memory');
    await d.get('/v1/system', { patient: PATIENCE });
    assert.equal((await d.join(id)).exitcode, 9);
    assert.equal(await d.logsText(id), Array.from({ length: 300 }, (_, i) => `line ${i + 1}\n`).join(''));
    assert.deepEqual(ends(d).crashes, []);
  });
});
