// A hostile page in a real browser: on another port of this machine, which a browser calls another origin of the same site,
// and on another name. Whatever a page can do is tried; nothing is changed, and nothing is read.
import assert from 'node:assert/strict';
import http from 'node:http';
import { describe } from 'node:test';
import { daemonTest } from '../lib/daemon.mjs';
import { launchAlone } from '../lib/browser.mjs';

/** What the page runs: each attempt gives what it could see of the daemon, or null. */
async function attempts(url) {
  const seen = {};
  const within = (promise) => Promise.race([promise, new Promise((resolve) => { setTimeout(resolve, 3000, null); })]).catch(() => null);
  const spawn = '{"argv":["touch","/tmp/forkful-was-here"]}';
  const read = async (answer) => (answer.type === 'opaque' ? null : answer.text());
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    for (const [mode, type] of [['cors', 'application/json'], ['no-cors', 'text/plain'], ['cors', 'text/plain']]) {
      if (mode === 'no-cors' && !['GET', 'POST'].includes(method)) continue;
      const body = method === 'GET' ? undefined : spawn;
      seen[`fetch ${method} ${mode} ${type}`] = await within(fetch(`${url}/v1/processes`, { method, mode, body, credentials: 'include', headers: { 'Content-Type': type } }).then(read));
    }
  }
  for (const where of ['/', '/openapi.json', '/healthz', '/metrics', '/v1/system', '/app.js']) seen[`fetch ${where}`] = await within(fetch(url + where).then(read));
  const loads = (element, attribute, where) => new Promise((resolve) => {
    element.onload = () => resolve(`${attribute} of ${where} was loaded`);
    element.onerror = () => resolve(null);
    element[attribute] = url + where;
    document.body.append(element);
  });
  for (const where of ['/v1/processes', '/openapi.json', '/icon.svg', '/app.js']) {
    seen[`img ${where}`] = await within(loads(document.createElement('img'), 'src', where));
    seen[`script ${where}`] = await within(loads(document.createElement('script'), 'src', where));
  }
  seen.style = await within(loads(Object.assign(document.createElement('link'), { rel: 'stylesheet' }), 'href', '/style.css'));
  seen.events = await within(new Promise((resolve) => {
    const events = new EventSource(`${url}/v1/changes`, { withCredentials: true });
    events.onopen = events.onmessage = () => resolve('the feed is open');
    events.onerror = () => { events.close(); resolve(null); };
  }));
  seen.socket = await within(new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/changes`);
    socket.onopen = () => resolve('a socket is open');
    socket.onerror = () => resolve(null);
  }));
  for (const type of ['text/plain', 'application/x-www-form-urlencoded']) navigator.sendBeacon(`${url}/v1/processes`, new Blob([spawn], { type }));
  for (const [enctype, name] of [['text/plain', '{"argv":["true"],"name":"'], ['application/x-www-form-urlencoded', 'argv'], ['multipart/form-data', 'argv']]) {
    const frame = Object.assign(document.createElement('iframe'), { name: `frame-${enctype}` });
    const form = Object.assign(document.createElement('form'), { action: `${url}/v1/processes`, method: 'POST', enctype, target: frame.name });
    form.append(Object.assign(document.createElement('input'), { name, value: '"}' }));
    document.body.append(frame, form);
    form.submit();
    await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 1500); });
    try { seen[`form ${enctype}`] = frame.contentDocument?.body?.innerText || null; } catch { seen[`form ${enctype}`] = null; }
  }
  const page = Object.assign(document.createElement('iframe'), { src: url });
  document.body.append(page);
  await new Promise((resolve) => { page.onload = resolve; setTimeout(resolve, 1500); });
  try { seen.frame = page.contentDocument?.body?.innerText || null; } catch { seen.frame = null; }
  const opened = window.open(url);
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  try { seen.window = opened?.document?.body?.innerText || null; } catch { seen.window = null; }
  return seen;
}

/** A page of nothing, at an address of its own; to those who ask from elsewhere it is as open as a careless daemon would be. */
async function hostile() {
  const server = http.createServer((request, answer) => {
    const type = /changes/.test(request.url) ? 'text/event-stream' : /app\.js/.test(request.url) ? 'text/javascript' : 'text/html';
    const open = { 'Access-Control-Allow-Origin': request.headers.origin ?? '*', 'Access-Control-Allow-Credentials': 'true', 'Access-Control-Allow-Headers': 'content-type', 'Access-Control-Allow-Methods': 'PUT, PATCH, DELETE' };
    answer.writeHead(200, { 'Content-Type': type, ...open });
    if (type === 'text/event-stream') answer.write('data: x\n\n');
    else answer.end(type === 'text/html' ? '<!doctype html><title>win a prize</title><p>read me' : '');
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { port: server.address().port, close: () => { server.closeAllConnections(); server.close(); } };
}

describe('a page in Chromium', () => {
  daemonTest('on another port, or under a name that leads here, changes nothing and reads nothing', { seconds: 90 }, async (d) => {
    const evil = await hostile();
    const browser = await launchAlone('--host-resolver-rules=MAP evil.test 127.0.0.1, MAP rebound.test 127.0.0.1');
    try {
      const { id } = await d.spawn({ argv: ['sleep', '1000'] });
      const before = (await d.get('/v1/changes?limit=500')).body.items.length;
      const { port } = new URL(d.url);
      const careless = await hostile();
      const control = await browser.newPage();
      await control.goto(`http://127.0.0.1:${evil.port}`);
      const could = await control.evaluate(attempts, `http://127.0.0.1:${careless.port}`);
      await control.close();
      careless.close();
      for (const what of ['fetch GET cors application/json', 'fetch DELETE cors application/json', 'fetch /v1/system', 'script /app.js', 'events']) assert.notEqual(could[what], null, `${what} is tried in earnest`);
      for (const [page_url, target] of [[`http://127.0.0.1:${evil.port}`, d.url], [`http://evil.test:${evil.port}`, d.url], [`http://evil.test:${evil.port}`, `http://rebound.test:${port}`]]) {
        const page = await browser.newPage();
        await page.goto(page_url);
        const seen = await page.evaluate(attempts, target);
        assert.ok(Object.keys(seen).length > 30);
        assert.deepEqual(Object.entries(seen).filter(([, what]) => what !== null), [], `${page_url} against ${target}`);
        await page.close();
      }
      assert.deepEqual((await d.list()).map((one) => [one.id, one.alive]), [[id, true]]);
      assert.equal((await d.get('/v1/changes?limit=500')).body.items.length, before);
    } finally {
      await browser.close();
      evil.close();
    }
  });

  daemonTest('rebound to the daemon is not the daemon\'s page, and our own page works beside it', async (d) => {
    const browser = await launchAlone('--host-resolver-rules=MAP rebound.test 127.0.0.1');
    try {
      const page = await browser.newPage();
      const refused = await page.goto(`http://rebound.test:${new URL(d.url).port}/`);
      assert.equal(refused.status(), 421);
      const broken = [];
      page.on('pageerror', (error) => broken.push(error.message));
      const ours = await page.goto(`${d.url}/`);
      assert.equal(ours.status(), 200);
      assert.notEqual(await page.title(), '');
      assert.deepEqual(broken, [], 'its own policy lets its own scripts run');
    } finally {
      await browser.close();
    }
  });
});
