// Attacks on logging in: codes guessed, used again, asked for by other pages; tokens guessed; and the noise of guessing.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { answersSoon, attack, authority } from './wire.mjs';

const BURST = 5;
const few = { args: [`--auth-failures=${BURST}`, `--auth-code-failures=${BURST}`] };
const wrong = (i) => String(i).padStart(64, '0');
const enter = (d, code, more = {}) => d.call('POST', '/v1/login', { token: null, body: { code }, ...more });
const made = async (d) => (await d.post('/v1/login/codes', {}, { expect: 201 })).body.code;

/** How often each status came. */
function tally(answers) {
  const counts = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

suite('a code', () => {
  daemonTest('is guessed a thousand times, and the right one is let in meanwhile', few, async (d) => {
    const code = await made(d);
    const answers = [];
    for (let i = 0; i < 1000; i += 1) answers.push(await enter(d, `fkl_${wrong(i)}`));
    const counts = tally(answers);
    assert.equal(counts[401] + counts[429], 1000);
    assert.ok(counts[401] >= BURST && counts[429] > 0, JSON.stringify(counts));
    const refusals = new Set(answers.filter((one) => one.status === 429).map((one) => JSON.stringify({ ...one.body, request_id: null })));
    assert.equal(refusals.size, 1);
    const last = answers.findLast((one) => one.status === 429);
    problem(last, 429, 'too_many_failures');
    assert.ok(Number(last.headers['retry-after']) >= 1);
    assert.equal(last.headers.connection, 'close');
    await enter(d, code, { expect: 201 });
    problem(await enter(d, code), 429, 'too_many_failures');
    await answersSoon(d);
  });

  daemonTest('is used by many at once: one of them gets a token', { args: ['--auth-code-failures=1000'] }, async (d) => {
    const code = await made(d);
    const counts = tally(await Promise.all(Array.from({ length: 40 }, () => enter(d, code))));
    assert.deepEqual(counts, { 201: 1, 401: 39 });
    assert.equal((await d.get('/v1/tokens')).body.items.length, 1);
  });

  daemonTest('is sent by another site\'s page, by a form, to another host', async (d) => {
    const code = await made(d);
    const page = (headers, more) => enter(d, code, { headers, ...more });
    problem(await page({ Origin: 'https://evil.test' }), 403, 'forbidden');
    problem(await page({ Origin: 'null' }), 403, 'forbidden');
    problem(await page({ 'Sec-Fetch-Site': 'cross-site' }), 403, 'forbidden');
    problem(await page({ 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'navigate' }), 403, 'forbidden');
    problem(await page({ Host: `evil.test:${new URL(d.url).port}` }), 421, 'misdirected');
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      problem(await enter(d, undefined, { body: undefined, raw: JSON.stringify({ code }), headers: { 'Content-Type': type } }), 415, 'unsupported_media_type');
    }
    problem(await d.call('GET', `/v1/login?code=${code}`, { token: null }), 405, 'method_not_allowed');
    problem(await d.call('POST', `/v1/login?code=${code}`, { token: null, body: { code } }), 400, 'unknown_parameter');
    const { body, headers } = await page({ Origin: d.url, 'Sec-Fetch-Site': 'same-origin' }, { expect: 201 });
    assert.deepEqual([headers['set-cookie'], headers['access-control-allow-origin']], [undefined, undefined]);
    problem(await d.call('GET', '/v1/system', { token: null, headers: { Cookie: `token=${body.token}` } }), 401, 'unauthorized');
  });
});

suite('a token', () => {
  daemonTest('is guessed: beyond the burst all that is wrong is one and the same 429, and the right one works', few, async (d) => {
    const { id, token } = (await d.post('/v1/tokens', { scopes: ['read'] }, { expect: 201 })).body;
    const guesses = [`fkf_${wrong(1)}`, 'x', `${d.token}0`, token.replace(/.$/, (c) => (c === '0' ? '1' : '0')), `fkf_${id.slice(2)}_${wrong(2)}`];
    const answers = [];
    for (let i = 0; i < 10 * BURST; i += 1) {
      answers.push(await d.call('GET', '/v1/system', { token: guesses[i % guesses.length] }));
      assert.equal((await d.call('GET', '/v1/system', { token })).status, 200);
      assert.equal((await d.call('GET', '/v1/system')).status, 200);
    }
    assert.deepEqual([...new Set(answers.slice(0, BURST).map((one) => one.body.code))], ['unauthorized']);
    const refused = answers.filter((one) => one.status === 429);
    assert.ok(refused.length > BURST);
    assert.equal(new Set(refused.map((one) => one.body.detail)).size, 1);
  });

  daemonTest('that is missing, or whose owner has ended, is no failure', few, async (d) => {
    const { body } = await d.post('/v1/sessions', { ttl_seconds: 60 }, { expect: 201 });
    await d.delete(`/v1/sessions/${body.id}`);
    for (let i = 0; i < 4 * BURST; i += 1) {
      problem(await d.call('GET', '/v1/system', { token: null }), 401, 'unauthorized');
      problem(await d.call('GET', '/v1/system', { token: body.token }), 401, 'owner_ended');
    }
  });

  daemonTest('is guessed on one connection: it is closed when it is too much', few, async (d) => {
    const one = `GET /v1/system HTTP/1.1\r\nHost: ${authority(d)}\r\nAuthorization: Bearer x\r\n\r\n`;
    const { statuses, closed } = await attack(d, one.repeat(100 * BURST));
    assert.ok(closed);
    assert.equal(statuses.at(-1), 429);
    assert.equal(statuses.filter((status) => status === 429).length, 1);
    await answersSoon(d);
  });

  daemonTest('is guessed by a crowd, and the audit and the log stay short', few, async (d) => {
    const begun = Date.now();
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let i = 0; i < 50; i += 1) await d.call('GET', '/v1/system', { token: `fkf_${wrong(i)}` });
    }));
    const rows = (await d.get('/v1/audit')).body.items.filter((row) => row.status === 401 || row.status === 429);
    assert.ok(rows.length >= 1 && rows.length <= 2 + (Date.now() - begun) / 1000, `${rows.length} rows`);
    assert.equal((await d.get('/v1/log')).text.includes('Bearer'), false);
  });
});
