/**
 * A whole agent in a made-up world: virtual time, a network without sockets, servers with faults, a DNS that changes, a disk that is
 * slow and may fail, a clock that is set, an operator, and a machine that is restarted, killed or loses power. Everything follows
 * from one number.
 */
import type { Mta } from '../../src/agent.js';
import { configFromOptions } from '../../src/config/load.js';
import type { MailEvent } from '../../src/core/event.js';
import { startMta } from '../../src/mta.js';
import type { Clock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import type { Random } from '../../src/platform/random.js';
import { MemoryDisk } from '../../src/spool/memory.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { createVirtualClock, settle, type VirtualClock } from '../support/virtual-clock.js';
import { handIn } from './client.js';
import { openSpool, type SimulatedSpool } from './disk.js';
import { createDns } from './dns.js';
import { drawMail } from './mail.js';
import { Network, type Uplink } from './network.js';
import { meddle } from './operator.js';
import { Server } from './server.js';
import { drawWeather, pick } from './weather.js';
import { Witness } from './witness.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const POLICY = { firstDelayMs: MINUTE, factor: 2, maxDelayMs: 10 * MINUTE, jitter: 0.1, delayNoticeMs: 12 * MINUTE };
const EXPIRY_MS = 80 * MINUTE;
const LIMITS = { connections: 3, messages: 7, all: 8 };
/** The longest that a conversation may hang, and a site be left alone after it. */
const HANGING_MS = 35 * MINUTE;
const DOMAINS = 8;
const SERVERS = 6;

/** One start of the agent. */
interface Life {
  readonly mta: Mta;
  readonly disk: MemoryDisk;
  readonly spool: SimulatedSpool;
  readonly uplink: Uplink;
  /** It has come to its end: nothing that still runs of it counts. */
  over: boolean;
}

/** How a life can end at a moment that is met in the course of things. */
const MOMENTS = ['dot', 'taken', 'answered', 'writing', 'written', 'event'] as const;
type Moment = (typeof MOMENTS)[number];

export class World {
  readonly witness: Witness;
  /** What happened, in a few words each: the same for the same seed. */
  readonly trace: string[] = [];
  readonly clock: VirtualClock = createVirtualClock(Date.UTC(2026, 0, 1), () => settle(1));
  readonly #random: Random;
  readonly #network: Network;
  readonly #dns: ReturnType<typeof createDns>;
  readonly #healsAt: number;
  readonly #hopelessDomains: ReadonlySet<string>;
  readonly #paused = new Set<string>();
  #disk = new MemoryDisk();
  #life: Life | undefined;
  #strike: { readonly moment: Moment; left: number; readonly powerLoss: boolean } | undefined;
  #restarts = 0;
  #setBackMs = 0;
  #setForwardMs = 0;
  #lastExpiry = 0;

  constructor(seed: number) {
    const random = createSeededRandom(seed);
    this.#random = random;
    this.witness = new Witness(() => this.clock.now(), POLICY);
    this.#healsAt = (30 + random.unit() * 50) * MINUTE;
    const servers = Array.from({ length: SERVERS }, (_, number) => this.#drawServer(number));
    const address = (number: number) => `10.0.0.${number + 1}`;
    this.#network = new Network(this.clock, new Map(servers.map((server, number) => [`${address(number)}:25`, server])), {
      opened: (server, there, all) => {
        if (there > LIMITS.connections || all > LIMITS.all) this.witness.violation(`${there} connections to ${server}, ${all} in all`);
      },
      wrote: (server, chunk) => {
        this.witness.wrote(chunk, this.clock.monotonic());
        if (this.#life?.spool.failing && /(?:^|\r\n)\.\r\n/.test(chunk.toString('latin1')))
          this.witness.violation(`a dot to ${server} while the disk fails`);
      },
    });
    const addresses = servers.map((server, number) => ({ host: server.options.habits.name, address: address(number) }));
    this.#dns = createDns({ random, clock: this.clock, servers: addresses, domains: domainNames(), healsAt: this.#healsAt });
    const unsafe = servers.some(({ options: { habits } }) => habits.tls !== 'trusted');
    this.#hopelessDomains = new Set(['gone.test', 'null.test', ...(unsafe ? ['secure.test'] : [])]);
  }

  /** From the first mail to the last. */
  async run(): Promise<void> {
    await this.#start();
    this.#plan();
    await this.clock.advance(this.#healsAt);
    this.#strike = undefined;
    // Whatever can be delivered is, once all is well, after the longest wait that was begun before.
    await this.clock.advance(this.#lastStart() + POLICY.maxDelayMs * 1.1 + HANGING_MS + this.#setBackMs - this.#healsAt);
    await this.#untilUp();
    await this.clock.advance(this.#lastExpiry + EXPIRY_MS + HANGING_MS - this.clock.now());
    const { mta, disk } = this.#life!;
    this.#judge(disk);
    if (mta.connections().size > 0) this.witness.violation('connections are left when all is done');
    if (this.clock.pending > 5) this.witness.violation(`${this.clock.pending} timers are left when all is done`);
    await this.#shut();
  }

  // — the made-up world —

  #drawServer(number: number): Server {
    const random = this.#random;
    const chance = (share: number) => random.unit() < share;
    const extensions = ['PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SMTPUTF8'].filter(() => chance(0.8));
    const trouble = pick(random, [0, 0.02, 0.02, 0.1, 0.3]);
    return new Server({
      clock: this.clock,
      limits: LIMITS,
      habits: {
        name: `mx${number}.test`,
        latencyMs: 1 + Math.floor(random.unit() * 80),
        extensions,
        old: chance(0.1),
        tls: pick(random, ['none', 'trusted', 'selfSigned', 'broken'] as const),
        mostConnections: chance(0.3) ? 1 + Math.floor(random.unit() * 2) : 100,
        mostRecipients: chance(0.3) ? 1 + Math.floor(random.unit() * 2) : 100,
        greylistMs: chance(0.25) ? 60_000 + random.unit() * 5 * MINUTE : 0,
      },
      weather: drawWeather(random, {
        now: () => this.clock.monotonic(),
        healsAt: this.#healsAt,
        spells: Math.floor(random.unit() * 5),
        share: trouble,
      }),
      watch: {
        dot: () => this.#meet('dot'),
        taken: (copy) => {
          this.trace.push(`${this.clock.monotonic()} ${copy.server} took ${copy.recipients.join()}`);
          this.witness.taken(copy);
          this.#meet('taken');
        },
        answered: (copy) => {
          this.witness.answered(copy);
          this.#meet('answered');
        },
        refused: (sender, recipient) => this.witness.refused(sender, recipient),
        violation: (text) => this.witness.violation(text),
      },
    });
  }

  /** All that will happen before everything heals. */
  #plan(): void {
    const random = this.#random;
    const chance = (share: number) => random.unit() < share;
    const some = (most: number, call: () => void) => {
      for (let left = Math.floor(random.unit() * (most + 1)); left > 0; left--) this.#at(random.unit() * this.#healsAt, call);
    };
    for (let number = 0; number < 40; number++) this.#at(random.unit() * this.#healsAt * 0.9, () => this.#submit(`m${number}`));
    // Some at the same time: there is an order to be kept, and few connections.
    for (let number = 40; number < 60; number++) this.#at(15 * MINUTE, () => this.#submit(`m${number}`));
    some(4, () => this.#meddle());
    if (chance(0.5)) some(3, () => void this.#restart());
    if (chance(0.6))
      some(4, () => (this.#strike = { moment: pick(random, MOMENTS), left: 1 + Math.floor(random.unit() * 5), powerLoss: chance(0.4) }));
    if (chance(0.3)) some(3, () => this.#setClock());
    if (chance(0.3)) some(2, () => this.#failDisk());
    some(1, () => this.#life?.mta.flush());
  }

  #at(monotonic: number, call: () => void): void {
    this.clock.after(monotonic - this.clock.monotonic(), call);
  }

  // — lives —

  async #start(): Promise<void> {
    const disk = this.#disk;
    const uplink = this.#network.uplink();
    let life: Life | undefined;
    const clock = mortal(this.clock, () => life?.over === true);
    const random = createSeededRandom(Math.floor(this.#random.unit() * 2 ** 31));
    const spool = await openSpool({
      clock,
      disk,
      latencyMs: () => 1 + Math.floor(random.unit() * 20),
      watch: {
        writing: () => this.#meet('writing', life),
        written: () => this.#meet('written', life),
        settled: (lease, settlement) => {
          if (life?.over !== true) this.witness.settled(lease, settlement);
        },
      },
    });
    const mta = await startMta(CONFIG, {
      clock,
      random,
      dialer: uplink,
      resolver: this.#dns,
      openSpool: async () => spool.spool,
      log: silentLog,
      onEvent: (event) => {
        if (life?.over !== true) this.#heard(event, life);
      },
    });
    life = { mta, disk, spool, uplink, over: false };
    this.#life = life;
  }

  #heard(event: MailEvent, life: Life | undefined): void {
    if ('sender' in event) this.trace.push(`${event.at} ${event.type} ${'recipient' in event ? event.recipient : event.sender}`);
    this.witness.heard(event);
    this.#meet('event', life);
  }

  #meet(moment: Moment, life = this.#life): void {
    const strike = this.#strike;
    if (strike?.moment !== moment || life === undefined || life !== this.#life || --strike.left > 0) return;
    this.#strike = undefined;
    this.#kill(strike.powerLoss);
  }

  /** In the midst of whatever it does. */
  #kill(powerLoss: boolean): void {
    const life = this.#life!;
    life.over = true;
    this.#life = undefined;
    this.trace.push(`${this.clock.monotonic()} killed${powerLoss ? ' by power' : ''}`);
    this.witness.died({ open: life.uplink.open, unwritten: life.spool.unwritten, journalLost: powerLoss });
    this.#disk = life.disk.remains({ notes: !powerLoss });
    life.uplink.cut();
    // What is outside of the simulation ends: housekeeping by the real clock.
    life.mta.close(AbortSignal.abort()).catch(() => {});
    this.#riseAgain();
  }

  async #restart(): Promise<void> {
    const life = this.#life;
    if (life === undefined || life.spool.failing) return;
    this.#restarts++;
    this.trace.push(`${this.clock.monotonic()} restart`);
    await life.mta.close();
    if (life.over) return;
    life.over = true;
    this.#life = undefined;
    life.uplink.cut();
    this.#riseAgain();
  }

  async #shut(): Promise<void> {
    const closed = this.#life!.mta.close();
    await this.clock.advance(MINUTE);
    await closed;
  }

  #riseAgain(): void {
    this.clock.after(this.#random.unit() * 5 * MINUTE, () => void this.#start());
  }

  async #untilUp(): Promise<void> {
    while (this.#life === undefined) await this.clock.advance(MINUTE);
  }

  // — what people do —

  #submit(key: string): void {
    if (this.#life === undefined) return;
    const { clock, witness } = this;
    const mail = drawMail(this.#random, key, { now: clock.now(), domains: domainNames(), expiryMs: EXPIRY_MS });
    this.#lastExpiry = Math.max(this.#lastExpiry, mail.expiresAt);
    handIn({ random: this.#random, clock, witness, running: () => this.#life }, mail);
  }

  #meddle(): void {
    const { clock, witness, trace } = this;
    void meddle({ random: this.#random, clock, witness, trace, paused: this.#paused, running: () => this.#life });
  }

  #setClock(): void {
    const step = Math.floor((this.#random.unit() - 0.5) * pick(this.#random, [10 * SECOND, 10 * MINUTE, HOUR]));
    this.trace.push(`${this.clock.monotonic()} clock set by ${step}`);
    this.clock.step(step);
    if (step < 0) this.#setBackMs -= step;
    else this.#setForwardMs += step;
    if (step < 0) this.witness.excuse(this.clock.monotonic() + HANGING_MS);
  }

  #failDisk(): void {
    const life = this.#life;
    if (life === undefined) return;
    this.trace.push(`${this.clock.monotonic()} the disk fails`);
    life.spool.fail(true);
    this.clock.after(this.#random.unit() * 3 * MINUTE, () => life.spool.fail(false));
  }

  // — judgement —

  #lastStart(): number {
    let last = this.#healsAt;
    const offset = this.clock.now() - this.clock.monotonic();
    for (const { notBefore } of this.witness.mails.values()) last = Math.max(last, notBefore - offset);
    return last;
  }

  #judge(disk: MemoryDisk): void {
    const calm = this.witness.counts.deaths + this.#restarts + this.#setBackMs + this.#setForwardMs === 0;
    const wellAt = this.clock.now() - this.clock.monotonic() + this.#healsAt + POLICY.maxDelayMs * 1.1 + HANGING_MS;
    this.witness.judge({
      disk,
      hopeless: (address) => /^(?:nobody|later)-/.test(address) || this.#hopelessDomains.has(address.slice(address.indexOf('@') + 1)),
      mustArrive: (mail) => mail.expiresAt - this.#setForwardMs > wellAt,
      lateMs: calm ? HANGING_MS : undefined,
    });
  }
}

function domainNames(): string[] {
  return [...Array.from({ length: DOMAINS }, (_, number) => `d${number}.test`), 'gone.test', 'null.test', 'secure.test'];
}

/** The same time, as long as somebody lives to see it. */
function mortal(clock: Clock, isOver: () => boolean): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (ms, call) =>
      clock.after(ms, () => {
        if (!isOver()) call();
      }),
  };
}

const { config: CONFIG } = configFromOptions(
  {
    hostname: 'riata.test',
    spool: { path: '/nowhere' },
    delivery: {
      allowPrivateAddresses: true,
      connectionsPerServer: LIMITS.connections,
      messagesPerConnection: LIMITS.messages,
      maxConnections: LIMITS.all,
    },
    retry: {
      firstDelay: POLICY.firstDelayMs,
      factor: POLICY.factor,
      maxDelay: POLICY.maxDelayMs,
      jitter: POLICY.jitter,
      expiry: EXPIRY_MS,
      delayNotice: POLICY.delayNoticeMs,
    },
    route: [{ domain: 'secure.test', tls: 'starttls' }],
  },
  { machineName: 'riata.test' },
);
