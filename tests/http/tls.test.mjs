// Listeners with TLS: the same API to other machines, certificates that are read again, clients with certificates of their own.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { Daemon, daemonTest, runBinary, suite, until } from '../lib/daemon.mjs';
import { Client } from '../lib/client.mjs';
import { Authority, served } from '../lib/certificates.mjs';
import { exitedWith, problem } from '../lib/check.mjs';
import { liver } from '../lib/owners.mjs';
import { send } from '../lib/proc.mjs';
import { take } from '../lib/streams.mjs';

const authority = new Authority();
const server = authority.issue('server');
const next = authority.issue('next');
const late = authority.issue('late', { days: -1 });
const alice = authority.issue('alice', { subject: '/O=acme/CN=alice', extensions: ['extendedKeyUsage=clientAuth'] });
const bob = authority.issue('bob', { subject: '/O=acme/CN=bob', extensions: [] });

const over = (more) => served(authority, server, more);

/** The certificate that the daemon shows to a new connection: its common name. */
function shown(d) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port: new URL(d.url).port, host: '127.0.0.1', ca: authority.ca }, () => { resolve(socket.getPeerCertificate().subject.CN); socket.destroy(); });
    socket.once('error', reject);
  });
}

/** A client with a certificate and no token. */
function holder(d, { cert, key_text }, token = null) {
  const client = new Client({ url: d.url, token, tls: { ca: authority.ca, cert, key: key_text } });
  d.clients.push(client);
  return client;
}

/** Files that a test may change while the daemon runs. */
function files(d) {
  const [certificate, key] = ['server.pem', 'server.key'].map((name) => path.join(d.dir, name));
  const put = (from) => { copyFileSync(from.certificate, `${certificate}.new`); copyFileSync(from.key, `${key}.new`); renameSync(`${certificate}.new`, certificate); renameSync(`${key}.new`, key); };
  return { certificate, key, put };
}

/** A daemon with such files; `body` gets (d, files). */
const changing = (name, body) => test(name, async () => {
  const d = new Daemon({ listen: ['tls:127.0.0.1:0'], tls: { ca: authority.ca } });
  const own = files(d);
  own.put(server);
  d.args = ['--tls-certificate', own.certificate, '--tls-key', own.key];
  try {
    await d.start();
    await body(d, own);
    await d.stop();
  } finally { d.sweep(); }
});

const log = async (d) => (await d.get('/v1/log')).text;
const reload = (d) => send(d.pid, 'SIGHUP');

suite('a listener with TLS', () => {
  daemonTest('serves what the others serve: calls, bodies, parked calls, streams', over(), async (d) => {
    assert.match(d.url, /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.deepEqual((await d.system()).listeners, d.first.listening);
    const { id } = await d.spawn({ argv: ['sh', '-c', 'cat; exit 3'], stdin: 'pipe' });
    const joins = d.join(id);
    const text = 'a line of some length to be sent back\n'.repeat(50_000);
    for (let at = 0; at < text.length; at += 500_000) await d.call('POST', `/v1/processes/${id}/stdin?wait=30${at + 500_000 >= text.length ? '&eof=true' : ''}`, { raw: text.slice(at, at + 500_000), expect: 202 });
    exitedWith(await joins, 3);
    assert.equal(await d.logsText(id), text);
    const stream = await d.stream('/v1/changes?follow=true&after=0', { accept: 'application/x-ndjson' });
    assert.equal((await take(stream.records(), 2)).length, 2);
    stream.close();
    const many = await Promise.all(Array.from({ length: 60 }, (_, i) => d.call('PUT', `/v1/values/v${i}`, { body: { type: 'int64', value: i }, expect: 201 })));
    assert.equal(many.length, 60);
  });

  daemonTest('notices a client that has gone: nothing is given to it', over(), async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    const leaver = new AbortController();
    const gone = d.post('/v1/queues/q/receive?wait=60', {}, { signal: leaver.signal }).catch((error) => error);
    await until('it waits', async () => (await d.get('/v1/queues/q')).body.waiters === 1);
    leaver.abort();
    await gone;
    await until('it does not wait any more', async () => (await d.get('/v1/queues/q')).body.waiters === 0);
    await d.post('/v1/queues/q/messages', 1, { expect: 201 });
    assert.equal((await d.post('/v1/queues/q/receive', {}, { expect: 200 })).body.messages.length, 1);
  });

  daemonTest('stands beside one without, which children are told of', over({ listen: ['tls:127.0.0.1:0', '127.0.0.1:0'] }), async (d) => {
    const [secure, plain] = d.first.listening;
    assert.match(secure, /^https:/);
    assert.match(plain, /^http:/);
    assert.equal(await d.logsText((await d.run({ shell: 'printf %s "$FORKFUL_URL"' })).id), plain);
    const client = new Client({ url: plain, token: d.token });
    assert.equal((await client.call('GET', '/v1/system')).status, 200);
    client.close();
    const { urls } = (await d.post('/v1/login/codes', {}, { expect: 201 })).body;
    assert.deepEqual(urls.map((url) => url.split('/#')[0]), [secure, plain]);
  });

  daemonTest('is one still after a crash of the server, of the keeper, and an upgrade', over({ listen: ['127.0.0.1:0', 'tls:127.0.0.1:0'] }), async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const { listening } = d.first;
    const client = new Client({ url: listening[1], token: d.token, tls: d.tls });
    d.clients.push(client);
    const upgrade = async () => {
      const { server_pid } = await d.system();
      await d.post('/v1/upgrade', undefined, { expect: 202 });
      d.admin.reconnect();
      return d.otherServer(server_pid);
    };
    for (const change of [() => d.killServer(), upgrade, () => d.killKeeper(), upgrade, () => d.killServer()]) {
      await change();
      client.reconnect();
      assert.deepEqual((await client.call('GET', '/v1/system', { expect: 200 })).body.listeners, listening);
      assert.equal((await client.call('GET', `/v1/processes/${id}`, { expect: 200 })).body.alive, true);
    }
  });

  const other = Object.values(networkInterfaces()).flat().find((one) => one.family === 'IPv4' && !one.internal)?.address;
  daemonTest('on all addresses answers to the one that was called, and to names it knows', over({ listen: ['127.0.0.1:0', 'tls:0.0.0.0:0'], args: ['--http-host', 'forkful.test'] }), async (d) => {
    const { port } = new URL(d.first.listening[1]);
    const ask = (host, Host) => new Promise((resolve, reject) => {
      const socket = tls.connect({ port, host, ca: authority.ca, checkServerIdentity: () => undefined });
      let got = '';
      socket.on('data', (piece) => { got += piece; });
      socket.once('error', reject);
      socket.once('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(got)?.[1])));
      socket.write(`GET /healthz HTTP/1.1\r\nHost: ${Host}\r\nConnection: close\r\n\r\n`);
    });
    for (const [host, Host, status] of [['127.0.0.1', `127.0.0.1:${port}`, 200], ['127.0.0.2', `127.0.0.2:${port}`, 200], ['127.0.0.2', `127.0.0.3:${port}`, 421], ['127.0.0.1', `0.0.0.0:${port}`, 421],
      ['127.0.0.1', `forkful.test:${port}`, 200], ['127.0.0.1', `evil.test:${port}`, 421], ...(other ? [[other, `${other}:${port}`, 200], ['127.0.0.1', `${other}:${port}`, 421]] : [])]) {
      assert.equal(await ask(host, Host), status, `${Host} at ${host}`);
    }
    const { urls } = (await d.post('/v1/login/codes', {}, { expect: 201 })).body;
    assert.equal(new URL(urls[1]).origin, `https://forkful.test:${port}`);
  });

  daemonTest('is not for forkful run and login, which say so', over(), async (d) => {
    for (const args of [['login', '--url', d.url], ['run', '--url', d.url, 'true']]) {
      const { code, stderr } = await runBinary(args, { env: { HOME: d.dir, FORKFUL_TOKEN: d.token } });
      assert.equal(code, 2);
      assert.match(stderr, /not TLS.*--state-dir/);
    }
    const { code, stdout } = await runBinary(['login', '--state-dir', d.stateDir], { env: { HOME: d.dir } });
    assert.deepEqual([code, new URL(stdout).origin], [0, d.url]);
  });
});

suite('a certificate', () => {
  changing('is read again at SIGHUP for those who come then; who is connected goes on', async (d, own) => {
    assert.equal(await shown(d), 'server');
    await d.call('PUT', '/v1/events/e', { body: {}, expect: 201 });
    const waits = d.get('/v1/events/e/wait?wait=60');
    await until('it waits', async () => (await d.get('/v1/events/e')).body.waiters === 1);
    for (const [from, name] of [[next, 'next'], [server, 'server'], [next, 'next']]) {
      own.put(from);
      reload(d);
      await until('new connections see it', async () => (await shown(d)) === name);
    }
    await d.post('/v1/events/e/set', undefined, { expect: 200 });
    assert.equal((await waits).body.set, true);
  });

  changing('that is over, broken, without its key or with another one is not taken, and the log says why', async (d, own) => {
    const faults = [
      [() => own.put(late), /server\.pem: the certificate expired on \d{4}-/],
      [() => writeFileSync(own.certificate, 'no certificate'), /server\.pem: is no certificate in PEM/],
      [() => { own.put(server); copyFileSync(next.key, own.key); }, /server\.key: the key does not belong to the certificate/],
      [() => { own.put(server); chmodSync(own.key, 0o640); }, /server\.key: others than its owner .*mode 0640.*chmod 600/],
      [() => { own.put(server); renameSync(own.key, `${own.key}.away`); }, /server\.key: cannot be opened/],
    ];
    for (const [spoil, words] of faults) {
      spoil();
      reload(d);
      await until(`the log says ${words}`, async () => words.test(await log(d)));
      assert.equal(await shown(d), 'server');
    }
    own.put(next);
    reload(d);
    await until('the good one is taken', async () => (await shown(d)) === 'next');
  });

  changing('that is gone when the server is started again keeps TLS shut, and nothing else, until it is back', async (d, own) => {
    renameSync(own.key, `${own.key}.away`);
    const { server_pid } = await d.system();
    send(server_pid, 'SIGKILL');
    d.unix.reconnect();
    await until('another server answers on the socket', async () => (await d.unix.call('GET', '/v1/system')).body.server_pid !== server_pid);
    assert.match((await d.unix.call('GET', '/v1/log')).text, /the certificate is not taken: .*server\.key/);
    const waits = shown(d);
    renameSync(`${own.key}.away`, own.key);
    reload(d);
    assert.equal(await waits, 'server');
    d.admin.reconnect();
    await d.system();
  });

  test('or key that cannot be used, or an address without them, is refused at the start', async () => {
    const d = new Daemon({ listen: ['tls:127.0.0.1:0'] });
    const own = files(d);
    const pair = ['--tls-certificate', own.certificate, '--tls-key', own.key];
    try {
      const refused = async (words, { code = 1, args = pair } = {}) => {
        const result = await runBinary([...d.command_line(), ...args], { env: { HOME: d.dir } });
        assert.deepEqual([result.code, result.stdout], [code, ''], result.stderr);
        assert.match(result.stderr, words);
      };
      await refused(/needs tls\.certificate and tls\.key/, { args: [] });
      await refused(/needs tls\.certificate and tls\.key/, { args: pair.slice(0, 2) });
      await refused(/server\.pem: cannot be opened/);
      own.put(late);
      await refused(/server\.pem: the certificate expired on/);
      own.put(server);
      chmodSync(own.key, 0o644);
      await refused(/server\.key: .*mode 0644/);
      own.put(server);
      writeFileSync(own.key, 'no key');
      await refused(/server\.key: is no private key in PEM/);
      own.put(server);
      await refused(/none\.pem: cannot be opened/, { args: [...pair, '--tls-client-ca', path.join(d.dir, 'none.pem')] });
      await refused(/server\.key: holds no certificate/, { args: [...pair, '--tls-client-ca', own.key] });
      await refused(/tls\.client needs tls\.client_ca/, { args: [...pair, '--tls-client', 'CN=alice read'] });
      await refused(/tls-client: must be the name in a certificate/, { code: 2, args: [...pair, '--tls-client', 'alice'] });
      d.listen = ['0.0.0.0:0'];
      await refused(/0\.0\.0\.0:0 is not a loopback address.*tls:ADDRESS:PORT, with tls\.certificate and tls\.key/);
    } finally { d.sweep(); }
  });
});

suite('a client with a certificate', () => {
  const known = over({ args: ['--tls-client-ca', authority.file('ca.pem'), '--tls-client', 'CN=alice read,operate', '--tls-client', 'CN=bob,O=acme logs'] });

  daemonTest('has the scopes of its name, and no token', known, async (d) => {
    const [one, two] = [holder(d, alice), holder(d, bob)];
    const me = async (client) => (await client.call('GET', '/v1/tokens/me', { expect: 200 })).body;
    assert.deepEqual(await me(one), { kind: 'certificate', id: 'tls:CN=alice,O=acme', label: null, scopes: ['read', 'operate'], expires_at: null });
    assert.deepEqual((await me(two)).scopes, ['logs']);
    await one.call('PUT', '/v1/locks/l', { body: {}, expect: 201 });
    problem(await one.call('POST', '/v1/processes', { body: { argv: ['true'] } }), 403, 'forbidden');
    problem(await two.call('DELETE', '/v1/locks/l'), 403, 'forbidden');
    problem(await one.call('DELETE', '/v1/tokens/me'), 404, 'not_found');
    const { items } = (await d.get('/v1/audit?principal=tls:CN%3Dalice,O%3Dacme&action=putLock')).body;
    assert.deepEqual(items.map((row) => [row.target, row.status]), [['/v1/locks/l', 201]]);
  });

  daemonTest('that shows a token is its bearer', known, async (d) => {
    const { id, token } = await liver(d);
    assert.equal((await holder(d, alice, token).call('GET', '/v1/processes/me', { expect: 200 })).body.id, id);
    problem(await holder(d, alice, 'x').call('GET', '/v1/system'), 401, 'unauthorized');
    problem(await d.call('GET', '/v1/system', { token: null }), 401, 'unauthorized');
  });

  test('loses its scopes when the configuration is read again without them', async () => {
    const config = (line) => `listen = tls:127.0.0.1:0\ntls.certificate = ${server.certificate}\ntls.key = ${server.key}\ntls.client_ca = ${authority.file('ca.pem')}\n${line}\n`;
    const d = new Daemon({ listen: [], tls: { ca: authority.ca }, config: config('tls.client = CN=alice read,logs') });
    try {
      await d.start();
      const client = holder(d, alice);
      const status = async () => (await client.call('GET', '/v1/system')).status;
      assert.equal(await status(), 200);
      writeFileSync(path.join(d.dir, 'forkful.conf'), config('tls.client = CN=bob read'));
      reload(d);
      await until('it is nobody', async () => (await status()) === 401);
      await d.stop();
    } finally { d.sweep(); }
  });
});
