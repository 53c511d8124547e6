/**
 * Where a lane's mail goes now: plan (`routes`) and names (`mx`) made into a route of targets, kept as long as the DNS
 * answers are good.
 *
 * Promises
 *  - Identical lookups under way are one lookup. At most `LANES_REMEMBERED` answers are kept.
 *  - A site's key does not depend on the order of DNS answers, their addresses or our restarts: backoff stays with it.
 *  - Two targets have the same channel only if a connection to one is in every respect a connection to the other (server,
 *    TLS policy, credentials, source address, EHLO name). No channel key tells a secret.
 *
 * It must not: open connections, judge replies.
 */
import { createHash } from 'node:crypto';
import type { ChannelKey, Route, RouteAnswer, Target } from '../core/carrier.js';
import { type LaneKey, parseLane } from '../core/lane.js';
import type { Trouble } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import { type Ip, readIp, whyRefused } from './addresses.js';
import type { ChannelPolicy } from './contract.js';
import { type LookupOptions, type Survey, type SurveyOptions, surveyHost, surveyLiteral, surveyMx } from './mx.js';
import type { LanePlan, LanePolicy, Router } from './routes.js';

/** However short the TTL: a route is good for so long. */
export const SHORTEST_ROUTE_MS = 5_000;
/** However long: a change of servers is seen within the hour. */
export const LONGEST_ROUTE_MS = 60 * 60_000;
/** "There is none" is believed no longer than this. */
export const LONGEST_NONE_MS = 15 * 60_000;
/** Servers that one attempt may go through, so that it ends within minutes where all are silent. */
export const TARGETS = 12;
const LANES_REMEMBERED = 10_000;
/** As many as there may be lanes of which each logs in on its own. */
const POLICIES_REMEMBERED = LANES_REMEMBERED;

/** A target with what is needed to connect there. */
export class SiteTarget implements Target {
  readonly host: string;
  readonly address: string;
  readonly family: 4 | 6;
  readonly port: number;
  readonly preference: number;
  readonly channel: ChannelKey;
  readonly policy: ChannelPolicy;
  /** `192.0.2.1:25`, `[2001:db8::1]:25`: what the limit per server counts. */
  readonly server: string;

  constructor(host: string, ip: Ip, port: number, preference: number, policy: ChannelPolicy, policyNumber: number) {
    this.host = host;
    this.address = ip.text;
    this.family = ip.family;
    this.port = port;
    this.preference = preference;
    this.policy = policy;
    this.server = ip.family === 6 ? `[${ip.text}]:${port}` : `${ip.text}:${port}`;
    // Where the certificate is verified, it was verified for one name.
    const name = policy.tls === 'starttls' || policy.tls === 'implicit' ? `/${policy.tlsName}` : '';
    this.channel = `${this.server}${name}#${policyNumber}`;
  }
}

export class SiteRoute implements Route {
  readonly site: string;
  readonly targets: readonly SiteTarget[];
  readonly expiresAt: number;

  constructor(site: string, targets: readonly SiteTarget[], expiresAt: number) {
    this.site = site;
    this.targets = targets;
    this.expiresAt = expiresAt;
  }
}

export interface SitesOptions extends SurveyOptions {
  readonly router: Router;
  readonly clock: Clock;
  /** Local addresses to send from; where there are any, only servers of their families are used. */
  readonly sourceAddresses: readonly string[];
}

export class Sites {
  readonly #options: SitesOptions;
  readonly #sources: readonly Ip[];
  readonly #answers = new Map<LaneKey, { readonly answer: RouteAnswer; readonly until: number }>();
  readonly #underWay = new Map<LaneKey, Promise<RouteAnswer>>();
  /** Counts changes of the routes: an answer from before one is not remembered. */
  #edition = 0;
  /** Policies by their content, the last used at the end. One that was forgotten gets another number when it comes again. */
  readonly #policies = new Map<string, number>();
  #policyNumbers = 0;

  constructor(options: SitesOptions) {
    this.#options = options;
    this.#sources = options.sourceAddresses.map(readIp).filter((ip) => ip !== undefined);
  }

  /** Rejects only when `signal` aborts; the lookup itself goes on for the others who wait. */
  route(lane: LaneKey, signal: AbortSignal): Promise<RouteAnswer> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const known = this.#answers.get(lane);
    if (known !== undefined && known.until > this.#options.clock.now()) return Promise.resolve(known.answer);
    return abortable(this.#underWay.get(lane) ?? this.#resolve(lane), signal);
  }

  /** What the lane's name leads to, fit and unfit. `refresh` asks DNS anew and lets the next `route` see it. */
  survey(plan: Exclude<LanePlan, { kind: 'unknown' | 'sealed' }>, lookup: LookupOptions = {}): Promise<Survey> {
    switch (plan.kind) {
      case 'host':
        return surveyHost(plan.host, this.#options, lookup);
      case 'literal':
        return Promise.resolve(surveyLiteral(plan.address, this.#options));
      case 'mx':
        return surveyMx(plan.domain, this.#options, lookup);
    }
  }

  forget(lane: LaneKey): void {
    this.#answers.delete(lane);
  }

  /** The routes have changed: what is known, and what is being looked up, holds no more. */
  forgetAll(): void {
    this.#edition++;
    this.#answers.clear();
    this.#underWay.clear();
  }

  #resolve(lane: LaneKey): Promise<RouteAnswer> {
    const answer = this.#ask(lane).finally(() => {
      if (this.#underWay.get(lane) === answer) this.#underWay.delete(lane);
    });
    this.#underWay.set(lane, answer);
    return answer;
  }

  async #ask(lane: LaneKey): Promise<RouteAnswer> {
    const plan = this.#options.router.planOf(lane);
    if (plan.kind === 'unknown') return { kind: 'trouble', trouble: unknownLane(lane) };
    if (plan.kind === 'sealed') return { kind: 'trouble', trouble: sealedLane(lane) };
    const edition = this.#edition;
    const survey = await this.survey(plan);
    const now = this.#options.clock.now();
    if (survey.trouble !== undefined) {
      const answer: RouteAnswer = { kind: 'trouble', trouble: survey.trouble };
      // A lane that could not be looked up is left alone anyway; who asks again all the same knows something that we do not.
      if (survey.trouble.lasting === 'temporary') return answer;
      return this.#remember(lane, answer, now + clamp(survey.ttlMs, LONGEST_NONE_MS), edition);
    }
    const targets = this.#targets(lane, plan, survey);
    if (targets.length === 0) return { kind: 'trouble', trouble: noSource(survey) };
    const until = now + clamp(survey.ttlMs, LONGEST_ROUTE_MS);
    return this.#remember(lane, { kind: 'route', route: new SiteRoute(siteKey(lane, plan.port, survey), targets, until) }, until, edition);
  }

  #remember(lane: LaneKey, answer: RouteAnswer, until: number, edition: number): RouteAnswer {
    if (edition !== this.#edition) return answer;
    this.#answers.delete(lane);
    if (this.#answers.size >= LANES_REMEMBERED) this.#answers.delete(this.#answers.keys().next().value!);
    this.#answers.set(lane, { answer, until });
    return answer;
  }

  #targets(lane: LaneKey, plan: { readonly port: number; readonly policy: LanePolicy }, survey: Survey): SiteTarget[] {
    const targets: SiteTarget[] = [];
    for (const { host, preference, addresses } of survey.hosts) {
      for (const ip of addresses) {
        const source = this.#source(lane, plan.policy, ip);
        if (source === 'none') continue;
        const policy: ChannelPolicy = { ...plan.policy, tlsName: host, ...(source ? { localAddress: source } : {}) };
        targets.push(new SiteTarget(host, ip, plan.port, preference, policy, this.#policyNumber(policy)));
      }
    }
    return targets.slice(0, TARGETS);
  }

  /** A lane always sends from the same address: greylisting and reputation hang on it. */
  #source(lane: LaneKey, policy: LanePolicy, to: Ip): string | undefined | 'none' {
    if (policy.localAddress !== undefined) return readIp(policy.localAddress)?.family === to.family ? policy.localAddress : 'none';
    if (this.#sources.length === 0 || whyRefused(to) === 'loopback') return undefined;
    const fit = this.#sources.filter(({ family }) => family === to.family);
    return fit.length === 0 ? 'none' : fit[spread(lane) % fit.length]!.text;
  }

  #policyNumber(policy: ChannelPolicy): number {
    const { tls, ca, credentials, allowInsecureAuth, localAddress, heloName, timeoutMs } = policy;
    const { username, password } = credentials ?? {};
    const content = JSON.stringify([tls, ca, username, password, allowInsecureAuth, localAddress, heloName, timeoutMs]);
    const number = this.#policies.get(content) ?? ++this.#policyNumbers;
    this.#policies.delete(content);
    if (this.#policies.size >= POLICIES_REMEMBERED) this.#policies.delete(this.#policies.keys().next().value!);
    this.#policies.set(content, number);
    return number;
  }
}

/** By names, not by addresses, which large providers deal out differently each time. */
function siteKey(lane: LaneKey, port: number, survey: Survey): string {
  const parsed = parseLane(lane);
  if (parsed.kind === 'host') return lane;
  const hosts = survey.hosts.filter(({ addresses }) => addresses.length > 0).map(({ host }) => host);
  const names = [...new Set(hosts)].sort();
  const digest = createHash('sha256').update(JSON.stringify([names, port, parsed.digest ?? '']));
  return `site:${names[0]}:${port}:${digest.digest('hex').slice(0, 16)}`;
}

function clamp(ttlMs: number, longest: number): number {
  return Math.min(Math.max(ttlMs, SHORTEST_ROUTE_MS), longest);
}

/** FNV-1a, 32 bits. */
function spread(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

function unknownLane(lane: LaneKey): Trouble {
  const text = `no [[route]] leads to the lane ${lane} any more; its mail is to be routed anew`;
  return { lasting: 'temporary', stage: 'resolve', status: '4.4.4', text, reason: 'unknownLane' };
}

function sealedLane(lane: LaneKey): Trouble {
  const text = `the login for ${lane.slice('host:'.length, lane.lastIndexOf(':'))} that came with the message cannot be opened: spool.keyFile is not the key it was sealed with, or what was stored is damaged`;
  return { lasting: 'temporary', stage: 'resolve', status: '4.3.0', text, reason: 'sealed' };
}

function noSource(survey: Survey): Trouble {
  const family = survey.hosts.find(({ addresses }) => addresses.length > 0)!.addresses[0]!.family;
  const text = `the servers have IPv${family} addresses only, and no source address of that family is configured (sourceAddress, delivery.sourceAddresses)`;
  return { lasting: 'temporary', stage: 'resolve', status: '4.4.4', text, reason: 'noRoute' };
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
