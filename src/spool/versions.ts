/**
 * What becomes of a delivery, apart from a settlement: when an operator changes it, when it is set aside, and when the journal
 * knows more than the store. The same for all drivers. Pure.
 */
import { type Attempt, type Delivery, MAX_ATTEMPTS_KEPT, type Recipient } from '../core/delivery.js';
import type { LaneKey } from '../core/lane.js';
import type { RecipientOutcome, Trouble } from '../core/outcome.js';
import { type Change, isFinal, type Settlement } from './spool.js';

/** The next version of a delivery: what a settlement says of it, or that it is held. */
export interface NextVersion extends Pick<Settlement, 'recipients' | 'attempts' | 'log' | 'delayNoticed'> {
  readonly next: Settlement['next'] | { readonly kind: 'hold'; readonly due: number };
}

/** RFC 3463: other or undefined mail system status. */
const ASIDE_STATUS = '4.3.0';
const REMOVED = { status: '5.7.0', text: 'removed by the operator' } as const;

/** Held, with the reason as its last trouble. */
export function asideVersion(delivery: Delivery, reason: string, at: number): NextVersion {
  const trouble: Trouble = { lasting: 'temporary', stage: 'local', status: ASIDE_STATUS, text: reason, reason: 'setAside' };
  return {
    ...same(delivery),
    recipients: delivery.recipients.map((one) =>
      one.state === 'queued' ? { ...one, last: { at, status: ASIDE_STATUS, text: reason } } : one,
    ),
    log: withAttempt(delivery.log, { at, durationMs: 0, stage: 'local', delivered: 0, deferred: 0, failed: 0, trouble }),
    next: { kind: 'hold', due: delivery.due },
  };
}

/** What the change makes of it; undefined: it is so already. `state`: where it is now. */
export function changedVersion(
  delivery: Delivery,
  state: 'ready' | 'waiting' | 'held',
  change: Exclude<Change, { readonly kind: 'reroute' }>,
  now: number,
): NextVersion | undefined {
  const { due } = delivery;
  switch (change.kind) {
    case 'remove':
      return { ...same(delivery), recipients: delivery.recipients.map((one) => removed(one, now)), next: { kind: 'done' } };
    case 'hold':
      return state === 'held' ? undefined : { ...same(delivery), next: { kind: 'hold', due } };
    case 'release':
      if (state !== 'held') return undefined;
      return { ...same(delivery), next: due > now ? { kind: 'retry', due } : { kind: 'ready' } };
    case 'retryNow':
      return state === 'ready' ? undefined : { ...same(delivery), next: { kind: 'ready' } };
    case 'reschedule':
      return { ...same(delivery), next: state === 'held' ? { kind: 'hold', due: change.due } : { kind: 'retry', due: change.due } };
  }
}

/** A part of a delivery that was given other lanes. */
export interface Part {
  readonly lane: LaneKey;
  readonly to: NextVersion;
}

/**
 * The parts a delivery falls into when its recipients are given lanes anew; they wait for what it waited for. The first takes those
 * who have their end along. Undefined: it is in the right lane.
 */
export function reroutedParts(
  delivery: Delivery,
  state: 'ready' | 'waiting' | 'held',
  laneOf: (recipient: string) => LaneKey,
): Part[] | undefined {
  const lanes = new Map<LaneKey, Recipient[]>();
  for (const one of delivery.recipients) {
    if (isFinal(one.state)) continue;
    const lane = laneOf(one.address);
    const together = lanes.get(lane);
    if (together === undefined) lanes.set(lane, [one]);
    else together.push(one);
  }
  if (lanes.size === 1 && lanes.has(delivery.lane)) return undefined;
  const { due } = delivery;
  const next =
    state === 'held'
      ? ({ kind: 'hold', due } as const)
      : state === 'waiting'
        ? ({ kind: 'retry', due } as const)
        : ({ kind: 'ready' } as const);
  const ended = delivery.recipients.filter((one) => isFinal(one.state));
  return Array.from(lanes, ([lane, queued], part) => ({
    lane,
    to: { ...same(delivery), recipients: part === 0 ? [...ended, ...queued] : queued, next },
  }));
}

/** One recipient's outcome as the journal keeps it: status, text and server of a delivery, or 0 for anything else. */
export type NotedOutcome = readonly [status: string, text: string, server: string] | 0;

/** What a remote answered to a final dot, known to the journal. Outcomes answer for the recipients that were queued, in order. */
export interface Noted {
  readonly at: number;
  readonly outcomes: readonly NotedOutcome[];
}

export function notedOutcome(outcome: RecipientOutcome): NotedOutcome {
  if (outcome.kind !== 'delivered') return 0;
  const { status, text, server } = outcome;
  return [status, text, `${server.host}[${server.address}]:${server.port}`];
}

/** Those whom a remote took are delivered; the rest goes on at once. Undefined: the note says nothing of the kind. */
export function notedVersion(delivery: Delivery, noted: Noted): NextVersion | undefined {
  let queued = 0;
  let delivered = 0;
  let server = '';
  const recipients = delivery.recipients.map((one): Recipient => {
    const outcome = one.state === 'queued' ? noted.outcomes[queued++] : 0;
    if (outcome === undefined || outcome === 0) return one;
    delivered++;
    server = outcome[2];
    return { ...one, state: 'delivered', last: { at: noted.at, status: outcome[0], text: outcome[1], server } };
  });
  if (delivered === 0) return undefined;
  return {
    ...same(delivery),
    recipients,
    attempts: delivery.attempts + 1,
    log: withAttempt(delivery.log, { at: noted.at, durationMs: 0, server, stage: 'content', delivered, deferred: 0, failed: 0 }),
    next: recipients.every((one) => isFinal(one.state)) ? { kind: 'done' } : { kind: 'ready' },
  };
}

/** A settlement must end a delivery exactly if nobody is queued any more; all else would lose or double mail (G2). */
export function isConsistent(settlement: Settlement, delivery: Delivery): boolean {
  if (settlement.recipients.length !== delivery.recipients.length) return false;
  if (settlement.next.kind === 'retry' && !Number.isFinite(settlement.next.due)) return false;
  return settlement.recipients.every((one) => isFinal(one.state)) === (settlement.next.kind === 'done');
}

function same(delivery: Delivery): Pick<Delivery, 'recipients' | 'attempts' | 'log' | 'delayNoticed'> {
  const { recipients, attempts, log, delayNoticed } = delivery;
  return { recipients, attempts, log, delayNoticed };
}

/** The first attempt and the newest ones are kept. */
function withAttempt(log: readonly Attempt[], attempt: Attempt): readonly Attempt[] {
  return log.length < MAX_ATTEMPTS_KEPT ? [...log, attempt] : [log[0]!, ...log.slice(2), attempt];
}

function removed(recipient: Recipient, at: number): Recipient {
  return recipient.state === 'queued' ? { ...recipient, state: 'removed', last: { at, ...REMOVED } } : recipient;
}
