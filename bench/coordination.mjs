// The sections about coordination: queues and locks beside multiprocessing.Manager() and the brokers,
// and how fast who waits is told. README.md says what each row means.

import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withDaemon, withLimit } from './daemon.mjs';
import { pairs, privateBytes, runJson, sleep } from './measure.mjs';
import { isInstalled, withBroker } from './peers.mjs';
import { count, limitRow, rate, ratioRow } from './sections.mjs';

const MANAGER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'manager.py');
const BATCH = 100;
const SECONDS = 1; // of each side in each round, after the warm-up
const WAKES_MS = 120_000;
const SETTLE_MS = 500; // until the daemon has seen that a crowd of connections is gone

const clientsText = (clients) => `${clients} client${clients > 1 ? 's' : ''}`;
const rounds = (bench) => ({ count: bench.quick ? 3 : 7, budgetSeconds: 40 });

/** One side of a pair: a kind of load for some seconds, as units per second. */
const load = (bench, mode, address, clients, subject, env) => async () =>
    rate(await runJson(bench.tool('load'), [mode, address, clients, SECONDS, subject],
        env && { env }));

const manager = (kind, clients) => async () =>
    rate(await runJson('python3', [MANAGER, kind, clients, SECONDS]));

const times = (work, factor) => async () => await work() * factor;

const missing = (measure, clients, program) => ({
    measure: `${measure}, ${clientsText(clients)}`, ours: '', peer: 'not there', target: '',
    met: null, note: `${program} is not installed: nothing to compare with`,
});

/* ---- beside Manager(): both over a Unix socket ---- */

const MANAGER_ROWS = [
    { measure: 'lock acquire + release', ours: 'lock', peer: 'lock', clients: 1, target: 1.2 },
    { measure: 'lock acquire + release', ours: 'lock', peer: 'lock', clients: 8, target: 2.5 },
    { measure: 'queue put + take', ours: 'queue', peer: 'queue', clients: 1, target: 1.2 },
    { measure: 'queue put + take', ours: 'queue', peer: 'queue', clients: 8, target: 2.5 },
    { measure: `messages in batches of ${BATCH}`, ours: 'batch', peer: 'queue', clients: 1,
        factor: BATCH, target: 5 },
];

async function managerRows(bench, daemon) {
    const rows = [];
    for (const { measure, ours, peer, clients, factor = 1, target } of MANAGER_ROWS) {
        if (!isInstalled('python3')) {
            rows.push(missing(measure, clients, 'python3'));
            continue;
        }
        const result = await pairs(rounds(bench),
            times(load(bench, ours, daemon.socket, clients, 'memory', daemon.env), factor),
            manager(peer, clients));
        rows.push(ratioRow(`${measure}, ${clientsText(clients)}`, result, '/s', target,
            'peer: Manager(), both on a Unix socket'));
    }
    return rows;
}

/* ---- beside the brokers: both over TCP ---- */

async function brokerRows(bench, daemon, broker, table) {
    const rows = await withBroker(broker, async (port) => {
        const all = [];
        for (const { measure, ours, queue, peer, clients, factor = 1, target } of table) {
            const result = await pairs(rounds(bench),
                times(load(bench, ours, daemon.port, clients, queue, daemon.env), factor),
                load(bench, peer, port, clients, 'bench'));
            all.push(ratioRow(`${measure}, ${clientsText(clients)}`, result, '/s', target,
                `peer: ${broker}, both on TCP`));
        }
        return all;
    });
    return rows ?? table.map(({ measure, clients }) =>
        missing(measure, clients, broker.split(' ')[0]));
}

const MEMORY_ROWS = [
    { measure: 'queue put + take', ours: 'queue', queue: 'memory', peer: 'beanstalk', clients: 1, target: 1 },
    { measure: 'queue put + take', ours: 'queue', queue: 'memory', peer: 'beanstalk', clients: 8, target: 0.6 },
    { measure: `messages in batches of ${BATCH}`, ours: 'batch', queue: 'memory', peer: 'beanstalk',
        clients: 1, factor: BATCH, target: 5 },
];

const durableRow = (peer, target) =>
    [{ measure: 'durable put', ours: 'put', queue: 'durable', peer, clients: 16, target }];

/* ---- how fast who waits is told ---- */

const milliseconds = (us) => `${(us / 1000).toFixed(2)} ms`;
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(2)} kB`;
const memory = ({ pids }) => privateBytes(pids.keeper) + privateBytes(pids.server);

/** Runs wakes.c; `look` is called while all are parked. */
async function wakes(bench, daemon, kind, parked, count, look = () => null) {
    const child = spawn(bench.tool('wakes'), [kind, daemon.port, daemon.socket, parked, count].map(String),
        { env: daemon.env, stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ended = new Promise((resolve) => child.once('close', resolve));
    const line = async () => {
        const { value } = await withLimit(lines.next(), WAKES_MS, `wakes ${kind}`);
        if (!value)
            throw new Error(`wakes ${kind}: failed`);
        return JSON.parse(value);
    };
    try {
        await line();
        const seen = await look();
        child.stdin.write('\n');
        return { ...await line(), seen };
    } finally {
        child.kill('SIGKILL');
        await ended;
        await sleep(SETTLE_MS);
    }
}

const wakesNote = (seen) => `${seen.rounds} times, p50 ${milliseconds(seen.p50_us)}, ` +
    `p99 ${milliseconds(seen.p99_us)}, slowest ${milliseconds(seen.max_us)}`;

async function eventRow(bench, daemon) {
    const parked = 1000;
    const seen = await wakes(bench, daemon, 'event', parked, bench.quick ? 500 : 3000);
    return limitRow('event set to waiter\'s answer, p99', seen.p99_us, 2000, milliseconds,
        `${count(parked)} other calls parked; ${wakesNote(seen)}`);
}

async function holderRow(bench, daemon) {
    const seen = await wakes(bench, daemon, 'holder', 1, bench.quick ? 30 : 200);
    return limitRow('holder killed to next one\'s grant, p50', seen.p50_us, 5000, milliseconds,
        wakesNote(seen));
}

async function parkedRows(bench, daemon) {
    const parked = 10_000;
    await sleep(500);
    const before = memory(daemon);
    const seen = await wakes(bench, daemon, 'queue', parked, bench.quick ? 200 : 1000, async () => {
        await sleep(500);
        return memory(daemon) - before;
    });
    return [
        limitRow(`${count(parked)} receives parked, memory of each`, seen.seen / parked, 8000,
            kilobytes, 'both processes, its connection with it'),
        limitRow(`${count(parked)} receives parked, waking one, p50`, seen.p50_us, 1000,
            milliseconds, wakesNote(seen)),
    ];
}

/* ---- the sections ---- */

export function coordinationSection(bench) {
    return withDaemon(bench.binary, async (daemon) => {
        await daemon.call('PUT', '/v1/locks/memory', {});
        await daemon.call('PUT', '/v1/queues/memory', { durable: false });
        await daemon.call('PUT', '/v1/queues/durable', { durable: true });
        return [
            ...await managerRows(bench, daemon),
            ...await brokerRows(bench, daemon, 'beanstalkd', MEMORY_ROWS),
            ...await brokerRows(bench, daemon, 'beanstalkd -b -f0', durableRow('beanstalk-put', 2)),
            ...await brokerRows(bench, daemon, 'redis-server appendfsync always',
                durableRow('redis-push', 0.7)),
        ];
    });
}

export async function wakesSection(bench) {
    const rows = [];
    for (const row of [eventRow, holderRow, parkedRows])
        rows.push(...[await withDaemon(bench.binary, (daemon) => row(bench, daemon))].flat());
    return rows;
}
