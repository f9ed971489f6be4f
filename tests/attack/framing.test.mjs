// Attacks on where a request begins and ends: whoever makes two readers of one connection disagree gets a request
// past one of them. Each is refused once, and its connection is closed, so that nothing behind it is read.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { attack, authority, connect, repelled, request, victim } from './wire.mjs';

const JSON_TYPE = 'Content-Type: application/json\r\n';
const BODY = '{"ttl_seconds":60}';
const session = (d, lines, body) => request(d, 'POST /v1/sessions', `${JSON_TYPE}${lines}`, body);
const sessions = async (d) => (await d.get('/v1/sessions')).body.items.length;

/** All of `lines` with a chunked body and the victim's end behind it. */
async function smuggles(d, target, lines, status) {
  const bytes = session(d, lines, `0\r\n\r\n${target.kill}`);
  await repelled(d, bytes, status, JSON.stringify(lines));
}

suite('a second request is smuggled', () => {
  daemonTest('behind a length and chunks, in either order', async (d) => {
    const target = await victim(d);
    const length = `Content-Length: ${5 + target.kill.length}\r\n`;
    for (const lines of [`${length}Transfer-Encoding: chunked\r\n`, `Transfer-Encoding: chunked\r\n${length}`, 'Content-Length: 0\r\ntransfer-encoding: CHUNKED\r\n']) {
      await smuggles(d, target, lines, 400);
    }
    await target.intact();
  });

  daemonTest('behind two lengths, the same or different', async (d) => {
    const target = await victim(d);
    for (const lines of ['Content-Length: 5\r\nContent-Length: 5\r\n', 'Content-Length: 5\r\nContent-Length: 500\r\n', 'Content-Length: 500\r\ncontent-length: 0\r\n',
      'Content-Length: 5, 5\r\n', 'Content-Length: 5 5\r\n']) await smuggles(d, target, lines, 400);
    await target.intact();
  });

  daemonTest('behind a length that is no number, or more than there can be', async (d) => {
    const target = await victim(d);
    for (const length of ['-1', '+5', '5e0', '0x5', '5.', '', '5\t;', 'five', '\xb2', '99999999999999999999', '18446744073709551615', '18446744073709551621']) {
      await smuggles(d, target, `Content-Length: ${length}\r\n`, 400);
    }
    for (const length of ['9223372036854775808', '1073741824']) await smuggles(d, target, `Content-Length: ${length}\r\n`, 413);
    await target.intact();
  });

  daemonTest('behind a transfer coding that is unknown, doubled or dressed up', async (d) => {
    const target = await victim(d);
    for (const coding of ['gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'chunked;q=1', 'identity', 'xchunked', '"chunked"', 'chunked\x0b', '\x0bchunked', 'chunke', '']) {
      await smuggles(d, target, `Transfer-Encoding: ${coding}\r\n`, 400);
    }
    await smuggles(d, target, 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', 400);
    await smuggles(d, target, 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', 400);
    await target.intact();
  });

  daemonTest('behind a chunk whose size is none', async (d) => {
    const target = await victim(d);
    for (const size of ['zz', '-1', '+12', '0x12', '12 ', '1 2', '', ';', '\x0012']) {
      await repelled(d, session(d, 'Transfer-Encoding: chunked\r\n', `${size}\r\n${BODY}\r\n0\r\n\r\n${target.kill}`), 400, JSON.stringify(size));
    }
    await repelled(d, session(d, 'Transfer-Encoding: chunked\r\n', `FFFFFFFFFFFFFFFFF\r\n${BODY}\r\n0\r\n\r\n${target.kill}`), 413, 'a size of 68 bits');
    await repelled(d, session(d, 'Transfer-Encoding: chunked\r\n', `12\r\n${BODY}XX0\r\n\r\n${target.kill}`), 400, 'a chunk longer than its size');
    assert.equal(await sessions(d), 0);
    await target.intact();
  });

  daemonTest('as the body of a GET, of a HEAD, and of HTTP/1.0', async (d) => {
    const target = await victim(d);
    for (const first of ['GET /v1/system', 'HEAD /v1/system', 'GET /healthz']) {
      await repelled(d, request(d, first, `Content-Length: ${target.kill.length}\r\n`, target.kill), 400, first);
      await repelled(d, request(d, first, 'Transfer-Encoding: chunked\r\n', `0\r\n\r\n${target.kill}`), 400, first);
    }
    const old = session(d, 'Transfer-Encoding: chunked\r\n', `0\r\n\r\n${target.kill}`).toString('latin1').replace('HTTP/1.1', 'HTTP/1.0');
    await repelled(d, Buffer.from(old, 'latin1'), 400, 'HTTP/1.0');
    await target.intact();
  });

  daemonTest('in a trailer, whose lines are no headers', async (d) => {
    const trailer = (lines) => session(d, 'Transfer-Encoding: chunked\r\nConnection: close\r\n', `12\r\n${BODY}\r\n0\r\n${lines}\r\n`);
    const anonymous = trailer(`Authorization: Bearer ${d.token}\r\n`).toString('latin1').replace(/^Authorization: .*\r\n/m, '');
    assert.deepEqual((await attack(d, Buffer.from(anonymous, 'latin1'))).statuses, [401]);
    assert.equal(await sessions(d), 0);
    for (let i = 0; i < 2; i += 1) {
      assert.deepEqual((await attack(d, trailer('Idempotency-Key: k\r\nContent-Length: 3\r\nHost: evil.test\r\nTransfer-Encoding: gzip\r\n'))).statuses, [201]);
    }
    assert.equal(await sessions(d), 2, 'the key in the trailer counts for nothing');
    await repelled(d, trailer('X-Endless: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(20000)), 431, 'an endless trailer');
  });
});

suite('a header is hidden', () => {
  daemonTest('by a blank before its colon, a folded line, or a name that is none', async (d) => {
    const target = await victim(d);
    const hidden = 'Transfer-Encoding: chunked\r\n';
    for (const lines of ['Transfer-Encoding : chunked\r\n', 'Transfer-Encoding\t: chunked\r\n', `X-A: 1\r\n ${hidden}`, `X-A: 1\r\n\t${hidden}`, `X-A: 1\r\n ${hidden}X-B: 2\r\n`,
      'Transfer-Encoding\r\n', 'Transfer\xadEncoding: chunked\r\n', 'X(A): 1\r\n', '"Transfer-Encoding": chunked\r\n', 'X A: 1\r\n']) {
      await smuggles(d, target, lines, 400);
    }
    const first_folded = Buffer.from(`GET /v1/system HTTP/1.1\r\n Host: evil.test\r\nHost: ${authority(d)}\r\nAuthorization: Bearer ${d.token}\r\n\r\n`);
    await repelled(d, first_folded, 400, 'a blank before the first header');
    await target.intact();
  });

  daemonTest('behind a NUL, a lone carriage return or another control byte', async (d) => {
    for (const byte of ['\0', '\r', '\x01', '\x08', '\x0b', '\x0c', '\x1b', '\x7f']) {
      for (const value of [`a${byte}b`, `${byte}b`, `a${byte}Transfer-Encoding: chunked`, `a${byte}Authorization: Bearer x`]) {
        await repelled(d, request(d, 'GET /v1/system', `X-A: ${value}\r\n`), 400, JSON.stringify(value));
      }
      const token = request(d, 'GET /v1/system', `Authorization: Bearer ${d.token}${byte}x\r\n`, '', { token: null });
      await repelled(d, token, 400, `a token with ${JSON.stringify(byte)}`);
    }
  });

  daemonTest('by standing twice', async (d) => {
    for (const lines of [`Host: ${authority(d)}\r\n`, 'Host: evil.test\r\n', `Authorization: Bearer ${d.token}\r\n`, 'Authorization: Bearer x\r\n',
      'Origin: null\r\nOrigin: null\r\n', `${JSON_TYPE}Content-Type: text/plain\r\n`, 'Idempotency-Key: a\r\nIdempotency-Key: b\r\n', 'Expect: 100-continue\r\nExpect: 100-continue\r\n']) {
      await repelled(d, request(d, 'GET /v1/system', lines), 400, JSON.stringify(lines));
    }
  });
});

suite('another protocol is spoken', () => {
  daemonTest('to get an echo, a tunnel or an upgrade', async (d) => {
    const secret = 'Cookie: secret-of-the-victim\r\n';
    for (const [line, status] of [['TRACE /healthz HTTP/1.1', 405], ['TRACE * HTTP/1.1', 400], ['CONNECT evil.test:80 HTTP/1.1', 400], ['BREW /v1/processes HTTP/1.1', 405],
      ['get /healthz HTTP/1.1', 405], ['GET * HTTP/1.1', 400], ['GET evil.test:80 HTTP/1.1', 400]]) {
      const seen = await attack(d, `${line}\r\nHost: ${authority(d)}\r\nConnection: close\r\n${secret}\r\n`);
      assert.deepEqual(seen.statuses, [status], line);
      assert.doesNotMatch(seen.got, /secret-of-the-victim/, line);
    }
    for (const upgrade of ['h2c', 'websocket', 'TLS/1.2']) {
      const seen = await attack(d, request(d, 'GET /healthz', `Connection: Upgrade, close\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n`));
      assert.deepEqual(seen.statuses, [200], `${upgrade} is not taken up`);
    }
  });

  daemonTest('of another version, or none', async (d) => {
    for (const [bytes, status] of [['GET /healthz\r\n\r\n', 400], ['GET /healthz HTTP/0.9\r\n\r\n', 505], ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505], ['GET /healthz HTTP/2.0\r\n\r\n', 505],
      ['GET /healthz XTTP/1.1\r\n\r\n', 400], ['GET /healthz HTTP/11\r\n\r\n', 400], ['GET\t/healthz HTTP/1.1\r\n\r\n', 400], [Buffer.from('160301020001000001fc0303', 'hex'), undefined],
      [Buffer.concat([Buffer.from('\0\0\0\x01'), Buffer.alloc(40000)]), undefined], ['EHLO evil.test\r\nMAIL FROM:<a>\r\n\r\n', 400], ['*1\r\n$8\r\nSHUTDOWN\r\n\r\n', undefined]]) {
      const seen = await attack(d, bytes);
      const what = bytes.toString('latin1').slice(0, 40);
      assert.ok(seen.closed, what);
      assert.ok(seen.statuses.length <= 1, `${what}: ${seen.got}`);
      if (status !== undefined) assert.deepEqual(seen.statuses, [status], what);
      else for (const one of seen.statuses) assert.ok(one >= 400, what);
    }
    await d.get('/healthz');
  });
});

suite('a head has no end', () => {
  daemonTest('in one header, in many, in the target or in the method', async (d) => {
    const { server_pid } = await d.system();
    for (const [what, bytes, status] of [['40 kB in one', request(d, 'GET /v1/system', `X-A: ${'x'.repeat(40000)}\r\n`), 431],
      ['101 headers', request(d, 'GET /v1/system', Array.from({ length: 101 }, (_, i) => `X-${i}: 1\r\n`).join('')), 400],
      ['5000 headers', request(d, 'GET /v1/system', Array.from({ length: 5000 }, (_, i) => `X-${i}: 1\r\n`).join('')), 431],
      ['a target of 40 kB', request(d, `GET /v1/processes?name=${'x'.repeat(40000)}`), 414],
      ['a method of 40 kB', 'X'.repeat(40000), 414], ['5000 query keys', request(d, `GET /v1/processes?${'a&'.repeat(5000)}`), 414]]) {
      await repelled(d, bytes, status, what);
    }
    assert.equal((await d.system()).server_pid, server_pid);
  });

  daemonTest('and comes a byte at a time, which does not move the deadline', { config: 'http.header_seconds = 1\nhttp.body_seconds = 1\nhttp.idle_seconds = 1\n' }, async (d) => {
    const drips = {
      'a header': [request(d, 'GET /v1/system').subarray(0, -2), 'X-A: 1\r\n'],
      'a body with a length': [session(d, 'Content-Length: 100000\r\n', '{'), ' '],
      'a body in chunks': [session(d, 'Transfer-Encoding: chunked\r\n', ''), '1\r\n \r\n'],
      'a chunk extension': [session(d, 'Transfer-Encoding: chunked\r\n', '12;'), 'x'],
      'a body that is thrown away': [request(d, 'POST /v1/nothing', `${JSON_TYPE}Content-Length: 100000\r\n`, '{'), ' '],
      'a second request': [request(d, 'GET /healthz'), '\r\n'],
    };
    await Promise.all(Object.entries(drips).map(async ([what, [first, drop]]) => {
      const wire = connect(d);
      wire.socket.write(first);
      for (let i = 0; i < 60 && !wire.closed; i += 1) {
        await sleep(200);
        wire.socket.write(drop);
      }
      assert.ok(wire.closed, `${what} is cut off`);
      wire.socket.destroy();
    }));
    assert.equal(await sessions(d), 0);
  });
});

suite('100-continue', () => {
  daemonTest('is not asked of whom will be refused', async (d) => {
    const expect = `${JSON_TYPE}Expect: 100-continue\r\n`;
    await repelled(d, request(d, 'POST /v1/processes', `${expect}Content-Length: 999999999\r\n`), 413, 'too large');
    await repelled(d, request(d, 'POST /v1/processes', `${expect}Content-Length: 18\r\n`, '', { token: null }), 401, 'without a token');
    await repelled(d, request(d, 'POST /v1/processes', `Expect: 200-ok\r\n${JSON_TYPE}Content-Length: 18\r\n`), 400, 'another expectation');
    await repelled(d, request(d, 'POST /v1/processes', 'Expect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n'), 415, 'another type');
  });
});
