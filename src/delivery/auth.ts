/**
 * Logging in to a server (RFC 4954): PLAIN, else LOGIN. CRAM-MD5 is left out: it needs the password in the clear at the other
 * end, and protects nothing that TLS does not.
 *
 * Promises: a password is written only over TLS whose certificate was verified, to a loopback address, or where the operator
 * allowed it; it never gets into a trouble or a log. Every trouble is temporary and of the site.
 */
import type { Server, Trouble } from '../core/outcome.js';
import { faultTrouble, siteTrouble, verdict } from './classify.js';
import type { Credentials } from './contract.js';
import type { Wire } from './wire.js';

export interface LoginOptions {
  readonly credentials: Credentials;
  /** Mechanisms offered, upper case. */
  readonly mechanisms: readonly string[];
  readonly verifiedTls: boolean;
  readonly allowInsecureAuth: boolean;
  readonly server: Server;
  readonly timeoutMs: number;
}

/** Undefined: logged in. */
export async function login(wire: Wire, options: LoginOptions): Promise<Trouble | undefined> {
  const { credentials, server, mechanisms } = options;
  if (!options.verifiedTls && !options.allowInsecureAuth && !isLoopback(server.address)) {
    return ours(server, '4.7.11', 'not logged in: the password would travel without verified TLS (see allowInsecureAuth)');
  }
  const plain = mechanisms.includes('PLAIN');
  if (!plain && !mechanisms.includes('LOGIN')) {
    return ours(
      server,
      '4.7.9',
      `not logged in: the server offers ${mechanisms.length > 0 ? mechanisms.join(', ') : 'no login'}, and we know PLAIN and LOGIN`,
    );
  }
  const steps = plain
    ? [`AUTH PLAIN ${base64(`\0${credentials.username}\0${credentials.password}`)}`]
    : ['AUTH LOGIN', base64(credentials.username), base64(credentials.password)];
  for (const [index, line] of steps.entries()) {
    const answer = await wire.ask(`${line}\r\n`, options.timeoutMs);
    if (answer.kind === 'fault') return faultTrouble('auth', answer.fault, server);
    const { reply } = answer;
    const last = index === steps.length - 1;
    if (last ? verdict('auth', reply.code) === 'ok' : reply.code === 334) continue;
    switch (verdict('auth', reply.code)) {
      case 'permanent':
        return siteTrouble('auth', reply, server, 'auth');
      case 'temporary':
        return siteTrouble('auth', reply, server);
      default:
        return faultTrouble('auth', { reason: 'garbage', text: `unexpected answer to AUTH: ${reply.code}` }, server);
    }
  }
  return undefined;
}

/** 127.0.0.0/8, ::1, and the former as IPv6 writes it. */
export function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address) || address === '::1';
}

function ours(server: Server, status: string, text: string): Trouble {
  return { lasting: 'temporary', stage: 'auth', status, text, server, reason: 'auth' };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
