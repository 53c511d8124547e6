/**
 * Who comes through `control.http`. A request is let in when it was meant for us (its `Host`), no other web site had a browser
 * make it, and it proves that it may. There are no cookies: nothing that a browser adds by itself opens anything, so there is
 * nothing for another site, or another port of this host, to borrow.
 *
 * Promises: whoever is not let in learns why in plain words and nothing of mail. Must not: look at the verbs behind it.
 */
import type http from 'node:http';
import { BlockList, isIP } from 'node:net';
import { HttpError } from '../problem.js';
import type { Access, ControlRoute } from '../route.js';
import type { Keys } from './keys.js';
import type { Tries } from './tries.js';

export interface GateOptions {
  readonly keys: Keys;
  readonly tries: Tries;
  readonly trustLoopback: boolean;
  /** Lower case, without ports; addresses and `localhost` are always ours. */
  readonly names: readonly string[];
}

export interface Gate {
  /** Throws 421: the request was meant for another. */
  checkHost(request: http.IncomingMessage): void;
  /**
   * Throws 401, 403 or 429. `route`: what is asked for, where there is such a thing. Takes a ticket out of the request's query, so that
   * nobody behind the gate sees it.
   */
  admit(request: http.IncomingMessage, route: ControlRoute | undefined): Promise<Access>;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

export function isLoopbackAddress(address: string): boolean {
  return LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

type Caller = 'token' | 'session' | 'ticket' | 'loopback' | 'anybody';

export function createGate(options: GateOptions): Gate {
  const names = new Set(['localhost', ...options.names]);
  return {
    checkHost({ headers }) {
      const name = hostName(headers.host ?? '');
      if (names.has(name) || isIP(name) !== 0) return;
      const detail = `the agent is not called ${JSON.stringify(name.slice(0, 100))} here: control.hosts says by which names it is`;
      throw new HttpError(421, 'Misdirected request', detail, { connection: 'close' });
    },
    async admit(request, route) {
      const { pathname, ticket } = takeTicket(request);
      refuseOtherSites(request);
      const caller = route?.open ? 'anybody' : await callerOf(options, request, pathname, ticket);
      return {
        session() {
          if (caller === 'token' || caller === 'loopback') return options.keys.newSession();
          throw new HttpError(403, 'Not with a session', 'a new session is given for the token alone');
        },
        ticket: (path) => options.keys.newTicket(path),
      };
    },
  };
}

/** The name in a `Host` header, without port and brackets; lower case. */
function hostName(host: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host.trim()) ?? [];
  return (bracketed ?? plain ?? host).toLowerCase().replace(/\.$/, '');
}

/**
 * Browsers say in `Sec-Fetch-Site` who had them ask; older ones send `Origin` with what changes something. Programs send
 * neither. What a person typed in or followed from elsewhere comes as `none` or `cross-site`, and never needs to reach the API.
 */
function refuseOtherSites({ headers, method }: http.IncomingMessage): void {
  const site = headers['sec-fetch-site'];
  const { origin } = headers;
  const foreign =
    site === undefined
      ? method !== 'GET' && method !== 'HEAD' && origin !== undefined && hostOf(origin) !== headers.host
      : site !== 'same-origin' && site !== 'none';
  if (foreign) throw new HttpError(403, 'Not from other sites', 'another web site made this request', { connection: 'close' });
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function takeTicket(request: http.IncomingMessage): { pathname: string; ticket: string | undefined } {
  const url = request.url ?? '/';
  const [, pathname = '', ticket] = /^([^?]*)\?ticket=([^&]*)$/.exec(url) ?? [undefined, url.split('?', 1)[0]];
  if (ticket !== undefined) request.url = pathname;
  return { pathname, ticket };
}

async function callerOf(
  { keys, tries, trustLoopback }: GateOptions,
  request: http.IncomingMessage,
  pathname: string,
  ticket: string | undefined,
): Promise<Caller> {
  const address = request.socket.remoteAddress ?? '';
  const reading = request.method === 'GET' || request.method === 'HEAD';
  if (ticket !== undefined) {
    if (reading && keys.isTicket(ticket, pathname)) return 'ticket';
    throw unauthorised('this link has expired: open it again from the page');
  }
  const [, bearer] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? [];
  if (bearer !== undefined) {
    if (keys.isSession(bearer)) return 'session';
    // What has the shape of a session and is none has expired; nobody guesses those.
    if (await tries.judge(address, () => keys.isToken(bearer))) return 'token';
    throw unauthorised('the token is not the right one, or the session has ended');
  }
  if (trustLoopback && isLoopbackAddress(address) && !isPassedOn(request)) return 'loopback';
  throw unauthorised('this needs the token of control.token: Authorization: Bearer …');
}

/** A proxy on this machine speaks for callers who are not on it. */
function isPassedOn({ headers }: http.IncomingMessage): boolean {
  return ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'].some((name) => headers[name] !== undefined);
}

function unauthorised(detail: string): HttpError {
  return new HttpError(401, 'Not authorised', detail, { 'www-authenticate': 'Bearer realm="riata"', connection: 'close' });
}
