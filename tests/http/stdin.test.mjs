// Writing to a process's standard input.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { daemonTest, suite, until } from '../lib/daemon.mjs';
import { exitedWith, problem } from '../lib/check.mjs';

const post = (d, id, raw, query = '', options = {}) => d.call('POST', `/v1/processes/${id}/stdin${query}`, { raw, ...options });

/** Posts all of `bytes`, as much at a time as the pipe takes. */
async function feed(d, id, bytes) {
  let at = 0;
  while (at < bytes.length) {
    const answer = await post(d, id, bytes.subarray(at, at + 512 * 1024), '?wait=30', { expect: 202 });
    assert.ok(answer.body.taken_bytes > 0, 'something is taken within the wait');
    at += answer.body.taken_bytes;
  }
}

suite('stdin', () => {
  daemonTest('takes any bytes of any content type, in order', async (d) => {
    const { id } = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    assert.deepEqual((await post(d, id, all, '', { expect: 202 })).body, { taken_bytes: 256, eof: false });
    await post(d, id, '{"json":true}', '', { headers: { 'Content-Type': 'application/json' }, expect: 202 });
    await post(d, id, 'text', '', { headers: { 'Content-Type': 'text/plain' }, expect: 202 });
    assert.deepEqual((await post(d, id, 'last', '?eof=true', { expect: 202 })).body, { taken_bytes: 4, eof: true });
    exitedWith(await d.join(id), 0);
    assert.ok((await d.logsBytes(id)).equals(Buffer.concat([all, Buffer.from('{"json":true}textlast')])));
  });

  daemonTest('is closed by eof, and then 409 stdin_closed', async (d) => {
    const { id } = await d.sh('cat; exec sleep 1000', { stdin: 'pipe' });
    assert.equal((await post(d, id, undefined, '?eof=true', { expect: 202 })).body.eof, true);
    problem(await post(d, id, 'more'), 409, 'stdin_closed');
    problem(await post(d, id, undefined, '?eof=true'), 409, 'stdin_closed');
  });

  daemonTest('is 409 stdin_closed where it is no pipe, and after the end', async (d) => {
    const none = await d.spawn({ argv: ['sleep', '1000'] });
    const text = await d.spawn({ argv: ['sleep', '1000'], stdin: { text: 'x' } });
    const ended = await d.spawn({ argv: ['true'], stdin: 'pipe' });
    await d.join(ended.id);
    for (const { id } of [none, text, ended]) problem(await post(d, id, 'x'), 409, 'stdin_closed');
    const created = await d.spawn({ argv: ['cat'], stdin: 'pipe', start: false });
    problem(await post(d, created.id, 'x'), 409, 'not_started');
  });

  daemonTest('is 409 stdin_closed when the reader has closed it, and the daemon goes on', async (d) => {
    const { id } = await d.sh('exec 0<&-; echo closed; exec sleep 1000', { stdin: 'pipe' });
    await until('it has closed', async () => (await d.logsText(id)) === 'closed\n');
    problem(await post(d, id, 'x', '?wait=5'), 409, 'stdin_closed');
    assert.equal((await d.process(id)).alive, true);
  });

  daemonTest('pushes back when nobody reads: a part is taken, within the wait', async (d) => {
    const { id } = await d.sh('read go; cat > /dev/null; echo done', { stdin: 'pipe' });
    const bytes = Buffer.alloc(1024 * 1024, 'x\n');
    const paused = await d.post(`/v1/processes/${id}/pause`, undefined, { expect: 200 });
    assert.equal(paused.body.alive, true);
    const first = (await post(d, id, bytes, '', { expect: 202 })).body;
    assert.ok(first.taken_bytes > 0 && first.taken_bytes < bytes.length, `${first.taken_bytes}`);
    const second = (await post(d, id, bytes, '?wait=0.3', { expect: 202 })).body;
    assert.ok(second.taken_bytes < bytes.length);
    const waiting = post(d, id, bytes, '?wait=30', { expect: 202 });
    await d.post(`/v1/processes/${id}/resume`, undefined, { expect: 200 });
    assert.ok((await waiting).body.taken_bytes > 0);
  });

  daemonTest('eof with bytes that were not all taken does not close yet', async (d) => {
    const { id } = await d.sh('sleep 0.3; exec wc -c', { stdin: 'pipe' });
    const bytes = Buffer.alloc(1024 * 1024, 'x');
    let taken = 0;
    for (let eof = false; !eof;) {
      const { body } = await post(d, id, bytes.subarray(taken), '?eof=true&wait=5', { expect: 202 });
      taken += body.taken_bytes;
      eof = body.eof;
      assert.equal(eof, taken === bytes.length);
    }
    exitedWith(await d.join(id), 0);
    assert.equal(Number(await d.logsText(id)), bytes.length);
  });

  daemonTest('carries megabytes through unchanged', async (d) => {
    const { id } = await d.spawn({ argv: ['python3', '-c', 'import hashlib,sys; h=hashlib.sha256()\nwhile (b := sys.stdin.buffer.read(65536)): h.update(b)\nprint(h.hexdigest())'], stdin: 'pipe' });
    const bytes = Buffer.alloc(6 * 1024 * 1024);
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = (i * 31 + (i >> 8)) & 255;
    await feed(d, id, bytes);
    await post(d, id, undefined, '?eof=true', { expect: 202 });
    exitedWith(await d.join(id), 0);
    assert.equal((await d.logsText(id)).trim(), createHash('sha256').update(bytes).digest('hex'));
  });

  daemonTest('stays open over a crash of the server', async (d) => {
    const { id } = await d.spawn({ argv: ['cat'], stdin: 'pipe' });
    await post(d, id, 'before ', '', { expect: 202 });
    await d.killServer();
    await post(d, id, 'after', '?eof=true', { expect: 202 });
    exitedWith(await d.join(id), 0);
    assert.equal(await d.logsText(id), 'before after');
  });

  daemonTest('a writer that goes away while it waits gives up its place', async (d) => {
    const { id } = await d.sh('read go; exec wc -c', { stdin: 'pipe' });
    await d.post(`/v1/processes/${id}/pause`, undefined, { expect: 200 });
    let sent = (await post(d, id, Buffer.alloc(1024 * 1024, 'x\n'), '', { expect: 202 })).body.taken_bytes;
    const abort = new AbortController();
    const gone = post(d, id, 'LOST', '?wait=60', { signal: abort.signal }).catch((error) => error.name);
    await d.get('/v1/system');
    abort.abort();
    assert.equal(await gone, 'AbortError');
    await d.get('/v1/system');
    await d.post(`/v1/processes/${id}/resume`, undefined, { expect: 200 });
    sent += (await post(d, id, 'end', '?eof=true&wait=30', { expect: 202 })).body.taken_bytes;
    exitedWith(await d.join(id), 0);
    const counted = Number(await d.logsText(id));
    assert.ok(counted === sent - 2 || counted === sent - 2 + 4, `${counted} of ${sent}`);
  });
});
