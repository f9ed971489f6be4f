// How much output is kept, and what happens when that is full.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { send } from '../lib/proc.mjs';
import { exitedWith, lineBytes, range } from '../lib/check.mjs';

const MB = 1 << 20;
/** Numbered lines of 64 bytes with their newline. */
const lines = (count) => `import sys\nfor i in range(1, ${count + 1}): sys.stdout.write("%-63d\\n" % i)`;
const number = (record) => Number(record.text);
const kept = (items) => items.filter((one) => !one.gap);
const gaps = (items) => items.filter((one) => one.gap);

suite('a full log', () => {
  daemonTest('drops the oldest, keeps the newest and says where', async (d) => {
    const count = (6 * MB) / 64;
    const done = await d.run({ argv: ['python3', '-c', lines(count)], output: { max_bytes: MB, when_full: 'drop_oldest' } });
    exitedWith(done, 0);
    const items = await d.logs(done.id);
    const numbers = kept(items).map(number);
    assert.equal(numbers.at(-1), count);
    const bytes = numbers.length * 64;
    assert.ok(bytes <= MB + 256 * 1024 && bytes >= MB / 2, `${bytes} are kept`);
    const whole = numbers.filter((one) => !Number.isNaN(one));
    assert.deepEqual(whole.slice(1), range(whole[1], count));
    assert.equal(gaps(items).length, 1);
    assert.equal(items[0].gap.reason, 'drop_oldest');
    assert.equal(done.output.stdout_bytes, 6 * MB);
    assert.ok(done.output.dropped_bytes >= 6 * MB - MB - 256 * 1024, `${done.output.dropped_bytes}`);
    if (items[0].gap.bytes !== null) assert.ok(Math.abs(items[0].gap.bytes + bytes - 6 * MB) < 64, JSON.stringify(items[0]));
  });

  daemonTest('drops the newest, keeps the oldest and says where', async (d) => {
    const count = (4 * MB) / 64;
    const done = await d.run({ argv: ['python3', '-c', lines(count)], output: { max_bytes: MB, when_full: 'drop_newest' } });
    exitedWith(done, 0);
    const items = await d.logs(done.id);
    const numbers = kept(items).map(number);
    assert.deepEqual(numbers.slice(0, 15000), range(1, 15000));
    assert.ok(numbers.length * 64 <= MB + 64, `${numbers.length}`);
    const last = gaps(items).at(-1);
    assert.equal(last.gap.reason, 'drop_newest');
    assert.equal(items.at(-1), last);
    assert.equal(done.output.stdout_bytes, 4 * MB);
    assert.equal(kept(items).reduce((sum, one) => sum + lineBytes(one).length + (one.partial ? 0 : 1), 0) + done.output.dropped_bytes, 4 * MB);
  });

  daemonTest('blocks the child until there is room again, and loses nothing', async (d) => {
    const count = (3 * MB) / 64;
    const { id } = await d.spawn({ argv: ['python3', '-c', lines(count)], output: { max_bytes: MB, when_full: 'block' } });
    const seen = [];
    let after = 0;
    await until('it has written all and ended', async () => {
      const { body } = await d.get(`/v1/processes/${id}/logs?after=${after}&limit=500&wait=1`, { headers: { Accept: 'application/json' } });
      seen.push(...kept(body.items).map(number));
      if (body.items.length > 0) after = body.next_after;
      else await d.call('DELETE', `/v1/processes/${id}/logs?before=${after + 1}`, { expect: 200 });
      return body.ended && body.items.length === 0;
    }, { within: 60, every: 0 });
    assert.deepEqual(seen, range(1, count));
    const done = await d.join(id);
    exitedWith(done, 0);
    assert.equal(done.output.dropped_bytes, 0);
  });

  daemonTest('that blocks holds the child, which can be stopped all the same', async (d) => {
    const { id } = await d.spawn({ argv: ['yes'], output: { max_bytes: 100_000, when_full: 'block' } });
    let last = -1;
    const full = await until('it is held', async () => {
      const before = last;
      last = (await d.process(id)).output.stdout_bytes;
      return last >= 100_000 && before === last && last;
    }, { every: 0.2 });
    assert.ok(full <= 100_000 + 65536, `${full}`);
    await d.killServer();
    assert.equal((await d.process(id)).output.stdout_bytes, full);
    await d.post(`/v1/processes/${id}/stop`, { grace_seconds: 5 }, { expect: 202 });
    assert.equal((await d.join(id)).exit.reason, 'stopped');
  });

  daemonTest('is no matter for one that stays under it', async (d) => {
    for (const when_full of ['drop_oldest', 'drop_newest', 'block']) {
      const done = await d.run({ argv: ['python3', '-c', lines(1000)], output: { max_bytes: 64000, when_full } });
      const items = await d.logs(done.id);
      assert.deepEqual(gaps(items), [], when_full);
      assert.deepEqual(kept(items).map(number), range(1, 1000));
      assert.equal(done.output.dropped_bytes, 0);
    }
  });
});

suite('the output of all processes over its limit', () => {
  daemonTest('goes at the old end, and the processes tell how much, though nothing else happens', { config: 'retention.logs_total_bytes = 64M\n' }, async (d) => {
    const made = [];
    for (let i = 0; i < 4; i++) made.push((await d.run({ argv: ['python3', '-c', lines(16384)] })).id);
    writeFileSync(path.join(d.dir, 'forkful.conf'), 'retention.logs_total_bytes = 2M\n');
    send(d.pid, 'SIGHUP');
    await until('all that is missing is counted', async () => {
      const missing = await Promise.all(made.map(async (id) => {
        const bytes = (await d.logsBytes(id)).length;
        const { output } = await d.process(id);
        return { gone: output.stdout_bytes - bytes, told: output.dropped_bytes };
      }));
      return missing[0].gone === MB && missing[1].gone > 0 && missing.every(({ gone, told }) => gone === told);
    });
  });
});

suite('much output', () => {
  daemonTest('of many children at once stays apart, line by line', async (d) => {
    const made = await Promise.all(range(1, 20).map((n) => d.python(`import sys\nfor i in range(2000): sys.stdout.write("child ${n} line %d\\n" % i)`)));
    await Promise.all(made.map(async ({ id }, i) => {
      exitedWith(await d.join(id), 0);
      assert.equal(await d.logsText(id), range(0, 1999).map((line) => `child ${i + 1} line ${line}\n`).join(''));
    }));
  });

  daemonTest('of one gigantic line and of a hundred thousand tiny ones leaves the daemon quick', async (d) => {
    const long = await d.python('import sys\nfor _ in range(300): sys.stdout.write("x" * 65536)');
    const tiny = await d.python('import sys\nsys.stdout.write("\\n" * 100000)');
    const slowest = await until('both have ended', async () => {
      const begun = Date.now();
      const { processes } = await d.system();
      assert.ok(Date.now() - begun < 5000, 'the daemon answers meanwhile');
      return processes.exited === 2;
    }, { within: 60 });
    assert.ok(slowest);
    assert.equal((await d.logsBytes(long.id)).length, 300 * 65536);
    const page = (await d.get(`/v1/processes/${tiny.id}/logs?tail=1`, { headers: { Accept: 'application/json' } })).body;
    assert.deepEqual([page.items[0].seq, page.items[0].text], [100000, '']);
  });
});
