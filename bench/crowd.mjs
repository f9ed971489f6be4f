// The section about many at once: live children and parked joins by the thousand. The C program
// crowd holds them; this file looks at the daemon meanwhile: memory, CPU, and whether everything
// else is still answered.

import { spawn } from 'node:child_process';
import readline from 'node:readline';
import { withDaemon, withLimit } from './daemon.mjs';
import { cpuDuring, privateBytes, runJson, sleep } from './measure.mjs';
import { count, idleRow, limitRow } from './sections.mjs';

const STEP_MS = 60_000;

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(2)} kB`;
const milliseconds = (ms) => `${ms.toFixed(1)} ms`;
const memory = ({ pids }) => privateBytes(pids.keeper) + privateBytes(pids.server);

/** The steps of crowd.c as they are reported; `go` lets it take the next one. */
function startCrowd(bench, daemon, members) {
    const child = spawn(bench.tool('crowd'), [String(daemon.port), String(members)],
        { env: daemon.env, stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ended = new Promise((resolve) => child.once('close', resolve));
    return {
        go: () => child.stdin.write('\n'),
        kill: () => child.kill('SIGKILL'),
        ended: () => withLimit(ended, STEP_MS, 'crowd'),
        async step(name) {
            const { value } = await withLimit(lines.next(), STEP_MS, `crowd: ${name}`);
            const report = value ? JSON.parse(value) : { done: 0 };
            if (report.step !== name || report.done !== members)
                throw new Error(`crowd: ${name} went through for ${report.done} of ${members}`);
            return report;
        },
    };
}

/** One call of each kind, in order; the slowest is what the row tells. */
async function everythingAnswers(daemon) {
    const made = await daemon.call('POST', '/v1/processes', { argv: ['/bin/echo', 'here'] });
    const calls = [
        `/v1/processes/${made.id}/join?wait=30`, `/v1/processes/${made.id}`,
        `/v1/processes/${made.id}/logs`, '/v1/processes?state=running&limit=500', '/v1/system',
        '/metrics', '/healthz', '/readyz',
    ];
    let slowest = { ms: -1 };
    for (const target of calls) {
        const start = performance.now();
        await daemon.callText('GET', target);
        const ms = performance.now() - start;
        if (ms > slowest.ms)
            slowest = { ms, target };
    }
    return { ...slowest, calls: calls.length };
}

/** Spawn and join by 16 clients for a second, per second. */
async function spawnRate(bench, daemon) {
    const { done, seconds } = await runJson(bench.tool('load'),
        ['spawnjoin', daemon.port, 16, 1, '/bin/true'], { env: daemon.env });
    return done / seconds;
}

async function observe(bench, daemon, crowd, members) {
    const seconds = bench.quick ? 2 : 5;
    const before = memory(daemon);
    const spawned = await crowd.step('spawn');
    await sleep(1000);
    const withChildren = memory(daemon);
    crowd.go();
    await crowd.step('park');
    await sleep(1000);
    const withJoins = memory(daemon);
    const { ms } = await cpuDuring(daemon.pids, () => sleep(seconds * 1000));
    const answers = await everythingAnswers(daemon);
    const beside = await spawnRate(bench, daemon);
    const start = performance.now();
    crowd.go();
    await crowd.step('kill');
    await crowd.step('collect');
    const took = performance.now() - start;
    const alone = await spawnRate(bench, daemon);
    const crowdName = `${count(members)} children and joins`;
    return [
        limitRow(`${crowdName}: slowest call`, answers.ms, 1000, milliseconds,
            `${answers.calls} kinds of call, ${answers.target.replace(/p_[^/?]*/, '{id}')}`),
        idleRow(`${crowdName}: CPU idle`, ms, seconds),
        limitRow('memory per live child', (withChildren - before) / members, null, kilobytes,
            `both processes; ${count(spawned.done / spawned.seconds)} spawned/s, one client`),
        limitRow('memory per parked join', (withJoins - withChildren) / members, null, kilobytes,
            'both processes, its connection with it'),
        limitRow('spawn + join beside them', beside, null, (rate) => `${count(rate)} /s`,
            `16 clients; ${count(alone)} /s when they have ended`),
        limitRow('all killed, every join answered', took, null, milliseconds,
            `${count(members)} answers with exitcode -9`),
    ];
}

export function crowdSection(bench) {
    const members = bench.quick ? 500 : 2000;
    return withDaemon(bench.binary, async (daemon) => {
        await sleep(500);
        const crowd = startCrowd(bench, daemon, members);
        try {
            const rows = await observe(bench, daemon, crowd, members);
            if (await crowd.ended() !== 0)
                throw new Error('crowd: failed');
            return rows;
        } finally {
            crowd.kill();
        }
    });
}
