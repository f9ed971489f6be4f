// The page as such: it opens, obeys its own policy, and everything it needs comes from the binary.
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { daemonTest, REPOSITORY } from '../lib/daemon.mjs';
import { accessible, browserTest, visit } from '../lib/browser.mjs';

const own = () => ['', 'lib', 'ui', 'views'].flatMap((dir) => {
  const folder = path.join(REPOSITORY, 'web', dir);
  return readdirSync(folder).map((name) => path.join(folder, name)).filter((file) => statSync(file).isFile() && /\.(js|css|html|svg)$/.test(file));
});

describe('the page', { concurrency: 2 }, () => {
  browserTest('opens on each view without an error, and asks nobody but the daemon', async ({ d, page }) => {
    const asked = new Set();
    page.on('request', (request) => asked.add(new URL(request.url()).origin));
    const { id } = await d.sh('sleep 60', { name: 'sleeper' });
    await visit(page, d);
    await page.getByRole('link', { name: 'sleeper' }).waitFor();
    for (const where of [`processes/${id}`, 'start', 'coordination', 'daemon', 'no/such/place']) {
      await page.evaluate((hash) => { location.hash = `#/${hash}`; }, where);
      await page.locator('main :is(h1, .state-title)').first().waitFor();
    }
    assert.deepEqual([...asked], [d.url]);
  });

  browserTest('asks for a token before it shows anything, says when it is wrong, and opens with the right one', async ({ d, page }) => {
    await page.goto(d.url);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await accessible(page, 'sign in');
    await page.getByLabel('Token').fill(`fkf_${'0'.repeat(64)}`);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('alert').filter({ hasText: /token/ }).waitFor();
    await page.getByLabel('Token').fill(d.token);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'Processes' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Processes' }).waitFor();
    assert.ok(!page.url().includes(d.token));
  });

  daemonTest('is small: its own code as it is served, all words included, is less than 60 kB gzipped; style and frame are 8 kB more at most', async (d) => {
    const served = async (files) => {
      const bodies = files.map(async (file) => {
        const where = path.relative(REPOSITORY, file).replace('web/index.html', '');
        return Buffer.from(await (await fetch(`${d.url}/${where}`)).arrayBuffer());
      });
      return gzipSync(Buffer.concat(await Promise.all(bodies)), { level: 9 }).length;
    };
    const [scripts, others] = [own().filter((file) => file.endsWith('.js')), own().filter((file) => !file.endsWith('.js'))];
    const [code, rest] = [await served(scripts), await served(others)];
    assert.ok(scripts.length > 20 && code < 60_000, `${code} bytes of code`);
    assert.ok(others.length >= 3 && rest < 8_000, `${rest} bytes of the rest`);
  });

  test('makes nodes, never markup', () => {
    for (const file of own().filter((one) => one.endsWith('.js'))) {
      assert.doesNotMatch(readFileSync(file, 'utf8'), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|dangerouslySet/, file);
    }
  });

  daemonTest('gives its libraries with their licences', async (d) => {
    for (const [name, words] of [['htm', /Apache License/], ['preact', /MIT/], ['uplot', /MIT/]]) {
      assert.match(await (await fetch(`${d.url}/web/vendor/${name}-license.txt`)).text(), words);
    }
    assert.equal((await fetch(`${d.url}/web/no/such`)).status, 404);
  });
});
