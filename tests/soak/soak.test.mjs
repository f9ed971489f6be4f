// The long run in its short form; `make soak` takes half an hour.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soak } from './soak.mjs';

const seconds = Number(process.env.SOAK_SECONDS ?? 45);

test('everything at once, for a while: nothing is lost, nothing grows, nothing is left', { timeout: (seconds + 240) * 1000 }, async (t) => {
  const table = [];
  const sum = await soak({ seconds, print: (line) => table.push(line) }).catch((error) => { for (const line of table) t.diagnostic(line); throw error; });
  t.diagnostic(JSON.stringify(sum));
  assert.ok(sum.servers > 0 && sum.keepers > 0, 'some were killed');
});
