// The section about pools: trivial tasks in batches of 1000, beside multiprocessing.Pool and a bare
// loop of spawns. README.md says what each row means.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { withDaemon } from './daemon.mjs';
import { pairs, runJson } from './measure.mjs';
import { isInstalled } from './peers.mjs';
import { rate, ratioRow } from './sections.mjs';

const POOL_MAP = path.join(path.dirname(fileURLToPath(import.meta.url)), 'pool_map.py');
const PROCESSES = 8, TASKS = 1000, SECONDS = 2;

const python = (argument) => ['python3', '-B', POOL_MAP, argument];

const poolRows = (bench) => [
    { measure: 'pool stdio, Python workers', mode: 'stdio', argv: python('worker'), target: 0.5 },
    { measure: 'pool stdio, a worker in C', mode: 'stdio', argv: [bench.tool('echo')], target: 1 },
    { measure: 'pool spawn', mode: 'spawn', argv: ['/bin/true'], target: 0.8 },
];

/** Tasks a second, through a pool made for this. */
const ours = (bench, daemon, { mode, argv }) => async () => {
    await daemon.call('PUT', `/v1/pools/${mode}`, { processes: PROCESSES, mode, spec: { argv } });
    try {
        return TASKS * rate(await runJson(bench.tool('load'), ['pool', daemon.port, 1, SECONDS, mode],
            { env: daemon.env }));
    } finally {
        await daemon.call('DELETE', `/v1/pools/${mode}`);
    }
};

const peers = (bench) => ({
    stdio: async () => rate(await runJson('python3', ['-B', POOL_MAP, SECONDS])),
    spawn: async () => rate(await runJson(bench.tool('spawnloop'), [PROCESSES, SECONDS, '/bin/true'])),
});

export function poolSection(bench) {
    return withDaemon(bench.binary, async (daemon) => {
        const rows = [];
        for (const row of poolRows(bench)) {
            if (row.mode === 'stdio' && !isInstalled('python3')) {
                rows.push({ measure: row.measure, ours: '', peer: 'not there', target: '', met: null,
                    note: 'python3 is not installed: nothing to compare with' });
                continue;
            }
            const result = await pairs({ count: bench.quick ? 2 : 5, budgetSeconds: 40 },
                ours(bench, daemon, row), peers(bench)[row.mode]);
            rows.push(ratioRow(row.measure, result, '/s', row.target, row.mode === 'stdio'
                ? `peer: Pool(${PROCESSES}).map, chunksize 1` : `peer: posix_spawn + waitpid, ${PROCESSES} at once`));
        }
        return rows;
    });
}
