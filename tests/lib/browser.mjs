// A real browser in front of a real daemon. Debian's Chromium is driven by playwright-core; axe-core looks for what shuts people out.
//
// Every test gets a daemon, a page of its own and `look`, and fails when the page has raised an error, written one to the
// console, or violated its own Content-Security-Policy, whatever else it checks.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { daemonTest, PATIENCE } from './daemon.mjs';

const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--disable-dev-shm-usage'];
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const THEMES = ['light', 'dark'];

let browser = null;
after(async () => { await (await browser)?.close(); });

/** One browser for a file of tests; each test has a context of its own, which shares nothing. */
export function launch() {
  browser ??= chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGS });
  return browser;
}

/** A browser of its own, with more arguments; the caller closes it. */
export const launchAlone = (...more) => chromium.launch({ executablePath: '/usr/bin/chromium', args: [...ARGS, ...more] });

/** A page that keeps account of what goes wrong in it: { page, faults }. */
export async function newPage({ width = 1280, height = 800, ...options } = {}) {
  const context = await (await launch()).newContext({ viewport: { width, height }, timezoneId: 'Europe/Berlin', locale: 'en-GB', ...options });
  context.setDefaultTimeout(PATIENCE * 1000);
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.stack}`));
  page.on('console', (message) => {
    // What the network refused is told by the page itself; Chromium also writes a line for each.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(`console: ${message.text()}`);
  });
  await page.exposeFunction('reportViolation', (text) => { faults.push(`CSP: ${text}`); });
  await page.addInitScript(() => addEventListener('securitypolicyviolation', (event) => {
    window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
  }));
  return { context, page, faults };
}

/** Opens a place of the dashboard as the admin, or with another token. */
export async function visit(page, d, where = '/processes', token = d.token) {
  await page.addInitScript(([origin, text]) => {
    if (location.origin === origin && text && !sessionStorage.getItem('forkful-test')) {
      sessionStorage.setItem('forkful-token', text);
      sessionStorage.setItem('forkful-test', 'signed in once');
    }
  }, [d.url, token]);
  await page.goto(`${d.url}/#${where}`);
}

/** Opens the palette of commands and types there; what is typed before it is there goes to the page. */
export async function palette(page, text) {
  await page.keyboard.press('Control+k');
  await page.locator('[role=combobox]:focus').waitFor();
  await page.keyboard.type(text);
}

/** axe finds nothing, in either theme. */
export async function accessible(page, what = 'the page') {
  await page.evaluate(AXE);
  for (const theme of THEMES) {
    await page.evaluate((name) => { document.documentElement.dataset.theme = name; }, theme);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 4).join(' | ')}`), [], `${what}, ${theme}`);
  }
}

/** browserTest('a true sentence', [options of the daemon, page: options of the page,] async ({ d, page, t }) => { … }). */
export function browserTest(name, ...rest) {
  const body = rest.pop();
  const { page: options, ...daemon } = rest.pop() ?? {};
  return daemonTest(name, daemon, async (d, t) => {
    const { context, page, faults } = await newPage(options);
    try {
      await body({ d, page, t });
      assert.deepEqual(faults, [], 'the page is without faults');
    } catch (error) {
      for (const fault of faults) t.diagnostic(fault);
      throw error;
    } finally {
      await context.close();
    }
  });
}
