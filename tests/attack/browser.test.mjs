// Attacks through a browser: a page from elsewhere cannot read our token, but it can make the browser send requests to
// this machine, and with a DNS name of its own it can pretend to be us. Requests here are as browsers write them.
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { exchange, head } from '../lib/raw.mjs';
import { load } from '../contract/generate.mjs';
import { attack, authority, repelled, request, victim } from './wire.mjs';

const loopback_6 = Object.values(networkInterfaces()).flat().some((one) => one.address === '::1');
const port = (d) => new URL(d.url).port;
const JSON_TYPE = 'Content-Type: application/json\r\n';
const spawn = '{"argv":["true"]}';
const spawning = (d, lines, options) => request(d, 'POST /v1/processes', `${lines}Content-Length: ${spawn.length}\r\n`, spawn, options);

function no_cors(seen, what) {
  assert.doesNotMatch(seen.got, /^access-control-|^set-cookie/im, what);
}

suite('DNS rebinding', () => {
  daemonTest('makes the right address answer for another name', { listen: ['127.0.0.1:0', loopback_6 ? '[::1]:0' : '127.0.0.2:0'] }, async (d) => {
    const target = await victim(d);
    for (const url of d.first.listening.filter((one) => one.startsWith('http'))) {
      const at = { url, token: d.token, socket: d.socket };
      for (const name of ['evil.test', 'localhost.evil.test', '127.0.0.1.evil.test', 'evil.test.', 'localhost.', '127.0.0.1.', 'xn--lcalhost-c1a', 'evil.localhost', '0.0.0.0', '127.1',
        '2130706433', '0x7f.1', '0177.0.0.1', '[::ffff:127.0.0.1]', '[::]', '[::1', '[fe80::1]', 'localhost@evil.test', 'localhost/evil.test', 'localhost,evil.test', 'localhost evil.test', '']) {
        for (const host of [`${name}:${new URL(url).port}`, name]) {
          await repelled(at, spawning(at, JSON_TYPE, { host: `Host: ${host}\r\n` }), 421, host);
          await repelled(at, request(at, `GET /`, '', '', { host: `Host: ${host}\r\n` }), 421, `the page, ${host}`);
        }
      }
    }
    await target.intact();
  });

  daemonTest('with two names, with none, or with another one in the target', async (d) => {
    const target = await victim(d);
    const ours = `Host: ${authority(d)}\r\n`;
    for (const [host, status] of [[`${ours}Host: evil.test\r\n`, 400], [`Host: evil.test\r\n${ours}`, 400], ['', 400]]) {
      await repelled(d, spawning(d, JSON_TYPE, { host }), status, host);
    }
    for (const absolute of ['http://evil.test', `http://evil.test:${port(d)}`, `http://${authority(d)}@evil.test`, `http://evil.test#@${authority(d)}`, 'http://']) {
      const bytes = request(d, `POST ${absolute}/v1/processes`, `${JSON_TYPE}Content-Length: ${spawn.length}\r\n`, spawn);
      const seen = await attack(d, bytes);
      assert.ok(seen.closed && seen.statuses.length === 1 && [400, 421].includes(seen.statuses[0]), `${absolute}: ${seen.got}`);
    }
    await target.intact();
  });

  daemonTest('is not undone by what a proxy would add', async (d) => {
    const forwarded = `X-Forwarded-Host: ${authority(d)}\r\nForwarded: host=${authority(d)}\r\nX-Forwarded-For: 127.0.0.1\r\n`;
    await repelled(d, spawning(d, `${JSON_TYPE}${forwarded}`, { host: 'Host: evil.test\r\n' }), 421, 'forwarded');
    assert.deepEqual(await d.list(), []);
  });
});

suite('a page of another origin', () => {
  daemonTest('sends any method to any route', async (d) => {
    const target = await victim(d);
    const { paths } = load();
    const routes = Object.entries(paths).flatMap(([where, item]) => ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'].map((verb) => [verb.toUpperCase(), where.replace(/\{[^}]+\}/g, target.id), item]));
    const origins = ['http://evil.test', 'null', 'https://evil.test', `http://127.0.0.1:${Number(port(d)) + 1}`, `http://localhost:${port(d)}`, 'chrome-extension://abc', `file://${authority(d)}`, '', `http://${authority(d)}.evil.test`];
    for (const [i, [method, where]] of routes.entries()) {
      const origin = origins[i % origins.length];
      await repelled(d, request(d, `${method} ${where}`, `Origin: ${origin}\r\nContent-Length: 0\r\n`), 403, `${method} ${where} from ${origin}`);
    }
    await target.intact();
  });

  daemonTest('sends it without Origin, as older browsers did, or as a neighbour on this machine', async (d) => {
    const target = await victim(d);
    for (const site of ['cross-site', 'same-site', 'something-new', 'Same-Origin']) {
      for (const mode of ['cors', 'no-cors', 'navigate', 'websocket']) {
        await repelled(d, spawning(d, `${JSON_TYPE}Sec-Fetch-Site: ${site}\r\nSec-Fetch-Mode: ${mode}\r\n`), 403, `${site} ${mode}`);
        for (const where of ['/v1/processes', '/v1/changes', '/v1/log', '/v1/system']) {
          await repelled(d, request(d, `GET ${where}`, `Sec-Fetch-Site: ${site}\r\nSec-Fetch-Mode: ${mode}\r\n`), 403, `${site} ${mode} ${where}`);
        }
        if (mode !== 'navigate') await repelled(d, request(d, 'GET /', `Sec-Fetch-Site: ${site}\r\nSec-Fetch-Mode: ${mode}\r\n`), 403, `the page as ${mode}`);
      }
    }
    await target.intact();
  });

  daemonTest('uses <img>, <script>, EventSource, a form and sendBeacon', async (d) => {
    const target = await victim(d);
    const fetched = (mode, dest) => `Origin: http://evil.test\r\nReferer: http://evil.test/\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: ${mode}\r\nSec-Fetch-Dest: ${dest}\r\n`;
    for (const [what, first, lines, body] of [
      ['<img>', `GET /v1/processes/${target.id}`, fetched('no-cors', 'image').replace(/^Origin.*\r\n/, ''), ''],
      ['<script>', 'GET /openapi.json', fetched('no-cors', 'script').replace(/^Origin.*\r\n/, ''), ''],
      ['EventSource', 'GET /v1/changes', `${fetched('cors', 'empty')}Accept: text/event-stream\r\n`, ''],
      ['a form', `POST /v1/processes/${target.id}/kill`, `${fetched('navigate', 'document')}Content-Type: application/x-www-form-urlencoded\r\n`, 'a=b'],
      ['a form of text', 'POST /v1/processes', `${fetched('navigate', 'document')}Content-Type: text/plain\r\n`, '{"argv":["true"],"a":"=b"}'],
      ['sendBeacon', 'POST /v1/shutdown', `${fetched('no-cors', 'empty')}Content-Type: text/plain;charset=UTF-8\r\n`, '{}']]) {
      const bytes = request(d, first, `${lines}Content-Length: ${body.length}\r\n`, body, { token: null });
      no_cors(await repelled(d, bytes, 403, what), what);
    }
    await target.intact();
  });

  daemonTest('asks beforehand whether it may, and gets no permission', async (d) => {
    for (const where of ['/v1/processes', '/v1/changes', '/', '/healthz', '*']) {
      const lines = 'Origin: http://evil.test\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\nAccess-Control-Request-Private-Network: true\r\n';
      no_cors(await repelled(d, request(d, `OPTIONS ${where}`, lines, '', { token: null }), 403, where), where);
    }
    for (const [method, where] of [['GET', '/healthz'], ['GET', '/v1/nothing'], ['OPTIONS', '/v1/processes'], ['PATCH', '/v1/processes'], ['GET', '/'], ['GET', '/v1/system']]) {
      const seen = await attack(d, request(d, `${method} ${where}`, `Origin: http://${authority(d)}\r\nConnection: close\r\nContent-Length: 0\r\n`));
      no_cors(seen, where);
    }
  });

  daemonTest('finds a body that needs no asking beforehand', async (d) => {
    for (const type of ['text/plain', 'text/plain; application/json', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=application/json', 'application/jsonp', 'application/json, text/plain',
      'application/json; boundary=x', 'application/json text/plain', 'text/json', 'application/problem+json', '', '*/*']) {
      const seen = await attack(d, spawning(d, `Content-Type: ${type}\r\nConnection: close\r\n`));
      assert.deepEqual([seen.statuses, seen.problem.code], [[415], 'unsupported_media_type'], type);
    }
    assert.deepEqual((await attack(d, spawning(d, 'Connection: close\r\n'))).statuses, [415], 'no type');
    assert.deepEqual(await d.list(), []);
  });
});

suite('our own page', () => {
  daemonTest('cannot be framed, sniffed, opened beside or loaded by others, and runs no script but its own', async (d) => {
    const page = await d.get('/', { token: null });
    const files = [...page.text.matchAll(/(?:src|href)="\/?([^":]+)"/g)].map((one) => `/${one[1]}`);
    assert.ok(files.length > 0);
    for (const where of ['/', '/openapi.yaml', '/openapi.json', ...files]) {
      const { status, headers } = await exchange(d, head(d, `GET ${where}`, { Authorization: undefined }));
      assert.equal(status, 200, where);
      const policy = headers['content-security-policy'] ?? '';
      assert.match(policy, /default-src 'none'/, where);
      assert.match(policy, /frame-ancestors 'none'/, where);
      assert.match(policy, /base-uri 'none'/, where);
      assert.match(policy, /form-action 'none'/, where);
      assert.doesNotMatch(policy, /unsafe|\*|https?:/, where);
      assert.deepEqual(['x-frame-options', 'x-content-type-options', 'referrer-policy', 'cross-origin-opener-policy', 'cross-origin-resource-policy'].map((one) => headers[one]),
        ['DENY', 'nosniff', 'no-referrer', 'same-origin', 'same-origin'], where);
    }
    assert.doesNotMatch(page.text, /<script(?![^>]* src=)|\son[a-z]+=|javascript:|\sstyle=/i, 'nothing inline');
  });

  daemonTest('never gets the token in a cookie or an address', async (d) => {
    for (const [method, where] of [['GET', '/'], ['GET', '/v1/system'], ['POST', '/v1/sessions'], ['GET', '/healthz'], ['GET', '/v1/nothing'], ['PUT', '/v1/locks/l'], ['DELETE', '/v1/locks/l']]) {
      const answer = await d.call(method, where, method === 'POST' ? { body: { ttl_seconds: 5 } } : method === 'PUT' ? { body: {} } : {});
      assert.equal(answer.headers['set-cookie'], undefined, where);
      assert.ok(!JSON.stringify(answer.headers).includes(d.token), where);
      assert.ok(!answer.text.includes(d.token), where);
    }
    assert.doesNotMatch(d.launched.stdout, new RegExp(d.token));
    for (const key of ['access_token', 'token', 'authorization', 'bearer']) {
      problem(await d.call('GET', `/v1/system?${key}=${d.token}`, { token: null }), 401, 'unauthorized');
    }
    for (const cookie of [`token=${d.token}`, `Authorization=Bearer ${d.token}`]) {
      problem(await d.call('GET', '/v1/system', { token: null, headers: { Cookie: cookie } }), 401, 'unauthorized');
    }
  });
});
