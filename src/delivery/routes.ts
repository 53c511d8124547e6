/**
 * Routes: which lane a recipient's mail waits in, and what a lane means today. Pure: rules in, keys and plans out.
 *
 * Promises
 *  - The first rule that matches both the recipient's domain and the envelope sender decides; none: the domain's MX.
 *  - The same rule gives the same lane after a restart, wherever it stands in the file. A lane's digest covers who logs
 *    in and how the server is spoken to, but no password and no default: a rotated password, or another host name of
 *    ours, reaches the mail that waits already. Two rules that differ in what the digest covers never share a lane.
 *  - A lane that no rule leads to any more is `unknown`, never guessed at: its mail is to be routed anew.
 *
 * It must not: resolve names, know connections, show a password.
 */
import { createHash } from 'node:crypto';
import { domainOf, literalAddress, normalizeDomain } from '../core/address.js';
import { type Issue, MtaError } from '../core/errors.js';
import { hostLane, type LaneKey, mxLane, parseLane } from '../core/lane.js';
import { isOwnLane, type OwnServer } from '../core/own-server.js';
import { readIp } from './addresses.js';
import type { ChannelPolicy, TlsMode } from './contract.js';

/** One `[[route]]`. An empty string is as good as nothing. */
export interface RouteRule {
  /** Of the recipient: `*`, `example.com`, `*.example.com` (every name below it, not itself), `[192.0.2.1]`. */
  readonly domain: string;
  /** The envelope sender: `*` (also the null sender), `<>` (only that), `user@example.com`, `example.com` or `@example.com`, `*.example.com`. Case is ignored. */
  readonly sender: string;
  /** A name or an address; its own MX is not looked up. `''`: straight to the MX of the domain. */
  readonly host: string;
  /** Default for a host: 465 with implicit TLS, else 587 with a username, else 25. For the MX: `mxPort`. */
  readonly port?: number;
  /** Default: `starttls` with a username, else the router's. */
  readonly tls?: TlsMode;
  readonly username?: string;
  readonly password?: string;
  /** Extra trusted roots, PEM. */
  readonly ca?: string;
  readonly allowInsecureAuth: boolean;
  readonly heloName?: string;
  /** Local address to send from: only servers of its family are used. */
  readonly sourceAddress?: string;
}

export interface RouterOptions {
  readonly routes: readonly RouteRule[];
  /** Where no rule says and nobody logs in. Default: `opportunistic`. */
  readonly defaultTls?: TlsMode;
  readonly heloName: string;
  /** Port of mail exchangers: 25, but for tests and the development network. */
  readonly mxPort?: number;
}

/** What is known of the servers that messages brought along. */
export type OwnServerOf = (lane: LaneKey) => OwnServer | undefined;

/** How a lane's servers are spoken to; the name to verify comes with the server. */
export type LanePolicy = Omit<ChannelPolicy, 'tlsName'>;

export type LanePlan =
  | { readonly kind: 'mx'; readonly domain: string; readonly port: number; readonly policy: LanePolicy }
  /** `user@[192.0.2.1]`. */
  | { readonly kind: 'literal'; readonly address: string; readonly port: number; readonly policy: LanePolicy }
  | { readonly kind: 'host'; readonly host: string; readonly port: number; readonly policy: LanePolicy }
  /** Its mail brought its server along, and what is stored about that cannot be opened. */
  | { readonly kind: 'sealed' }
  /** No rule leads here any more: the lane's deliveries must be given the lane of `laneOf`. */
  | { readonly kind: 'unknown' };

export interface Router {
  /** `recipient` and `sender` as accepted (domain in lower case A-labels). Throws a `RangeError` on a recipient without domain. */
  laneOf(recipient: string, sender: string): LaneKey;
  planOf(lane: LaneKey): LanePlan;
  /** The lane in words. */
  describe(lane: LaneKey): string;
  /** Reads other rules, and returns how to put them in force, all at once. Throws as `createRouter`, and has changed nothing then. */
  prepare(options: RouterOptions): () => void;
}

const MX_PORT = 25;
const SUBMISSION_PORT = 587;
const SUBMISSIONS_PORT = 465;
/** Domains whose lane is remembered. */
const DOMAINS_REMEMBERED = 10_000;

type Matcher = (value: string) => boolean;

/** A rule made ready. `sender` undefined: any. */
interface Compiled {
  readonly matchesDomain: Matcher;
  readonly matchesSender: Matcher | undefined;
  readonly host: string;
  readonly port: number;
  readonly digest: string;
  readonly policy: LanePolicy;
}

/** What a domain's lane hangs on: the rules that ask for a sender, in order, then what holds for all others. */
interface Choice {
  readonly bySender: readonly { readonly matches: Matcher; readonly lane: LaneKey }[];
  readonly otherwise: LaneKey;
}

/** Throws `INVALID_OPTIONS` that names every rule that cannot work. `ownServer`: asked for lanes whose mail brought its server along. */
export function createRouter(options: RouterOptions, ownServer: OwnServerOf = () => undefined): Router {
  return new RuleRouter(options, readRules(options), ownServer);
}

function readRules(options: RouterOptions): Compiled[] {
  const issues: Issue[] = [];
  const rules = options.routes.map((rule, place) => compile(rule, `route[${place}]`, options, issues));
  findContradictions(rules, issues);
  if (issues.length > 0)
    throw new MtaError('INVALID_OPTIONS', issues.map((issue) => `${issue.path}: ${issue.message}`).join('; '), { issues });
  return rules;
}

class RuleRouter implements Router {
  #rules: readonly Compiled[];
  readonly #byDomain = new Map<string, LaneKey | Choice>();
  #plain: { readonly port: number; readonly policy: LanePolicy };
  readonly #ownServer: OwnServerOf;

  constructor(options: RouterOptions, rules: readonly Compiled[], ownServer: OwnServerOf) {
    this.#rules = rules;
    this.#ownServer = ownServer;
    this.#plain = plain(options);
  }

  prepare(options: RouterOptions): () => void {
    const rules = readRules(options);
    return () => {
      this.#rules = rules;
      this.#plain = plain(options);
      this.#byDomain.clear();
    };
  }

  laneOf(recipient: string, sender: string): LaneKey {
    const domain = domainOf(recipient);
    const found = this.#byDomain.get(domain) ?? this.#remember(domain);
    if (typeof found === 'string') return found;
    const from = sender.toLowerCase();
    for (const { matches, lane } of found.bySender) if (matches(from)) return lane;
    return found.otherwise;
  }

  planOf(lane: LaneKey): LanePlan {
    const parsed = parseLane(lane);
    if (isOwnLane(lane)) return this.#ownPlan(lane);
    if (parsed.kind === 'host') {
      const rule = this.#rules.find(({ host, port, digest }) => host === parsed.host && port === parsed.port && digest === parsed.digest);
      return rule ? { kind: 'host', host: rule.host, port: rule.port, policy: rule.policy } : { kind: 'unknown' };
    }
    const { domain, digest = '' } = parsed;
    if (!this.#lanesFor(domain).includes(lane)) return { kind: 'unknown' };
    const { port, policy } = this.#rules.find((rule) => rule.digest === digest) ?? this.#plain;
    const address = literalAddress(domain);
    return address === undefined ? { kind: 'mx', domain, port, policy } : { kind: 'literal', address, port, policy };
  }

  #ownPlan(lane: LaneKey): LanePlan {
    const server = this.#ownServer(lane);
    if (server === undefined) return { kind: 'sealed' };
    const { host, port, tls, credentials, timeoutMs } = server;
    const { heloName } = this.#plain.policy;
    const policy: LanePolicy = {
      tls,
      allowInsecureAuth: false,
      heloName,
      ...(credentials === undefined ? {} : { credentials }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    return { kind: 'host', host, port, policy };
  }

  describe(lane: LaneKey): string {
    const parsed = parseLane(lane);
    if (parsed.kind === 'mx')
      return parsed.domain.startsWith('[') ? `the server at ${parsed.domain}` : `the mail servers of ${parsed.domain}`;
    const plan = this.planOf(lane);
    const server = lane.slice('host:'.length, lane.lastIndexOf(':'));
    if (plan.kind === 'sealed') return `${server} (its login cannot be opened)`;
    if (plan.kind !== 'host') return `${server} (no route leads there any more)`;
    return plan.policy.credentials ? `${server} as ${plan.policy.credentials.username}` : server;
  }

  /** Every lane that mail for the domain may wait in, whoever sends it. */
  #lanesFor(domain: string): readonly LaneKey[] {
    const found = this.#byDomain.get(domain) ?? this.#remember(domain);
    return typeof found === 'string' ? [found] : [...found.bySender.map(({ lane }) => lane), found.otherwise];
  }

  #remember(domain: string): LaneKey | Choice {
    if (domain === '') throw new RangeError('a recipient without a domain');
    const found = this.#choose(domain);
    if (this.#byDomain.size >= DOMAINS_REMEMBERED) this.#byDomain.delete(this.#byDomain.keys().next().value!);
    this.#byDomain.set(domain, found);
    return found;
  }

  #choose(domain: string): LaneKey | Choice {
    const bySender: { matches: Matcher; lane: LaneKey }[] = [];
    const end = (otherwise: LaneKey) => (bySender.length === 0 ? otherwise : { bySender, otherwise });
    for (const rule of this.#rules) {
      if (!rule.matchesDomain(domain)) continue;
      const lane = rule.host === '' ? mxLane(domain, rule.digest) : hostLane(rule.host, rule.port, rule.digest);
      if (rule.matchesSender === undefined) return end(lane);
      bySender.push({ matches: rule.matchesSender, lane });
    }
    return end(mxLane(domain));
  }
}

function plain({ defaultTls: tls = 'opportunistic', mxPort: port = MX_PORT, heloName }: RouterOptions): {
  readonly port: number;
  readonly policy: LanePolicy;
} {
  return { port, policy: { tls, allowInsecureAuth: false, heloName } };
}

// — reading rules —

function compile(rule: RouteRule, path: string, options: RouterOptions, issues: Issue[]): Compiled {
  const wrong = (key: string, message: string, code = 'INVALID_VALUE') => void issues.push({ path: `${path}.${key}`, code, message });
  const host = readHost(rule.host);
  if (host === undefined) wrong('host', `${quoted(rule.host)} is neither a host name nor an IP address`);
  const username = rule.username ?? '';
  if (username !== '' && rule.host === '') wrong('username', 'a login needs a host: nobody can log in at the mail servers of every domain');
  if ((username === '') !== ((rule.password ?? '') === '')) {
    const missing = username === '' ? 'username' : 'password';
    wrong(missing, 'username and password go together: give both or neither', 'MISSING_FIELD');
  }
  const tls = rule.tls ?? (username !== '' ? 'starttls' : (options.defaultTls ?? 'opportunistic'));
  const port = rule.port ?? defaultPort(rule, tls, options);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) wrong('port', 'a port is a whole number from 1 to 65535', 'OUT_OF_RANGE');
  const source = rule.sourceAddress ? readIp(rule.sourceAddress)?.text : '';
  if (source === undefined) wrong('sourceAddress', `${quoted(rule.sourceAddress)} is not an IP address`);
  const helo = rule.heloName ?? '';
  if (helo !== '' && !isHeloName(helo)) wrong('heloName', `${quoted(helo)} is neither a host name nor an address literal like [192.0.2.1]`);
  const matchesDomain = domainMatcher(rule.domain);
  if (!matchesDomain) wrong('domain', `${quoted(rule.domain)} is none of "*", "example.com", "*.example.com", "[192.0.2.1]"`);
  const sender = senderMatcher(rule.sender);
  if (!sender) wrong('sender', `${quoted(rule.sender)} is none of "*", "<>", "user@example.com", "example.com", "*.example.com"`);

  const policy: LanePolicy = {
    tls,
    allowInsecureAuth: rule.allowInsecureAuth,
    heloName: helo || options.heloName,
    ...(rule.ca ? { ca: rule.ca } : {}),
    ...(username !== '' ? { credentials: { username, password: rule.password ?? '' } } : {}),
    ...(source ? { localAddress: source } : {}),
  };
  return {
    matchesDomain: matchesDomain ?? (() => false),
    matchesSender: sender === 'any' ? undefined : sender,
    host: host ?? '',
    port,
    digest: host === '' ? mxDigest(rule, port, helo, source ?? '', options) : digestOf([username, tls, rule.ca ?? '', source ?? '', helo]),
    policy,
  };
}

/** Empty where the rule sets nothing of its own: then it is the lane that the domain would have without any rule. */
function mxDigest(rule: RouteRule, port: number, helo: string, source: string, options: RouterOptions): string {
  const ownPort = port === (options.mxPort ?? MX_PORT) ? '' : String(port);
  const parts = [ownPort, rule.tls ?? '', rule.ca ?? '', source, helo];
  return parts.every((part) => part === '') ? '' : digestOf(parts);
}

function digestOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

function defaultPort(rule: RouteRule, tls: TlsMode, options: RouterOptions): number {
  if (rule.host === '') return options.mxPort ?? MX_PORT;
  if (tls === 'implicit') return SUBMISSIONS_PORT;
  return rule.username ? SUBMISSION_PORT : MX_PORT;
}

/** Two rules of one lane that would log in differently: mail of one would leave by the other's word. */
function findContradictions(rules: readonly Compiled[], issues: Issue[]): void {
  const first = new Map<LaneKey, number>();
  rules.forEach((rule, place) => {
    if (rule.host === '') return;
    const lane = hostLane(rule.host, rule.port, rule.digest);
    const before = first.get(lane);
    if (before === undefined) {
      first.set(lane, place);
      return;
    }
    const { policy } = rules[before]!;
    const wrong = (key: string) =>
      issues.push({
        path: `route[${place}].${key}`,
        code: 'CONTRADICTION',
        message: `differs from route[${before}], which is the same server with the same username`,
      });
    if (policy.credentials?.password !== rule.policy.credentials?.password) wrong('password');
    if (policy.allowInsecureAuth !== rule.policy.allowInsecureAuth) wrong('allowInsecureAuth');
  });
}

function domainMatcher(pattern: string): Matcher | undefined {
  if (pattern === '*') return () => true;
  if (pattern.startsWith('[')) {
    const ip = readLiteral(pattern);
    return ip === undefined ? undefined : (domain) => domain.startsWith('[') && readLiteral(domain) === ip;
  }
  if (pattern.startsWith('*.')) {
    const parent = normalizeDomain(pattern.slice(2));
    return parent === undefined ? undefined : (domain) => domain.endsWith(`.${parent}`);
  }
  const exact = normalizeDomain(pattern);
  return exact === undefined ? undefined : (domain) => domain === exact;
}

/** The matcher gets the sender in lower case. */
function senderMatcher(pattern: string): Matcher | 'any' | undefined {
  if (pattern === '*') return 'any';
  if (pattern === '<>') return (sender) => sender === '';
  const at = pattern.lastIndexOf('@');
  const matches = domainMatcher(pattern.slice(at + 1));
  if (!matches || (at > 0 && pattern.slice(at + 1) === '*')) return undefined;
  if (at <= 0) return (sender) => sender !== '' && matches(domainOf(sender));
  const local = pattern.slice(0, at + 1).toLowerCase();
  return (sender) => sender.startsWith(local) && sender.lastIndexOf('@') === local.length - 1 && matches(domainOf(sender));
}

function readHost(host: string): string | undefined {
  if (host === '') return '';
  const ip = readIp(host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host);
  return ip ? ip.text : normalizeDomain(host.endsWith('.') ? host.slice(0, -1) : host);
}

function isHeloName(name: string): boolean {
  return (name.startsWith('[') ? readLiteral(name) : normalizeDomain(name)) !== undefined;
}

/** The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]`, in its one spelling. */
function readLiteral(literal: string): string | undefined {
  const match = /^\[(?:ipv6:)?([^\]]+)\]$/i.exec(literal);
  return match ? readIp(match[1]!)?.text : undefined;
}

function quoted(value: string | undefined): string {
  return JSON.stringify(value ?? '');
}
