// The picture of who waits for whom: what it shows, where it puts it, and what it leaves to the text.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../lib/daemon.mjs';
import { liver, session } from '../lib/owners.mjs';
import { accessible, browserTest, visit } from '../lib/browser.mjs';
import { layers, parts } from '../../web/lib/layers.js';

const put = (d, path, body = {}) => d.call('PUT', `/v1/${path}`, { body, expect: 201 });
const acquires = (owner, lock) => owner.client.call('POST', `/v1/locks/${lock}/acquire?wait=200`, { body: {} });
const wait = (d, n) => until(`${n} wait`, async () => (await d.get('/v1/waits')).body.waits.length === n);
const node = (page, name) => page.locator('.node').filter({ has: page.getByRole('link', { name, exact: true }) });
const edges = (from, ...all) => all.map((to) => ({ from, to }));

/** Whether all boxes and lines of a picture lie in it, and no two boxes on one another. */
const tidy = (page) => page.locator('.graph').evaluateAll((pictures) => pictures.every((picture) => {
  const whole = picture.getBoundingClientRect();
  const boxes = [...picture.querySelectorAll('.node')].map((one) => one.getBoundingClientRect());
  const lines = [...picture.querySelectorAll(':scope > path')].map((one) => one.getBoundingClientRect());
  const inside = [...boxes, ...lines].every((one) => one.left >= whole.left && one.right <= whole.right && one.top >= whole.top && one.bottom <= whole.bottom);
  return inside && boxes.every((a, i) => boxes.slice(i + 1).every((b) =>
    a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top));
}));

describe('the picture of who waits', { concurrency: 2 }, () => {
  browserTest('marks a deadlock by colour and by words, and who waits behind it not', async ({ d, page }) => {
    for (const path of ['locks/accounts', 'locks/ledger', 'locks/deploy', 'queues/mail']) await put(d, path);
    const [left, right, third] = await Promise.all(['left', 'right', 'third'].map((name) => liver(d, { name })));
    const guest = await session(d);
    for (const [owner, lock] of [[left, 'accounts'], [right, 'ledger'], [third, 'deploy']]) await acquires(owner, lock);
    const calls = [acquires(left, 'ledger'), acquires(right, 'accounts'), acquires(third, 'accounts'), acquires(guest, 'deploy'),
      d.post('/v1/queues/mail/receive?wait=200')];
    await wait(d, calls.length);
    await visit(page, d, '/coordination/waits');
    await node(page, 'third').waitFor();
    for (const name of ['left', 'right', 'locks/accounts', 'locks/ledger']) await node(page, name).getByText('deadlock').waitFor();
    assert.equal(await page.locator('.node').getByText('deadlock').count(), 4);
    for (const name of ['locks/deploy', 'queues/mail']) await node(page, name).waitFor();
    await page.locator('.node').filter({ hasText: guest.id.slice(-6) }).waitFor();
    await page.locator('.node', { hasText: 'somebody with an admin token' }).waitFor();
    assert.equal(await page.locator('.graph path.stuck').count(), 4);
    const colour = (name) => node(page, name).evaluate((box) => getComputedStyle(box).borderColor);
    assert.equal(await colour('left'), await colour('locks/ledger'));
    assert.notEqual(await colour('left'), await colour('third'));
    await page.getByRole('group', { name: 'Who waits for whom, with a deadlock: the text below tells the same' }).waitFor();
    assert.ok(await tidy(page));
    await accessible(page, 'the picture');
    await page.getByRole('heading', { name: 'Deadlock of 2' }).waitFor();
    await node(page, 'locks/deploy').getByRole('link').click();
    await page.getByRole('heading', { name: 'Locks / deploy' }).waitFor();
    await page.goBack();
    await d.post(`/v1/processes/${right.id}/kill`, undefined, { expect: 200 });
    await until('the deadlock is gone', async () => await page.locator('.graph .stuck').count() === 0);
    await node(page, 'third').waitFor();
    await d.delete('/v1/locks/accounts');
    await d.delete('/v1/locks/deploy');
    await d.delete('/v1/queues/mail');
    await Promise.all(calls);
    await page.getByText('Nobody waits').waitFor();
  });

  browserTest('leads from who joins a process to that process', async ({ d, page }) => {
    const [worker, boss] = [await liver(d, { name: 'worker' }), await liver(d, { name: 'boss' })];
    const joined = boss.client.call('GET', `/v1/processes/${worker.id}/join?wait=200`);
    await wait(d, 1);
    await visit(page, d, '/coordination/waits');
    await node(page, 'boss').waitFor();
    assert.deepEqual(await page.locator('.node').allTextContents(), ['boss', 'worker']);
    assert.equal(await page.locator('.graph > path').count(), 1);
    await page.locator('.chain').getByRole('link', { name: 'worker' }).click();
    await page.getByRole('heading', { name: 'worker' }).waitFor();
    await d.post(`/v1/processes/${worker.id}/kill`, undefined, { expect: 200 });
    await joined;
  });

  browserTest('scrolls in its own box on 360 pixels, and gives way to the text where there is too much of it',
    { page: { width: 360, height: 700 } }, async ({ d, page }) => {
    await put(d, 'locks/one');
    await put(d, 'events/go');
    const [holder, waiter] = [await liver(d, { name: 'holder' }), await liver(d, { name: 'waiter' })];
    await acquires(holder, 'one');
    const calls = [acquires(waiter, 'one')];
    await wait(d, 1);
    await visit(page, d, '/coordination/waits');
    await node(page, 'waiter').waitFor();
    await accessible(page, 'a narrow picture');
    const [own, whole] = await page.evaluate(() => [document.querySelector('.graphs').scrollWidth, document.querySelector('main').scrollWidth]);
    assert.ok(own > 360 && whole <= 360, `${own} in its box, ${whole} in all`);
    for (let i = 0; i < 60; i += 1) calls.push(d.get('/v1/events/go/wait?wait=200'));
    await page.getByText('64 processes and objects are too many for a picture').waitFor();
    assert.equal(await page.locator('.graph').count(), 0);
    await page.getByRole('heading', { name: 'Waits for what nobody holds' }).waitFor();
    await d.post('/v1/events/go/set', undefined, { expect: 200 });
    await node(page, 'waiter').waitFor();
    await d.delete('/v1/locks/one');
    await Promise.all(calls);
  });

  test('stands each node behind all that lead to it, but for what closes a circle', () => {
    const round = [...edges('a', 'b'), ...edges('b', 'c'), ...edges('c', 'd'), ...edges('d', 'a'), ...edges('x', 'c')];
    const { at, back, columns, rows } = layers(['a', 'b', 'c', 'd', 'x'], round);
    assert.equal(back.size, 1);
    for (const edge of round) assert.ok(back.has(edge) || at.get(edge.from)[0] < at.get(edge.to)[0], JSON.stringify(edge));
    assert.ok([...at.values()].every(([column, row]) => column >= 0 && column < columns && row >= 0 && row < rows));
    assert.equal(new Set([...at.values()].map(String)).size, 5);
    assert.deepEqual(layers(['p', 'r'], [...edges('p', 'r'), ...edges('r', 'p')]).columns, 2);
    assert.deepEqual(parts(['a', 'b', 'c', 'd', 'e'], [...edges('a', 'c'), ...edges('e', 'c'), ...edges('b', 'd')]), [['a', 'c', 'e'], ['b', 'd']]);
  });

  test('has no crossing where none is needed', () => {
    const ids = ['a', 'b', 'c', 'A', 'B', 'C'];
    const { at } = layers(ids, [...edges('a', 'C'), ...edges('b', 'B'), ...edges('c', 'A')]);
    for (const [one, other] of [['a', 'C'], ['b', 'B'], ['c', 'A']]) assert.equal(at.get(one)[1], at.get(other)[1]);
  });
});
