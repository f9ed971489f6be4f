// The second lecture as far as processes go (rows 10 to 12): the log of multiprocessing, and classes with run().
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { exitedWith } from '../lib/check.mjs';

const work = { argv: ['python3', '-c', 'import sys\nprint("Doing some work"); sys.stdout.flush()'] };

async function life(d, level) {
  const { id, name } = await d.run(work);
  const { items } = (await d.get(`/v1/log?process=${id}&level=${level}`)).body;
  assert.ok(items.every((one, i) => one.process === id && one.process_name === name && (i === 0 || one.seq > items[i - 1].seq)));
  return { id, items };
}

suite('seed B', () => {
  daemonTest('row 10: the log at DEBUG tells the life of a process, and its own line is not in it', async (d) => {
    const { id, items } = await life(d, 'debug');
    assert.deepEqual(items.map((one) => `${one.level}: ${one.text}`), ['info: child process calling python3', 'debug: process shutting down', 'info: process exiting with exitcode 0']);
    assert.equal(await d.logsText(id), 'Doing some work\n');
  });

  daemonTest('row 11: the log at INFO is the same without the DEBUG lines', async (d) => {
    const { id } = await life(d, 'debug');
    const all = (await d.get(`/v1/log?process=${id}&level=debug`)).body.items;
    const info = (await d.get(`/v1/log?process=${id}&level=info`)).body.items;
    assert.ok(info.length < all.length, 'a strict subset');
    assert.deepEqual(info, all.filter((one) => one.level !== 'debug'));
    assert.deepEqual(info.map((one) => one.text), ['child process calling python3', 'process exiting with exitcode 0']);
  });

  daemonTest('row 12: workers of a class print the names that come from it', async (d) => {
    const made = [];
    for (let i = 1; i <= 5; i += 1) {
      made.push(await d.python('import os\nclass Worker:\n    def run(self): print("In %s" % os.environ["FORKFUL_PROCESS_NAME"])\nWorker().run()', { name: `Worker-${i}` }));
    }
    for (const [i, { id }] of made.entries()) {
      exitedWith(await d.join(id), 0);
      assert.equal(await d.logsText(id), `In Worker-${i + 1}\n`);
    }
  });
});
