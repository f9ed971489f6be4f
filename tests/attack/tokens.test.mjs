// Where a token must never be found, whatever is done with it, and how it is compared.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { daemonTest, REPOSITORY, suite } from '../lib/daemon.mjs';
import { liver, session } from '../lib/owners.mjs';
import { marked } from '../lib/proc.mjs';
import { attack, request } from './wire.mjs';

/** The part of a token that is secret; the id before it may be shown. */
const secret = (token) => token.split('_').at(-1);
const files = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? files(path.join(dir, one.name)) : [path.join(dir, one.name)]));

suite('a token', () => {
  daemonTest('is in no log, event, audit, metric, problem, command line, nor in another child\'s environment', async (d) => {
    const child = await liver(d);
    const other = await d.sh('env; exec sleep 1000', { name: 'other' });
    const owner = await session(d);
    const made = (await d.post('/v1/tokens', { scopes: ['read'], label: 'l' }, { expect: 201 })).body;
    const secrets = [d.token, child.token, owner.token, made.token].map(secret);
    assert.equal(new Set(secrets).size, 4);
    const answers = [];
    for (const token of [d.token, child.token, owner.token, made.token]) {
      const wrong = `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`;
      for (const [method, where, options] of [
        ['GET', '/v1/system', { token: wrong }], ['GET', `/v1/system?token=${token}`, { token: null }], ['GET', `/v1/system?authorization=Bearer%20${token}`, {}],
        ['GET', `/v1/processes/${token}`, { token }], ['GET', `/v1/${token}`, { token }], ['POST', '/v1/shutdown', { token, body: { wait: token } }],
        ['DELETE', `/v1/processes/${other.id}`, { token: made.token }], ['POST', '/v1/processes', { token, body: { argv: [] } }],
      ]) {
        const answer = await d.call(method, where, options);
        assert.ok(answer.status >= 400, `${answer}`);
        const asked = decodeURIComponent(where) + JSON.stringify(options.body ?? '');
        if (!asked.includes(token)) answers.push(answer.text); // who writes it into an address reads it there
      }
      answers.push((await attack(d, request(d, `GET /v1/system`, '', '', { token: `${token} x` }), { within: 1 })).got);
    }
    for (const where of ['/v1/log?limit=500', '/v1/changes?limit=500', '/v1/changes?snapshot=true', '/v1/tokens', '/v1/sessions', '/v1/processes', `/v1/processes/${child.id}`, `/v1/processes/${child.id}/tree`, '/v1/holds', '/v1/waits', '/v1/system', '/metrics']) {
      answers.push((await d.get(where)).text);
    }
    const audit = (await d.get('/v1/audit?limit=500')).body.items;
    assert.ok(audit.length > 0);
    answers.push(JSON.stringify(audit), d.launched.stdout, d.stderr, await d.logsText(other.id));
    for (const pid of marked(d.mark)) answers.push(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
    const own = secret((await d.logsText(other.id)).match(/FORKFUL_TOKEN=(\S+)/)[1]);
    assert.equal(secrets.includes(own), false, 'each has its own');
    for (const text of answers) for (const one of secrets) assert.ok(!text.includes(one), text.slice(0, 2000));
  });

  daemonTest('of the admin, or one that was made, is in no database: there is a hash', async (d) => {
    const made = (await d.post('/v1/tokens', { scopes: ['read'] }, { expect: 201, headers: { 'Idempotency-Key': 'k1' } })).body;
    await d.as(made.token).call('GET', '/v1/system', { expect: 200 });
    await d.killServer();
    for (const file of files(d.dir).filter((one) => !one.endsWith('/state/token'))) {
      let bytes;
      try { bytes = readFileSync(file); } catch { continue; } // a socket
      for (const token of [d.token, made.token]) assert.equal(bytes.includes(secret(token)), false, file);
    }
  });
});

test('a secret is compared by one function, which looks at all of it', () => {
  const sources = ['api', 'service'].flatMap((dir) => files(path.join(REPOSITORY, dir))).filter((one) => one.endsWith('.c'));
  const comparing = [];
  let body;
  for (const file of sources) {
    const text = readFileSync(file, 'utf8');
    // A prefix tells what kind of token it is; a page token is no secret.
    for (const [line] of path.basename(file) === 'page.c' ? [] : text.matchAll(/^.*\b(?:strcmp|strcasecmp|memcmp)\(.*$/gm)) {
      assert.doesNotMatch(line.replace(/"[^"]*"/g, '""'), /token|secret|bearer|->hash/i, `${file}: ${line}`);
    }
    if (/constant_time_equal\(/.test(text)) comparing.push(path.basename(file));
    body ??= /^bool constant_time_equal\([^)]*\)\n\{\n([\s\S]*?)^\}/m.exec(text)?.[1];
  }
  for (const file of ['auth.c', 'login.c', 'token.c']) assert.ok(comparing.includes(file), `${file} compares secrets`);
  const loop = body.slice(body.indexOf('for ('));
  assert.equal(loop.match(/\breturn\b/g).length, 1, 'once it has begun it looks at all bytes');
  assert.doesNotMatch(loop, /\b(break|goto|if|memcmp|strcmp)\b|&&|\|\||\?/);
});
