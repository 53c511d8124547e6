/**
 * The last hours of an agent, for whoever looks now: how deep the queue was and what went through it, every ten seconds, and the
 * last troubles in their own words. Kept in memory, and gone with the process: what must last stands in the history and the log.
 *
 * Promises: bounded, whatever happens; nothing is done for mail that goes well.
 */
import type { MailEvent } from '../core/event.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { RecentReport, Sample, TroubleReport } from './types.js';

const EVERY_MS = 10_000;
/** Three hours. */
const SAMPLES = 1_080;
const TROUBLES = 50;
const LONGEST_TEXT = 400;

/** What is looked at every ten seconds. */
export interface Watched {
  readonly spool: { counts(): { readonly ready: number; readonly waiting: number; readonly held: number; readonly sending: number } };
  metrics(): object;
  connections(): ReadonlyMap<string, { readonly open: number }>;
}

export interface Recent {
  /** To be called with every event. */
  observe(event: MailEvent): void;
  /** Begins with the samples. */
  watch(agent: Watched): void;
  /** Samples from after `since` (epoch ms), all troubles that are kept. */
  report(since: number): RecentReport;
  stop(): void;
}

const COUNTED = ['accepted', 'delivered', 'deferred', 'bounced', 'expired'] as const;
type Counters = Record<(typeof COUNTED)[number], number>;

export function createRecent(clock: Clock): Recent {
  const samples: Sample[] = [];
  const troubles: TroubleReport[] = [];
  let timer: Timer | undefined;

  const tell = (trouble: TroubleReport) => {
    troubles.push({ ...trouble, text: trouble.text.slice(0, LONGEST_TEXT) });
    if (troubles.length > TROUBLES) troubles.shift();
  };

  return {
    observe(event) {
      switch (event.type) {
        case 'deferred':
        case 'bounced':
        case 'expired': {
          const { type, at, id, lane, recipient, status, text, server } = event;
          return tell({ type, at, id, lane, recipient, status, text, server });
        }
        case 'fault': {
          const { type, at, code, text, lane, id } = event;
          return tell({ type, at, code, text, ...(lane === undefined ? {} : { lane }), ...(id === undefined ? {} : { id }) });
        }
      }
    },
    watch(agent) {
      let before = countersOf(agent);
      const look = () => {
        const { ready, waiting, held, sending } = agent.spool.counts();
        const now = countersOf(agent);
        let connections = 0;
        for (const { open } of agent.connections().values()) connections += open;
        samples.push({
          at: clock.now(),
          ready,
          waiting,
          held,
          sending,
          connections,
          accepted: now.accepted - before.accepted,
          delivered: now.delivered - before.delivered,
          deferred: now.deferred - before.deferred,
          failed: now.bounced + now.expired - before.bounced - before.expired,
        });
        before = now;
        if (samples.length > SAMPLES) samples.shift();
        timer = clock.after(EVERY_MS, look);
      };
      // At once, so that there is something to see.
      look();
    },
    report: (since) => ({ everyMs: EVERY_MS, samples: samples.filter(({ at }) => at > since), troubles: [...troubles] }),
    stop: () => timer?.cancel(),
  };
}

function countersOf(agent: Watched): Counters {
  const all = agent.metrics() as Partial<Counters>;
  return Object.fromEntries(COUNTED.map((name) => [name, all[name] ?? 0])) as Counters;
}
