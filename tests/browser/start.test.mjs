// The form that starts a process: it says exactly what will be run, and what the daemon says against it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe } from 'node:test';
import { until } from '../lib/daemon.mjs';
import { accessible, browserTest, visit } from '../lib/browser.mjs';

const heading = (page, name) => page.getByRole('heading', { name }).waitFor();
const one = async (d) => (await d.list())[0];
const more = (page) => page.getByText('More', { exact: true }).click();
const begin = (page) => page.getByRole('button', { name: 'Start', exact: true }).click();
/** The body of the curl line. */
const preview = async (page) => JSON.parse(/ -d '(.*)'$/s.exec(await page.getByLabel('The same as a curl line').textContent())[1]);

const room = mkdtempSync(path.join(tmpdir(), 'forkful-secret-'));
after(() => rmSync(room, { recursive: true, force: true }));

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

  browserTest('puts a process into a sandbox, also from a template, and says when a sandbox is not known', async ({ d, page }) => {
    await visit(page, d, '/start');
    await page.getByLabel('Program', { exact: true }).fill('true');
    await more(page);
    await page.getByLabel('May read and execute').fill('relative');
    await begin(page);
    await page.getByRole('alert').getByText('/sandbox/read/0').waitFor();
    await accessible(page, 'a sandbox');
    await page.getByLabel('May read and execute').fill('/\n\n/usr\n');
    await page.getByLabel('May change as well').fill('/dev/null');
    await page.getByLabel('System calls').selectOption('default');
    await page.getByLabel('Start also where this machine lacks').check();
    const sandbox = { read: ['/', '/usr'], write: ['/dev/null'], seccomp: 'default', require: false };
    assert.deepEqual(await preview(page), { argv: ['true'], sandbox });
    await begin(page);
    await page.getByText('done', { exact: true }).waitFor();
    const record = await one(d);
    const layers = [...record.sandbox.applied, ...record.sandbox.missing];
    assert.deepEqual(layers.map((layer) => layer.replace(/:abi.*/, '')).sort(), ['landlock', 'no_new_privs', 'seccomp:default']);
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByText(layers[0]).waitFor();
    await page.evaluate(() => { location.hash = '#/start'; });
    await page.getByRole('button', { name: 'true', exact: true }).click();
    assert.deepEqual(await preview(page), { argv: ['true'], sandbox });
    await more(page);
    assert.equal(await page.getByLabel('May read and execute').inputValue(), '/\n/usr');
    await page.evaluate((id) => { location.hash = `#/start?from=${id}`; }, record.id);
    await page.getByText('It ran in a sandbox. This form has none').waitFor();
    await until('the form is filled', async () => (await preview(page)).name === record.name);
    assert.equal((await preview(page)).sandbox, undefined);
  });

  browserTest('takes variables from secret files: their names are kept, what is in them never comes here',
    { config: `spawn.secret_directories = ${room}\n` }, async ({ d, page }) => {
    writeFileSync(path.join(room, 'password'), 'hush-hush\n');
    await visit(page, d, '/start');
    await page.getByLabel('Program', { exact: true }).fill('printenv');
    await page.getByRole('button', { name: '+ Argument' }).click();
    await page.getByLabel('Argument 1', { exact: true }).fill('PASSWORD');
    await more(page);
    await page.getByRole('group', { name: 'Variables from files' }).getByRole('button', { name: 'Add' }).click();
    await page.getByLabel('Name of secret 1').fill('PASSWORD');
    await page.getByLabel('File of secret 1').fill('/etc/passwd');
    await begin(page);
    await page.getByRole('alert').getByText('/env_from/PASSWORD/file').waitFor();
    await page.getByRole('alert').getByText(/spawn\.secret_directories/).waitFor();
    await page.getByLabel('File of secret 1').fill(path.join(room, 'password'));
    const body = { argv: ['printenv', 'PASSWORD'], env_from: { PASSWORD: { file: path.join(room, 'password') } } };
    assert.deepEqual(await preview(page), body);
    await begin(page);
    await page.locator('.line-text', { hasText: 'hush-hush' }).waitFor();
    await page.evaluate(() => { location.hash = '#/start'; });
    await page.getByRole('button', { name: 'printenv PASSWORD' }).click();
    assert.deepEqual(await preview(page), body);
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
