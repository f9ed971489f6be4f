// Requests byte by byte: what HTTP allows is taken, what makes two readers of it disagree is refused, each with one
// clean answer.
import assert from 'node:assert/strict';
import net from 'node:net';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { exchange, head } from '../lib/raw.mjs';

const authority = (d) => new URL(d.url).host;
const system = (d, more = '', host = `Host: ${authority(d)}\r\n`) =>
  `GET /v1/system HTTP/1.1\r\n${host}Authorization: Bearer ${d.token}\r\n${more}\r\n`;

/** All that comes back until the daemon closes. */
const whole = (d, bytes) => new Promise((resolve, reject) => {
  const { hostname, port } = new URL(d.url);
  const socket = net.connect(Number(port), hostname, () => socket.write(bytes));
  let got = '';
  socket.on('data', (piece) => { got += piece.toString('latin1'); });
  socket.once('close', () => resolve(got));
  socket.once('error', reject);
});

async function refused(d, bytes, detail) {
  const got = await whole(d, bytes);
  assert.match(got, /^HTTP\/1\.1 400 /);
  assert.equal(got.split('HTTP/1.1 ').length, 2, 'the header comes once');
  const body = JSON.parse(got.slice(got.indexOf('\r\n\r\n') + 4));
  assert.equal(body.code, 'bad_request');
  assert.match(body.detail, detail);
}

suite('a malformed head', () => {
  daemonTest('is one problem, and the connection is closed', async (d) => {
    await refused(d, 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', /Host/);
    await refused(d, `GET /healthz HTTP/1.1\r\nHost : ${authority(d)}\r\n\r\n`, /header/i);
    await refused(d, `GET /heal thz HTTP/1.1\r\nHost: ${authority(d)}\r\n\r\n`, /percent-encoded/);
    await refused(d, system(d, 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), /exclude/);
  });

  daemonTest('with a length that is no number is 400 and the end of the connection', async (d) => {
    for (const length of ['17, 17', '+17', '-1', '0x11', '99999999999999999999', '']) {
      const got = await whole(d, system(d, `Content-Length: ${length}\r\n`));
      assert.match(got, /^HTTP\/1\.1 400 [^]*\r\n\r\n/, length);
      assert.equal(got.split('HTTP/1.1 ').length, 2, 'the header comes once');
    }
    await d.get('/healthz');
  });

  daemonTest('may hold no NUL, wherever it stands, and no folded line', async (d) => {
    const nul = /NUL/;
    await refused(d, system(d).replace(d.token, `${d.token}\0junk`), nul);
    await refused(d, system(d, 'X-Last: a\0b\r\n'), nul);
    await refused(d, system(d, 'X-One: a\0\r\nX-Two: b\r\n'), nul);
    await refused(d, system(d, 'X-One: a\r\n b\r\nX-Two: c\r\n'), nul);
    await refused(d, system(d, 'X-One: a\r\n b\r\n'), nul);
    await refused(d, `GET /v1/system\0x HTTP/1.1\r\nHost: ${authority(d)}\r\n\r\n`, nul);
  });
});

suite('a target', () => {
  daemonTest('that is too long, or has too many keys, is 414', async (d) => {
    const { id } = await d.spawn({ argv: ['sleep', '1000'] });
    const keys = (count) => Array.from({ length: count }, (_, i) => `k${i}=1`).join('&');
    for (const [target, status] of [
      [`/v1/processes?${keys(300)}`, 400], [`/v1/processes?name=${'x'.repeat(24000)}`, 400],
      ...[600, 1000, 5000].map((count) => [`/v1/processes?${keys(count)}`, 414]),
      ...[25000, 30000, 32000, 33000, 100000].map((bytes) => [`/v1/processes?name=${'x'.repeat(bytes)}`, 414])]) {
      assert.equal((await exchange(d, head(d, `GET ${target}`))).status, status, target.slice(0, 100));
    }
    await exchange(d, head(d, `POST /v1/processes/${id}/kill?${keys(380)}`, { 'Content-Length': 0 }));
    assert.equal((await d.process(id)).alive, true);
  });
});

suite('a head that is right', () => {
  daemonTest('may have blanks around values, bare newlines, empty values, and come in pieces', async (d) => {
    const good = system(d, 'X-Empty:\r\nX-Blank:   \r\nX-Tail: a \t \r\n');
    assert.equal((await exchange(d, good)).status, 200);
    assert.equal((await exchange(d, good.replaceAll('\r\n', '\n'))).status, 200);
    const many = system(d, Array.from({ length: 80 }, (_, i) => `X-Header-${i}: ${'v'.repeat(200)}\r\n`).join(''));
    assert.equal((await exchange(d, many)).status, 200);
    const { hostname, port } = new URL(d.url);
    const socket = net.connect(Number(port), hostname);
    socket.setNoDelay(true);
    let got = '';
    socket.on('data', (piece) => { got += piece; });
    for (let at = 0; at < many.length; at += 700) {
      socket.write(many.slice(at, at + 700));
      await new Promise((resolve) => { setTimeout(resolve, 2); });
    }
    socket.write(good);
    socket.write(good.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    await new Promise((resolve) => { socket.once('close', resolve); });
    assert.equal(got.match(/HTTP\/1\.1 200 /g)?.length, 3);
  });

  daemonTest('of HTTP/1.0 needs no Host; one that is there must be ours', async (d) => {
    assert.equal((await exchange(d, 'GET /healthz HTTP/1.0\r\n\r\n')).status, 200);
    assert.equal((await exchange(d, `GET /v1/system HTTP/1.0\r\nAuthorization: Bearer ${d.token}\r\n\r\n`)).status, 200);
    assert.equal((await exchange(d, 'GET /healthz HTTP/1.0\r\nHost: evil.test\r\n\r\n')).status, 421);
  });

  daemonTest('may name the whole address, whose host then counts', async (d) => {
    const ask = async (target, host = authority(d)) => exchange(d, head(d, `GET ${target}`, { Host: host }));
    const same = await ask(`http://${authority(d)}/v1/processes?limit=1`, 'evil.test');
    assert.equal(same.status, 200);
    assert.deepEqual(JSON.parse(same.text).items, []);
    assert.equal((await ask(`HTTP://localhost/healthz`)).status, 200);
    assert.equal((await ask(`http://${authority(d)}`)).status, 200);
    assert.equal((await ask(`http://${authority(d)}?x=1`)).status, 400);
    for (const target of ['http://evil.test/v1/system', `http://${authority(d)}@evil.test/v1/system`, 'http:///v1/system']) {
      const answer = await ask(target);
      assert.equal(answer.status, 421, target);
      assert.equal(JSON.parse(answer.text).code, 'misdirected');
    }
    const missing = await ask('http://localhost/v1/nothing?a=b');
    assert.equal(missing.status, 404);
    assert.equal(JSON.parse(missing.text).instance, '/v1/nothing');
  });
});

suite('Accept', () => {
  daemonTest('in several lines is one list, and q=0 rules a form out', async (d) => {
    const { id } = await d.run({ argv: ['true'] });
    const type = async (...accept) => {
      const lines = accept.map((one) => `Accept: ${one}\r\n`).join('');
      const answer = await exchange(d, `GET /v1/processes/${id}/logs HTTP/1.1\r\nHost: ${authority(d)}\r\nAuthorization: Bearer ${d.token}\r\nConnection: close\r\n${lines}\r\n`);
      return answer.status === 200 ? answer.headers['content-type'].split(';')[0] : answer.status;
    };
    assert.equal(await type('image/png', 'application/json'), 'application/json');
    assert.equal(await type('text/plain;q=0.1', 'application/x-ndjson;q=0.2'), 'application/x-ndjson');
    assert.equal(await type('*/*, text/plain;q=0'), 'application/json');
    assert.equal(await type('text/plain;q=0, application/json;q=0.000, */*;q=0.1'), 'application/x-ndjson');
    assert.equal(await type('application/json;q=0'), 406);
    assert.equal(await type('*/*;q=0, application/json'), 'application/json');
    assert.equal(await type('*/*'), 'text/plain');
    assert.equal(await type('application/x-ndjson, application/json'), 'application/x-ndjson');
  });
});
