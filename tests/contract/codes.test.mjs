// Every code of the problem table is provoked by a test, or stands here with the reason why none can.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { Contract } from './contract.mjs';

/** What no test from outside can bring about. */
const UNPROVOKED = {
  out_of_memory: 'the memory does not run out on request; the unit tests of problems and answers make it',
  length_required: 'no call needs a Content-Length: a chunked body is taken everywhere',
  not_supported: 'the local executor can do all that can be asked; executors of other machines may not',
  internal: 'a fault of the daemon; where it shows as a broken stream tests/http/follow.test.mjs makes one',
};

const contract = new Contract();
const folder = (name) => new URL(`../${name}/`, import.meta.url);

/** The text of all tests that talk to a daemon. */
const tests = ['http', 'crash', 'seeds'].flatMap((name) => readdirSync(folder(name), { recursive: true })
  .filter((file) => file.endsWith('.mjs')).map((file) => readFileSync(new URL(file, folder(name)), 'utf8'))).join('\n');

/** A test that expects the code names it in quotes, beside its status or compared with `code`. */
const provoked = (code, status) => new RegExp(`${status}, '${code}'|code[^\n]{0,40}'${code}'|${status}[^\n]*'${code}'|'[^'\n]* ${code}'`).test(tests);

test('every code of the table is provoked by some test, or is known to be out of reach', () => {
  const missing = [...contract.codes].filter(([code, status]) => !UNPROVOKED[code] && !provoked(code, status));
  assert.deepEqual(missing, []);
});

test('what is said to be out of reach is in the table, and no test reaches it', () => {
  for (const [code, reason] of Object.entries(UNPROVOKED)) {
    assert.ok(contract.codes.has(code), code);
    assert.ok(reason.length > 20);
    assert.ok(!provoked(code, contract.codes.get(code)), `${code} is provoked after all`);
  }
});
