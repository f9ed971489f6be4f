// The tests' HTTP client: over TCP, TLS or the Unix socket, with or without a token. Every answer that it gives
// has passed the contract's checker first, so each test also tests openapi.yaml.
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import { randomUUID } from 'node:crypto';
import * as contract from '../contract/contract.mjs';
import { events, records, take } from './streams.mjs';
import { now, PATIENCE, sleep } from './wait.mjs';

const json_type = /^application\/(problem\+)?json\b/;

/** An answer in which everything was read. */
export class Answer {
  constructor(request, response, bytes) {
    this.request = request;
    this.status = response.statusCode;
    this.headers = response.headers;
    this.rawHeaders = response.rawHeaders;
    this.bytes = bytes;
  }

  get text() { return this.bytes.toString('utf8'); }

  get type() { return this.headers['content-type'] ?? ''; }

  get body() {
    if (this.parsed === undefined) {
      this.parsed = json_type.test(this.type) && this.bytes.length > 0 ? JSON.parse(this.text) : null;
    }
    return this.parsed;
  }

  toString() {
    return `${this.request} → ${this.status} ${this.text.slice(0, 1500)}`;
  }
}

/** How much of a stream is shown to the contract's checker. */
const CHECKED_BYTES = 256 * 1024;

/** An answer that is still coming: its pieces, NDJSON records or server-sent events, each an async iterable. */
export class Stream {
  constructor(method, path, response) {
    this.method = method;
    this.path = path;
    this.status = response.statusCode;
    this.headers = response.headers;
    this.readable = response;
    check(method, path, this, undefined);
  }

  async* pieces() {
    const seen = [];
    let bytes = 0;
    try {
      for await (const piece of this.readable) {
        if (bytes < CHECKED_BYTES) seen.push(piece);
        bytes += piece.length;
        yield piece;
      }
      if (!this.readable.complete) throw Object.assign(new Error(`${this.path}: the stream broke off`), { code: 'ECONNRESET' });
    } finally {
      if (bytes < CHECKED_BYTES) check(this.method, this.path, this, Buffer.concat(seen));
    }
  }

  records() { return records(this.pieces()); }

  events() { return events(this.pieces()); }

  close() { this.readable.destroy(); }

  async bytes() {
    return Buffer.concat(await take(this.pieces()));
  }
}

export class Client {
  /** `place`: { url } or { socket }; `token`: null sends none; `tls`: what node:tls is to know for an https URL, as { ca, cert, key }. */
  constructor({ url, socket, token = null, tls }) {
    this.url = url;
    this.socket = socket;
    this.token = token;
    this.tls = tls;
    this.protocol = url?.startsWith('https:') ? https : http;
    this.agent = this.agent_for({ keepAlive: true, maxSockets: 512 });
  }

  agent_for(options) { return new this.protocol.Agent({ ...options, ...this.tls }); }

  /** The same place for another token. The caller closes it; the daemon's harness does so for its own. */
  as(token) {
    const other = new Client({ url: this.url, socket: this.socket, token, tls: this.tls });
    (this.family ??= []).push(other);
    return other;
  }

  close() {
    this.agent.destroy();
    for (const one of this.family ?? []) one.close();
  }

  /** Forgets all open connections, which is what must be done when the server was killed. */
  reconnect() {
    this.agent.destroy();
    this.agent = this.agent_for({ keepAlive: true, maxSockets: 512 });
    for (const one of this.family ?? []) one.reconnect();
  }

  open(method, path, { body, raw, headers = {}, token, agent, signal, timeout = PATIENCE * 2 } = {}) {
    const sent = { ...headers };
    const given = (name) => Object.keys(sent).some((key) => key.toLowerCase() === name);
    let payload = raw;
    if (body !== undefined) {
      payload = Buffer.from(JSON.stringify(body));
      if (!given('content-type')) sent['Content-Type'] = 'application/json';
    }
    if (typeof payload === 'string') payload = Buffer.from(payload);
    if (payload !== undefined && !given('transfer-encoding')) sent['Content-Length'] = String(payload.length);
    else if (payload === undefined && method !== 'GET' && method !== 'HEAD' && !given('content-length')) sent['Content-Length'] = '0';
    const bearer = token === undefined ? this.token : token;
    if (bearer !== null && !given('authorization')) sent.Authorization = `Bearer ${bearer}`;
    const place = this.socket ? { socketPath: this.socket, host: 'localhost' } : { host: new URL(this.url).hostname.replace(/^\[|\]$/g, ''), port: new URL(this.url).port };
    return new Promise((resolve, reject) => {
      const request = this.protocol.request({ ...place, method, path, headers: sent, agent: agent ?? this.agent });
      const late = setTimeout(() => request.destroy(new Error(`${method} ${path}: no answer after ${timeout} s`)), timeout * 1000);
      const abort = () => request.destroy(Object.assign(new Error('aborted by the test'), { name: 'AbortError' }));
      signal?.addEventListener('abort', abort, { once: true });
      request.once('close', () => { clearTimeout(late); signal?.removeEventListener('abort', abort); });
      request.once('error', reject);
      request.once('response', (response) => resolve({ request, response, late }));
      request.end(payload);
    });
  }

  /**
   * One call, read to its end. `body` is sent as JSON, `raw` as it is. `expect` is the status (or several)
   * without which the call fails. `patient` (seconds) goes on trying while the server cannot be reached or
   * answers 503 or 507, as a client of a daemon that restarts must; a POST then carries an Idempotency-Key.
   */
  async call(method, path, options = {}) {
    if (options.patient) return this.insist(method, path, options);
    const { response } = await this.open(method, path, options);
    const pieces = [];
    for await (const piece of response) pieces.push(piece);
    if (!response.complete) throw Object.assign(new Error(`${method} ${path}: the answer broke off`), { code: 'ECONNRESET' });
    const answer = new Answer(`${method} ${path}`, response, Buffer.concat(pieces));
    check(method, path, answer, answer.bytes);
    if (options.expect !== undefined) {
      const wanted = [options.expect].flat();
      if (!wanted.includes(answer.status)) assert.fail(`expected ${wanted.join(' or ')}: ${answer}`);
    }
    return answer;
  }

  async insist(method, path, { patient, expect, headers = {}, ...options }) {
    const deadline = now() + patient;
    const sent = { ...headers };
    if (method === 'POST' && !sent['Idempotency-Key']) sent['Idempotency-Key'] = randomUUID();
    for (;;) {
      let trouble;
      try {
        const answer = await this.call(method, path, { ...options, headers: sent });
        const passing = [503, 507].includes(answer.status) || answer.body?.code === 'idempotency_in_progress';
        if (!passing || [expect].flat().includes(answer.status)) {
          if (expect !== undefined && ![expect].flat().includes(answer.status)) assert.fail(`expected ${expect}: ${answer}`);
          return answer;
        }
        trouble = `${answer}`;
      } catch (error) {
        if (error.final || error.name === 'AbortError' || error.code === 'ERR_ASSERTION') throw error;
        trouble = error.message;
      }
      if (now() > deadline) throw new Error(`${method} ${path}: in vain for ${patient} s: ${trouble}`);
      await sleep(0.01);
    }
  }

  /** A call whose answer goes on; gives a Stream as soon as the header is there. It has its own connection. */
  async stream(path, { method = 'GET', accept, headers = {}, expect = 200, ...options } = {}) {
    const agent = this.agent_for({ keepAlive: false });
    const { response, late } = await this.open(method, path, { ...options, agent, headers: accept ? { ...headers, Accept: accept } : headers });
    clearTimeout(late);
    if (response.statusCode !== expect) {
      const pieces = [];
      for await (const piece of response) pieces.push(piece);
      assert.fail(`expected a stream with ${expect}: ${new Answer(`${method} ${path}`, response, Buffer.concat(pieces))}`);
    }
    response.on('error', () => {});
    return new Stream(method, path, response);
  }
}

/** What breaks the contract is not tried again. */
function check(method, path, { status, headers }, body) {
  try {
    contract.check({ method, url: path, status, headers, body });
  } catch (error) {
    throw Object.assign(error, { final: true });
  }
}
