// One process: its log in every way one looks at it, what one does to it, and the tabs beside.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe } from 'node:test';
import { until } from '../lib/daemon.mjs';
import { accessible, browserTest, visit } from '../lib/browser.mjs';

const line = (page, number) => page.locator('.line').filter({ has: page.locator('.line-number', { hasText: new RegExp(`^${number}$`) }) });
const texts = (page) => page.locator('.line-text').allTextContents();
const inSight = (page, text) => until(`"${text}" is in sight`, () => page.evaluate((wanted) => {
  const box = document.querySelector('.log').getBoundingClientRect();
  return [...document.querySelectorAll('.line')].some((one) => {
    const { top, bottom } = one.getBoundingClientRect();
    return one.textContent.includes(wanted) && top >= box.top - 1 && bottom <= box.bottom + 1;
  });
}, text));
const counted = async (d, n, more = '') => {
  const { id } = await d.python(`import sys, time\nfor i in range(1, ${n + 1}): print("line", i)\n${more}`);
  await until('all lines are stored', async () => (await d.get(`/v1/processes/${id}/logs?tail=1`, { headers: { Accept: 'application/json' } })).body.last_seq === n);
  return id;
};

describe('the log', { concurrency: 2 }, () => {
  browserTest('follows, stands still when one scrolls up, and tells how much is new', async ({ d, page }) => {
    const { id } = await d.sh('i=0; while read n; do while [ $i -lt $n ]; do i=$((i+1)); echo "line $i"; done; done', { stdin: 'pipe' });
    const write = (n) => d.call('POST', `/v1/processes/${id}/stdin`, { raw: `${n}\n` });
    await visit(page, d, `/processes/${id}`);
    await write(200);
    await inSight(page, 'line 200');
    await page.locator('.log').hover();
    await page.mouse.wheel(0, -1500);
    await page.getByRole('button', { name: 'Follow', exact: true }).waitFor();
    const before = await texts(page);
    await write(250);
    await page.getByRole('button', { name: '50 new lines' }).waitFor();
    assert.deepEqual(await texts(page), before);
    await accessible(page, 'the log');
    await page.getByRole('button', { name: '50 new lines' }).click();
    await inSight(page, 'line 250');
    await write(260);
    await inSight(page, 'line 260');
    await page.getByRole('button', { name: 'Following' }).waitFor();
  });

  browserTest('of 5,000 lines is searched and filtered by the server, and a match leads to what stands around it', async ({ d, page }) => {
    const id = await counted(d, 5000);
    await visit(page, d, `/processes/${id}`);
    await inSight(page, 'line 5000');
    await page.getByText('5,000 lines · complete').waitFor();
    assert.ok((await page.locator('.line').count()) < 100, 'only what is in sight is in the document');
    await page.keyboard.press('/');
    await page.keyboard.type('line 12[0-9]4$');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await inSight(page, 'line 1204');
    await page.locator('.line.picked .hit').waitFor();
    await page.getByRole('button', { name: 'Next match' }).click();
    await inSight(page, 'line 1214');
    await page.getByRole('button', { name: 'Match before' }).click();
    await inSight(page, 'line 1204');
    await page.getByLabel('Only matches').check();
    await page.getByText('10 matches').waitFor();
    assert.deepEqual(await texts(page), [...Array(10)].map((_, i) => `line 12${i}4`));
    await line(page, 1234).locator('.line-number').click();
    await inSight(page, 'line 1235');
    assert.match(page.url(), /line=1234/);
    await page.reload();
    await inSight(page, 'line 1233');
    await page.locator('.line.picked').getByText('line 1234', { exact: true }).waitFor();
  });

  browserTest('loads older matches when one scrolls up to them', async ({ d, page }) => {
    const id = await counted(d, 3000);
    await visit(page, d, `/processes/${id}?grep=line&only=1`);
    await page.getByText('500 matches').waitFor();
    const box = page.locator('.log');
    for (const wanted of ['1,000', '1,500']) {
      await box.evaluate((node) => { node.scrollTop = 0; });
      await page.getByText(`${wanted} matches`).waitFor();
    }
  });

  browserTest('shows streams apart, colours, times and wrapped lines, and gives them as files', async ({ d, page }) => {
    const { id } = await d.run({ shell: 'printf "\\033[1;31mred\\033[0m plain \\033[38;2;1;2;3mrgb\\033[m\\n"; sleep 0.2; echo problem >&2; sleep 0.2; printf "%01000d\\n" 7; echo last', name: 'a/b c' });
    await visit(page, d, `/processes/${id}`);
    await line(page, 1).locator('.bold.fg1', { hasText: /^red$/ }).waitFor();
    assert.equal(await line(page, 1).getByText('rgb').evaluate((node) => node.style.color), 'rgb(1, 2, 3)');
    await page.locator('.line.stderr', { hasText: 'problem' }).waitFor();
    const heights = () => page.locator('.line').evaluateAll((nodes) => nodes.map((node) => node.offsetHeight));
    assert.ok((await heights())[2] > 18 * 3);
    await inSight(page, 'last');
    await page.getByRole('button', { name: 'Wrap' }).click();
    await until('lines are of one height', async () => (await heights()).every((one) => one === 18));
    await page.getByRole('button', { name: 'Times' }).click();
    assert.match(await line(page, 2).locator('time').getAttribute('title'), / UTC$/);
    const file = async (name) => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
      return [download.suggestedFilename(), readFileSync(await download.path())];
    };
    const [name, bytes] = await file('Download');
    assert.equal(name, `a_b_c-${id}.log`);
    assert.deepEqual(bytes, await d.logsBytes(id));
    await page.getByLabel('Stream').selectOption('stderr');
    await page.getByText('1 match').waitFor();
    assert.equal(String((await file('Download what is shown'))[1]), 'problem\n');
  });

  browserTest('of a few long lines can be seen from the first to the last, as can one of a thousand', async ({ d, page }) => {
    for (const lines of [8, 1000]) {
      const { id } = await d.run({ argv: ['python3', '-c', `for i in range(1, ${lines + 1}): print(f"begin {i} {'x' * 3000} end {i}")`] });
      await visit(page, d, `/processes/${id}`);
      await page.getByText(`${lines.toLocaleString('en')} lines · complete`).waitFor();
      const box = page.locator('.log');
      const edge = (text, at) => until(`"${text}" is at the ${at}`, () => page.evaluate(([wanted, side]) => {
        const outer = document.querySelector('.log').getBoundingClientRect();
        const line = [...document.querySelectorAll('.line-text')].find((one) => one.textContent.endsWith(wanted));
        return line && Math.abs(line.getBoundingClientRect()[side] - outer[side]) < 4;
      }, [text, at]));
      await edge(`end ${lines}`, 'bottom');
      await box.evaluate((node) => { node.scrollTop = 0; });
      await edge('end 1', 'top');
      await page.getByRole('button', { name: 'Follow', exact: true }).click();
      await edge(`end ${lines}`, 'bottom');
    }
  });

  browserTest('of hostile bytes changes nothing but what it shows', async ({ d, page }) => {
    const evil = [`<script>window.hacked = 1</script><img src=x onerror="window.hacked=1">`, '\x1b]0;title\x07after the title', '\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\', '\u202eesrever\u2066', '\x1b[2J\x1b[H\x1b[?1049hcleared', 'bell\x07 null\x00 back\x08', '\x9b31mc1', '${window.hacked = 1}', '\x1bPq#0;2;0;0;0\x1b\\dcs', '\x1b[31', '\x1b'];
    const bytes = Buffer.concat([Buffer.from(`${evil.join('\n')}\n`), Buffer.from([0xff, 0xfe, 0xc0, 0x80, 0x41, 10])]);
    const { id } = await d.run({ argv: ['cat'], stdin: { base64: bytes.toString('base64') }, name: '<b>bold</b>\u202e', labels: { '<i>': '<script>' } });
    await visit(page, d, '/processes');
    await page.getByRole('link', { name: '<b>bold</b>\\u202e' }).click();
    await line(page, 12).waitFor();
    const shown = await texts(page);
    assert.equal(shown[0], evil[0]);
    assert.deepEqual([shown[1], shown[2], shown[4], shown[7], shown[8]], ['after the title', 'link', 'cleared', evil[7], 'dcs']);
    assert.equal(shown[3], 'U+202EesreverU+2066');
    assert.equal(shown[5], 'bell␇ null␀ back␈');
    assert.equal(shown[11], '\ufffd\ufffd\ufffd\ufffdA');
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.title(), '<b>bold</b>\u202e · forkful'.replace('\u202e', '\\u202e'));
    assert.equal(await page.locator('main script, main img, main b, main i, .line a:not(.line-number)').count(), 0);
    for (const tab of ['overview', 'changes', 'spec']) {
      await page.evaluate(([where, name]) => { location.hash = `#/processes/${where}?tab=${name}`; }, [id, tab]);
      await page.locator('.page').waitFor();
    }
  });

  browserTest('takes input for a process that reads, and the end of it', async ({ d, page }) => {
    const { id } = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
    await visit(page, d, `/processes/${id}`);
    await page.getByLabel('stdin').fill('hello, child');
    await page.keyboard.press('Enter');
    await inSight(page, 'hello, child');
    await page.getByRole('button', { name: 'End of input' }).click();
    await page.getByText('done', { exact: true }).waitFor();
    await page.getByText('1 line · complete').waitFor();
  });
});

describe('one process', { concurrency: 2 }, () => {
  browserTest('is stopped with a countdown, and killed only after a question', async ({ d, page }) => {
    const { id } = await d.sh('trap "" TERM; echo ready; while :; do sleep 0.1; done', { stop: { grace_seconds: 300 } });
    await until('it ignores the signal', async () => (await d.logsText(id)) === 'ready\n');
    await visit(page, d, `/processes/${id}`);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText(/stopping, SIGKILL in 4 min/).waitFor();
    await accessible(page, 'a countdown');
    await page.getByRole('button', { name: 'Kill' }).click();
    await accessible(page, 'a question');
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await d.process(id)).alive, true);
    await page.getByRole('button', { name: 'Kill' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Kill' }).click();
    await page.getByText(/killed by SIGKILL, stopped on request/).waitFor();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('Nothing has been started yet').waitFor();
  });

  browserTest('gets any signal, is paused and goes on', async ({ d, page }) => {
    const { id } = await d.sh('trap "echo got it" USR1; echo ready; while :; do sleep 0.05; done');
    await until('it listens', async () => (await d.logsText(id)) === 'ready\n');
    await visit(page, d, `/processes/${id}`);
    await page.getByRole('button', { name: 'Signal' }).click();
    await page.getByRole('dialog').getByLabel('Signal', { exact: true }).fill('USR1');
    await accessible(page, 'the choice of a signal');
    await page.getByRole('button', { name: 'Send', exact: true }).last().click();
    await page.locator('.line-text', { hasText: 'got it' }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('paused').waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('running').waitFor();
    await page.getByRole('button', { name: 'Signal' }).click();
    await page.getByRole('dialog').getByLabel('Signal', { exact: true }).fill('SIGNONSENSE');
    await page.getByRole('button', { name: 'Send', exact: true }).last().click();
    await page.locator('.toast.bad').waitFor();
  });

  browserTest('has its facts, tree, figures, changes and spec', async ({ d, page }) => {
    const { id } = await d.sh('sleep 600 & sleep 601; exit 0', { name: 'family', env: { SECRET: 'hush' }, labels: { team: 'a' } });
    const tabs = { Overview: 'sleep 601', Stats: 'Processor, of one core', Changes: 'started', Spec: 'As a curl line' };
    await visit(page, d, `/processes/${id}`);
    for (const [tab, words] of Object.entries(tabs)) {
      await page.getByRole('link', { name: tab, exact: true }).click();
      await page.getByText(words).first().waitFor();
      if (tab === 'Stats') await page.locator('.chart canvas').nth(2).waitFor();
      await accessible(page, tab);
    }
    const spec = JSON.parse(await page.locator('.copybox pre').first().textContent());
    assert.deepEqual([spec.name, spec.labels, spec.argv[0]], ['family', { team: 'a' }, '/bin/sh']);
    assert.ok(!(await page.content()).includes('hush'));
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByRole('heading', { name: 'Start a process' }).waitFor();
    await until('the form is filled', async () => (await page.getByLabel('Name', { exact: true }).inputValue()) === 'family');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('heading', { name: 'family' }).waitFor();
    assert.equal((await d.list('?name=family')).length, 2);
  });
});
