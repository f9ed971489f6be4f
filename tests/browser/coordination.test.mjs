// The views of coordination, driven in a real browser against a daemon whose processes really hold and wait.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe } from 'node:test';
import { until } from '../lib/daemon.mjs';
import { liver } from '../lib/owners.mjs';
import { accessible, browserTest, palette, visit } from '../lib/browser.mjs';

const put = (d, path, body = {}) => d.call('PUT', `/v1/${path}`, { body, expect: 201 });
const message = (d, queue, raw, type = 'text/plain') => d.call('POST', `/v1/queues/${queue}/messages`,
  { raw, headers: { 'Content-Type': type }, expect: 201 });
const object = async (d, path) => (await d.get(`/v1/${path}`)).body;
const button = (page, name) => page.locator('main').getByRole('button', { name, exact: true });
const dialog = (page) => page.getByRole('dialog');
const fact = (page, name) =>
  page.locator('.facts > div').filter({ has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) }).locator('dd');
const go = (page, hash) => page.evaluate((to) => { location.hash = `#/${to}`; }, hash);
const reads = (locator, text) => until(`it reads ${text}`, async () => (await locator.textContent()).trim() === text);

/** A process that runs `script` with `call VERB PATH` for the API and lives on. */
function worker(d, name, script) {
  const call = 'call() { curl -sS -X "$1" -H "Authorization: Bearer $FORKFUL_TOKEN" "$FORKFUL_URL/v1/$2" > /dev/null; }';
  return d.sh(`${call}; ${script}; exec sleep 600`, { name });
}
const acquires = (lock) => `call POST locks/${lock}/acquire?wait=200`;
const waiters = (d, lock, n) => until(`${n} wait for ${lock}`, async () => (await object(d, `locks/${lock}`)).waiters === n);
const held = (d, lock) => until(`${lock} is held`, async () => (await object(d, `locks/${lock}`)).held);

describe('coordination', { concurrency: 2 }, () => {
  browserTest('begins with how to begin, and then shows what is stuck', async ({ d, page }) => {
    await visit(page, d, '/coordination');
    await page.getByText('Nothing has been made yet').waitFor();
    await accessible(page, 'nothing yet');
    await put(d, 'locks/idle');
    await page.getByText('Nothing is stuck.').waitFor();
    await put(d, 'barriers/gate', { parties: 2 });
    await d.post('/v1/barriers/gate/abort', undefined, { expect: 200 });
    await page.getByText('barrier gate: broken: aborted').click();
    await page.getByRole('heading', { name: 'Barriers / gate' }).waitFor();
    await page.getByText('broken: aborted').waitFor();
    await button(page, 'Reset').click();
    await dialog(page).getByRole('button', { name: 'Reset' }).click();
    await page.getByText('0 of 2 there').waitFor();
    await accessible(page, 'a barrier');
    await button(page, 'Abort').click();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await object(d, 'barriers/gate')).broken, false);
  });

  browserTest('lists change by themselves, and are walked and searched without a mouse', async ({ d, page }) => {
    for (const name of ['alpha', 'beta', 'gamma']) await put(d, `locks/${name}`);
    await visit(page, d, '/coordination/locks');
    await page.getByText('3 rows').waitFor();
    await put(d, 'locks/delta');
    await page.getByRole('link', { name: 'delta' }).waitFor();
    await worker(d, 'keeper of beta', acquires('beta'));
    const row = page.getByRole('row').filter({ hasText: 'beta' });
    await row.getByText('held', { exact: true }).waitFor();
    await row.getByRole('link', { name: 'keeper of beta' }).waitFor();
    await accessible(page, 'locks');
    await page.keyboard.press('/');
    await page.keyboard.type('bet');
    await page.getByText('1 / 4 rows').waitFor();
    assert.match(page.url(), /q=bet/);
    await page.locator('h1').focus();
    await page.keyboard.press('j');
    await page.locator(':focus', { hasText: 'beta' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Locks / beta' }).waitFor();
    await page.getByRole('table', { name: 'Who has it' }).waitFor();
    await page.keyboard.press('u');
    await page.getByRole('heading', { name: 'Coordination: Locks' }).waitFor();
    await palette(page, 'coordination pools');
    await page.keyboard.press('Enter');
    await page.getByText('Pools: none').waitFor();
  });

  browserTest('a queue is filled, looked into, kicked, purged and deleted', async ({ d, page }) => {
    await put(d, 'queues/jobs', { max_attempts: 1 });
    await visit(page, d, '/coordination/queues');
    await page.getByRole('link', { name: 'jobs' }).click();
    await page.getByRole('heading', { name: 'Queues / jobs' }).waitFor();

    await button(page, 'Put a message').click();
    await dialog(page).getByLabel('Body').fill('{"order": 1');
    await dialog(page).getByText(/JSON at position/).waitFor();
    assert.ok(await dialog(page).getByRole('button', { name: 'Put a message' }).isDisabled());
    await dialog(page).getByLabel('Body').fill('{"order": 1}');
    await dialog(page).getByLabel(/Priority/).fill('7');
    await dialog(page).getByRole('button', { name: 'Put a message' }).click();
    await page.getByRole('button', { name: '{"order":1}' }).waitFor();
    const [first] = (await object(d, 'queues/jobs/messages')).items;
    assert.deepEqual([first.body, first.priority, first.content_type], [{ order: 1 }, 7, 'application/json']);

    await message(d, 'jobs', 'second\u0007 <b>');
    await page.getByRole('button', { name: 'second\\u0007 <b>' }).click();
    await dialog(page).getByText('text/plain').waitFor();
    await page.keyboard.press('Escape');
    await page.getByLabel(/Depth: Ready 2, Leased 0, Buried 0/).waitFor();
    await accessible(page, 'a queue');

    await worker(d, 'clumsy', 'call POST queues/jobs/receive; exit 3');
    await page.getByText('1 buried').waitFor();
    await button(page, 'Buried').click();
    await page.getByRole('button', { name: '{"order":1}' }).click();
    await dialog(page).getByText(/its owner ended.*exit code 3/).waitFor();
    await page.keyboard.press('Escape');
    await button(page, 'Kick').click();
    await page.getByText('1 message ready again').waitFor();
    await page.getByText('No messages.').waitFor();
    await button(page, 'Purge …').click();
    await dialog(page).getByLabel('State').selectOption('ready');
    await dialog(page).getByRole('button', { name: 'Purge …' }).click();
    await page.getByText('2 messages purged').waitFor();
    await reads(fact(page, 'Ready'), '0');
    await button(page, 'Close').click();
    await dialog(page).getByRole('button', { name: 'Close' }).click();
    await page.getByText('closed', { exact: true }).waitFor();
    assert.ok(await button(page, 'Put a message').isDisabled());
    await button(page, 'Delete').click();
    await dialog(page).getByRole('button', { name: 'Delete' }).click();
    await page.getByText('Queues: none').waitFor();
    await go(page, 'coordination/queues/jobs');
    await page.getByText('It is not there').waitFor();
  });

  browserTest('a lock is broken, and the next in line has it', async ({ d, page }) => {
    await put(d, 'locks/deploy');
    const first = await worker(d, 'first', acquires('deploy'));
    await held(d, 'deploy');
    const second = await worker(d, 'second', acquires('deploy'));
    await waiters(d, 'deploy', 1);
    await visit(page, d, '/coordination/locks/deploy');
    await page.getByText('held, 1 waiting').waitFor();
    const holders = page.getByRole('table', { name: 'Who has it' });
    await holders.getByRole('link', { name: 'first' }).waitFor();
    await page.getByRole('table', { name: 'Who waits' }).getByRole('link', { name: 'second' }).waitFor();
    await accessible(page, 'a lock');
    await button(page, 'Break the hold on locks/deploy').click();
    await accessible(page, 'breaking a hold');
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await object(d, 'locks/deploy')).holds[0].owner, first.id);
    await button(page, 'Break the hold on locks/deploy').click();
    await dialog(page).getByRole('button', { name: 'Break' }).click();
    await holders.getByRole('link', { name: 'second' }).waitFor();
    assert.equal((await object(d, 'locks/deploy')).holds[0].owner, second.id);
    await fact(page, 'Had last').getByText(/broken by somebody/).waitFor();
    await d.post(`/v1/processes/${second.id}/kill`, undefined, { expect: 200 });
    await page.getByText('free', { exact: true }).waitFor();
    await fact(page, 'Had last').getByText(/its owner ended \(exit code -9\)/).waitFor();
  });

  browserTest('a deadlock is marked, with who waits behind it, and ends when a hold is broken', async ({ d, page }) => {
    for (const path of ['locks/accounts', 'locks/ledger', 'events/go']) await put(d, path);
    const both = (one, other) => `${acquires(one)}; call GET events/go/wait?wait=200; ${acquires(other)}`;
    await worker(d, 'left', both('accounts', 'ledger'));
    await worker(d, 'right', both('ledger', 'accounts'));
    await held(d, 'accounts');
    await held(d, 'ledger');
    await visit(page, d, '/coordination/waits');
    await page.getByText('Waits for what nobody holds').waitFor();
    await page.getByRole('link', { name: 'events/go' }).first().waitFor();
    await d.post('/v1/events/go/set', undefined, { expect: 200 });
    await waiters(d, 'accounts', 1);
    await waiters(d, 'ledger', 1);
    await worker(d, 'onlooker', acquires('accounts'));
    await page.getByRole('heading', { name: 'Deadlock of 2' }).waitFor();
    const steps = page.locator('.deadlock > ol > li');
    await page.locator('.deadlock').getByText('onlooker').waitFor();
    const text = (await steps.allTextContents()).map((one) => one.replace(/\s+/g, ' ').trim());
    assert.ok(text.some((one) => one.startsWith('left waits for locks/ledger, which is held by right')), text.join(' | '));
    assert.ok(text.some((one) => one.startsWith('right waits for locks/accounts, which is held by left')), text.join(' | '));
    assert.ok(text.some((one) => one.includes('onlooker waits for locks/accounts')), text.join(' | '));
    await accessible(page, 'a deadlock');
    await go(page, 'coordination');
    await page.getByText(/Deadlock: (left → right → left|right → left → right)/).click();
    await steps.filter({ hasText: /^left/ }).getByRole('button', { name: 'Break the hold on locks/ledger' }).first().click();
    await dialog(page).getByRole('button', { name: 'Break' }).click();
    await page.getByRole('heading', { name: 'Deadlock of 2' }).waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: 'left keeps waiting' }).waitFor();
    await until('left has both', async () => (await object(d, 'holds')).items.length === 2);
  });

  browserTest('a value is edited, and nobody\'s change is overwritten unseen', async ({ d, page }) => {
    await put(d, 'values/settings', { type: 'json', value: { retries: 3, exact: 1 } });
    await d.call('PUT', '/v1/values/settings/value', { raw: '{"value":{"retries":3,"exact":12345678901234567890.5}}',
      headers: { 'Content-Type': 'application/json' } });
    await visit(page, d, '/coordination/values/settings');
    const editor = page.getByLabel('Value', { exact: true });
    await until('the value is there', async () => (await editor.inputValue()).includes('"retries": 3'));
    await editor.fill('{"retries": ');
    await page.locator('#value-fault').getByText(/JSON/).waitFor();
    assert.ok(await button(page, 'Save').isDisabled());
    await accessible(page, 'a value with a fault');
    await editor.fill('{"retries": 4}');
    await button(page, 'Save').click();
    await page.getByText('version 3').waitFor();
    assert.deepEqual((await object(d, 'values/settings')).value, { retries: 4 });

    await editor.fill('{"retries": 5}');
    await d.call('PUT', '/v1/values/settings/value', { body: { value: { retries: 99 } }, expect: 200 });
    await page.getByText('Somebody has changed it meanwhile: version 4 is').waitFor();
    await page.locator('.clip', { hasText: '"retries": 99' }).waitFor();
    await accessible(page, 'a conflict');
    assert.ok(await button(page, 'Save').isDisabled());
    await button(page, 'Take theirs').click();
    assert.match(await editor.inputValue(), /99/);

    await editor.fill('{"retries": 6}');
    await page.route('**/v1/values/settings', (route) => route.abort()); // it hears of nothing, and saves over an old version
    await d.call('PUT', '/v1/values/settings/value', { body: { value: { retries: 100 } }, expect: 200 });
    const refused = page.waitForResponse((answer) => answer.status() === 412);
    await button(page, 'Save').click();
    await refused;
    await page.unroute('**/v1/values/settings');
    await page.getByText(/Somebody has changed it meanwhile/).waitFor();
    await button(page, 'Keep mine, over theirs').click();
    await button(page, 'Save').click();
    await until('mine is there', async () => (await object(d, 'values/settings')).value.retries === 6);
  });

  browserTest('a value keeps every digit, and each type has its bounds', async ({ d, page }) => {
    const big = '9007199254740993';
    await d.call('PUT', '/v1/values/counter', { raw: `{"type":"int64","value":${big}}`,
      headers: { 'Content-Type': 'application/json' }, expect: 201 });
    await put(d, 'values/flag', { type: 'bool', value: false });
    await visit(page, d, '/coordination/values/counter');
    const editor = page.getByLabel('Value', { exact: true });
    await until('all digits are shown', async () => (await editor.inputValue()) === big);
    await editor.fill('1.5');
    await page.getByText('This is no int64.').waitFor();
    await editor.fill('9007199254740995');
    await button(page, 'Save').click();
    await page.getByText('version 2').waitFor();
    assert.match((await d.get('/v1/values/counter')).text, /"value":9007199254740995/);
    await editor.fill('99999999999999999999');
    await button(page, 'Save').click();
    await page.locator('#value-fault').getByText(/\w/).waitFor();
    assert.match((await d.get('/v1/values/counter')).text, /"value":9007199254740995/);
    await go(page, 'coordination/values/flag');
    await editor.selectOption('true');
    await button(page, 'Save').click();
    await until('it is set', async () => (await object(d, 'values/flag')).value === true);
  });

  browserTest('a value of bytes is looked into, downloaded, and replaced by a file, but no other version than the one shown', async ({ d, page }) => {
    const raw = (body) => ({ raw: body, headers: { 'Content-Type': 'application/octet-stream' } });
    const first = Buffer.concat([Buffer.from('GIF89a <b>\0\n'), Buffer.alloc(400, 0xe9)]);
    await d.call('PUT', '/v1/values/icon', { ...raw(first), expect: 201 });
    await visit(page, d, '/coordination/values/icon');
    const shown = page.locator('pre');
    await shown.getByText('0000  47 49 46 38 39 61 20 3c 62 3e 00 0a e9 e9 e9 e9  GIF89a <b>······').waitFor();
    assert.equal((await shown.textContent()).trim().split('\n').length, 24);
    await page.getByText('version 1, the first 384 bytes').waitFor();
    await reads(fact(page, 'Size'), '412 B');
    await accessible(page, 'bytes');
    const waiting = page.waitForEvent('download');
    await button(page, 'Download').click();
    const download = await waiting;
    assert.equal(download.suggestedFilename(), 'icon');
    assert.deepEqual(readFileSync(await download.path()), first);

    const choose = () => page.getByLabel('Replace by a file').setInputFiles({ name: 'new.bin', mimeType: 'text/plain', buffer: Buffer.from([0, 1, 0xff]) });
    await choose();
    await dialog(page).getByText('Replace it by new.bin?').waitFor();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await object(d, 'values/icon')).version, 1);
    await choose();
    await dialog(page).getByText('3 B').waitFor();
    await d.call('PUT', '/v1/values/icon/value', { ...raw('somebody else'), expect: 200 });
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await page.locator('.toast.bad').getByText(/version/).waitFor();
    await shown.getByText('somebody else').waitFor();
    await choose();
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await shown.getByText('0000  00 01 ff').waitFor();
    assert.equal((await object(d, 'values/icon')).value_base64, 'AAH/');
    await page.getByText('version 3', { exact: true }).waitFor();
    await d.call('PUT', '/v1/values/icon/value', { ...raw(''), expect: 200 });
    await shown.getByText('(empty)').waitFor();
  });

  browserTest('a pool shows its workers, and of a failed task what it wrote last', async ({ d, page }) => {
    const shell = 'read x; case $x in bad*) echo "cannot read $x" >&2; exit 3;; slow) sleep 600;; esac; echo "[\\"$x\\"]"';
    await put(d, 'pools/resize', { processes: 2, spec: { shell } });
    await visit(page, d, '/coordination/pools/resize');
    for (const task of ['good', 'bad.png', 'slow']) {
      await button(page, 'Give a task').click();
      await dialog(page).getByLabel('Content type').selectOption('text/plain');
      await dialog(page).getByLabel('Body').fill(task);
      await dialog(page).getByRole('button', { name: 'Give a task' }).click();
      await dialog(page).waitFor({ state: 'detached' });
    }
    const workers = page.getByRole('table', { name: 'Workers' });
    await workers.getByText('busy').waitFor();
    await page.getByText('1 failed').waitFor();
    await button(page, 'Failed').click();
    await page.getByRole('button', { name: /its process ended/ }).click();
    await dialog(page).getByText('cannot read bad.png').waitFor();
    await accessible(page, 'a failed task');
    await page.keyboard.press('Escape');
    await button(page, 'Done').click();
    await page.getByRole('button', { name: /\["good"\]/ }).waitFor();
    await d.post('/v1/pools/resize/batches', { tasks: [{ body: 'x1' }, { body: 'x2' }] }, { expect: 202 });
    await page.getByRole('table', { name: 'Batches' }).getByText('Done').first().waitFor();
    await accessible(page, 'a pool');
    await button(page, 'Terminate').click();
    await dialog(page).getByRole('button', { name: 'Terminate' }).click();
    await workers.waitFor({ state: 'detached' });
    assert.equal((await object(d, 'pools/resize')).state, 'terminated');
  });

  browserTest('events, semaphores, conditions and pipes show who is there and do what they are told', async ({ d, page }) => {
    for (const [path, body] of [['events/ready'], ['semaphores/permits', { value: 1, max: 2 }], ['locks/l'],
      ['conditions/changed', { lock: 'l' }], ['pipes/talk']]) await put(d, path, body);
    const one = await liver(d, { name: 'taker' });
    await visit(page, d, '/coordination/events/ready');
    await page.getByText('clear', { exact: true }).waitFor();
    await button(page, 'Set').click();
    await page.locator('.pill').getByText('set', { exact: true }).waitFor();
    await reads(fact(page, 'Generation'), '1');
    await button(page, 'Clear').click();
    await until('it is clear', async () => (await object(d, 'events/ready')).set === false);

    await one.client.call('POST', '/v1/semaphores/permits/acquire', { body: {}, expect: 200 });
    await go(page, 'coordination/semaphores/permits');
    await page.getByRole('table', { name: 'Who has it' }).getByRole('link', { name: 'taker' }).waitFor();
    await button(page, 'Give one back').click();
    await page.getByText('1 of 1 free').waitFor();
    await accessible(page, 'a semaphore');

    const { body: hold } = await one.client.call('POST', '/v1/locks/l/acquire', { body: {}, expect: 200 });
    const waiting = one.client.call('POST', '/v1/conditions/changed/wait?wait=60', { body: { hold: hold.id } });
    await go(page, 'coordination/conditions/changed');
    await page.getByText('1 waiting').waitFor();
    await button(page, 'Notify one').click();
    assert.equal((await waiting).body.notified, true);
    await page.getByText('0 waiting').waitFor();

    await one.client.call('POST', '/v1/pipes/talk/a/send', { raw: 'hello', headers: { 'Content-Type': 'text/plain' },
      expect: 200 });
    await go(page, 'coordination/pipes/talk');
    await fact(page, 'End b').getByText('1 to receive (5 B), 0 sent').waitFor();
    await accessible(page, 'a pipe');
    await button(page, 'Close b').click();
    await dialog(page).getByRole('button', { name: 'Close b' }).click();
    await page.locator('.pill').getByText('closed').waitFor();

    await go(page, 'coordination/holds');
    await page.getByRole('row').filter({ hasText: 'semaphores/permits' }).getByRole('link', { name: 'taker' }).waitFor();
    await accessible(page, 'holds');
    await d.post('/v1/sessions', { ttl_seconds: 600 }, { expect: 201 });
    await go(page, 'coordination/sessions');
    await page.getByRole('button', { name: /End session/ }).click();
    await dialog(page).getByRole('button', { name: 'End' }).click();
    await page.getByText('Sessions: none').waitFor();
  });

  browserTest('what a token may only look at is there, disabled, with the reason; and the door opens when it is deleted',
    async ({ d, page }) => {
    await put(d, 'queues/jobs');
    await put(d, 'locks/deploy');
    await put(d, 'values/v', { type: 'int32', value: 1 });
    await worker(d, 'holder', acquires('deploy'));
    await held(d, 'deploy');
    const { body: made } = await d.post('/v1/tokens', { scopes: ['read'] }, { expect: 201 });
    await visit(page, d, '/coordination/queues/jobs', made.token);
    for (const [where, names, reason] of [['queues/jobs', ['Put a message', 'Purge …', 'Close', 'Delete'], 'operate'],
      ['locks/deploy', ['Break the hold on locks/deploy'], 'admin'],
      ['values/v', ['Save', 'Delete'], 'operate']]) {
      await go(page, `coordination/${where}`);
      for (const name of names) {
        await button(page, name).waitFor();
        assert.ok(await button(page, name).isDisabled(), name);
        if (name !== 'Delete') assert.match(await button(page, name).getAttribute('title'), new RegExp(reason));
      }
    }
    await go(page, 'coordination/values/v');
    assert.ok(await page.getByLabel('Value', { exact: true }).isDisabled());
    await put(d, 'values/b', { type: 'bytes', length: 1 });
    await go(page, 'coordination/values/b');
    assert.ok(await page.getByLabel('Replace by a file').isDisabled());
    await go(page, 'coordination/sessions');
    await page.getByText('Your token may not see this').waitFor();
    await accessible(page, 'forbidden');
    await go(page, 'coordination/locks/deploy');
    await page.getByRole('link', { name: 'holder' }).waitFor();
    await d.delete(`/v1/tokens/${made.id}`);
    await page.getByText(/no longer accepts the token/).waitFor();
  });

  browserTest('fits into 360 pixels', { page: { width: 360, height: 700 } }, async ({ d, page }) => {
    for (const path of ['queues/jobs', 'locks/deploy', 'events/e', 'pipes/p']) await put(d, path);
    await put(d, 'values/b', { type: 'bytes', length: 1000 });
    await put(d, 'values/a-value-with-a-name-that-is-longer-than-the-screen', { type: 'json', value: { a: 'x'.repeat(200) } });
    await message(d, 'jobs', 'm'.repeat(300));
    await worker(d, 'holder', acquires('deploy'));
    await held(d, 'deploy');
    await visit(page, d, '/coordination');
    for (const where of ['', '/waits', '/queues', '/queues/jobs', '/locks/deploy', '/values', '/values/b',
      '/values/a-value-with-a-name-that-is-longer-than-the-screen', '/holds', '/sessions']) {
      await go(page, `coordination${where}`);
      await page.locator('main :is(.page, .table-box, .state-title)').first().waitFor();
      const wide = await page.evaluate(() => Math.max(document.documentElement.scrollWidth,
        document.querySelector('main').scrollWidth) - innerWidth);
      assert.ok(wide <= 0, `${where} is ${wide} too wide`);
    }
  });
});
