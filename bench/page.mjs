// What the page costs a browser: node bench/page.mjs, with FORKFUL_BIN as in the tests. Prints figures; asserts nothing.
//
//   first paint   of a page opened with a token, on localhost
//   busy          2,000 living processes and 200 changes a second: frames a second, the longest block of the main thread
//   long log      1,000,000 lines: to the first line in sight, through it in 200 jumps, and filtered
import { after, test } from 'node:test';
import { startDaemon, until } from '../tests/lib/daemon.mjs';
import { newPage, visit } from '../tests/lib/browser.mjs';

const PROCESSES = 2000, CHANGES_A_SECOND = 200, LINES = 1_000_000, SECONDS = 10;
const say = (what, figures) => console.log(what.padEnd(12), Object.entries(figures).map(([key, value]) => `${key} ${typeof value === 'number' ? Math.round(value * 10) / 10 : value}`).join(', '));

/** Counts frames and blocks of the main thread in the page while `body` runs. */
async function watched(page, body) {
  await page.evaluate(() => {
    const seen = window.watched = { frames: 0, longest_gap: 0, blocks: [], begun: performance.now(), last: performance.now() };
    seen.observer = new PerformanceObserver((list) => seen.blocks.push(...list.getEntries().map((one) => one.duration)));
    seen.observer.observe({ entryTypes: ['longtask'] });
    const frame = (now) => {
      seen.longest_gap = Math.max(seen.longest_gap, now - seen.last);
      seen.last = now;
      seen.frames += 1;
      if (!seen.over) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  await body();
  return page.evaluate(() => {
    const { frames, longest_gap, blocks, begun } = window.watched;
    window.watched.over = true;
    return { 'frames a second': frames / ((performance.now() - begun) / 1000), 'longest gap ms': longest_gap, 'blocks over 50 ms': blocks.length, 'longest block ms': Math.max(0, ...blocks) };
  });
}

async function firstPaint(d) {
  const times = [];
  for (let i = 0; i < 5; i++) {
    const { context, page } = await newPage();
    await visit(page, d);
    await page.locator('main h1').waitFor();
    times.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
    await context.close();
  }
  say('first paint', { 'median ms': times.sort((a, b) => a - b)[2], 'slowest ms': times[4] });
}

async function busy(d) {
  for (let i = 0; i < PROCESSES; i += 50) await Promise.all(Array.from({ length: 50 }, (_, n) => d.spawn({ argv: ['sleep', '3600'], name: `sleeper ${i + n}`, labels: { team: `t${n % 7}` } })));
  const { page } = await newPage();
  await visit(page, d);
  await page.getByText(`${PROCESSES.toLocaleString('en')} rows`).waitFor();
  let made = 0;
  const figures = await watched(page, async () => {
    const begun = Date.now();
    while (Date.now() - begun < SECONDS * 1000) {
      const due = Math.floor(((Date.now() - begun) / 1000) * (CHANGES_A_SECOND / 3)); // a short process is three changes
      await Promise.all(Array.from({ length: Math.max(0, due - made) }, () => d.spawn({ argv: ['true'] })));
      made = Math.max(made, due);
      await page.mouse.wheel(0, made % 2 ? 300 : -200);
    }
  });
  say('busy', { ...figures, 'changes a second': (made * 3) / SECONDS });
  await page.context().close();
}

async function longLog(d) {
  const { id } = await d.python(`for i in range(${LINES}): print("line", i, "of a log that is rather long, with some words in it")`);
  await d.join(id, { within: 120 });
  const last = async () => (await d.get(`/v1/processes/${id}/logs?tail=1`, { headers: { Accept: 'application/json' } })).body.last_seq;
  await until('all lines are stored', async () => (await last()) === LINES, { within: 120 });
  const { page } = await newPage();
  await visit(page, d);
  const clock = async (body) => { const begun = performance.now(); await body(); return performance.now() - begun; };
  const opened = await clock(async () => { await page.evaluate((where) => { location.hash = `#/processes/${where}`; }, id); await page.locator('.line-text', { hasText: `line ${LINES - 1} ` }).waitFor(); });
  const through = await watched(page, () => page.evaluate(async () => {
    const box = document.querySelector('.log');
    for (let i = 0; i <= 200; i++) {
      box.scrollTop = (box.scrollHeight * i) / 200;
      await new Promise((resolve) => { setTimeout(resolve, 30); });
    }
  }));
  const nodes = await page.locator('.line').count();
  const filtered = await watched(page, async () => {
    await page.getByRole('searchbox').fill('line [0-9]*777 ');
    await page.getByLabel('Only matches').check();
    await page.getByText('500 matches').waitFor();
  });
  const filtering = await clock(async () => { await page.getByRole('searchbox').fill('line 123456 '); await page.keyboard.press('Enter'); await page.getByText('1 match').waitFor(); });
  const heap = await page.evaluate(() => performance.memory.usedJSHeapSize / 1e6);
  say('long log', { 'opened ms': opened, 'nodes of lines': nodes, 'heap MB': heap });
  say('  scrolled', through);
  say('  filtered', { ...filtered, 'one line of all, ms': filtering });
}

let daemon;
after(() => daemon?.sweep());
test('the page, measured', { timeout: 400_000 }, async () => {
  daemon = await startDaemon();
  await firstPaint(daemon);
  await longLog(daemon);
  await busy(daemon);
});
