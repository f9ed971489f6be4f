// The table of processes: live, filtered by the address, worked with by keyboard and in bulk, and honest about its connection.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { until } from '../lib/daemon.mjs';
import { accessible, browserTest, palette, visit } from '../lib/browser.mjs';

const row = (page, name) => page.locator('tbody tr[data-key]').filter({ has: page.getByRole('link', { name, exact: true }) });
const names = (page) => page.locator('tbody tr[data-key] .name > a').allTextContents();
const shows = (page, wanted) => until(`the table shows ${wanted}`, async () => JSON.stringify(await names(page)) === JSON.stringify(wanted));

describe('the table of processes', { concurrency: 2 }, () => {
  browserTest('says at first how to start one, and shows it as soon as somebody does', async ({ d, page }) => {
    await visit(page, d);
    await page.getByText('Nothing has been started yet').waitFor();
    assert.match(await page.locator('.copybox pre').textContent(), /^curl http:.*\/v1\/processes/);
    await accessible(page, 'first run');
    const { id } = await d.sh('exit 3', { name: 'first' });
    await row(page, 'first').getByText('exit code 3').waitFor();
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    await d.delete(`/v1/processes/${id}`);
    await page.getByText('Nothing has been started yet').waitFor();
    assert.deepEqual(asked, [], 'changes come by the one stream');
  });

  browserTest('tells every end in words, with what it uses while it lives', async ({ d, page }) => {
    await d.sh('exit 0', { name: 'good' });
    await d.sh('kill -SEGV $$', { name: 'crashed' });
    await d.sh('sleep 60', { name: 'slow', timeout_seconds: 0.05, stop: { grace_seconds: 0 } });
    const { id } = await d.sh('sleep 600', { name: 'stopped' });
    await d.python('while True: pass', { name: 'busy', labels: { team: 'a', tier: '' } });
    await d.spawn({ argv: ['true'], name: 'later', start: false });
    await visit(page, d);
    await d.post(`/v1/processes/${id}/stop`, {});
    for (const [name, words] of [['good', 'done'], ['crashed', /killed by SIGSEGV/], ['slow', /it ran too long/], ['stopped', /killed by SIGTERM, stopped on request/], ['busy', 'running'], ['later', 'not started']]) {
      await row(page, name).getByText(words).waitFor();
    }
    await row(page, 'busy').getByText('tier').waitFor();
    await until('it has a line of its use', async () => (await row(page, 'busy').locator('.c-figure polyline').count()) === 2);
    assert.match(await row(page, 'busy').locator('.c-figure').last().textContent(), /MB/);
    await accessible(page, 'the table');
  });

  browserTest('hears also of what ends while it is being read', async ({ d, page }) => {
    const { id } = await d.sh('sleep 600', { name: 'brief' });
    await page.route('**/v1/changes?snapshot=*', async (route) => {
      await d.post(`/v1/processes/${id}/stop`, {});
      await d.join(id);
      await route.continue();
    });
    await visit(page, d);
    await row(page, 'brief').getByText('killed by SIGTERM, stopped on request').waitFor();
  });

  browserTest('is filtered and sorted by its address, which can be kept and sent', async ({ d, page }) => {
    await d.sh('sleep 600', { name: 'a web', labels: { team: 'x' } });
    await d.sh('sleep 600', { name: 'b web', labels: { team: 'y' } });
    await d.run({ argv: ['sh', '-c', 'exit 4'], name: 'c job' });
    await visit(page, d, '/processes?sort=name');
    await shows(page, ['a web', 'b web', 'c job']);
    await page.getByRole('button', { name: 'Name' }).click();
    await shows(page, ['c job', 'b web', 'a web']);
    await page.keyboard.press('/');
    await page.keyboard.type('WEB team=y');
    await shows(page, ['b web']);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Went wrong' }).click();
    await shows(page, ['c job']);
    await page.getByRole('button', { name: 'Keep this filter' }).click();
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await page.getByRole('button', { name: '★ Went wrong' }).click();
    await shows(page, ['c job']);
    await page.reload();
    await shows(page, ['c job']);
    await page.getByRole('button', { name: 'Live' }).click();
    await page.getByTitle('Only team=x').click();
    await shows(page, ['a web']);
    await page.getByRole('searchbox').fill('no such thing');
    await page.getByText('Nothing matches.').waitFor();
    await accessible(page, 'nothing matches');
  });

  browserTest('shows who started whom', async ({ d, page }) => {
    const parent = await d.sh('sleep 600', { name: 'parent' });
    const script = 'curl -sS -H "Authorization: Bearer $FORKFUL_TOKEN" -H "Content-Type: application/json" "$FORKFUL_URL/v1/processes" -d "{\\"argv\\":[\\"sleep\\",\\"600\\"],\\"name\\":\\"grandchild\\"}"; sleep 600';
    await d.sh(script, { name: 'child' });
    await until('the grandchild lives', async () => (await d.list('?name=grandchild')).length === 1);
    await visit(page, d, '/processes?view=tree&sort=-name');
    await shows(page, ['parent', 'child', 'grandchild']);
    assert.equal(await row(page, 'grandchild').locator('.name').evaluate((node) => node.style.paddingLeft), '18px');
    assert.ok(parent.id);
  });

  browserTest('is worked with by keyboard alone', async ({ d, page }) => {
    for (const name of ['one', 'two', 'three']) await d.sh('sleep 600', { name });
    await visit(page, d, '/processes?sort=pid');
    await shows(page, ['one', 'two', 'three']);
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    const press = async (key, wanted) => {
      await page.keyboard.press(key);
      await until(`${key} leads to ${wanted}`, async () => (await focused()) === wanted);
    };
    await press('j', 'one');
    await press('j', 'two');
    await press('k', 'one');
    await page.keyboard.press('x');
    await page.getByText('1 selected').waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('1 selected').waitFor({ state: 'detached' });
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'two' }).waitFor();
    await page.keyboard.press('u');
    await page.getByRole('heading', { name: 'Processes' }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('Next row').waitFor();
    await accessible(page, 'help');
    await page.keyboard.press('Escape');
    await palette(page, 'daem');
    await accessible(page, 'the palette');
    await page.keyboard.press('Enter');
    await page.waitForURL(/#\/daemon$/);
    await page.keyboard.press('g');
    await page.keyboard.press('p');
    await page.waitForURL(/#\/processes$/);
  });

  browserTest('does one thing to all that is selected and tells what came of each', async ({ d, page }) => {
    for (const name of ['a', 'b', 'c']) await d.sh('trap "" TERM; while :; do sleep 1; done', { name });
    await d.run({ argv: ['true'], name: 'over' });
    await visit(page, d, '/processes?sort=name');
    await shows(page, ['a', 'b', 'c', 'over']);
    await page.getByLabel('Select all').check();
    await page.getByText('4 selected').waitFor();
    await accessible(page, 'a selection');
    await page.getByRole('button', { name: 'Pause' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('3 done, 1 refused.').waitFor();
    assert.match(await dialog.locator('tr').first().textContent(), /over.*ended/);
    await page.keyboard.press('Escape');
    await row(page, 'a').getByText('paused').waitFor();
    await page.getByLabel('Select a', { exact: true }).click();
    await page.getByLabel('Select c').click({ modifiers: ['Shift'] });
    await page.getByText('3 selected').waitFor();
    await page.getByRole('button', { name: 'Kill' }).click();
    await dialog.getByText('a, b, c').waitFor();
    await dialog.getByRole('button', { name: 'Kill' }).click();
    for (const name of ['a', 'b', 'c']) await row(page, name).getByText(/killed by SIGKILL/).waitFor();
    assert.deepEqual((await d.list('?state=running')).length, 0);
  });
});
