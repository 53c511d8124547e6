/** The server that a message brings along, as options: `host port username password timeout ssl`, which stand together or not at all. */
import { isIP, isIPv6 } from 'node:net';
import { type Issues, put, string } from '../compose/checks.js';
import { normalizeDomain } from '../core/address.js';
import type { OwnServer } from '../core/own-server.js';

export const SERVER_OPTIONS = ['host', 'port', 'username', 'password', 'timeout', 'ssl'] as const;

const PORT = 25;
const TLS_PORT = 465;
/** A day: longer than any server waits. */
const LONGEST_TIMEOUT = 86_400;
/** Octets of each: RFC 4616 §2 allows 255 characters of a name; some tokens that stand in for passwords are longer. */
const LONGEST_CREDENTIAL = 4096;

type Given = Readonly<Record<string, unknown>>;

/**
 * No server where none is given. Puts an issue for all that is wrong. No issue repeats a value. `immediate`: `timeout` may stand alone, for
 * it says as well how long a place is waited for.
 */
export function readOwnServer(
  given: Given,
  issues: Issues,
  immediate: boolean,
): { readonly server?: OwnServer; readonly timeoutMs?: number } {
  const timeoutMs = given['timeout'] === undefined ? undefined : readTimeout(given['timeout'], issues);
  const waits = immediate && timeoutMs !== undefined ? { timeoutMs } : {};
  const named = SERVER_OPTIONS.some((name) => given[name] !== undefined && !(immediate && name === 'timeout'));
  const server = named ? readServer(given, timeoutMs, issues) : undefined;
  return server === undefined ? waits : { server, ...waits };
}

function readServer(given: Given, timeoutMs: number | undefined, issues: Issues): OwnServer | undefined {
  const before = issues.length;
  const tls = readTls(given['ssl'], issues);
  const host = readHost(given['host'], issues);
  const port = given['port'] === undefined ? undefined : readPort(given['port'], issues);
  const credentials = readCredentials(given, issues);
  if (host === undefined || tls === undefined || issues.length > before) return undefined;
  return {
    host,
    port: port ?? (tls === 'implicit' ? TLS_PORT : PORT),
    tls,
    ...(credentials === undefined ? {} : { credentials }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

function readTls(value: unknown, issues: Issues): OwnServer['tls'] | undefined {
  if (value === undefined || value === false) return 'opportunistic';
  if (value === true) return 'implicit';
  if (value === 'starttls') return 'starttls';
  return put(issues, 'ssl', 'INVALID_VALUE', "must be true, false or 'starttls'");
}

/** A name in lower case A-labels, or an address without brackets. */
export function readHost(value: unknown, issues: Issues): string | undefined {
  if (value === undefined) return put(issues, 'host', 'MISSING_FIELD', 'is missing: the server that the other options are about');
  const text = string(value, 'host', issues);
  if (text === undefined) return undefined;
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (bare === text ? isIP(text) : isIPv6(bare)) return bare.toLowerCase();
  const name = normalizeDomain(text.endsWith('.') ? text.slice(0, -1) : text);
  return name ?? put(issues, 'host', 'INVALID_VALUE', 'is neither a host name nor an IP address');
}

export function readPort(value: unknown, issues: Issues): number | undefined {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  return put(issues, 'port', 'OUT_OF_RANGE', 'must be a whole number from 1 to 65535');
}

/** Milliseconds. */
export function readTimeout(value: unknown, issues: Issues): number | undefined {
  if (typeof value === 'number' && value > 0 && value <= LONGEST_TIMEOUT) return Math.ceil(value * 1000);
  return put(issues, 'timeout', 'OUT_OF_RANGE', `must be a number of seconds above 0, ${LONGEST_TIMEOUT} at most`);
}

/** One without the other is a slip that would send mail without a login. */
export function readCredentials(given: Given, issues: Issues): OwnServer['credentials'] | undefined {
  const read = (name: 'username' | 'password') => (given[name] === undefined ? undefined : readCredential(given[name], name, issues));
  const username = read('username');
  const password = read('password');
  if (given['username'] !== undefined && given['password'] === undefined)
    return put(issues, 'password', 'MISSING_FIELD', 'is missing: username and password go together');
  if (given['password'] !== undefined && given['username'] === undefined)
    return put(issues, 'username', 'MISSING_FIELD', 'is missing: username and password go together');
  return username === undefined || password === undefined ? undefined : { username, password };
}

function readCredential(value: unknown, name: string, issues: Issues): string | undefined {
  const text = string(value, name, issues);
  if (text === undefined) return undefined;
  // NUL separates name and password in AUTH PLAIN (RFC 4616).
  if (text !== '' && !text.includes('\0') && Buffer.byteLength(text) <= LONGEST_CREDENTIAL) return text;
  return put(issues, name, 'INVALID_VALUE', `must not be empty, hold no NUL, and be no longer than ${LONGEST_CREDENTIAL} octets`);
}
