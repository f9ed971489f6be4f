// What attackers have: a socket, bytes of their own making, and time.
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import assert from 'node:assert/strict';
import { PATIENCE } from '../lib/wait.mjs';

export const authority = (d) => new URL(d.url).host;
const place = (d, unix) => (unix ? { path: d.socket } : { port: Number(new URL(d.url).port), host: new URL(d.url).hostname.replace(/^\[|\]$/g, '') });

/** A request as bytes, with the lines that the daemon asks of an admin; `lines` are put behind them as they are. */
export function request(d, first, lines = '', body = '', { host = `Host: ${authority(d)}\r\n`, token = d.token } = {}) {
  const authorization = token === null ? '' : `Authorization: Bearer ${token}\r\n`;
  return Buffer.concat([Buffer.from(`${first} HTTP/1.1\r\n${host}${authorization}`), Buffer.from(lines, 'latin1'), Buffer.from('\r\n'), Buffer.from(body, 'latin1')]);
}

/** An open connection: `got` is what came back, `closed` whether the daemon has ended it. */
export function connect(d, { unix = false } = {}) {
  const socket = net.connect(place(d, unix));
  const wire = {
    socket, got: '', closed: false,
    get statuses() { return [...wire.got.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((one) => Number(one[1])); },
    get problem() { return JSON.parse(wire.got.slice(wire.got.indexOf('\r\n\r\n') + 4)); },
    leave() { socket.resetAndDestroy(); },
  };
  wire.opened = new Promise((resolve) => { socket.once('connect', resolve); socket.once('close', resolve); });
  wire.ended = new Promise((resolve) => { socket.once('close', () => { wire.closed = true; resolve(wire); }); });
  socket.on('error', () => {});
  socket.on('data', (piece) => { wire.got += piece.toString('latin1'); });
  return wire;
}

/** Sends `bytes` and waits until the daemon closes, or `within` seconds are over: then `closed` is false. */
export async function attack(d, bytes, { within = PATIENCE, unix = false } = {}) {
  const wire = connect(d, { unix });
  wire.socket.write(bytes);
  await Promise.race([wire.ended, sleep(within * 1000, undefined, { ref: false })]);
  const { closed } = wire;
  wire.socket.destroy();
  return { got: wire.got, statuses: wire.statuses, closed, get problem() { return wire.problem; } };
}

/** The attack is answered once with `status` (0: not at all), and that was the end of the connection. */
export async function repelled(d, bytes, status, what) {
  const seen = await attack(d, bytes);
  assert.deepEqual(seen.statuses, status === 0 ? [] : [status], `${what}: ${seen.got.slice(0, 300)}`);
  assert.ok(seen.closed, `${what}: the connection is closed`);
  return seen;
}

/** An admin is answered within a second; the best of three, so that what is measured is not this busy test. */
export async function answersSoon(d) {
  let best = Infinity;
  for (let i = 0; i < 3 && best > 1; i += 1) {
    const begun = performance.now();
    await d.get('/v1/processes?limit=1');
    best = Math.min(best, (performance.now() - begun) / 1000);
  }
  assert.ok(best < 1, `an admin waited ${best} s for his answer`);
}

/** Something that an attack could hit: a process that lives. `intact` fails when it was hit, or something was made. */
export async function victim(d) {
  const { id } = await d.spawn({ argv: ['sleep', '1000'], name: 'victim' });
  return {
    id,
    kill: `POST /v1/processes/${id}/kill HTTP/1.1\r\nHost: ${authority(d)}\r\nAuthorization: Bearer ${d.token}\r\nContent-Length: 0\r\n\r\n`,
    async intact() {
      const list = await d.list();
      assert.deepEqual(list.map((one) => [one.id, one.alive]), [[id, true]]);
      await answersSoon(d);
    },
  };
}
