// Requests byte by byte, for what a decent HTTP client refuses to send.
import net from 'node:net';
import { PATIENCE, until } from './wait.mjs';

/** Sends `bytes` to the daemon and gives what came back when it closed, was complete, or `PATIENCE` ran out. */
export function exchange(daemon, bytes, { within = PATIENCE } = {}) {
  const { hostname, port } = new URL(daemon.url);
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), hostname);
    let got = Buffer.alloc(0);
    const finish = () => { clearTimeout(late); socket.destroy(); resolve(parse(got)); };
    const late = setTimeout(finish, within * 1000);
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (piece) => { got = Buffer.concat([got, piece]); if (complete(got)) finish(); });
    socket.on('end', finish);
    socket.on('error', (error) => (got.length > 0 ? finish() : (clearTimeout(late), reject(error))));
  });
}

function parse(bytes) {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end);
  const [first, ...lines] = head.split('\r\n');
  const headers = {};
  for (const line of lines) headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 1).trim();
  return { status: Number(first.split(' ')[1] ?? 0), headers, text: end < 0 ? '' : bytes.subarray(end + 4).toString('utf8') };
}

function complete(bytes) {
  const { headers, text } = parse(bytes);
  return bytes.includes('\r\n\r\n') && Number(headers['content-length'] ?? NaN) <= Buffer.byteLength(text);
}

/** A request's head: head(daemon, 'POST /v1/processes', { 'Content-Length': 3 }). */
export function head(daemon, request_line, headers = {}) {
  const all = { Host: new URL(daemon.url).host, Authorization: `Bearer ${daemon.token}`, ...headers };
  return `${request_line} HTTP/1.1\r\n${Object.entries(all).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** A POST whose head the daemon has taken and whose body is still to come: { send(), answered(text), end() }. */
export async function half(daemon, target, body, token) {
  const { hostname, port } = new URL(daemon.url);
  const socket = net.connect(Number(port), hostname);
  let got = '';
  socket.on('data', (piece) => { got += piece; });
  socket.write(head(daemon, `POST ${target}`, {
    Authorization: `Bearer ${token}`, Expect: '100-continue', 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body),
  }));
  await until('the head is taken', () => got.startsWith('HTTP/1.1 100 '));
  return {
    send: () => socket.write(body),
    answered: (text) => until(`it is answered ${text}`, () => got.includes(text)),
    end: () => socket.destroy(),
  };
}
