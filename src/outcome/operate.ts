/**
 * What an operator does to deliveries and lanes, and the word of it: the change is the spool's, the event is told here, so that whoever
 * listens to what becomes of mail hears of it. What is given up goes through the settler, as any other failure does.
 */
import type { Emit } from '../core/event.js';
import type { LaneKey } from '../core/lane.js';
import type { Message } from '../core/message.js';
import type { Clock } from '../platform/clock.js';
import type { Change, ChangeResult, DeliveryView, GiveUp, Spool } from '../spool/spool.js';
import type { Settler } from './settler.js';

export interface OperatorOptions {
  readonly spool: Pick<Spool, 'change' | 'take' | 'pauseLane' | 'resumeLane'>;
  readonly settler: Pick<Settler, 'giveUp'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly emit: Emit;
}

/** One delivery as a listing showed it. */
export interface Listed {
  readonly message: Message;
  readonly delivery: DeliveryView;
}

export interface Operator {
  /** Durable when it resolves. `inFlight` and `gone` changed nothing. */
  operate(listed: Listed, change: Change | GiveUp): Promise<ChangeResult>;
  /** Nothing of the lane is sent from when this resolves, but what is on its way. A second reason replaces the first. */
  pauseLane(lane: LaneKey, reason: string): Promise<void>;
  /** False: it was not paused. */
  resumeLane(lane: LaneKey): Promise<boolean>;
}

const CHANGES = { hold: 'hold', release: 'release', retryNow: 'retry', reschedule: 'reschedule' } as const;

export function createOperator({ spool, settler, clock, emit }: OperatorOptions): Operator {
  return {
    async operate(listed, change) {
      if (change.kind === 'fail') {
        const lease = await spool.take(listed.delivery.key);
        if (typeof lease === 'string') return lease;
        // What cannot be settled is as it was, and free at the next start.
        return (await settler.giveUp(lease, change.reason)) ? 'done' : 'inFlight';
      }
      // From before the write: whoever reads on from this moment in the history misses nothing that was written together with it.
      const at = clock.now();
      const result = await spool.change(listed.delivery.key, change);
      if (result === 'done') tell(listed, change, at, emit);
      return result;
    },
    async pauseLane(lane, reason) {
      const at = clock.now();
      await spool.pauseLane(lane, { at, reason });
      emit({ type: 'paused', at, lane, reason });
    },
    async resumeLane(lane) {
      const wasPaused = await spool.resumeLane(lane);
      if (wasPaused) emit({ type: 'resumed', at: clock.now(), lane });
      return wasPaused;
    },
  };
}

function tell({ message, delivery }: Listed, change: Change, at: number, emit: Emit): void {
  const about = { at, id: message.id, delivery: delivery.key, lane: delivery.lane, sender: message.sender };
  if (change.kind === 'remove') {
    const delayMs = Math.max(at - Math.max(message.acceptedAt, message.notBefore), 0);
    for (const { address, state } of delivery.recipients) {
      if (state !== 'queued') continue;
      emit({ type: 'removed', ...about, recipient: address, server: '', delayMs, status: '5.7.0', text: 'removed by an operator' });
    }
  } else if (change.kind !== 'reroute') {
    emit({ type: 'changed', ...about, change: CHANGES[change.kind], ...(change.kind === 'reschedule' ? { due: change.due } : {}) });
  }
}
