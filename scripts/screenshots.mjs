// Makes the pictures of docs/dashboard.md anew: node scripts/screenshots.mjs, with FORKFUL_BIN as in the tests. Each view in
// both themes, of a daemon with work in it; look at them before you commit them.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { REPOSITORY, startDaemon, until } from '../tests/lib/daemon.mjs';
import { newPage, visit } from '../tests/lib/browser.mjs';

const OUT = path.join(REPOSITORY, 'docs/screens');
const WORK = 'while :; do i=$((i+1)); [ $((i % 4000)) -eq 0 ] && sleep 0.05; done';

/** A small shop: workers, a tree, some that went wrong, and one that writes a log worth reading. */
async function fill(d) {
  for (const [n, queue] of ['mail', 'images', 'invoices', 'search', 'images', 'mail'].entries()) {
    await d.sh(n % 2 ? WORK : 'sleep 3600', { name: `${queue} worker`, labels: { team: n % 2 ? 'media' : 'orders', tier: 'batch' } });
  }
  await d.run({ shell: 'exit 3', name: 'nightly import', labels: { team: 'orders' } });
  await d.run({ shell: 'kill -SEGV $$', name: 'thumbnailer', labels: { team: 'media' } });
  await d.run({ shell: 'sleep 60', name: 'slow report', timeout_seconds: 0.2, stop: { grace_seconds: 0 } });
  await d.run({ shell: 'true', name: 'migrate database' });
  const child = 'curl -sS -o /dev/null -H "Authorization: Bearer $FORKFUL_TOKEN" -H "Content-Type: application/json" "$FORKFUL_URL/v1/processes" -d';
  await d.sh(`for n in 1 2; do ${child} "{\\"argv\\":[\\"sleep\\",\\"3600\\"],\\"name\\":\\"crawler $n\\"}"; done; sleep 3600`, { name: 'crawler', labels: { team: 'search' } });
  return (await d.python(`
import sys, time, random
random.seed(4)
paths = ["/orders", "/orders/17", "/images/a.png", "/search?q=fork", "/login"]
for i in range(1, 4001):
    if i > 3900: time.sleep(0.004)
    code = random.choice([200] * 12 + [304, 404, 500])
    colour = 32 if code < 400 else 33 if code < 500 else 31
    print(f"\\x1b[2m{i:06d}\\x1b[0m GET {random.choice(paths)} \\x1b[{colour}m{code}\\x1b[0m {random.randint(1, 90)} ms", flush=True)
    if code == 500: print("Traceback: TimeoutError: the database did not answer within 2 s", file=sys.stderr, flush=True)
while True: sum(range(300000)); time.sleep(random.random() / 9)`, { name: 'web', labels: { team: 'orders', tier: 'front' } })).id;
}

const VIEWS = (id) => [
  ['processes', 'processes?sort=-time', (page) => until('lines have grown', () => page.evaluate(() => [...document.querySelectorAll('.spark polyline')].some((one) => one.points.numberOfItems > 5)))],
  ['tree', 'processes?view=tree&group=live', (page) => page.getByText('crawler 2').waitFor()],
  ['log', `processes/${id}?grep=Timeout`, async (page) => { await page.getByRole('button', { name: 'Match before' }).click(); await page.locator('.picked .hit').waitFor(); }],
  ['stats', `processes/${id}?tab=stats`, (page) => until('figures have grown', async () => { await page.locator('.chart canvas').nth(2).waitFor(); return page.waitForTimeout(16000).then(() => true); })],
  ['start', 'start', (page) => page.getByLabel('Program', { exact: true }).fill('python3')],
];

let daemon;
after(() => daemon?.sweep());
test('the pictures', { timeout: 300_000 }, async () => {
  mkdirSync(OUT, { recursive: true });
  daemon = await startDaemon();
  const id = await fill(daemon);
  for (const colorScheme of ['light', 'dark']) {
    const { page, context } = await newPage({ colorScheme, width: 1200, height: 720 });
    await visit(page, daemon);
    for (const [name, where, ready] of VIEWS(id)) {
      await page.evaluate((hash) => { location.hash = `#/${hash}`; }, where);
      await page.locator('main h1').waitFor();
      await ready(page);
      await page.screenshot({ path: path.join(OUT, `${name}-${colorScheme}.png`) });
    }
    await context.close();
  }
});
