// Callers that ask and leave: one request on a socket of its own, whose end is the test's to choose.
import net from 'node:net';

/** How a client can leave. A close (FIN) and a half-close look the same to who sends; RST is what a killed host or a full buffer makes. */
export const WAYS = {
  FIN: (socket) => socket.destroy(),
  'a half-close': (socket) => socket.end(),
  RST: (socket) => socket.resetAndDestroy(),
};

/** The listeners of a daemon, and the ways that each of them knows. */
export const LISTENERS = [['TCP', ['FIN', 'a half-close', 'RST']], ['the Unix socket', ['FIN', 'a half-close']]];

const address = (d, listener) => {
  const { hostname, port } = new URL(d.url);
  return listener === 'TCP' ? { port: Number(port), host: hostname } : { path: d.socket };
};

/** A POST that is on its way: `leave(way)` closes, `got` is what has come back. `token` null: none, which the Unix socket takes as admin. */
export function asking(d, listener, path, { token = d.token, body = '', type = 'application/json' } = {}) {
  const socket = net.connect(address(d, listener));
  const call = { socket, got: '', leave: (way) => WAYS[way](socket) };
  socket.on('error', () => {});
  socket.on('data', (piece) => { call.got += piece; });
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const lines = [`POST ${path} HTTP/1.1`, 'Host: localhost', `Content-Length: ${Buffer.byteLength(text)}`];
  if (text !== '') lines.push(`Content-Type: ${type}`);
  if (token !== null) lines.push(`Authorization: Bearer ${token}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n${text}`);
  return call;
}
