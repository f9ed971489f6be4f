// The sections about calls: spawn and join, GET of one process, start and rest. Each starts its
// own daemon, measures, and returns rows; run.mjs prints them. README.md says what each row means.

import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { makeDirectory, removeDirectory, withDaemon, withLimit } from './daemon.mjs';
import { cpuDuring, median, pairs, privateBytes, run, runJson, sleep } from './measure.mjs';

const PROGRAM = '/bin/true';

export const count = (number) => Math.round(number).toLocaleString('en').replaceAll(',', ' ');
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

/** A row of the table from what `pairs` returned; target null: only told. */
export function ratioRow(measure, result, unit, target, note = '') {
    const [low, high] = result.spread.map((ratio) => ratio.toFixed(2));
    return {
        measure, ours: `${count(result.ours)} ${unit}`, peer: `${count(result.peer)} ${unit}`,
        ratio: result.ratio, target: target === null ? '' : `≥ ${target}`, met: target === null ? null : result.ratio >= target,
        note: [`${result.rounds} rounds, ${low} to ${high}`, note].filter(Boolean).join('; '),
    };
}

/** A row without a peer: one number that must be below a limit; limit null: only told. */
export function limitRow(measure, number, limit, show, note = '') {
    return {
        measure, ours: show(number), target: limit === null ? '' : `< ${show(limit)}`,
        met: limit === null ? null : number < limit, note,
    };
}

export const rate = ({ done, seconds }) => done / seconds;

async function spawnRow(bench, daemon, clients, target) {
    const seconds = bench.quick ? 1 : 2;
    let last;
    const result = await pairs({ count: bench.quick ? 2 : 5, budgetSeconds: 30 },
        async () => {
            last = await runJson(bench.tool('load'),
                ['spawnjoin', daemon.port, clients, seconds, PROGRAM], { env: daemon.env });
            return rate(last);
        },
        async () => rate(await runJson(bench.tool('spawnloop'), [clients, seconds, PROGRAM])));
    return ratioRow(`spawn + join, ${clients} client${clients > 1 ? 's' : ''}`, result, '/s', target,
        `p50 ${last.p50_us} µs, p99 ${last.p99_us} µs`);
}

export function spawnSection(bench) {
    return withDaemon(bench.binary, async (daemon) => [
        await spawnRow(bench, daemon, 1, 0.5),
        await spawnRow(bench, daemon, 16, 0.85),
    ]);
}

/** The constant server, answering as many bytes as the record has; ends with its stdin. */
async function withBareServer(bench, bytes, use) {
    const child = spawn(bench.tool('bare'), [String(bytes)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout });
    try {
        const line = await withLimit(new Promise((resolve) => lines.once('line', resolve)), 5000, 'bare');
        return await use({ port: JSON.parse(line).port, pids: { bare: child.pid } });
    } finally {
        child.stdin.end();
    }
}

async function getRow(bench, daemon, bare, target, bytes) {
    const connections = 64, seconds = bench.quick ? 1 : 2;
    const perRequest = { ours: [], peer: [] };
    const load = async (side, server) => {
        const { result, ms } = await cpuDuring(server.pids, () => runJson(bench.tool('load'),
            ['get', server.port, connections, seconds, target], { env: daemon.env }));
        perRequest[side].push(ms * 1000 / result.done);
        return rate(result);
    };
    const result = await pairs({ count: bench.quick ? 3 : 7, budgetSeconds: 30 },
        () => load('ours', daemon), () => load('peer', bare));
    const cpu = [perRequest.ours, perRequest.peer].map((all) => median(all).toFixed(1));
    return ratioRow(`GET one process, ${connections} connections`, result, '/s', 0.6,
        `${bytes} bytes; server CPU per request ${cpu[0]} µs, peer ${cpu[1]} µs`);
}

export function getSection(bench) {
    return withDaemon(bench.binary, async (daemon) => {
        const made = await daemon.call('POST', '/v1/processes',
            { argv: [PROGRAM], name: 'one', labels: { team: 'bench' } });
        const target = `/v1/processes/${made.id}`;
        await daemon.call('GET', `${target}/join?wait=30`);
        const text = await daemon.callText('GET', target);
        if (JSON.parse(text).exitcode !== 0)
            throw new Error(`${target}: not the record that was expected: ${text}`);
        const bytes = Buffer.byteLength(text);
        return withBareServer(bench, bytes,
            async (bare) => [await getRow(bench, daemon, bare, target, bytes)]);
    });
}

async function startOnce(bench, dir) {
    return (await runJson(bench.tool('startup'), [path.join(dir, 'forkful.sock'), bench.binary,
        'serve', '--listen', '127.0.0.1:0', '--state-dir', dir])).ms;
}

/** Each round: a first start in an empty directory, then one where the databases exist. */
async function startRows(bench) {
    const first = [], again = [];
    for (let round = 0; round < (bench.quick ? 3 : 7); round++) {
        const dir = makeDirectory();
        first.push(await startOnce(bench, dir));
        again.push(await startOnce(bench, dir));
        removeDirectory(dir);
    }
    const show = (ms) => `${ms.toFixed(1)} ms`;
    const note = (all) => `median of ${all.length}, slowest ${show(Math.max(...all))}`;
    return [
        limitRow('exec to first answer, new state', median(first), 50, show, note(first)),
        limitRow('exec to first answer, state there', median(again), 50, show, note(again)),
    ];
}

async function restRows(bench, daemon) {
    const seconds = bench.quick ? 2 : 5;
    await sleep(1000);
    const { ms } = await cpuDuring(daemon.pids, () => sleep(seconds * 1000));
    const keeper = privateBytes(daemon.pids.keeper), server = privateBytes(daemon.pids.server);
    return [
        limitRow('private memory idle, both', keeper + server, 8e6, megabytes,
            `keeper ${megabytes(keeper)}, server ${megabytes(server)}, without the ring`),
        idleRow('CPU idle, no children', ms, seconds),
    ];
}

/** "0" leaves room for a stray wake-up: a thousandth of one core. */
export const idleRow = (measure, ms, seconds) =>
    limitRow(measure, ms, seconds, (value) => `${value.toFixed(2)} ms`, `both processes, in ${seconds} s`);

export async function startSection(bench) {
    const starts = await startRows(bench);
    return [...starts, ...await withDaemon(bench.binary, (daemon) => restRows(bench, daemon))];
}

export const version = async (binary) => (await run(binary, ['--version'])).trim();
