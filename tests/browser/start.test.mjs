// The form that starts a process: it says exactly what will be run, and what the daemon says against it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe } from 'node:test';
import { until } from '../lib/daemon.mjs';
import { accessible, browserTest, visit } from '../lib/browser.mjs';

const heading = (page, name) => page.getByRole('heading', { name }).waitFor();
const one = async (d) => (await d.list())[0];

describe('the form', { concurrency: 2 }, () => {
  browserTest('starts what stands in its fields, word by word and without a shell', async ({ d, page }) => {
    await visit(page, d, '/processes');
    await page.getByText('Nothing has been started yet').waitFor();
    await page.keyboard.press('n');
    await heading(page, 'Start a process');
    await page.getByLabel('Program', { exact: true }).fill('printf');
    await page.keyboard.press('Enter');
    await page.getByLabel('Argument 1', { exact: true }).waitFor();
    await until('the new field has the focus', () => page.evaluate(() => document.activeElement.ariaLabel === 'Argument 1'));
    await page.keyboard.type('[%s]');
    await page.keyboard.press('Enter');
    await until('the next one has', () => page.evaluate(() => document.activeElement.ariaLabel === 'Argument 2'));
    await page.keyboard.type('$HOME * "two words"');
    await page.getByLabel('Name', { exact: true }).fill('words');
    await page.keyboard.press('Control+Enter');
    await heading(page, 'words');
    await page.locator('.line-text', { hasText: '[$HOME * "two words"]' }).waitFor();
  });

  browserTest('takes a shell line, environment, labels, limits, input and how to stop', async ({ d, page }) => {
    await visit(page, d, '/start');
    await page.getByRole('button', { name: 'Shell line' }).click();
    await page.getByRole('textbox', { name: 'Shell line' }).fill('cat; echo "$GREETING in $PWD"; ulimit -n | sed s/^/files/; sleep 600');
    await page.getByLabel('Directory').fill('/tmp');
    await page.getByRole('group', { name: 'Environment' }).getByRole('button', { name: 'Add' }).click();
    await page.getByLabel('Name of variable 1').fill('GREETING');
    await page.getByLabel('Value of variable 1').fill('hello');
    await page.getByRole('group', { name: 'Labels' }).getByRole('button', { name: 'Add' }).click();
    await page.getByLabel('Name of label 1').fill('team');
    await page.getByLabel('Value of label 1').fill('a');
    await page.getByLabel('this text').check();
    await page.getByRole('textbox', { name: 'this text' }).fill('from the form\n');
    await page.getByText('Limits and stopping').click();
    await page.getByLabel('Open files').fill('99');
    await page.getByLabel('Grace before SIGKILL').fill('0.5');
    await page.getByLabel('Signal to stop').fill('SIGINT');
    await page.getByText('More', { exact: true }).click();
    await page.getByLabel('stderr into stdout').check();
    await accessible(page, 'the form');
    const shown = await page.getByLabel('The same as a curl line').textContent();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    for (const text of ['from the form', 'hello in /tmp', 'files99']) await page.locator('.line-text', { hasText: text }).waitFor();
    assert.deepEqual((await one(d)).labels, { team: 'a' });
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText(/killed by SIGINT/).waitFor();
    const made = JSON.parse(execFileSync('/bin/sh', ['-c', `${shown} -sS`], { env: { PATH: process.env.PATH, FORKFUL_TOKEN: d.token } }));
    assert.deepEqual([made.labels, made.env_keys, made.cwd], [{ team: 'a' }, ['GREETING'], '/tmp']);
  });

  browserTest('splits a pasted line, remembers what was started, and keeps no secrets', async ({ d, page }) => {
    await visit(page, d, '/start');
    await page.getByLabel('Program', { exact: true }).fill(`sh -c 'exit 5' "a b"`);
    await page.getByRole('button', { name: 'Split at blanks' }).click();
    assert.equal(await page.getByLabel('Argument 2', { exact: true }).inputValue(), 'exit 5');
    await page.getByRole('group', { name: 'Environment' }).getByRole('button', { name: 'Add' }).click();
    await page.getByLabel('Name of variable 1').fill('PASSWORD');
    await page.getByLabel('Value of variable 1').fill('hush-hush');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByText('exit code 5').waitFor();
    assert.deepEqual((await one(d)).argv, ['sh', '-c', 'exit 5', 'a b']);
    await page.evaluate(() => { location.hash = '#/start'; });
    await page.getByRole('button', { name: `sh -c 'exit 5' 'a b'` }).click();
    assert.equal(await page.getByLabel('Name of variable 1').inputValue(), 'PASSWORD');
    assert.doesNotMatch(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage })), /hush/);
  });

  browserTest('tells why a process cannot be started, and starts none', async ({ d, page }) => {
    await visit(page, d, '/start');
    await page.getByLabel('Program', { exact: true }).fill('/no/such/program');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('alert').getByText(/No such file/).waitFor();
    await accessible(page, 'a refusal');
    await page.getByLabel('Directory').fill('relative');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('alert').getByText(/cwd/).first().waitFor();
    assert.deepEqual(await d.list(), []);
  });
});
