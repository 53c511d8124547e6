/**
 * `riata/testing`: an agent for tests of programs that send mail. It is the agent itself, on a spool in memory, in a world without a
 * network, where time passes when the test says so.
 *
 *   const mta = await createTestMta();
 *   mta.fate('joe@example.net', '450 4.2.1 Come back later', 'accept');
 *   await mta.send({ from, to: 'joe@example.net', subject, body });
 *   await mta.advance('10m');
 *   mta.outbox[0].header('Subject');
 *
 * Promises
 *  - Nothing outside of the process is touched but files that are attached.
 *  - Composing, queueing, routing, SMTP, retries, expiry and bounces are those of `createMta`.
 *  - What has had the time to happen has happened when `advance`, `settle` or `idle` resolves.
 */
import { openAgent } from '../api/agent.js';
import type { MailAgent } from '../api/mail-agent.js';
import type { MtaOptions } from '../api/options.js';
import { readSpan } from '../api/selection.js';
import { errorOf, type Issues } from '../compose/checks.js';
import { readMoment } from '../compose/moment.js';
import { configFromOptions } from '../config/load.js';
import { systemClock } from '../platform/clock.js';
import { silentLog } from '../platform/log.js';
import { systemRandom } from '../platform/random.js';
import { createMemorySpool, MemoryDisk } from '../spool/memory.js';
import { type Fate, Fates, isOfDomain } from './fates.js';
import { createNetwork, type Network } from './network.js';
import { type OutboxMail, outboxMail } from './outbox.js';
import { createVirtualClock, settle as turn, type VirtualClock } from './virtual-clock.js';

export type { DomainFate, Fate } from './fates.js';
export type { OutboxContent, OutboxMail } from './outbox.js';

/** Settings of the agent, but for what leads out of the process. */
export interface TestMtaOptions extends Pick<MtaOptions, 'hostname' | 'log' | 'retry' | 'delivery'> {
  readonly spool?:
    | { readonly maxMessageSize?: number | string | undefined; readonly historyRetention?: number | string | undefined }
    | undefined;
  /** When the time of the test begins: a Date, epoch milliseconds, or ISO 8601 with an offset. Default: now. */
  readonly start?: Date | number | string | undefined;
  /** As by `fate`: by address, `@domain` or `*`. */
  readonly fates?: Readonly<Record<string, Fate | readonly Fate[]>> | undefined;
}

/** An agent whose world is the test's. Its `idle` and `close` let as much time pass as they need. */
export interface TestMta extends MailAgent {
  /** What left, oldest first: also bounces and other reports. */
  readonly outbox: readonly OutboxMail[];
  /**
   * What becomes of mail to an address, to all of a domain (`@example.net`), or to everybody (`*`): one fate after the other, and the last
   * one from then on. Replaces what was said before. Without a word, mail is accepted.
   */
  fate(who: string, ...fates: Fate[]): this;
  /** Forgets all fates and empties the outbox. */
  reset(): void;
  /** Lets time pass: seconds, or text such as `'5m'` or `'2h'`. What falls due meanwhile happens at its time. */
  advance(time: number | string): Promise<void>;
  /** Whatever needs no time happens. */
  settle(): Promise<void>;
  /** The time of the test, epoch milliseconds. */
  now(): number;
}

/** Turns of the event loop in which nothing moves, before all is said to have happened. */
const QUIET_TURNS = 6;

/** Rejects with `INVALID_OPTIONS`. */
export async function createTestMta(options: TestMtaOptions = {}): Promise<TestMta> {
  const { start = systemClock.now(), fates: given = {}, log = silentLog, ...settings } = options;
  const issues: Issues = [];
  const startsAt = readMoment(start, 'start', issues);
  if (startsAt === undefined) throw errorOf(issues);
  const { config } = configFromOptions({
    hostname: 'riata.test',
    ...settings,
    // Times of retries that a test can name.
    retry: { jitter: 0, ...settings.retry },
    delivery: { ...settings.delivery, allowPrivateAddresses: true },
  });
  const outbox: OutboxMail[] = [];
  const fates = new Fates();
  for (const [who, fate] of Object.entries(given)) fates.set(who, typeof fate === 'string' || !Array.isArray(fate) ? [fate as Fate] : fate);
  const disk = new MemoryDisk();
  const stillness = createStillness(() => network.moves() + disk.sequence);
  const clock = createVirtualClock(startsAt, stillness.soon);
  const network = createNetwork({ clock, fates, accepted: (message, server) => outbox.push(outboxMail(message, server)) });
  const agent = await openAgent(config, {
    clock,
    random: systemRandom,
    log,
    resolver: network.resolver,
    dialer: network.dialer,
    openSpool: () =>
      createMemorySpool({
        clock,
        disk,
        promoteAfterMs: config.delivery.promoteAfter,
        historyRetentionMs: config.spool.historyRetention,
        inlineLimitBytes: config.spool.inlineLimit,
      }),
  });
  return inTime(agent, clock, { outbox, fates, network, stillness });
}

interface Hands {
  readonly outbox: OutboxMail[];
  readonly fates: Fates;
  readonly network: Network;
  readonly stillness: Stillness;
}

/** The agent, and the hands on its world. */
function inTime(agent: MailAgent, clock: VirtualClock, { outbox, fates, network, stillness }: Hands): TestMta {
  const idle = agent.idle.bind(agent);
  const close = agent.close.bind(agent);
  const test = Object.assign(agent, {
    outbox: outbox as readonly OutboxMail[],
    fate(who: string, ...script: Fate[]) {
      fates.set(who, script);
      // Where no connection is to be had any more, none is open either.
      if (script.some(isOfDomain)) network.cut(who === '*' ? undefined : who.slice(1));
      return test;
    },
    reset() {
      fates.clear();
      outbox.length = 0;
    },
    async advance(time: number | string) {
      const issues: Issues = [];
      const ms = readSpan(time, 'time', issues);
      if (ms === undefined) throw errorOf(issues);
      await stillness.whole();
      await clock.advance(ms);
      await stillness.whole();
    },
    settle: async () => {
      await stillness.whole();
      await clock.advance(0);
      await stillness.whole();
    },
    now: () => clock.now(),
    idle: (options?: Parameters<MailAgent['idle']>[0]) => whileTimePasses(idle(options), clock),
    close: (options?: Parameters<MailAgent['close']>[0]) => whileTimePasses(close(options), clock),
  });
  return test as unknown as TestMta;
}

/** As long as the work needs it, from timer to timer. */
async function whileTimePasses(work: Promise<void>, clock: VirtualClock): Promise<void> {
  let over = false;
  const end = () => {
    over = true;
  };
  work.then(end, end);
  while (!over) {
    await clock.advance(0);
    if (!over && clock.pending > 0) await clock.runUntil(() => over);
  }
  return work;
}

interface Stillness {
  /** After a timer: if nothing came of it, at once. */
  soon(): Promise<void>;
  /** Until nothing has moved for some turns of the event loop, whoever may have begun something. */
  whole(): Promise<void>;
}

/** What goes on without time does so in microtasks, until a connection or the spool is moved: then whole turns are waited for. */
function createStillness(moves: () => number): Stillness {
  let seen = 0;
  const whole = async () => {
    for (let still = 0; still < QUIET_TURNS; ) {
      await turn(1);
      const now = moves();
      still = now === seen ? still + 1 : 0;
      seen = now;
    }
  };
  return {
    whole,
    // Behind all promises that can go on, and cheaper than a turn: there are many timers in a day.
    soon: () => new Promise((resolve) => process.nextTick(() => resolve(moves() === seen ? undefined : whole()))),
  };
}
