/**
 * One connection to one server for whoever wants to hold it: the client that delivery uses, without pool, routes and queue. Its opening, its
 * transactions and its wire are those of a session.
 *
 *   openClient ──► idle ⇄ command, or sending ──► closed
 *
 * Promises: one thing at a time, in the order of the calls. Remote trouble is a value. Must not: retry, keep anything of a message.
 */
import type { Job } from '../core/carrier.js';
import type { Delivery } from '../core/delivery.js';
import type { Body, Message } from '../core/message.js';
import type { RecipientOutcome, Trouble } from '../core/outcome.js';
import type { OwnServer } from '../core/own-server.js';
import type { Clock } from '../platform/clock.js';
import type { Dialer } from '../platform/dialer.js';
import type { Log } from '../platform/log.js';
import type { Random } from '../platform/random.js';
import type { Resolver } from '../platform/resolver.js';
import { readIp } from './addresses.js';
import type { ChannelPolicy, SessionWork, Timeouts } from './contract.js';
import { surveyHost } from './mx.js';
import { type ClientSession, openClientSession } from './session.js';
import { SiteTarget } from './sites.js';
import { combineTroubles, type Tried } from './tried.js';
import type { Answer } from './wire.js';

export interface ClientOptions {
  readonly server: OwnServer;
  readonly heloName: string;
  /** Local address to bind: only servers of its family are used. */
  readonly localAddress?: string;
  readonly timeouts: Timeouts;
}

export interface ClientWorld {
  readonly resolver: Pick<Resolver, 'hostAddresses' | 'mx' | 'addresses'>;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface Client {
  /** `host[address]:port`. */
  readonly server: string;
  readonly tls: string | undefined;
  /** One command, without its line end, and the answer. */
  command(line: string, timeoutMs: number): Promise<Answer>;
  /** An outcome for each recipient, in order. */
  send(message: Message, recipients: readonly string[], body: Body): Promise<readonly RecipientOutcome[]>;
  close(): Promise<void>;
  /** Ends at once: whatever waits is told of a connection that is lost. */
  destroy(): void;
}

/** Recipients in one transaction: what every server must take (RFC 5321 §4.5.3.1.8). */
const RECIPIENTS_PER_TRANSACTION = 100;

/** Goes through the addresses of the server until one takes the connection. */
export async function openClient(
  { server, heloName, localAddress, timeouts }: ClientOptions,
  world: ClientWorld,
  signal: AbortSignal,
): Promise<Client | Trouble> {
  const { resolver, random } = world;
  const survey = await surveyHost(server.host, { resolver, random, ownNames: [], allowPrivateAddresses: true }, { signal });
  if (survey.trouble) return survey.trouble;
  const family = localAddress === undefined ? undefined : readIp(localAddress)?.family;
  const policy: ChannelPolicy = {
    tls: server.tls,
    tlsName: server.host,
    allowInsecureAuth: false,
    heloName,
    ...(server.credentials === undefined ? {} : { credentials: server.credentials }),
    ...(localAddress === undefined ? {} : { localAddress }),
  };
  const tried: Tried[] = [];
  for (const { host, addresses } of survey.hosts) {
    for (const ip of addresses) {
      if (family !== undefined && ip.family !== family) continue;
      const target = new SiteTarget(host, ip, server.port, 0, policy, 1);
      const common = { ...world, timeouts, policy, transcripts: 'all', connection: 1 } as const;
      const limits = { maxMessages: Number.POSITIVE_INFINITY, maxRecipients: RECIPIENTS_PER_TRANSACTION };
      const opened = await openClientSession({ ...common, ...limits, target: { host, address: ip.text, port: server.port } }, signal);
      if (opened.kind === 'open') return new SessionClient(opened.session, `${host}[${ip.text}]:${server.port}`);
      tried.push({ target, trouble: opened.trouble, transcript: opened.transcript ?? '', crowded: false });
    }
  }
  return tried.length > 0 ? combineTroubles(tried) : noFamily(server.host);
}

function noFamily(host: string): Trouble {
  const text = `${host} has no address of the family of clientIp`;
  return { lasting: 'temporary', stage: 'resolve', status: '4.4.4', text, reason: 'noRoute' };
}

class SessionClient implements Client {
  readonly server: string;
  readonly #session: ClientSession;
  #last: Promise<unknown> = Promise.resolve();

  constructor(session: ClientSession, server: string) {
    this.#session = session;
    this.server = server;
  }

  get tls(): string | undefined {
    return this.#session.tls;
  }

  command(line: string, timeoutMs: number): Promise<Answer> {
    return this.#next(() => this.#session.command(`${line}\r\n`, timeoutMs));
  }

  send(message: Message, recipients: readonly string[], body: Body): Promise<readonly RecipientOutcome[]> {
    return this.#next(() => this.#send(message, recipients, body));
  }

  close(): Promise<void> {
    return this.#next(() => this.#session.quit());
  }

  destroy(): void {
    this.#session.destroy();
  }

  #next<T>(what: () => Promise<T>): Promise<T> {
    const done = this.#last.then(what);
    this.#last = done.catch(() => {});
    return done;
  }

  async #send(message: Message, recipients: readonly string[], body: Body): Promise<readonly RecipientOutcome[]> {
    const work = new OneMessage(message, recipients, body);
    const end = await this.#session.run(work);
    if (end.kind === 'broken') work.broke(end.trouble);
    return work.outcomes;
  }
}

/** The source of work for one message: in as many transactions as it needs. */
class OneMessage implements SessionWork {
  readonly #delivery: Delivery;
  readonly #body: Body;
  readonly #outcomes: (RecipientOutcome | undefined)[];
  /** Places of those who are to be named in the next transaction. */
  #left: readonly number[];
  /** A transaction is under way; with pipelining it is asked for the next one already. */
  #out = false;

  constructor(message: Message, recipients: readonly string[], body: Body) {
    this.#body = body;
    this.#outcomes = recipients.map(() => undefined);
    this.#left = [...recipients.keys()];
    this.#delivery = {
      key: `${message.id}.0`,
      message,
      lane: 'mx:client',
      priority: 'medium',
      recipients: recipients.map((address) => ({ address, state: 'queued' })),
      attempts: 0,
      log: [],
      delayNoticed: false,
      held: false,
      due: 0,
    };
  }

  get outcomes(): readonly RecipientOutcome[] {
    return this.#outcomes.map((outcome) => outcome ?? UNTOLD);
  }

  next(): Job | undefined {
    const places = this.#left;
    if (places.length === 0 || this.#out) return undefined;
    this.#out = true;
    const { recipients } = this.#delivery;
    const named = places.map((place) => recipients[place]!.address);
    return { delivery: this.#delivery, recipients: named, bytes: undefined, body: async () => this.#body };
  }

  done(_job: Job, result: Parameters<SessionWork['done']>[1]): void {
    this.#out = false;
    const places = this.#left;
    const got = result.outcomes.some(({ kind }) => kind === 'delivered' || kind === 'failed');
    const rest: number[] = [];
    for (const [index, place] of places.entries()) {
      const outcome = result.outcomes[index]!;
      if (outcome.kind === 'again' && got) rest.push(place);
      else this.#outcomes[place] = outcome.kind === 'again' ? UNTOLD : outcome;
    }
    this.#left = rest;
  }

  untried(): void {}

  unreadable(_job: Job, error: Error): void {
    this.broke({
      lasting: 'temporary',
      stage: 'local',
      status: '4.3.0',
      text: `the message cannot be read: ${error.message}`,
      reason: 'local',
    });
  }

  mayFinish(): true {
    return true;
  }

  /** Those who have no outcome have this one. */
  broke(trouble: Trouble): void {
    for (const place of this.#left) this.#outcomes[place] ??= { kind: 'deferred', trouble };
    this.#left = [];
  }
}

const UNTOLD: RecipientOutcome = {
  kind: 'deferred',
  trouble: { lasting: 'temporary', stage: 'rcpt', status: '4.5.3', text: 'the server took no more recipients', reason: 'crowded' },
};
