// Attacks on a listener with TLS: weak versions and suites, handshakes without end, certificates of others, and what breaks HTTP inside of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { performance } from 'node:perf_hooks';
import { daemonTest, soon, suite, until } from '../lib/daemon.mjs';
import { Client } from '../lib/client.mjs';
import { Authority, served } from '../lib/certificates.mjs';
import { problem } from '../lib/check.mjs';
import { answersSoon, authority as hostOf } from './wire.mjs';

const authority = new Authority();
const server = authority.issue('server');
const over = (more = {}) => served(authority, server, more);
const port = (d) => Number(new URL(d.url).port);

/** A handshake with these options: { protocol, cipher } or { error }. */
function shake(d, options) {
  return soon(new Promise((resolve) => {
    const socket = tls.connect({ port: port(d), host: '127.0.0.1', ca: authority.ca, ...options });
    socket.once('secureConnect', () => { resolve({ protocol: socket.getProtocol(), cipher: socket.getCipher().standardName }); socket.destroy(); });
    socket.once('error', (error) => resolve({ error: error.code ?? error.message }));
    socket.once('close', () => resolve({ error: 'closed' }));
  }), 'the handshake ends');
}

/** Sends bytes inside of TLS, reads until the daemon closes. */
function inside(d, bytes, options = {}) {
  return soon(new Promise((resolve) => {
    const socket = tls.connect({ port: port(d), host: '127.0.0.1', ca: authority.ca, ...options }, () => socket.write(bytes));
    let got = '';
    socket.on('data', (piece) => { got += piece.toString('latin1'); });
    socket.on('error', () => {});
    socket.once('close', () => resolve(got));
  }), 'the daemon closes');
}

/** Sends bytes without TLS; gives what came back and after how many seconds it was closed. */
function plainly(d, bytes) {
  const begun = performance.now();
  return soon(new Promise((resolve) => {
    const socket = net.connect({ port: port(d), host: '127.0.0.1' }, () => socket.write(bytes));
    let got = '';
    socket.on('data', (piece) => { got += piece.toString('latin1'); });
    socket.on('error', () => {});
    socket.once('close', () => resolve({ got, seconds: (performance.now() - begun) / 1000 }));
  }), 'the daemon closes');
}

/** The first bytes of a ClientHello, and the promise of many more. */
const HELLO = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);

suite('a handshake', () => {
  daemonTest('is made with versions and suites of today only', over(), async (d) => {
    assert.equal((await shake(d, {})).protocol, 'TLSv1.3');
    const { protocol, cipher } = await shake(d, { maxVersion: 'TLSv1.2' });
    assert.equal(protocol, 'TLSv1.2');
    assert.match(cipher, /^TLS_ECDHE_.*(GCM|POLY1305)/);
    for (const options of [{ minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      ...['AES128-SHA', 'AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'ECDHE-ECDSA-AES128-CCM8', 'AECDH-AES128-SHA', 'PSK-AES128-GCM-SHA256', 'ECDHE-ECDSA-NULL-SHA']
        .map((ciphers) => ({ maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` }))]) {
      assert.ok((await shake(d, options)).error, JSON.stringify(options));
    }
    await answersSoon(d);
  });

  daemonTest('that never ends, or never begins, is cut by the deadline of the head', over({ args: ['--http-header-seconds=0.5'] }), async (d) => {
    for (const bytes of ['', HELLO]) {
      const { got, seconds } = await plainly(d, bytes);
      assert.equal(got, '');
      assert.ok(seconds > 0.3 && seconds < 20, `${seconds} s`);
    }
    const dripping = net.connect({ port: port(d), host: '127.0.0.1' });
    dripping.on('error', () => {});
    const drip = setInterval(() => dripping.write(Buffer.from([0])), 50);
    dripping.write(HELLO);
    await soon(new Promise((resolve) => { dripping.once('close', resolve); }), 'a dripping one is cut');
    clearInterval(drip);
    const silent = await inside(d, '');
    assert.equal(silent, '', 'and so is one that is silent after it');
    await answersSoon(d);
  });

  daemonTest('that waits costs nothing meanwhile', over(), async (d) => {
    const { server_pid } = await d.system();
    /** Seconds of processor that the server has used. */
    const used = () => { const fields = readFileSync(`/proc/${server_pid}/stat`, 'utf8').split(') ')[1].split(' '); return (Number(fields[11]) + Number(fields[12])) / 100; };
    const wait = net.connect({ port: port(d), host: '127.0.0.1' }, () => wait.write(HELLO));
    wait.on('error', () => {});
    await d.unix.call('GET', '/v1/system', { expect: 200 });
    const before = used();
    await d.get('/v1/changes?wait=2&type=no.such');
    assert.ok(used() - before < 0.5, `${used() - before} s of 2`);
    wait.destroy();
  });

  daemonTest('by hundreds that never end it leaves room for an admin', over({ args: ['--http-connections=64'] }), async (d) => {
    const crowd = Array.from({ length: 200 }, () => {
      const socket = net.connect({ port: port(d), host: '127.0.0.1' }, () => socket.write(HELLO));
      socket.on('error', () => {});
      return socket;
    });
    const client = new Client({ url: d.url, token: d.token, tls: d.tls });
    assert.equal((await client.call('GET', '/v1/system')).status, 200);
    client.close();
    await d.unix.call('GET', '/v1/system', { expect: 200 });
    for (const socket of crowd) socket.resetAndDestroy();
    await answersSoon(d);
  });

  daemonTest('is no handshake: HTTP, TLS of another kind, noise', over(), async (d) => {
    const noise = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 197 + 13) % 256));
    for (const bytes of [`GET /healthz HTTP/1.1\r\nHost: ${hostOf(d)}\r\n\r\n`, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', noise, Buffer.concat([Buffer.from([22, 3, 1, 255, 255]), noise]), Buffer.from([21, 3, 3, 0, 2, 2, 40]), Buffer.alloc(70_000, 22)]) {
      const { got } = await plainly(d, bytes);
      assert.doesNotMatch(got, /HTTP|forkful/);
    }
    await answersSoon(d);
    assert.ok(d.stderr.split('\n').length < 20, d.stderr);
  });
});

suite('a client\'s certificate', () => {
  const known = over({ args: ['--tls-client-ca', authority.file('ca.pem'), '--tls-client', 'CN=alice admin', '--tls-client', 'CN=carol,O=acme admin'] });
  const options = ({ cert, key_text }) => ({ cert, key: key_text });
  const asks = (d) => `GET /v1/tokens/me HTTP/1.1\r\nHost: ${hostOf(d)}\r\nConnection: close\r\n\r\n`;

  daemonTest('of another authority, of none, or that is over gets no answer, whatever is in it', known, async (d) => {
    const other = new Authority();
    const bad = [other.issue('alice', { extensions: [] }), authority.lonely('self', '/CN=alice'), authority.issue('old', { subject: '/CN=alice', days: -1, extensions: [] }),
      authority.issue('server-only', { subject: '/CN=alice', extensions: ['extendedKeyUsage=serverAuth'] })];
    for (const one of bad) {
      assert.equal(await inside(d, asks(d), options(one)), '');
      assert.equal(await inside(d, asks(d), { ...options(one), maxVersion: 'TLSv1.2' }), '');
      assert.equal(await inside(d, `GET /healthz HTTP/1.1\r\nHost: ${hostOf(d)}\r\nConnection: close\r\n\r\n`, options(one)), '');
    }
    assert.match(await inside(d, asks(d), options(authority.issue('alice', { extensions: [] }))), /"scopes":\["admin"\]/);
    await answersSoon(d);
  });

  daemonTest('with a name that only looks like one that is known is nobody\'s', known, async (d) => {
    const subjects = ['/CN=alice/CN=mallory', '/CN=mallory/CN=alice', '/CN=Alice', '/CN=alice ', '/CN=alice,CN=x', '/CN=mallory\\,CN=alice', '/O=CN=alice', '/O=CN\\=alice/CN=mallory', '/OU=alice', '/CN=alicea', '/CN=carol', '/CN=carol,O=acme', '/CN=carol/O=acme', '/O=acme/CN=carol/OU=x'];
    for (const [i, subject] of subjects.entries()) {
      const one = authority.issue(`trick${i}`, { subject, extensions: [] });
      assert.match(await inside(d, asks(d), options(one)), /^HTTP\/1\.1 401 /, subject);
    }
  });

  daemonTest('is no key to other pages: Host and Origin count as ever', known, async (d) => {
    const one = authority.issue('browser', { subject: '/CN=alice', extensions: [] });
    const status = async (lines) => Number(/^HTTP\/1\.1 (\d+)/.exec(await inside(d, `POST /v1/shutdown HTTP/1.1\r\n${lines}Content-Type: application/json\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{"x":1}`, options(one)))[1]);
    const host = `Host: ${hostOf(d)}\r\n`;
    assert.equal(await status(`${host}Origin: https://evil.test\r\n`), 403);
    assert.equal(await status(`${host}Origin: http://${hostOf(d)}\r\n`), 403);
    assert.equal(await status(`${host}Sec-Fetch-Site: cross-site\r\n`), 403);
    assert.equal(await status(`${host}Sec-Fetch-Site: same-site\r\n`), 403);
    assert.equal(await status('Host: evil.test\r\n'), 421);
    assert.equal(await status(`${host}Origin: https://${hostOf(d)}\r\n`), 422);
  });
});

suite('inside of TLS', () => {
  daemonTest('broken HTTP is answered as elsewhere, and not in clear text', over(), async (d) => {
    const host = `Host: ${hostOf(d)}\r\n`;
    for (const [bytes, status] of [[`GET /${'a'.repeat(28_000)} HTTP/1.1\r\n${host}\r\n`, 414], [`POST /v1/login HTTP/1.1\r\n${host}Content-Length: x\r\n\r\n`, 400],
      [`POST /v1/login HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400], [`GET / HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`, 400]]) {
      assert.match(await inside(d, bytes), new RegExp(`^HTTP/1\\.1 ${status} `), bytes.slice(0, 60));
    }
    await answersSoon(d);
  });

  daemonTest('wrong tokens of one peer are as limited, and streams that nobody reads are bounded', over({ args: ['--auth-failures=5'] }), async (d) => {
    const seen = await until('it is too many', async () => { const answer = await d.call('GET', '/v1/system', { token: 'x' }); return answer.status === 429 && answer; });
    problem(seen, 429, 'too_many_failures');
    const flood = await d.spawn({ shell: 'yes 0123456789012345678901234567890123456789', output: { max_bytes: 1 << 20 } });
    const deaf = Array.from({ length: 5 }, () => tls.connect({ port: port(d), host: '127.0.0.1', ca: authority.ca }, function ask() {
      this.write(`GET /v1/processes/${flood.id}/logs?follow=true HTTP/1.1\r\nHost: ${hostOf(d)}\r\nAuthorization: Bearer ${d.token}\r\n\r\n`);
      this.pause();
    }));
    for (const one of deaf) one.on('error', () => {});
    await until('output flows', async () => (await d.process(flood.id)).output.stdout_bytes > 8 << 20);
    await answersSoon(d);
    for (const one of deaf) one.destroy();
    await d.delete(`/v1/processes/${flood.id}?kill=true`);
  });
});
