// What the page says when not all is well: no connection, no more token, a token that may not.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { until } from '../lib/daemon.mjs';
import { send } from '../lib/proc.mjs';
import { accessible, browserTest, palette, visit } from '../lib/browser.mjs';

const token = async (d, scopes) => (await d.call('POST', '/v1/tokens', { body: { scopes }, expect: 201 })).body;

describe('the page', { concurrency: 2 }, () => {
  browserTest('recovers when the server is killed, and has missed nothing', async ({ d, page }) => {
    const { id } = await d.sh('i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo "tick $i"; sleep 0.01; done; sleep 600', { name: 'ticker' });
    await visit(page, d, '/processes');
    await page.getByRole('link', { name: 'ticker' }).waitFor();
    const before = await d.sh('sleep 600', { name: 'before' });
    await d.killServer();
    const after = await d.sh('exit 6', { name: 'after' });
    await d.post(`/v1/processes/${before.id}/stop`, {});
    await page.getByRole('link', { name: 'after' }).waitFor();
    await page.getByText('exit code 6').waitFor();
    await page.getByText(/killed by SIGTERM, stopped/).waitFor();
    await page.getByRole('link', { name: 'ticker' }).click();
    await page.locator('.line').first().waitFor();
    await d.killServer();
    await page.locator('.line-text', { hasText: /^tick 400$/ }).waitFor();
    await page.getByText('400 lines').waitFor();
    assert.ok(after.id && id);
  });

  browserTest('says since when it is disconnected while nobody answers, and goes on when somebody does', async ({ d, page }) => {
    await d.sh('sleep 600', { name: 'lasting' });
    await visit(page, d);
    await page.getByRole('link', { name: 'lasting' }).waitFor();
    await page.locator('.badge.live').waitFor();
    const { keeper_pid, server_pid } = await d.system();
    send(keeper_pid, 'SIGSTOP');
    send(server_pid, 'SIGKILL');
    await page.getByText(/No connection to the daemon for \d+ s/).waitFor();
    await page.locator('.badge').getByText(/disconnected for \d+ s/).waitFor();
    await accessible(page, 'disconnected');
    await page.getByRole('link', { name: 'lasting' }).waitFor();
    send(keeper_pid, 'SIGCONT');
    await d.otherServer(server_pid);
    await page.locator('.badge.live').waitFor();
    await page.getByText(/No connection/).waitFor({ state: 'detached' });
  });

  browserTest('gives its connections back while nobody sees it, and then asks for what it missed', async ({ d, page }) => {
    const see = (seen) => page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, !seen);
    const gone = page.waitForEvent('requestfailed', (request) => request.url().includes('/v1/changes'));
    await visit(page, d);
    await page.getByText('Nothing has been started yet').waitFor();
    await d.sh('exit 6', { name: 'seen' });
    await page.getByText('exit code 6').waitFor();
    await see(false);
    await gone;
    await d.sh('exit 7', { name: 'unseen' });
    const asked = page.waitForRequest((request) => request.url().includes('/v1/changes'));
    await see(true);
    assert.match((await asked).url(), /after=\d+/);
    await page.getByText('exit code 7').waitFor();
  });

  browserTest('goes back to the door when its token is deleted, and says why', async ({ d, page }) => {
    const made = await token(d, ['read', 'logs', 'operate', 'spawn']);
    await visit(page, d, '/processes', made.token);
    await page.getByText('Nothing has been started yet').waitFor();
    await d.delete(`/v1/tokens/${made.id}`);
    await page.getByText(/no longer accepts the token/).waitFor();
    await accessible(page, 'expired');
    assert.equal(await page.evaluate(() => sessionStorage.getItem('forkful-token')), null);
    await page.getByLabel('Token').fill(d.token);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('Nothing has been started yet').waitFor();
  });

  browserTest('says what a token of few scopes may not do, and does not offer it', async ({ d, page }) => {
    const { id } = await d.sh('echo private; sleep 600', { name: 'guarded' });
    const { token: reader } = await token(d, ['read']);
    await visit(page, d, '/processes', reader);
    await page.getByRole('link', { name: 'guarded' }).click();
    await page.getByText('Your token may not see this').waitFor();
    await accessible(page, 'forbidden');
    assert.ok(!(await page.content()).includes('private\n'));
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.locator('.facts').getByText(id).waitFor();
    for (const name of ['Stop', 'Kill', 'Run again']) await until(`${name} is disabled`, () => page.getByRole('button', { name }).isDisabled());
    await page.keyboard.press('s');
    await page.keyboard.press('u');
    await until('nothing can be started', () => page.getByRole('button', { name: 'Start a process' }).isDisabled());
    await page.getByLabel('Select guarded').click();
    for (const name of ['Stop', 'Kill', 'Delete']) assert.ok(await page.getByRole('button', { name }).isDisabled());
    assert.equal((await d.process(id)).state, 'running');
  });

  browserTest('changes the code of a link for a token, once, and keeps the code out of its address', async ({ d, page }) => {
    const { code, urls: [link] } = (await d.post('/v1/login/codes', { scopes: ['read'] }, { expect: 201 })).body;
    await page.goto(link);
    await page.getByText('Nothing has been started yet').waitFor();
    assert.equal(page.url(), `${d.url}/#/processes`);
    await until('the page knows what it may', () => page.getByRole('button', { name: 'Start a process' }).isDisabled());
    assert.equal((await d.get('/v1/tokens')).body.items.length, 1);
    await page.evaluate((text) => { location.hash = `#login=${text}`; }, code);
    await page.getByText(/That link was used already/).waitFor();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.equal(page.url(), `${d.url}/#/processes`);
  });

  browserTest('signs out: the token is forgotten here, and one of a login is over', async ({ d, page }) => {
    const { urls: [link] } = (await d.post('/v1/login/codes', {}, { expect: 201 })).body;
    for (const address of [`${d.url}/#token=${d.token}`, link]) {
      await page.goto(address);
      await page.getByText('Nothing has been started yet').waitFor();
      assert.equal(page.url(), `${d.url}/#/processes`);
      await palette(page, 'sign out');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      assert.equal(await page.evaluate(() => sessionStorage.length), 0);
      await until('no token of a login is left', async () => (await d.get('/v1/tokens')).body.items.length === 0);
    }
    await d.get('/v1/system');
  });

  browserTest('fits on 360 pixels and wears the theme one chooses', { page: { width: 360, height: 640 } }, async ({ d, page }) => {
    const { id } = await d.sh('echo hello; sleep 600', { name: 'a name that is rather long for such a small screen', labels: { team: 'a' } });
    await visit(page, d);
    for (const where of ['processes', `processes/${id}`, `processes/${id}?tab=overview`, `processes/${id}?tab=spec`, 'start']) {
      await page.evaluate((hash) => { location.hash = `#/${hash}`; }, where);
      await page.locator('main h1').waitFor();
      await until(`${where} is not wider than the screen`, () => page.evaluate(() => document.documentElement.scrollWidth <= 360 && document.querySelector('main').scrollWidth <= 360));
    }
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const seen = new Set([await ground()]);
    for (const theme of ['light', 'dark']) {
      await page.getByRole('button', { name: 'Theme' }).click();
      await page.getByRole('button', { name: `Theme: ${theme}` }).waitFor();
      seen.add(await ground());
    }
    assert.equal(seen.size, 2);
    await page.reload();
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  });
});
