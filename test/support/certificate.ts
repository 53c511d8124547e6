/** Certificates for tests: an authority of our own and a server certificate from it, made by the openssl command. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificate {
  /** The authority to trust, PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Valid from now for a day, or expired since yesterday. `names` may be host names and addresses. */
export function createCertificate(
  names: readonly string[] = ['localhost', '127.0.0.1', '::1'],
  options: { expired?: boolean } = {},
): TestCertificate {
  const folder = mkdtempSync(join(tmpdir(), 'riata-certificate-'));
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  try {
    const alternatives = names.map((name) => `${isIP(name) ? 'IP' : 'DNS'}:${name}`).join(',');
    writeFileSync(at('leaf.cnf'), `subjectAltName=${alternatives}\nbasicConstraints=CA:FALSE\n`);
    openssl('req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=Riata test authority');
    openssl('req', '-new', ...newKey, '-keyout', at('leaf.key'), '-out', at('leaf.csr'), '-subj', `/CN=${names[0]}`);
    const signed = [
      'x509',
      '-req',
      '-in',
      at('leaf.csr'),
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-out',
      at('leaf.pem'),
      '-extfile',
      at('leaf.cnf'),
    ];
    openssl(...signed, '-days', options.expired ? '-1' : '1');
    const [ca, cert, key] = ['ca.pem', 'leaf.pem', 'leaf.key'].map((name) => readFileSync(at(name), 'utf8')) as [string, string, string];
    return { ca, cert, key };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
