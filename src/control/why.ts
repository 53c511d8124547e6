/**
 * Why a message is where it is: what each of its deliveries waits for, in plain words, and what happens next. A function of what is known:
 * of the message, and, where an agent runs, of its lanes at this moment.
 *
 * Promises: the first wait is the one that decides; a time is given wherever one is known. Must not: change or ask anything.
 */
import { assertNever } from '../core/errors.js';
import type { Message } from '../core/message.js';
import type { LaneNow } from '../scheduler/lane-now.js';
import type { DeliveryView, MessageView, Pause, Place } from '../spool/spool.js';
import type { ConnectionReport, StatusWord, Wait, WhyDelivery, WhyReport } from './types.js';

/** What is known of a lane besides its mail. */
export interface LaneKnown {
  readonly pause?: Pause | undefined;
  /** The lane in words. */
  readonly description?: string | undefined;
  /** Absent where no agent runs. */
  readonly now?: LaneNow | undefined;
  readonly connections?: readonly ConnectionReport[];
  readonly connectionsPerServer?: number;
}

export interface WhyKnown {
  readonly now: number;
  readonly agentRuns: boolean;
  lane(lane: string): LaneKnown;
  place(delivery: DeliveryView): Place | undefined;
}

export function explain(view: MessageView, status: StatusWord, known: WhyKnown): WhyReport {
  const { message, deliveries, next } = view;
  return {
    id: message.id,
    status,
    at: known.now,
    agentRuns: known.agentRuns,
    deliveries: deliveries.map((delivery) => explainDelivery(message, delivery, known)),
    ...(next === undefined ? {} : { more: true as const }),
  };
}

function explainDelivery(message: Message, delivery: DeliveryView, known: WhyKnown): WhyDelivery {
  const lane = known.lane(delivery.lane);
  const place = delivery.state === 'ready' ? known.place(delivery) : undefined;
  const waits = delivery.state === 'done' ? [] : waitsOf(message, delivery, lane, place, known);
  const next = waits[0] === undefined ? undefined : nextOf(message, delivery, waits[0]);
  return {
    key: delivery.key,
    lane: delivery.lane,
    ...(lane.description === undefined ? {} : { description: lane.description }),
    state: delivery.state,
    recipients: delivery.recipients.map(({ address, state, last }) => ({ address, state, ...(last === undefined ? {} : { last }) })),
    priority: delivery.priority,
    ...(place === undefined ? {} : { level: place.level }),
    attempts: delivery.attempts,
    waits,
    ...(next === undefined ? {} : { next }),
    ...(delivery.state === 'done' || delivery.state === 'held' ? {} : { expiresAt: message.expiresAt }),
    ...(lane.connections === undefined ? {} : { connections: lane.connections }),
  };
}

/** All that stands in its way, the one that decides first. */
function waitsOf(message: Message, delivery: DeliveryView, lane: LaneKnown, place: Place | undefined, known: WhyKnown): readonly Wait[] {
  if (delivery.state === 'sending') return [{ kind: 'sending', text: 'it is being sent at this moment' }];
  const waits: Wait[] = [];
  if (delivery.state === 'held') waits.push(heldWait(delivery));
  if (lane.pause !== undefined) waits.push(pausedWait(lane.pause));
  if (delivery.state === 'waiting') waits.push(timeWait(message, delivery));
  if (!known.agentRuns) waits.push({ kind: 'agent', text: 'no agent runs on this spool' });
  else if (delivery.state !== 'held') waits.push(...laneWaits(lane, known.now));
  if (waits.length === 0) waits.push(...turnWaits(lane, place));
  return waits;
}

function heldWait({ log }: DeliveryView): Wait {
  const aside = log.findLast(({ trouble }) => trouble?.reason === 'setAside')?.trouble;
  const text = aside === undefined ? 'an operator holds it' : `it was set aside: ${aside.text}`;
  return { kind: 'held', text };
}

function pausedWait({ at, reason }: Pause): Wait {
  const text = reason === '' ? 'its lane is paused' : `its lane is paused: ${reason}`;
  return { kind: 'paused', text, since: at };
}

function timeWait(message: Message, { due, attempts, log }: DeliveryView): Wait {
  const newest = log.at(-1)?.trouble;
  if (attempts > 0 && newest !== undefined)
    return { kind: 'retry', text: `attempt ${attempts} did not succeed: ${clipped(newest.text)}`, until: due };
  const text = due === message.notBefore ? 'it is not to be sent before its date' : 'it was put off';
  return { kind: 'date', text, until: due };
}

/** Enough to know it by. The whole of it stands with the recipients whom it concerns. */
const QUOTED = 200;

function clipped(text: string): string {
  return text.length <= QUOTED ? text : `${text.slice(0, QUOTED - 1)}…`;
}

function laneWaits({ now: lane, connectionsPerServer }: LaneKnown, now: number): readonly Wait[] {
  if (lane === undefined) return [];
  const waits: Wait[] = [];
  if (lane.lookingUp) waits.push({ kind: 'lookup', text: 'the DNS is being asked where its mail goes' });
  if (lane.outagePort !== undefined)
    waits.push({
      kind: 'outage',
      text: `no mail server at all can be reached on port ${lane.outagePort}: the network of this machine may be down`,
    });
  if (lane.rest !== undefined && lane.rest.until > now) {
    const { until, failures, trouble } = lane.rest;
    const times = failures === 1 ? '' : `, ${failures} times in a row`;
    waits.push({ kind: 'trouble', text: `its servers are in trouble${times}: ${trouble.text}`, until });
  }
  if (lane.full) {
    const each = connectionsPerServer === undefined ? '' : ` (${connectionsPerServer} each)`;
    waits.push({ kind: 'connections', text: `its servers have all the connections that they may have${each}, and all are busy` });
  }
  if (lane.capped) waits.push({ kind: 'connections', text: 'there are as many connections as delivery.maxConnections allows' });
  return waits;
}

function turnWaits({ now: lane }: LaneKnown, place: Place | undefined): readonly Wait[] {
  const before = place === undefined ? 0 : place.before;
  if (before > 0)
    return [
      {
        kind: 'turn',
        text: `${place!.exactly ? '' : 'at least '}${before} ${before === 1 ? 'delivery is' : 'deliveries are'} before it in its lane`,
      },
    ];
  if (lane?.rest !== undefined)
    return [{ kind: 'trouble', text: `its servers were in trouble (${lane.rest.trouble.text}): one connection is being tried` }];
  return [{ kind: 'turn', text: lane !== undefined && lane.coming > 0 ? 'a connection for it is being opened' : 'it is next in its lane' }];
}

/** What happens when that wait is over, and when, where that is known. */
function nextOf({ expiresAt }: Message, { attempts, due }: DeliveryView, wait: Wait): NonNullable<WhyDelivery['next']> {
  const attempt = `attempt ${attempts + 1}`;
  switch (wait.kind) {
    case 'sending':
      return { text: 'the answer of the server decides' };
    case 'held':
      return { text: 'nothing, until it is released: it does not expire meanwhile' };
    case 'paused':
      return { text: 'nothing, until its lane is resumed; it expires all the same' };
    case 'agent':
      return { text: due > 0 ? `${attempt}, once an agent runs` : 'nothing, until an agent runs' };
    case 'date':
    case 'retry':
      return wait.until !== undefined && wait.until >= expiresAt && wait.kind === 'retry'
        ? { text: `${attempt}, the last: then it is given up`, at: wait.until }
        : { text: attempt, ...(wait.until === undefined ? {} : { at: wait.until }) };
    case 'trouble':
      return {
        text: 'one connection is tried, and where it works all mail of the lane goes',
        ...(wait.until === undefined ? {} : { at: wait.until }),
      };
    case 'outage':
      return { text: 'every minute one server is tried; the first that answers ends it' };
    case 'lookup':
      return { text: `${attempt}, as soon as the DNS has answered` };
    case 'connections':
      return { text: `${attempt}, as soon as a connection is free: the most urgent go first` };
    case 'turn':
      return { text: `${attempt}, when it is its turn` };
    default:
      return assertNever(wait.kind);
  }
}
