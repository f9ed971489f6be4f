// The lectures' exercise (row 16): a case where processes win and one where they do not. Only the signs of the figures
// are checked, on a machine that may be busy.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { daemonTest, REPOSITORY, suite } from '../lib/daemon.mjs';

const run = promisify(execFile);
const figure = (text, pattern) => Number(pattern.exec(text)?.[1] ?? assert.fail(`${pattern} in ${text}`));

suite('seeds with measurements', () => {
  daemonTest('row 16: children that compute win by their number, small jobs by a worker that is warm', async (d) => {
    const env = { PATH: process.env.PATH, HOME: d.dir, DAEMON_UNDER_TEST: d.mark, FORKFUL_URL: d.url, FORKFUL_TOKEN: d.token };
    for (let left = 8; ; left -= 1) { // another test may have the other processor
      const { stdout, stderr } = await run(path.join(REPOSITORY, 'examples/measure/run'), ['4', '300'], { env, timeout: 120000 });
      assert.equal(stderr, '');
      const after = figure(stdout, /compute: ([\d.]+) s one after/);
      const at_once = figure(stdout, /after another, ([\d.]+) s at once/);
      const cpu = figure(stdout, /each takes ([\d.]+) s of CPU/);
      const cpus = figure(stdout, /there are (\d+) CPUs/);
      assert.ok(cpu > 0 && after >= 4 * cpu * 0.9, stdout);
      assert.ok(figure(stdout, /and ([\d.]+) MB/) > 1, stdout);
      const by_number = cpus < 2 || at_once < after;
      const warm = figure(stdout, /as children, ([\d.]+) s as messages/) < figure(stdout, /300 small jobs: ([\d.]+) s/);
      if (by_number && warm) break;
      assert.ok(left > 0, stdout);
    }
    assert.deepEqual((await d.list()).filter((one) => one.exitcode !== 0), []);
  });
});
