/**
 * Logging in to a server (RFC 4954): PLAIN, else LOGIN. CRAM-MD5 is left out: it needs the password in the clear at the other
 * end, and protects nothing that TLS does not.
 *
 * Promises: a password is written only over TLS whose certificate was verified, to a loopback address, or where the operator
 * allowed it; it never gets into a trouble or a log. Every trouble is temporary and of the site.
 */
import { isLoopback } from '../core/loopback.js';
import type { Reply, Server, Trouble } from '../core/outcome.js';
import { faultTrouble, siteTrouble, verdict } from './classify.js';
import type { Credentials } from './contract.js';
import type { Transcript } from './transcript.js';
import type { Wire } from './wire.js';

/** A shorter word may as well be one of the sentence, and is no secret. */
const SHORTEST_SECRET = 8;

export interface LoginOptions {
  readonly credentials: Credentials;
  /** Mechanisms offered, upper case. */
  readonly mechanisms: readonly string[];
  readonly verifiedTls: boolean;
  readonly allowInsecureAuth: boolean;
  readonly server: Server;
  readonly timeoutMs: number;
  readonly transcript: Transcript | undefined;
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
  const name = base64(credentials.username);
  const password = base64(credentials.password);
  const initial = base64(`\0${credentials.username}\0${credentials.password}`);
  return converse(
    wire,
    plain ? [{ command: 'AUTH PLAIN ', secret: initial }] : [{ command: 'AUTH LOGIN' }, { secret: name }, { secret: password }],
    // Some servers tell in their refusal what they were given.
    [credentials.password, name, password, initial].filter((word) => word.length >= SHORTEST_SECRET),
    options,
  );
}

interface Step {
  readonly command?: string;
  /** What follows it, and is not told. */
  readonly secret?: string;
}

async function converse(
  wire: Wire,
  steps: readonly Step[],
  secrets: readonly string[],
  options: LoginOptions,
): Promise<Trouble | undefined> {
  const { server, transcript } = options;
  for (const [index, { command = '', secret }] of steps.entries()) {
    transcript?.said(secret === undefined ? command : `${command}… (credentials)`);
    const answer = await wire.ask(`${command}${secret ?? ''}\r\n`, options.timeoutMs);
    if (answer.kind === 'fault') return faultTrouble('auth', answer.fault, server);
    const reply = without(secrets, answer.reply);
    transcript?.heard(reply);
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

function without(secrets: readonly string[], reply: Reply): Reply {
  const text = secrets.reduce((so, secret) => so.replaceAll(secret, '…'), reply.text);
  return text === reply.text ? reply : { ...reply, text };
}

function ours(server: Server, status: string, text: string): Trouble {
  return { lasting: 'temporary', stage: 'auth', status, text, server, reason: 'auth' };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
