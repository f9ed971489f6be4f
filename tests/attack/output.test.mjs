// Attacks by what is written: output, names and labels that mean something to a browser, a terminal, a log file or a
// stream of events, once somebody looks at them.
import assert from 'node:assert/strict';
import { daemonTest, suite } from '../lib/daemon.mjs';
import { problem } from '../lib/check.mjs';
import { exchange, head } from '../lib/raw.mjs';
import { attack, request } from './wire.mjs';

const ESC = '\x1b';
/** One line each: markup, terminal commands, other directions of text, bytes that are none, and lines within lines. */
const NASTY = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', `${ESC}]52;c;ZXZpbA==\x07`, `${ESC}]8;;http://evil.test\x07click${ESC}]8;;\x07`, `${ESC}[2J${ESC}[1;1Hgone`, 'a\rb', 'a\revent: end\rdata: {}\r\r', '\u202egpj.exe', '\u2066x\u2069', 'a\u2028b\u0085c', '\0', '{"seq":1,"text":"forged"}', 'data: forged', '--boundary'];
const written = (line) => `${line}\n`;

suite('output', () => {
  daemonTest('that means something to a browser or a terminal is inert in every form', async (d) => {
    const { id } = await d.run({ argv: ['cat'], stdin: { base64: Buffer.concat([Buffer.from(NASTY.map(written).join('')), Buffer.from([0xff, 0xfe, 0xc0, 0x0a])]).toString('base64') } });
    for (const [accept, type] of [['application/json', 'application/json'], ['application/x-ndjson', 'application/x-ndjson'], ['text/event-stream', 'text/event-stream'], ['text/plain', 'text/plain'], ['application/octet-stream', 'application/octet-stream']]) {
      const answer = await exchange(d, head(d, `GET /v1/processes/${id}/logs`, { Accept: accept, Connection: 'close' }));
      assert.deepEqual([answer.status, answer.headers['content-type'].split(';')[0], answer.headers['x-content-type-options']], [200, type, 'nosniff']);
      if (type === 'text/plain' || type === 'application/octet-stream') continue;
      assert.doesNotMatch(answer.text.replace(/\r\n/g, '\n'), /[\x00-\x09\x0b-\x1f\x7f]/, `${type} has no control byte`);
    }
    const items = await d.logs(id);
    assert.deepEqual(items.slice(0, -1).map((one) => one.text), NASTY);
    assert.equal(items.at(-1).data_base64, Buffer.from([0xff, 0xfe, 0xc0]).toString('base64'));
  });

  daemonTest('forges no record and no event of a stream', async (d) => {
    const lines = ['x\revent: end\rdata: {}\r\rid: 99', '{"seq":99,"text":"forged"}', '\u2028data: forged', 'event: end'];
    const { id } = await d.run({ argv: ['cat'], stdin: { text: lines.map(written).join('') } });
    const events = [];
    for await (const one of (await d.stream(`/v1/processes/${id}/logs`, { accept: 'text/event-stream' })).events()) events.push(one);
    assert.deepEqual(events.map((one) => one.event), ['line', 'line', 'line', 'line', 'end']);
    const stream = await attack(d, request(d, `GET /v1/processes/${id}/logs`, 'Accept: text/event-stream\r\nConnection: close\r\n'));
    assert.doesNotMatch(stream.got.slice(stream.got.indexOf('\r\n\r\n')).replace(/\r\n/g, '\n'), /\r/, 'a lone CR would end a line of events');
    assert.equal((await d.logs(id)).length, 4);
  });

  daemonTest('is never given as a page, whatever is asked for', async (d) => {
    const { id } = await d.run({ argv: ['echo', '<script>alert(1)</script>'] });
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    for (const accept of ['text/html', 'application/xhtml+xml', 'image/svg+xml', 'text/html,application/xhtml+xml,*/*;q=0.8', 'text/*', 'text/css', 'application/javascript', 'multipart/form-data']) {
      const answer = await exchange(d, head(d, `GET /v1/processes/${id}/logs`, { Accept: accept, Connection: 'close' }));
      assert.doesNotMatch(answer.headers['content-type'], /html|xml|svg|css|script|multipart/, accept);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    }
    for (const where of ['/v1/<script>alert(1)</script>', '/v1/%3Cscript%3Ealert(1)%3C/script%3E', "/v1/processes?<svg/onload='alert(1)'>=1", '/v1/processes/%3Cimg%20src=x%3E']) {
      const answer = await exchange(d, head(d, `GET ${where}`, { Connection: 'close' }));
      assert.match(answer.headers['content-type'], /^application\/problem\+json/, where);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    }
  });

  daemonTest('of a message keeps its type and cannot end a header', async (d) => {
    await d.call('PUT', '/v1/queues/q', { body: {}, expect: 201 });
    await d.call('POST', '/v1/queues/q/messages', { raw: '<script>alert(1)</script>', headers: { 'Content-Type': 'text/html' }, expect: 201 });
    const answer = await exchange(d, head(d, 'POST /v1/queues/q/receive', { Accept: 'application/octet-stream', Connection: 'close', 'Content-Length': 0 }));
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    for (const type of ['text/html\rX-Injected: 1', 'text/html\x00', 'text/html\x0bx']) {
      const seen = await attack(d, request(d, 'POST /v1/queues/q/messages', `Content-Type: ${type}\r\nContent-Length: 1\r\n`, 'x'));
      assert.deepEqual(seen.statuses, [400], JSON.stringify(type));
    }
    assert.doesNotMatch(JSON.stringify(answer.headers), /injected/i);
  });
});

suite('a name', () => {
  daemonTest('or label forges an entry of a log, a header or a metric', async (d) => {
    for (const bad of ['a\nb', 'a\r\nX-Injected: 1', 'a\rb', `a${ESC}[2J`, 'a\u0085b', 'a\u009b2J', 'a\u007f', '\u0000', 'a\tb']) {
      for (const more of [{ name: bad }, { labels: { a: bad } }, { labels: { [bad]: 'a' } }]) {
        const answer = await d.post('/v1/processes', { argv: ['true'], ...more });
        assert.ok([400, 422].includes(answer.status), `${JSON.stringify(more)}: ${answer}`);
      }
    }
    assert.deepEqual(await d.list(), []);
    const name = '"} 1\\nforkful_up{x="<script>\u202e';
    await d.run({ argv: ['true'], name, labels: { a: name } });
    for (const { text } of (await d.get('/v1/log')).body.items) assert.doesNotMatch(text, /[\x00-\x1f\x7f]/, 'one line each');
    for (const line of (await d.get('/metrics')).text.trimEnd().split('\n')) assert.match(line, /^(# .*|[a-z_]+(\{[^}]*\})? [-+0-9.eInfNa]+)$/, line);
    assert.doesNotMatch(d.stderr, /[\x00-\x09\x0b-\x1f\x7f]/);
  });

  daemonTest('of a request comes back as it was, or not at all', async (d) => {
    for (const id of ['a b', 'x'.repeat(1000), '<script>', '"', 'ü', ESC, 'a,b', '../x', '%0d%0aX-Injected:1']) {
      const seen = await attack(d, request(d, 'GET /healthz', `X-Request-Id: ${Buffer.from(id).toString('latin1')}\r\nConnection: close\r\n`));
      assert.doesNotMatch(seen.got, /^X-Injected/im);
      const [, back] = /^X-Request-Id: (.*)\r$/im.exec(seen.got) ?? [];
      assert.match(back ?? '', /^[A-Za-z0-9._:-]{0,128}$/, id);
    }
    for (const host of ['evil.test"}\r', '<script>', `${ESC}[2J`]) {
      const seen = await attack(d, request(d, 'GET /healthz', '', '', { host: `Host: ${host}\r\n` }));
      assert.ok([400, 421].includes(seen.statuses[0]), host);
      assert.doesNotMatch(seen.got.slice(seen.got.indexOf('\r\n\r\n')), /[\x00-\x09\x0b\x0c\x0e-\x1f]/);
    }
  });
});

suite('a secret', () => {
  daemonTest('in an environment is in no answer, stream, log, metric or error', async (d) => {
    const env = { PASSWORD: 'geheim-7f3a', A: 'geheim-7f3b' };
    const { id } = await d.run({ argv: ['true'], env, labels: { a: 'b' } });
    const failed = await d.post('/v1/processes', { argv: ['/no/such/program'], env });
    problem(failed, 422, 'spawn_failed');
    const refused = await d.post('/v1/processes', { argv: ['true'], env: { ...env, 'A=B': 'x' }, nice: 99 });
    problem(refused, 422);
    const later = await d.spawn({ argv: ['true'], env, start: false });
    const answers = [failed, refused];
    for (const where of [`/v1/processes/${id}`, `/v1/processes/${later.id}`, '/v1/processes', `/v1/processes/${id}/logs`, '/v1/changes', '/v1/changes?snapshot=true', '/v1/log', '/v1/system', '/v1/capabilities', '/metrics', `/v1/processes/${id}/tree`]) {
      answers.push(await d.call('GET', where));
    }
    for (const answer of answers) assert.doesNotMatch(answer.text, /geheim/, answer.request);
    assert.doesNotMatch(d.stderr + d.launched.stdout, /geheim/);
  });
});
