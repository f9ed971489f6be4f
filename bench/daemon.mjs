// A forkful daemon of the benchmark's own: started on a free port with a state directory of its
// own, asked over HTTP, stopped and removed. A section that needs a clean database starts another.
//
// Daemons are led in a process group each, so that an interrupted benchmark can end what it has
// started, and only that. Everything waits with a limit and fails with a sentence.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

const START_MS = 10_000, ANSWER_MS = 60_000, STOP_MS = 30_000;
const running = new Set(); // {child, dir}: daemons, and what killAtExit was told

export function withLimit(promise, ms, what) {
    let timer;
    const limit = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing for ${ms / 1000} s`)), ms);
    });
    return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

export const makeDirectory = () => fs.mkdtempSync(path.join(os.tmpdir(), 'forkful-bench-'));
export const removeDirectory = (dir) => fs.rmSync(dir, { recursive: true, force: true });

function firstLine(child) {
    return new Promise((resolve, reject) => {
        readline.createInterface({ input: child.stdout }).once('line', resolve);
        child.once('exit', (code, signal) =>
            reject(new Error(`forkful serve ended at once: ${signal ?? code}`)));
        child.once('error', reject);
    });
}

function killGroup(child) {
    try {
        process.kill(-child.pid, 'SIGKILL');
    } catch {
        // it has already ended
    }
}

/** Ends every daemon that is still there, without waiting; for the way out after a failure. */
export function killAll() {
    for (const daemon of running) {
        killGroup(daemon.child);
        removeDirectory(daemon.dir);
    }
    running.clear();
}

/** For a program that is no daemon of ours but must not stay behind either; leads its process group. */
export function killAtExit(child, dir) {
    const entry = { child, dir };
    running.add(entry);
    return () => running.delete(entry);
}

export class Daemon {
    static async start(binary) {
        const daemon = new Daemon();
        daemon.dir = makeDirectory();
        daemon.child = spawn(binary, ['serve', '--listen', '127.0.0.1:0', '--state-dir', daemon.dir],
            { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
        running.add(daemon);
        const line = await withLimit(firstLine(daemon.child), START_MS, 'forkful serve');
        daemon.child.stdout.resume();
        const url = JSON.parse(line).listening.find((address) => address.startsWith('http:'));
        daemon.port = Number(new URL(url).port);
        daemon.token = fs.readFileSync(path.join(daemon.dir, 'token'), 'utf8').trim();
        daemon.agent = new http.Agent({ keepAlive: true });
        const system = await daemon.call('GET', '/v1/system');
        daemon.pids = { keeper: system.keeper_pid, server: system.server_pid };
        if (!daemon.pids.keeper || !daemon.pids.server)
            throw new Error('GET /v1/system does not tell keeper_pid and server_pid');
        return daemon;
    }

    get socket() {
        return path.join(this.dir, 'forkful.sock');
    }

    /** What the C programs find in their environment. */
    get env() {
        return { ...process.env, FORKFUL_TOKEN: this.token };
    }

    /** The response as a stream, once its status is known to be 2xx. */
    open(method, target, body, headers = {}) {
        return new Promise((resolve, reject) => {
            const request = http.request({
                host: '127.0.0.1', port: this.port, agent: this.agent, method, path: target,
                timeout: ANSWER_MS,
                headers: { authorization: `Bearer ${this.token}`, ...headers,
                    ...(body && { 'content-type': 'application/json' }) },
            }, (response) => {
                if (response.statusCode < 300)
                    return resolve(response);
                response.resume();
                reject(new Error(`${method} ${target}: status ${response.statusCode}`));
            });
            request.once('timeout', () => request.destroy(new Error(`${method} ${target}: no answer`)));
            request.once('error', reject);
            request.end(body);
        });
    }

    async callText(method, target, body) {
        const response = await this.open(method, target, body && JSON.stringify(body));
        let text = '';
        response.setEncoding('utf8');
        for await (const piece of response)
            text += piece;
        return text;
    }

    async call(method, target, body) {
        const text = await this.callText(method, target, body);
        return text === '' ? null : JSON.parse(text);
    }

    /** SIGTERM, and the directory goes. A daemon that does not end with 0 is a failure. */
    async stop() {
        const ended = new Promise((resolve) => this.child.once('exit', (...how) => resolve(how)));
        this.agent.destroy();
        if (this.child.exitCode !== null || this.child.signalCode !== null)
            throw new Error(`forkful ended on its own: ${this.child.signalCode ?? this.child.exitCode}`);
        this.child.kill('SIGTERM');
        const [code, signal] = await withLimit(ended, STOP_MS, 'stopping forkful');
        running.delete(this);
        removeDirectory(this.dir);
        if (code !== 0)
            throw new Error(`forkful serve ended with ${signal ?? code} after SIGTERM`);
    }
}

/** Starts a daemon, lets `use` work with it, stops it. */
export async function withDaemon(binary, use) {
    const daemon = await Daemon.start(binary);
    const result = await use(daemon);
    await daemon.stop();
    return result;
}
