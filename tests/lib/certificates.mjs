// Certificates for tests of TLS, made with the openssl command: an authority, and what it signs.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const openssl = (cwd, args) => execFileSync('openssl', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A directory of certificates; gone with the test run. */
export class Authority {
  constructor() {
    this.dir = mkdtempSync(path.join(tmpdir(), 'forkful-tls-'));
    process.on('exit', () => rmSync(this.dir, { recursive: true, force: true }));
    openssl(this.dir, ['req', '-x509', ...EC, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority']);
  }

  file(name) { return path.join(this.dir, name); }

  get ca() { return readFileSync(this.file('ca.pem'), 'utf8'); }

  /** One it has signed: { certificate, key } are paths, { cert, key_text } what stands in them. `days` below 0: it is over. */
  issue(name, { subject = `/CN=${name}`, days = 2, extensions = ['subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'] } = {}) {
    const [certificate, key, request] = ['pem', 'key', 'csr'].map((ending) => `${name}.${ending}`);
    openssl(this.dir, ['req', ...EC, '-keyout', key, '-out', request, '-subj', subject, ...extensions.flatMap((one) => ['-addext', one])]);
    openssl(this.dir, ['x509', '-req', '-in', request, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy', '-days', `${days}`, '-out', certificate]);
    return this.read(certificate, key);
  }

  /** One that nobody has signed. */
  lonely(name, subject = `/CN=${name}`) {
    openssl(this.dir, ['req', '-x509', ...EC, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', subject]);
    return this.read(`${name}.pem`, `${name}.key`);
  }

  read(certificate, key) {
    const [one, other] = [this.file(certificate), this.file(key)];
    return { certificate: one, key: other, cert: readFileSync(one, 'utf8'), key_text: readFileSync(other, 'utf8') };
  }
}

/** What a daemon is given to serve with TLS, and its clients to believe it. */
export function served(authority, server, { listen = ['tls:127.0.0.1:0'], args = [], ...more } = {}) {
  return { listen, tls: { ca: authority.ca }, args: ['--tls-certificate', server.certificate, '--tls-key', server.key, ...args], ...more };
}
