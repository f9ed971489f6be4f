// The limit of connections: who comes too late waits in line, nobody is forgotten there, and a crowd on one kind of
// listener leaves the other alone.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { daemonTest, suite, until } from '../lib/daemon.mjs';

const LIMIT = ['--http-connections', '40'];

/** `count` idle connections to the daemon's TCP port or Unix socket, gone when `close` was called. */
async function crowd(where, count) {
  const sockets = Array.from({ length: count }, () => net.connect(where));
  await Promise.all(sockets.map((one) => new Promise((resolve, reject) => {
    one.once('connect', resolve);
    one.once('error', reject);
  })));
  for (const one of sockets) one.on('error', () => {});
  return { sockets, close: () => sockets.forEach((one) => one.destroy()) };
}

const port = (d) => ({ port: Number(new URL(d.url).port), host: '127.0.0.1' });

/** One idle keep-alive connection that has shown its token and had an answer. */
async function keepAlive(d) {
  const socket = net.connect(port(d));
  socket.on('error', () => {});
  socket.write(`GET /v1/system HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${d.token}\r\n\r\n`);
  await new Promise((resolve) => { socket.once('data', resolve); });
  return socket;
}

suite('the limit of connections', () => {
  daemonTest('is not the end: when a crowd has gone, the next is answered, and one idle client stays', { args: LIMIT }, async (d) => {
    const idle = await keepAlive(d);
    for (let round = 0; round < 3; round += 1) {
      const many = await crowd(port(d), 60);
      many.close();
      assert.equal((await d.as(null).call('GET', '/healthz', { headers: { Connection: 'close' } })).status, 200);
    }
    assert.equal(idle.destroyed, false);
    idle.destroy();
  });

  daemonTest('lets who waits in line in as soon as one leaves', { args: LIMIT }, async (d) => {
    const many = await crowd(port(d), 45);
    const late = net.connect(port(d));
    late.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    let got = '';
    late.on('data', (piece) => { got += piece; });
    await d.unix.call('GET', '/healthz', { expect: 200 });
    assert.equal(got, '');
    many.sockets.slice(0, 10).forEach((one) => one.destroy());
    await until('it has its answer', () => got.startsWith('HTTP/1.1 200'));
    late.destroy();
    many.close();
  });

  daemonTest('over TCP is none of the Unix socket, and the other way round', { args: LIMIT }, async (d) => {
    const over_tcp = await crowd(port(d), 60);
    await d.unix.call('GET', '/v1/system', { expect: 200 });
    over_tcp.close();
    const over_unix = await crowd({ path: d.socket }, 60);
    assert.equal((await d.system()).limits.http_connections, 40);
    over_unix.close();
    await until('the Unix socket answers again', async () => (await d.unix.call('GET', '/healthz')).status === 200);
  });

  daemonTest('is lowered to half of the files that may be open, and the log says so', { args: ['--http-connections', '1000000'] }, async (d) => {
    const { limits, server_pid } = await d.system();
    const files = Number(/^Max open files +([0-9]+)/m.exec(readFileSync(`/proc/${server_pid}/limits`, 'utf8'))[1]);
    const most = Math.min(1000000, Math.floor(files / 2));
    assert.equal(limits.http_connections, most);
    const { body } = await d.get('/v1/log?level=info');
    const told = body.items.some((one) => one.text.includes(`at most ${most} connections over TCP and ${Math.floor(files / 4)} on`));
    assert.equal(told, files < 4000000);
  });
});

suite('a connection on the Unix socket', () => {
  daemonTest('is none that the HTTP library complains about', async (d) => {
    for (let i = 0; i < 5; i += 1) await d.unix.call('GET', '/healthz', { expect: 200 });
    await d.killServer();
    assert.doesNotMatch(d.stderr, /libmicrohttpd/);
  });
});
