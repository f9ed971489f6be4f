// SEEDS.md row 30: Pool(8), sixteen tasks of a second each, close, join.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { between, problem, range } from '../lib/check.mjs';

const P = '/v1/pools/p';
const SECOND = 'for i in 1 2 3 4 5; do sleep 0.2; done; echo $$';

suite('seed D', () => {
  for (const [mode, script] of [['spawn', SECOND], ['stdio', `while read -r line; do ${SECOND}; done`]]) {
    daemonTest(`row 30, mode ${mode}: sixteen tasks in eight processes take about two seconds`, async (d) => {
      await d.call('PUT', P, { body: { processes: 8, mode, spec: { argv: ['sh', '-c', script] } }, expect: 201 });
      const tasks = [];
      for (const i of range(0, 15)) tasks.push((await d.post(`${P}/tasks`, i, { expect: 202 })).body);
      await d.post(`${P}/close`);
      const pool = (await d.get(`${P}/join?wait=60`)).body;
      assert.deepEqual([pool.joined, pool.done, pool.workers], [true, 16, []]);
      problem(await d.post(`${P}/tasks`, 1), 409, 'closed');
      const ended = await Promise.all(tasks.map(async ({ id }) => (await d.get(`${P}/tasks/${id}`)).body));
      assert.ok(ended.every((one) => one.state === 'done' && one.attempts.length === 1));
      const runs = ended.map((one) => one.attempts[0]);
      const first = runs.map((one) => one.started_at).sort()[0];
      const last = runs.map((one) => one.ended_at).sort().at(-1);
      const seconds = between(first, last);
      assert.ok(seconds >= 2 && seconds < 6, `${seconds}`);
      const overlaps = runs.map((one) => runs.filter((other) => other.started_at <= one.started_at && one.started_at < other.ended_at).length);
      assert.equal(Math.max(...overlaps), 8, `${overlaps}`);
      if (mode === 'stdio') assert.ok(new Set(ended.map((one) => one.result)).size <= 8);
    });
  }
});
