// The peers of the coordination rows that are servers: beanstalkd and redis-server, as Debian packages
// them, started on a free port with a directory of their own. Where one is not installed its rows say so.

import { execFileSync, spawn } from 'node:child_process';
import net from 'node:net';
import { killAtExit, makeDirectory, removeDirectory, withLimit } from './daemon.mjs';
import { sleep } from './measure.mjs';

const READY_MS = 5000;

const BROKERS = {
    beanstalkd: (port) => ['-l', '127.0.0.1', '-p', port],
    'beanstalkd -b -f0': (port, dir) => [...BROKERS.beanstalkd(port), '-b', dir, '-f0'],
    'redis-server appendfsync always': (port, dir) => ['--bind', '127.0.0.1', '--port', port,
        '--dir', dir, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
};

export function isInstalled(program) {
    try {
        execFileSync('which', [program], { stdio: 'ignore' });
        return true;
    } catch {
        return false;
    }
}

const freePort = () => new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject).listen(0, '127.0.0.1', () => {
        const { port } = server.address();
        server.close(() => resolve(String(port)));
    });
});

const answers = (port) => new Promise((resolve) => {
    const socket = net.connect(Number(port), '127.0.0.1');
    socket.once('error', () => resolve(false)).once('connect', () => {
        socket.destroy();
        resolve(true);
    });
});

async function untilReady(port, child) {
    while (!await answers(port)) {
        if (child.exitCode !== null)
            throw new Error(`${child.spawnfile} ended at once with ${child.exitCode}`);
        await sleep(20);
    }
}

/**
 * Starts the broker, lets `use` work with its port, ends it. Null when it is not installed.
 */
export async function withBroker(name, use) {
    const [program] = name.split(' ');
    if (!isInstalled(program))
        return null;
    const dir = makeDirectory(), port = await freePort();
    const child = spawn(program, BROKERS[name](port, dir), { stdio: 'ignore', detached: true });
    const forget = killAtExit(child, dir);
    const ended = new Promise((resolve) => child.once('close', resolve));
    try {
        await withLimit(untilReady(port, child), READY_MS, program);
        return await use(port);
    } finally {
        child.kill('SIGKILL');
        await ended;
        forget();
        removeDirectory(dir);
    }
}
