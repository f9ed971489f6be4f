// What sections measure with: interleaved rounds, medians, programs that print a JSON line, and the
// memory and CPU time of a process as the kernel tells them.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLimit } from './daemon.mjs';

export { sleep };

export function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * Measures ours and the peer `count` times, one right after the other, in turns which goes first.
 * Returns the medians and the median of the ratios of each pair: what the machine does meanwhile
 * hits both of a pair, so the ratio is steadier than the numbers. Stops early, after a whole pair,
 * when the time is used up.
 */
export async function pairs({ count, budgetSeconds }, ours, peer) {
    const deadline = performance.now() + budgetSeconds * 1000;
    const seen = { ours: [], peer: [], ratio: [] };
    while (seen.ratio.length < count) {
        if (seen.ratio.length > 0 && performance.now() > deadline)
            break;
        const pair = {};
        const order = [['peer', peer], ['ours', ours]];
        for (const [side, work] of seen.ratio.length % 2 ? order.reverse() : order)
            seen[side].push(pair[side] = await work());
        seen.ratio.push(pair.ours / pair.peer);
    }
    return {
        ours: median(seen.ours), peer: median(seen.peer), ratio: median(seen.ratio),
        spread: [Math.min(...seen.ratio), Math.max(...seen.ratio)], rounds: seen.ratio.length,
    };
}

/** Runs a program to its end and returns its stdout; anything but exit 0 is a failure. */
export function run(program, args, { env = process.env, limitSeconds = 60 } = {}) {
    const child = spawn(program, args.map(String), { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve, reject) => {
        let text = '';
        child.stdout.setEncoding('utf8').on('data', (piece) => { text += piece; });
        child.once('error', reject);
        child.once('close', (code, signal) => (code === 0 ? resolve(text)
            : reject(new Error(`${program} ${args.join(' ')}: ended with ${signal ?? code}`))));
    });
    return withLimit(ended, limitSeconds * 1000, program).finally(() => child.kill('SIGKILL'));
}

export const runJson = async (...args) => JSON.parse(await run(...args));

/**
 * Private memory of a process in bytes, as smaps_rollup counts it (Private_Clean + Private_Dirty),
 * but without the spool's ring: a shared mapping whose pages the kernel calls private as long as
 * only one of the two processes has touched them.
 */
export function privateBytes(pid) {
    let counts = false, total = 0;
    for (const line of fs.readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
        const mapping = /^[0-9a-f]+-[0-9a-f]+ ...([ps]) \S+ \S+ \S+\s*(.*)$/.exec(line);
        if (mapping)
            counts = !(mapping[1] === 's' && /spool/.test(mapping[2]));
        else if (counts && line.startsWith('Private_') && !line.startsWith('Private_Hugetlb'))
            total += Number(/(\d+) kB/.exec(line)[1]) * 1024;
    }
    return total;
}

/** Samples private memory of some processes ({name: pid}) while `work` goes on; returns maxima. */
export async function peakMemory(pids, work) {
    const peak = Object.fromEntries(Object.keys(pids).map((name) => [name, 0]));
    let going = true;
    const sample = () => {
        for (const [name, pid] of Object.entries(pids))
            peak[name] = Math.max(peak[name], privateBytes(pid));
    };
    const sampling = (async () => {
        for (; going; await sleep(100))
            sample();
    })();
    const result = await work().finally(() => { going = false; });
    await sampling;
    sample();
    return { result, peak };
}

/** CPU time that all threads of a process have used so far, in milliseconds. */
function cpuMs(pid) {
    let ns = 0;
    for (const thread of fs.readdirSync(`/proc/${pid}/task`))
        ns += Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    return ns / 1e6;
}

/** CPU milliseconds that processes use together while `work` goes on. */
export async function cpuDuring(pids, work) {
    const all = () => Object.values(pids).reduce((sum, pid) => sum + cpuMs(pid), 0);
    const before = all();
    const result = await work();
    return { result, ms: all() - before };
}
