// The README's curl lines, run in bash as they stand there, but for the address and the state directory.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { daemonTest, REPOSITORY, soon, suite } from '../lib/daemon.mjs';
import { exitedWith, killedBy } from '../lib/check.mjs';

/** The shell lines under a heading. */
function curlLines(heading = 'Ten lines of curl') {
  const text = readFileSync(path.join(REPOSITORY, 'README.md'), 'utf8');
  const section = text.split(/^## /m).find((one) => one.startsWith(`${heading}\n`));
  const block = /^```sh\n([\s\S]*?)^```$/m.exec(section ?? '');
  assert.ok(block, `README.md has a block of shell in the section "${heading}"`);
  return block[1];
}

/** Lines for the daemon under test. What is to be replaced must stand there. */
function linesFor(d, curl_lines = curlLines()) {
  return [[/^S=.*$/m, `S='${d.stateDir}'`], ['http://127.0.0.1:8717', d.url]].reduce((lines, [what, by]) => {
    assert.notEqual(lines.replace(what, ''), lines, `the lines hold ${what}`);
    return lines.replaceAll(what instanceof RegExp ? new RegExp(what.source, 'gm') : what, () => by);
  }, curl_lines);
}

/** Runs bash; gives { code, stdout, stderr }. Proxies and curl's own configuration of this machine stay out. */
async function bash(script, d) {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: d.dir, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, HOME: d.dir, no_proxy: '*', DAEMON_UNDER_TEST: d.mark },
  });
  const result = { stdout: '', stderr: '' };
  child.stdout.on('data', (piece) => { result.stdout += piece; });
  child.stderr.on('data', (piece) => { result.stderr += piece; });
  result.code = await soon(new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }), 'the lines have run', 60);
  return result;
}

suite('the README\'s lines of curl', () => {
  daemonTest('do what stands behind them', async (d) => {
    const { code, stdout, stderr } = await bash(linesFor(d), d);
    assert.deepEqual([code, stderr], [0, ''], stdout);
    const [made, ...rest] = stdout.split('\n').filter((line) => line !== '');
    assert.match(made, /^\{"id":"p_[0-9a-z]{26}",.*"name":"counter"/);
    const output = made.slice(made.lastIndexOf('}') + 1); // an answer need not end in a newline
    assert.deepEqual([...(output === '' ? [] : [output]), ...rest],
      ['line 1', 'line 2', 'line 3', '"exitcode":7', '"reason":"stopped"', 'hello, child']);
    const [counter, sleeper, cat] = await d.list();
    exitedWith(counter, 7);
    killedBy(sleeper, 15, 'SIGTERM', 'stopped');
    assert.deepEqual(sleeper.labels, { team: 'a' });
    exitedWith(cat, 0);
  });

  daemonTest('about working together do what they say', async (d) => {
    const begin = curlLines().split('\n').slice(0, 2).join('\n');
    const { code, stdout, stderr } = await bash(linesFor(d, `${begin}\n${curlLines('Working together')}`), d);
    assert.deepEqual([code, stderr], [0, ''], stdout);
    const [message, value, task, waits] = stdout.replaceAll('}{', '}\n{').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
    assert.deepEqual(message.messages[0].body, { resize: 'a.png' });
    assert.equal(value.value, 1);
    assert.deepEqual([task.state, task.result], ['done', 144]);
    assert.deepEqual(waits.cycles, []);
    assert.equal((await d.get('/v1/queues/jobs')).body.unfinished, 0);
    const deployed = (await d.list()).find((one) => one.labels.pool === undefined);
    exitedWith(await d.join(deployed.id), 0);
    assert.equal(await d.logsText(deployed.id), 'deploying\n');
  });

  daemonTest('about who may do what do what they say', async (d) => {
    const begin = curlLines().split('\n').slice(0, 2).join('\n');
    const { code, stdout, stderr } = await bash(linesFor(d, `${begin}\n${curlLines('Who may do what')}`), d);
    assert.deepEqual([code, stderr], [0, ''], stdout);
    const [forbidden, unauthorized, audit] = stdout.split('\n');
    assert.deepEqual([forbidden, unauthorized], ['"code":"forbidden"', '"code":"unauthorized"']);
    assert.deepEqual(JSON.parse(audit).items.map((one) => [one.principal, one.action]), [['admin', 'createToken'], ['admin', 'deleteToken']]);
  });

  test('are about ten and fit on a screen', () => {
    const lines = curlLines().trim().split('\n');
    assert.ok(lines.length >= 9 && lines.length <= 13, `${lines.length}`);
    assert.ok(lines.every((line) => line.length <= 140));
  });

  daemonTest('on the Unix socket need no token', async (d) => {
    const text = readFileSync(path.join(REPOSITORY, 'README.md'), 'utf8');
    const [line] = /curl --unix-socket "\$S\/forkful\.sock" http:\/\/localhost\/\S+(?=`)/.exec(text) ?? assert.fail('the line stands there');
    const { code, stdout, stderr } = await bash(`S='${d.stateDir}'\n${line} -sS`, d);
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(JSON.parse(stdout).keeper_pid, d.pid);
  });
});
