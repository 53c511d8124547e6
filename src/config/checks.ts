/**
 * What no option can be judged for alone: settings that contradict each other, or that are allowed and rarely meant.
 * Where one of them is wrong by itself, nothing more is said about the pair.
 */
import { isIP } from 'node:net';
import { showHostPort } from './addresses.js';
import type { Config, RouteConfig } from './config.js';
import type { Ledger } from './ledger.js';

export function checkConfig(config: Config, ledger: Ledger): void {
  checkCertificates(config, ledger);
  checkListeners(config, ledger);
  checkTrust(config, ledger);
  checkLogin(config, ledger);
  checkControl(config, ledger);
  checkPlainHttp(config, ledger);
  checkFreeSpace(config, ledger);
  checkRetry(config, ledger);
  config.route.forEach((route, i) => checkRoute(route, `route[${i}]`, ledger));
  checkOrder(config.route, ledger);
}

/** Reports `path` as what is missing beside `other`, which is set. */
function missing(ledger: Ledger, path: string, other: string): void {
  if (!ledger.sound(path) || !ledger.sound(other)) return;
  ledger.wrong(path, 'MISSING_FIELD', ledger.sources.get(other), `${other} is of no use without ${path}`);
}

function conflict(ledger: Ledger, path: string, message: string): void {
  if (ledger.sound(path)) ledger.wrong(path, 'CONFLICT', ledger.sources.get(path), message);
}

function checkCertificates({ submission, control }: Config, ledger: Ledger): void {
  for (const [path, { certFile, keyFile }] of [
    ['submission.tls', submission.tls],
    ['control.tls', control.tls],
  ] as const) {
    if (certFile !== '' && keyFile === '') missing(ledger, `${path}.keyFile`, `${path}.certFile`);
    if (certFile === '' && keyFile !== '') missing(ledger, `${path}.certFile`, `${path}.keyFile`);
  }
  const { certFile, keyFile } = submission.tls;
  if (certFile + keyFile === '' && submission.listenTls.length > 0) missing(ledger, 'submission.tls.certFile', 'submission.listenTls');
}

function checkListeners({ submission }: Config, ledger: Ledger): void {
  const seen = new Set<string>();
  for (const [path, addresses] of [
    ['submission.listen', submission.listen],
    ['submission.listenTls', submission.listenTls],
  ] as const) {
    for (const address of addresses) {
      const shown = showHostPort(address);
      if (address.port !== 0 && seen.has(shown)) conflict(ledger, path, `${path} names ${shown}, which is listened on already`);
      seen.add(shown);
    }
  }
}

/** The store writes out what it holds in memory when it is opened again: twice its write buffer. */
const ROOM_TO_REOPEN = 32 * 2 ** 20;

function checkFreeSpace({ spool }: Config, ledger: Ledger): void {
  const path = 'spool.minFreeSpace';
  if (!ledger.sound(path) || spool.minFreeSpace >= ROOM_TO_REOPEN) return;
  ledger.warn(
    path,
    'TOO_SMALL',
    `${path} is less than 32MiB: on a full disk the store may lack the room to open again, and mail that is queued waits until space is made`,
  );
}

function checkTrust({ submission }: Config, ledger: Ledger): void {
  const path = 'submission.trustedNetworks';
  const everybody = submission.trustedNetworks.filter((network) => network.endsWith('/0'));
  if (everybody.length === 0) return;
  ledger.warn(
    path,
    'OPEN_RELAY',
    `${path} has ${everybody.join(' and ')}: whoever can reach a port of this agent can send mail to anybody through it`,
  );
}

function checkLogin({ submission }: Config, ledger: Ledger): void {
  const { usersFile, tls, listen } = submission;
  const path = 'submission.usersFile';
  if (usersFile === '' || tls.certFile !== '' || !ledger.sound('submission.tls.certFile')) return;
  const far = listen.filter(({ host }) => !isLoopback(host)).map(showHostPort);
  if (far.length === 0) return;
  ledger.warn(
    path,
    'NO_LOGIN',
    `${path} is of no use on ${far.join(', ')} without a certificate: passwords are taken over TLS only; set submission.tls.certFile and keyFile`,
  );
}

/** Without a token nobody but this machine may be let in, and that only where it was said. */
function checkControl({ control }: Config, ledger: Ledger): void {
  const { http, token, trustLoopback } = control;
  const sound = ['control.http', 'control.token', 'control.trustLoopback'].every((path) => ledger.sound(path));
  if (!sound || http.length === 0 || token !== '') return;
  const far = http.filter(({ host }) => !isLoopback(host)).map(showHostPort);
  if (trustLoopback && far.length === 0) return;
  const ways = far.length === 0 ? 'set one, or control.trustLoopback = true on a machine of your own' : 'set one';
  const who = far.length === 0 ? 'every user of this machine' : `everybody who can reach ${far.join(', ')}`;
  ledger.wrong(
    'control.token',
    'MISSING_FIELD',
    ledger.sources.get('control.http'),
    `control.http without control.token (or tokenFile) would show the queue to ${who}: ${ways}`,
  );
}

/** A token over a network in the clear is whoever's who listens there. */
function checkPlainHttp({ control }: Config, ledger: Ledger): void {
  const { http, tls, plainHttp, token } = control;
  if (plainHttp === 'allow' || tls.certFile !== '' || token === '' || !ledger.sound('control.http')) return;
  const far = http.filter(({ host }) => !isLoopback(host)).map(showHostPort);
  if (far.length === 0) return;
  const message =
    `control.http serves ${far.join(', ')} without TLS: control.token, and mail, cross the network in plain text. ` +
    'Set control.tls.certFile and keyFile, or control.plainHttp = "allow" where a proxy or the network itself sees to it';
  if (plainHttp === 'refuse') conflict(ledger, 'control.http', message);
  else ledger.warn('control.http', 'PLAIN_TEXT', message);
}

function checkRetry({ retry }: Config, ledger: Ledger): void {
  if (retry.firstDelay <= retry.maxDelay) return;
  const path = ledger.sources.has('retry.maxDelay') ? 'retry.maxDelay' : 'retry.firstDelay';
  if (ledger.sound('retry.firstDelay')) conflict(ledger, path, 'retry.firstDelay is longer than retry.maxDelay');
}

const ONLY_WITH_HOST = ['username', 'password', 'allowInsecureAuth'] as const;

function checkRoute(route: RouteConfig, at: string, ledger: Ledger): void {
  if (route.host === '') {
    // Told already: the host could not be read, or the relay of the environment has none.
    if (!ledger.sound(`${at}.host`)) return;
    const name = ONLY_WITH_HOST.find((each) => ledger.sources.has(`${at}.${each}`));
    if (name !== undefined) missing(ledger, `${at}.host`, `${at}.${name}`);
    return;
  }
  if (route.username !== '' && route.password === '') missing(ledger, `${at}.password`, `${at}.username`);
  if (route.username === '' && route.password !== '') missing(ledger, `${at}.username`, `${at}.password`);
  const unverified = route.tls === 'off' || route.tls === 'opportunistic';
  if (route.username !== '' && unverified && !route.allowInsecureAuth && !isLoopback(route.host)) {
    const ways = 'use tls = "starttls" or "implicit", or allow it with allowInsecureAuth = true';
    ledger.warn(
      `${at}.tls`,
      'NO_LOGIN',
      `tls = "${route.tls}" verifies no certificate, so ${route.host} gets no password and no mail, unless it is on this machine: ${ways}`,
    );
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** A route behind one that takes everything it would take. */
function checkOrder(routes: readonly RouteConfig[], ledger: Ledger): void {
  const first = routes.findIndex((route) => route.domain === '*' && route.sender === '*');
  if (first < 0 || first === routes.length - 1) return;
  ledger.warn(
    `route[${first + 1}].host`,
    'NEVER_USED',
    `route[${first}] takes mail for all domains and senders, so nothing behind it is ever used`,
  );
}
