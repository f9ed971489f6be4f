// The section about output: children that write 100-byte lines as fast as they can, against the
// same program piped into cat and a file on the same file system.
//
// The clock of our side runs from the request to spawn until the exit of every child is recorded
// and the spool is empty: its tail moves only after the commit, so then all output is in SQLite.
// After that, with the clock stopped, every child's raw log is read back and its checksum compared.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { makeDirectory, removeDirectory, withDaemon } from './daemon.mjs';
import { pairs, peakMemory, run, sleep } from './measure.mjs';
import { limitRow, megabytes, ratioRow } from './sections.mjs';

const expected = new Map();

async function checksum(stream) {
    const hash = createHash('sha256');
    for await (const piece of stream)
        hash.update(piece);
    return hash.digest('hex');
}

/** The checksum of what `lines` writes, taken from cat's file, so once per size and seed. */
async function learnExpected(file, key) {
    if (!expected.has(key))
        expected.set(key, await checksum(fs.createReadStream(file)));
}

/** Megabytes per second of `children` pipelines `lines | cat > file` at once. `filler`: [] or ['noise']. */
async function catRate(bench, children, size, filler) {
    const dir = makeDirectory();
    const file = (child) => path.join(dir, String(child));
    const pipeline = (child) =>
        `"${bench.tool('lines')}" ${size} ${child} ${filler.join('')} | cat > "${file(child)}"`;
    const all = Array.from({ length: children }, (_, index) => index + 1);
    const start = performance.now();
    await run('/bin/sh', ['-c', `${all.map((child) => `${pipeline(child)} &`).join(' ')} wait`]);
    const seconds = (performance.now() - start) / 1000;
    for (const child of all) {
        if (fs.statSync(file(child)).size !== size * 1e6)
            throw new Error(`${file(child)} does not have ${size} MB`);
        await learnExpected(file(child), `${size}/${child}/${filler}`);
    }
    removeDirectory(dir);
    return children * size / seconds;
}

async function runChild(bench, daemon, size, child, filler) {
    const made = await daemon.call('POST', '/v1/processes', {
        argv: [bench.tool('lines'), String(size), String(child), ...filler],
        output: { max_bytes: 2 ** 30, when_full: 'drop_oldest' },
    });
    for (;;) {
        const record = await daemon.call('GET', `/v1/processes/${made.id}/join?wait=30`);
        if (!record.alive)
            return record;
    }
}

/** Until the server has committed everything: the ring is empty. */
async function spoolEmpty(daemon) {
    for (const deadline = performance.now() + 30_000; performance.now() < deadline; await sleep(2)) {
        const used = (await daemon.call('GET', '/v1/system')).spool?.used_bytes;
        if (typeof used !== 'number')
            throw new Error('GET /v1/system does not tell spool.used_bytes');
        if (used === 0)
            return;
    }
    throw new Error('the spool was not empty 30 s after the last exit');
}

async function verify(daemon, record, size, child, filler) {
    const { id } = record;
    const now = await daemon.call('GET', `/v1/processes/${id}`);
    if (now.exitcode !== 0 || now.output.stdout_bytes !== size * 1e6 || now.output.dropped_bytes !== 0)
        throw new Error(`${id}: exitcode ${now.exitcode}, output ${JSON.stringify(now.output)}`);
    const log = await daemon.open('GET', `/v1/processes/${id}/logs?stream=stdout`, undefined,
        { accept: 'application/octet-stream' });
    if (await checksum(log) !== expected.get(`${size}/${child}/${filler}`))
        throw new Error(`${id}: the stored output differs from what was written`);
}

/** The same rate through a new daemon, whose memory is watched meanwhile. */
function forkfulRate(bench, children, size, filler, peaks) {
    const all = Array.from({ length: children }, (_, index) => index + 1);
    return withDaemon(bench.binary, async (daemon) => {
        let seconds;
        const { result: records, peak } = await peakMemory(daemon.pids, async () => {
            const start = performance.now();
            const ended = await Promise.all(all.map((child) => runChild(bench, daemon, size, child, filler)));
            await spoolEmpty(daemon);
            seconds = (performance.now() - start) / 1000;
            return ended;
        });
        for (const name of Object.keys(peak))
            peaks[name] = Math.max(peaks[name] ?? 0, peak[name]);
        if (!expected.has(`${size}/${all.at(-1)}/${filler}`))
            await catRate(bench, children, size, filler);
        for (const child of all)
            await verify(daemon, records[child - 1], size, child, filler);
        return children * size / seconds;
    });
}

export async function outputSection(bench) {
    const total = bench.quick ? 80 : 400;
    const peaks = {}, rows = [];
    for (const [children, target, ...filler] of [[1, 0.45], [8, 0.7], [1, null, 'noise'], [8, null, 'noise']]) {
        const size = total / children;
        const result = await pairs({ count: bench.quick ? 2 : 5, budgetSeconds: 40 },
            () => forkfulRate(bench, children, size, filler, peaks), () => catRate(bench, children, size, filler));
        rows.push(ratioRow(`output, ${children} × ${size} MB ${filler.length ? 'of noise ' : ''}into SQLite`, result, 'MB/s', target,
            filler.length ? 'the same with what cannot be packed' : 'every byte checked'));
    }
    const memory = 'private memory during output';
    return [
        ...rows,
        limitRow(`${memory}, keeper`, peaks.keeper, 2e6, megabytes, 'largest of samples every 0.1 s'),
        limitRow(`${memory}, server`, peaks.server, 64e6, megabytes, 'beside the ring'),
    ];
}
