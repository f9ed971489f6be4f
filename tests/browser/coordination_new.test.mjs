// The dialog that makes objects: each kind with its fields, and what the daemon says against them at the field it means.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { until } from '../lib/daemon.mjs';
import { accessible, browserTest, visit } from '../lib/browser.mjs';

const object = async (d, path) => (await d.get(`/v1/${path}`)).body;
const dialog = (page) => page.getByRole('dialog');
const opener = (page) => page.locator('main').getByRole('button', { name: 'New …' });
const heading = (page, name) => page.getByRole('heading', { name, exact: true }).waitFor();
const go = (page, hash) => page.evaluate((to) => { location.hash = `#/${to}`; }, hash);
const makes = (page) => dialog(page).getByRole('button', { name: 'Make' }).click();
/** What stands at a field, by its label: told with the field to those who do not see it. */
const saidAt = (page, label) => dialog(page).getByLabel(label, { exact: true }).evaluate((element) =>
  element.getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' '));

/** Fills the dialog: a text is typed, a true or false ticked, [x] picked. */
async function fill(page, fields) {
  for (const [label, value] of Object.entries(fields)) {
    const field = dialog(page).getByLabel(label, { exact: true });
    if (typeof value === 'boolean') await field.setChecked(value);
    else if (Array.isArray(value)) await field.selectOption(value[0]);
    else await field.fill(value);
  }
}

/** kind → what is typed, and what is then there. */
const KINDS = [
  ['queue', { 'Most messages': '5', 'Lease, seconds': '2.5', 'Durable: on the disk': false },
    { max_messages: 5, max_bytes: 0, lease_seconds: 2.5, durable: false }],
  ['lock', { Reentrant: true }, { reentrant: true }],
  ['semaphore', { Value: '3', 'At most': '4' }, { value: 3, max: 4, available: 3 }],
  ['barrier', { Parties: '4', 'Breaks after, seconds': '60' }, { parties: 4, timeout_seconds: 60 }],
  ['condition', { Lock: 'a-lock' }, { lock: 'a-lock' }],
  ['event', {}, { set: false }],
  ['value', { Type: ['string'], 'Begins with': '' }, { type: 'string', value: '', durable: true }],
  ['pipe', { 'Most bytes': '4096', 'Both ways': false }, { max_bytes: 4096, duplex: false }],
  ['pool', { Command: 'python3 -u "my worker.py"', Mode: ['stdio'], Processes: '3', 'Most attempts': '2' },
    { mode: 'stdio', processes: 3, max_attempts: 2,
      spec: { argv: ['python3', '-u', 'my worker.py'], env_keys: [] } }],
];

describe('a new object', { concurrency: 2 }, () => {
  browserTest('of each kind is made with what was filled in, and its page opens', async ({ d, page }) => {
    await visit(page, d, '/coordination');
    for (const [kind, fields, expected] of KINDS) {
      await go(page, 'coordination');
      await opener(page).click();
      await fill(page, { Kind: [`${kind}s`], Name: `a-${kind}`, ...fields });
      await makes(page);
      const title = `${kind[0].toUpperCase()}${kind.slice(1)}s / a-${kind}`;
      await heading(page, title);
      const made = await object(d, `${kind}s/a-${kind}`);
      assert.deepEqual(Object.fromEntries(Object.keys(expected).map((key) => [key, made[key]])), expected, kind);
    }
  });

  browserTest('is made by keyboard alone from the list of its kind, with every digit of its value', async ({ d, page }) => {
    await visit(page, d, '/coordination/values');
    await page.getByText('Values: none').waitFor();
    await page.keyboard.press('n');
    assert.equal(await dialog(page).getByLabel('Kind').inputValue(), 'values');
    await page.keyboard.type('counter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('int64');
    await page.keyboard.press('Tab');
    await page.keyboard.type('9007199254740993');
    await accessible(page, 'a new value');
    await dialog(page).getByLabel('Name').focus();
    await page.keyboard.press('Enter');
    await heading(page, 'Values / counter');
    assert.match((await d.get('/v1/values/counter')).text, /"type":"int64".*"value":9007199254740993/);
    await go(page, 'coordination/values');
    await page.getByRole('link', { name: 'counter' }).waitFor();
    await opener(page).click();
    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'detached' });
    await until('the focus is back', () => page.evaluate(() => document.activeElement.textContent === 'New …'));
  });

  browserTest('that is refused is mended in place: each sentence of the daemon stands at its field', async ({ d, page }) => {
    await d.call('PUT', '/v1/queues/jobs', { body: {}, expect: 201 });
    await visit(page, d, '/coordination/queues');
    await opener(page).click();
    await fill(page, { Name: 'my jobs' });
    await makes(page);
    await dialog(page).getByRole('alert').waitFor();
    assert.match(await saidAt(page, 'Name'), /a name is one letter or digit/);
    await fill(page, { Name: 'jobs', 'Most messages': '-1', 'Lease, seconds': '-1' });
    await until('nothing is said any more', async () => await dialog(page).getByRole('alert').count() === 0);
    await makes(page);
    await dialog(page).getByRole('alert').first().waitFor();
    assert.match(await saidAt(page, 'Most messages'), /It must be from 0/);
    assert.match(await saidAt(page, 'Lease, seconds'), /It must be from 0\.001/);
    assert.doesNotMatch(await saidAt(page, 'Name'), /must/);
    assert.ok(await dialog(page).getByLabel('Most messages').evaluate((element) => element === document.activeElement));
    await accessible(page, 'refused fields');

    await fill(page, { 'Most messages': '7', 'Lease, seconds': '' });
    await fill(page, { 'Durable: on the disk': false });
    await makes(page);
    await dialog(page).getByText('queues/jobs is there already, with another configuration').waitFor();
    await dialog(page).locator('label', { hasText: 'It is true there.' }).getByRole('checkbox').waitFor();
    assert.match(await saidAt(page, 'Most messages'), /It is 0 there/);

    await fill(page, { Kind: ['conditions'], Lock: 'nowhere' });
    await makes(page);
    await dialog(page).getByRole('alert').getByText('There is no lock nowhere.').waitFor();
    await fill(page, { Kind: ['values'], Type: ['int32'], 'Begins with': 'many' });
    assert.match(await saidAt(page, 'Begins with'), /JSON|This is no int32/);
    assert.ok(await dialog(page).getByRole('button', { name: 'Make' }).isDisabled());
    await fill(page, { 'Begins with': '99999999999' });
    await makes(page);
    await dialog(page).getByRole('alert').getByText('It must be an integer of 32 bits.').waitFor();
    await fill(page, { Type: ['json'], 'Begins with': '1e999' });
    await makes(page);
    await dialog(page).getByRole('alert').waitFor();
    assert.doesNotMatch(await saidAt(page, 'Name'), /\w/);
    await fill(page, { Kind: ['pools'], Command: 'echo "half' });
    await dialog(page).getByText('The quote " is not closed.').waitFor();
    await fill(page, { 'What to run': ['shell'], Command: 'echo "$(cat)"', Processes: '0' });
    await makes(page);
    await dialog(page).getByRole('alert').waitFor();
    assert.match(await saidAt(page, 'Processes'), /It must be from 1/);
    assert.deepEqual((await object(d, 'pools')).items, []);
    await fill(page, { Processes: '1' });
    await makes(page);
    await heading(page, 'Pools / jobs');
    assert.deepEqual((await object(d, 'pools/jobs')).spec.shell, 'echo "$(cat)"');
  });

  browserTest('is offered as far as the token reaches', async ({ d, page }) => {
    const { body: made } = await d.post('/v1/tokens', { scopes: ['read', 'operate'] }, { expect: 201 });
    await visit(page, d, '/coordination', made.token);
    await opener(page).click();
    await until('pools are not offered', async () => !(await dialog(page).getByLabel('Kind').textContent()).includes('pool'));
    assert.match(await dialog(page).getByLabel('Kind').textContent(), /queue.*lock.*pipe/);
    await page.keyboard.press('Escape');
    await go(page, 'coordination/pools');
    await opener(page).waitFor();
    assert.ok(await opener(page).isDisabled());
    assert.match(await opener(page).getAttribute('title'), /spawn/);
    await go(page, 'coordination/holds');
    await page.getByText('Holds: none').waitFor();
    assert.equal(await opener(page).count(), 0);
  });

  browserTest('is made on 360 pixels', { page: { width: 360, height: 640 } }, async ({ d, page }) => {
    await visit(page, d, '/coordination/pools');
    await opener(page).click();
    await fill(page, { Name: 'thumbnails', Command: 'a-program-with-a-name-that-is-longer-than-the-screen'.repeat(3), Processes: '1001' });
    await makes(page);
    await dialog(page).getByRole('alert').waitFor();
    const wide = await dialog(page).evaluate((box) => Math.max(box.scrollWidth - box.clientWidth, box.getBoundingClientRect().right - innerWidth));
    assert.ok(wide <= 0, `${wide} too wide`);
    await fill(page, { Processes: '2' });
    await makes(page);
    await heading(page, 'Pools / thumbnails');
  });
});
