// Output held back by when_full=block: what the pipe holds at the end can still be read, and is not lost without a word.
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { daemonTest, PATIENCE, suite, until } from '../lib/daemon.mjs';
import { exitedWith, range } from '../lib/check.mjs';

const output = { max_bytes: 5000, when_full: 'block' };
const whole = range(1, 6000).map((n) => `${n}\n`).join('');

/** seq 1 6000 that has ended while its pipe is full. */
async function held(d) {
  const done = await d.run({ argv: ['seq', '1', '6000'], output });
  exitedWith(done, 0);
  assert.deepEqual([done.output.open, done.output.stdout_bytes], [true, 5000]);
  return done.id;
}

/** Reads what is there, deletes it, until the stream is closed: all that was written. */
async function flow(d, id) {
  let text = '';
  await until('the output has flowed', async () => {
    const { body } = await d.get(`/v1/processes/${id}/logs?limit=500`, { headers: { Accept: 'application/json' }, patient: PATIENCE });
    const lines = body.items.filter((one) => !one.gap);
    for (const one of lines) text += `${one.text}\n`;
    if (lines.length > 0) await d.call('DELETE', `/v1/processes/${id}/logs?before=${lines.at(-1).seq + 1}`, { expect: 200, patient: PATIENCE });
    else if (!(await d.process(id)).output.open) return true;
    return false;
  }, { every: 0.002 });
  return text;
}

suite('output that blocked until the end', () => {
  daemonTest('flows on as room is made, and its followers end', async (d) => {
    const id = await held(d);
    const follower = await d.stream(`/v1/processes/${id}/logs?follow=true`, { accept: 'application/octet-stream' });
    assert.equal(await flow(d, id), whole);
    const done = await d.process(id);
    assert.deepEqual([done.output.open, done.output.stdout_bytes, done.output.dropped_bytes], [false, whole.length, 0]);
    await follower.bytes();
  });

  daemonTest('flows on after a crash of the server, and of the keeper', async (d) => {
    const [one, two] = [await held(d), await held(d)];
    await d.delete(`/v1/processes/${two}/logs?before=100`, { expect: 200 });
    await d.killServer();
    assert.equal(await flow(d, one), whole);
    await d.killKeeper();
    assert.ok(whole.endsWith(await flow(d, two)));
    assert.equal((await d.process(two)).output.stdout_bytes, whole.length);
  });

  daemonTest('is counted in a gap when the daemon ends', async (d) => {
    const id = await held(d);
    await d.restart();
    const done = await d.process(id);
    assert.equal(done.output.open, false);
    assert.equal(done.output.dropped_bytes, whole.length - 5000);
    const items = await d.logs(id);
    assert.deepEqual(items.filter((one) => one.gap).map((one) => [one.stream, one.gap.reason, one.gap.bytes]), [['stdout', 'keeper_lost', whole.length - 5000]]);
    await (await d.stream(`/v1/processes/${id}/logs?follow=true`, { accept: 'application/octet-stream' })).bytes();
  });

  daemonTest('is given up when the record is deleted', async (d) => {
    const pipes = () => readdirSync(`/proc/${d.pid}/fd`).filter((fd) => { try { return readlinkSync(`/proc/${d.pid}/fd/${fd}`).startsWith('pipe:'); } catch { return false; } }).length;
    const before = pipes();
    const id = await held(d);
    assert.equal(pipes(), before + 1);
    await d.delete(`/v1/processes/${id}`);
    await until('the keeper holds no pipe of it', () => pipes() === before);
  });
});
