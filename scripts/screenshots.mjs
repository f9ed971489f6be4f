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

/** What processes coordinate with: a deadlock and somebody behind it, a queue with buried messages, a pool with a failed task. */
async function coordinate(d) {
  const put = (path, body = {}) => d.call('PUT', `/v1/${path}`, { body, expect: 201 });
  const ask = 'call() { curl -sS -o /dev/null -X "$1" -H "Authorization: Bearer $FORKFUL_TOKEN" "$FORKFUL_URL/v1/$2"; }';
  const get = (lock) => `call POST "locks/${lock}/acquire?wait=300"`;
  for (const path of ['locks/accounts', 'locks/ledger', 'locks/deploy', 'events/go', 'queues/mail', 'values/settings']) {
    await put(path, path === 'values/settings' ? { type: 'json', value: { retries: 3, hosts: ['db-1', 'db-2'], theme: 'dark' } } : {});
  }
  await put('semaphores/licences', { value: 3, max: 3 });
  await put('barriers/start', { parties: 3 });
  await put('queues/jobs', { max_attempts: 1 });
  for (const [name, one, other] of [['transfer', 'accounts', 'ledger'], ['month end', 'ledger', 'accounts']]) {
    await d.sh(`${ask}; ${get(one)}; call GET "events/go/wait?wait=300"; ${get(other)}; sleep 3600`, { name });
    await until(`${one} is held`, async () => (await d.get(`/v1/locks/${one}`)).body.held);
  }
  await d.post('/v1/events/go/set');
  await d.sh(`${ask}; ${get('deploy')}; ${get('accounts')}; sleep 3600`, { name: 'statement printer' });
  for (let i = 0; i < 40; i += 1) await d.post('/v1/queues/jobs/messages', { order: 4000 + i, customer: ['Ada', 'Grace', 'Linus'][i % 3], items: i % 5 });
  await d.sh(`${ask}; call POST queues/jobs/receive; exit 1`, { name: 'clumsy worker' });
  await put('pools/thumbnails', { processes: 2, spec: { shell: 'read x; case $x in *gif) echo "cannot read $x" >&2; exit 3;; *raw) sleep 3600;; esac; echo "{\\"file\\": \\"$x\\"}"' } });
  for (const name of ['a.png', 'b.gif', 'c.png', 'd.raw', 'e.png']) {
    await d.call('POST', '/v1/pools/thumbnails/tasks', { raw: name, headers: { 'Content-Type': 'text/plain' }, expect: 202 });
  }
  await d.post('/v1/tokens', { scopes: ['read', 'logs'], label: 'grafana' });
  await d.post('/v1/tokens', { scopes: ['operate'], label: 'deploy script', expires_in_seconds: 86400 });
  await until('two wait for accounts', async () => (await d.get('/v1/locks/accounts')).body.waiters === 2);
}

/** Somebody works: the depth of the queue moves while its picture is waited for. */
async function work(d, page) {
  for (let i = 0; i < 14; i += 1) {
    await d.post(`/v1/queues/jobs/receive?max=${i % 3}&mode=take`, undefined, { expect: [200, 400] });
    if (i % 4 === 3) for (let k = 0; k < 6; k += 1) await d.post('/v1/queues/jobs/messages', { order: 5000 + i, again: k });
    await page.waitForTimeout(1000);
  }
}

const VIEWS = (d, id) => [
  ['processes', 'processes?sort=-time', (page) => until('lines have grown', () => page.evaluate(() => [...document.querySelectorAll('.spark polyline')].some((one) => one.points.numberOfItems > 5)))],
  ['tree', 'processes?view=tree&group=live', (page) => page.getByText('crawler 2').waitFor()],
  ['log', `processes/${id}?grep=Timeout`, async (page) => { await page.getByRole('button', { name: 'Match before' }).click(); await page.locator('.picked .hit').waitFor(); }],
  ['stats', `processes/${id}?tab=stats`, (page) => until('figures have grown', async () => { await page.locator('.chart canvas').nth(2).waitFor(); return page.waitForTimeout(16000).then(() => true); })],
  ['coordination', 'coordination', (page) => page.getByText('Deadlock').waitFor()],
  ['coordination-waits', 'coordination/waits', (page) => page.locator('.node', { hasText: 'statement printer' }).waitFor()],
  ['coordination-queue', 'coordination/queues/jobs', (page) => work(d, page)],
  ['coordination-pool', 'coordination/pools/thumbnails', (page) => page.getByText('its process ended').waitFor()],
  ['coordination-value', 'coordination/values/settings', (page) => page.getByLabel('Value', { exact: true }).waitFor()],
  ['daemon', 'daemon', (page) => page.getByText('max_processes').waitFor()],
  ['daemon-tokens', 'daemon?tab=tokens', (page) => page.getByText('grafana').waitFor()],
  ['start', 'start', (page) => page.getByLabel('Program', { exact: true }).fill('python3')],
];

let daemon;
after(() => daemon?.sweep());
test('the pictures', { timeout: 300_000 }, async () => {
  mkdirSync(OUT, { recursive: true });
  daemon = await startDaemon();
  const id = await fill(daemon);
  await coordinate(daemon);
  for (const colorScheme of ['light', 'dark']) {
    const { page, context } = await newPage({ colorScheme, width: 1200, height: 720 });
    await visit(page, daemon);
    for (const [name, where, ready] of VIEWS(daemon, id)) {
      await page.evaluate((hash) => { location.hash = `#/${hash}`; }, where);
      await page.locator('main h1').waitFor();
      await ready(page);
      await page.screenshot({ path: path.join(OUT, `${name}-${colorScheme}.png`) });
    }
    await context.close();
  }
});
