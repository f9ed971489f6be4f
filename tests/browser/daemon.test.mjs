// The views of the daemon itself in a real browser: health and limits, feeds, tokens, and its end.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { soon, until } from '../lib/daemon.mjs';
import { accessible, browserTest, palette, visit } from '../lib/browser.mjs';

const button = (page, name) => page.locator('main').getByRole('button', { name, exact: true });
const dialog = (page) => page.getByRole('dialog');
const fact = (page, name) =>
  page.locator('.facts > div').filter({ has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) }).locator('dd');
const row = (page, table, text) => page.getByRole('table', { name: table }).getByRole('row').filter({ hasText: text });
const go = (page, hash) => page.evaluate((to) => { location.hash = `#/${to}`; }, hash);

describe('the daemon', { concurrency: 2 }, () => {
  browserTest('shows its health, what it is, and how much of its limits is in use', async ({ d, page }) => {
    const system = await d.system();
    await d.post('/v1/sessions', { ttl_seconds: 60 }, { expect: 201 });
    await visit(page, d, '/daemon');
    for (const word of ['healthy', 'alive', 'ready']) await page.locator('.pill').getByText(word, { exact: true }).waitFor();
    assert.equal(await fact(page, 'Version').textContent(), system.version);
    assert.equal(await fact(page, 'Server').textContent(), `PID ${system.server_pid}`);
    assert.match(await fact(page, 'Memory of the server').textContent(), /^\d.* [kMG]B$/);
    assert.match(await fact(page, 'Its processor time').textContent(), /^\d+\.\d s$/);
    assert.deepEqual(await row(page, 'Limits', 'max_sessions').locator('td').allTextContents(),
      ['max_sessions', '1', '10,000']);
    await d.sh('sleep 600');
    await until('a process is counted',
      async () => (await row(page, 'Limits', 'max_processes').locator('td').nth(1).textContent()) === '1');
    await accessible(page, 'the daemon');
  });

  browserTest('leads to the description of the API, and to Swagger UI in a build that has it', async ({ d, page }) => {
    await visit(page, d, '/daemon?tab=api');
    assert.equal(await page.getByRole('link', { name: 'openapi.yaml' }).getAttribute('href'), '/openapi.yaml');
    const { status, headers } = await fetch(`${d.url}/web/swagger/index.html`);
    if (status === 404) {
      await page.getByText('This build has no Swagger UI; make SWAGGER=1 embeds it.').waitFor();
      await accessible(page, 'the API');
      return;
    }
    assert.match(headers.get('content-security-policy'), /script-src 'self'; style-src 'self' 'unsafe-inline'/);
    assert.match((await fetch(`${d.url}/`)).headers.get('content-security-policy'),
      /style-src 'self';.*require-trusted-types-for/);
    await page.getByRole('link', { name: 'Swagger UI' }).click();
    await page.getByText('Processes and what coordinates them, over HTTP.').waitFor();
    await page.locator('.opblock', { hasText: '/healthz' }).waitFor({ state: 'attached' });
  });

  browserTest('shows its log as it is written, by level, and keeps as much of it as it is told', async ({ d, page }) => {
    await d.run({ argv: ['true'], name: 'early' });
    await visit(page, d, '/daemon?tab=log');
    await row(page, 'Log', 'process exiting with exitcode 0').getByRole('link', { name: 'early' }).waitFor();
    await d.run({ shell: 'exit 3', name: 'late' });
    await row(page, 'Log', 'process exiting with exitcode 3').getByRole('link', { name: 'late' }).waitFor();
    assert.ok((await page.getByRole('row').nth(1).textContent()).includes('late'), 'the newest is the first');
    await accessible(page, 'the log');
    await button(page, 'Warning').click();
    await page.getByText('Nothing.').waitFor();
    assert.match(page.url(), /level=warning/);
    await page.getByLabel('The daemon keeps').selectOption('error');
    await page.getByText('From now on it keeps error and graver').waitFor();
    assert.equal((await d.get('/v1/log/level')).body.level, 'error');
  });

  browserTest('shows changes as they come and the audit from its end, page by page and filtered', async ({ d, page }) => {
    await d.call('PUT', '/v1/locks/first', { body: {}, expect: 201 });
    for (let i = 0; i < 210; i += 1) await d.post('/v1/queues/none/kick', {}, { expect: 404 });
    await visit(page, d, '/daemon?tab=changes');
    await row(page, 'Changes', 'lock.created').waitFor();
    await d.call('PUT', '/v1/locks/second', { body: {}, expect: 201 });
    await page.getByRole('link', { name: 'second' }).waitFor();
    const filter = page.getByRole('textbox', { name: /^Change/ });
    await filter.fill('queue.');
    await filter.press('Enter');
    await page.getByText('Nothing.').waitFor();
    await d.call('PUT', '/v1/queues/third', { body: {}, expect: 201 });
    await row(page, 'Changes', 'queue.created').waitFor();
    await accessible(page, 'changes');

    await go(page, 'daemon?tab=audit');
    await row(page, 'Audit', 'kickQueue').first().waitFor();
    assert.equal(await row(page, 'Audit', '/v1/locks/first').count(), 0);
    await page.locator('.table-box').evaluate((box) => { box.scrollTop = box.scrollHeight; });
    await button(page, 'Show older ones').click();
    await button(page, 'Show older ones').waitFor({ state: 'detached' });
    await page.locator('.table-box').evaluate((box) => { box.scrollTop = box.scrollHeight; });
    await row(page, 'Audit', '/v1/locks/first').waitFor();
    const what = page.getByRole('textbox', { name: /^What/ });
    await what.fill('putLock');
    await what.press('Enter');
    await until('the locks are left', async () => (await page.getByRole('row').count()) === 3);
    await page.getByRole('row').nth(2).getByRole('button').click();
    await dialog(page).getByText('"request_id": "r_').waitFor();
    await accessible(page, 'a row of the audit');
  });

  browserTest('a token is made with scopes, shown once, works, and is deleted', async ({ d, page }) => {
    await visit(page, d, '/daemon?tab=tokens');
    await page.getByText('No tokens').waitFor();
    await button(page, 'New token').click();
    await dialog(page).getByLabel('Label').fill('grafana');
    await dialog(page).getByLabel(/^read:/).uncheck();
    await dialog(page).getByText('At least one scope.').waitFor();
    assert.ok(await dialog(page).getByRole('button', { name: 'Add' }).isDisabled());
    await dialog(page).getByLabel(/^read:/).check();
    await dialog(page).getByLabel(/^logs:/).check();
    await dialog(page).getByLabel(/Expires after/).fill('7');
    await accessible(page, 'making a token');
    await dialog(page).getByRole('button', { name: 'Add' }).click();
    await page.getByText('It is shown this once').waitFor();
    const shown = (await dialog(page).locator('pre').textContent()).trim();
    await accessible(page, 'a new token');
    await page.keyboard.press('Escape');
    await row(page, 'Tokens', 'grafana').getByText('read, logs').waitFor();
    assert.ok(!(await page.content()).includes(shown), 'it is nowhere on the page any more');
    const [made] = (await d.get('/v1/tokens')).body.items;
    assert.ok(Math.abs(Date.parse(made.expires_at) - Date.now() - 7 * 86400e3) < 60e3);
    await d.as(shown).call('GET', '/v1/processes', { expect: 200 });
    await d.as(shown).call('POST', '/v1/processes', { body: { argv: ['true'] }, expect: 403 });
    await accessible(page, 'tokens');
    await button(page, 'Delete token grafana').click();
    await dialog(page).getByRole('button', { name: 'Delete' }).click();
    await page.getByText('No tokens').waitFor();
    await d.as(shown).call('GET', '/v1/processes', { expect: 401 });
  });

  browserTest('does not offer a token of few scopes what it may not do, and says so where it may not look',
    async ({ d, page }) => {
    const { body: made } = await d.post('/v1/tokens', { scopes: ['read'] }, { expect: 201 });
    await visit(page, d, '/daemon', made.token);
    await page.getByText('healthy').waitFor();
    for (const name of ['Upgrade …', 'Shut down …']) {
      assert.ok(await button(page, name).isDisabled());
      assert.match(await button(page, name).getAttribute('title'), /“admin”/);
    }
    for (const tab of ['log', 'audit', 'tokens']) {
      await go(page, `daemon?tab=${tab}`);
      await page.getByText('Your token may not see this').waitFor();
      await accessible(page, `${tab}, forbidden`);
    }
    await go(page, 'daemon?tab=log');
    assert.ok(await page.getByLabel('The daemon keeps').isDisabled());
    await palette(page, 'shut');
    await page.getByText('No such command.').waitFor();
  });

  browserTest('is upgraded and shut down after a question', async ({ d, page }) => {
    const { server_pid } = await d.system();
    const { id } = await d.sh('exec sleep 600', { name: 'survivor' });
    await visit(page, d, '/daemon');
    await button(page, 'Upgrade …').click();
    await dialog(page).getByRole('button', { name: 'Upgrade' }).click();
    await d.otherServer(server_pid);
    await until('the page shows the new server',
      async () => (await fact(page, 'Server').textContent()) === `PID ${(await d.system()).server_pid}`);
    assert.equal((await d.process(id)).state, 'running');
    await page.locator('.badge.live').waitFor();
    await button(page, 'Shut down …').click();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    await button(page, 'Shut down …').click();
    await dialog(page).getByLabel(/Wait for processes/).fill('0');
    await accessible(page, 'shutting down');
    await dialog(page).getByRole('button', { name: 'Shut down' }).click();
    await soon(d.launched.ended, 'the daemon ends');
    assert.deepEqual([d.launched.code, d.launched.signal], [0, null]);
    await page.getByText(/No connection to the daemon/).waitFor();
    await fact(page, 'Version').waitFor();
    d.sweep();
  });
});
