/**
 * What an operator does to a delivery, and the word of it: the change is the spool's, the event is told here, so that whoever
 * listens to what becomes of mail hears of removals as of any other end.
 */
import type { Emit } from '../core/event.js';
import type { Message } from '../core/message.js';
import type { Clock } from '../platform/clock.js';
import type { Change, ChangeResult, DeliveryView, Spool } from '../spool/spool.js';

export interface OperatorOptions {
  readonly spool: Pick<Spool, 'change'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly emit: Emit;
}

/** One delivery as a listing showed it. */
export interface Listed {
  readonly message: Message;
  readonly delivery: DeliveryView;
}

/** Durable when it resolves. `inFlight` and `gone` changed nothing. */
export type Operate = (listed: Listed, change: Change) => Promise<ChangeResult>;

export function createOperator({ spool, clock, emit }: OperatorOptions): Operate {
  return async ({ message, delivery }, change) => {
    const result = await spool.change(delivery.key, change);
    if (result !== 'done' || change.kind !== 'remove') return result;
    const at = clock.now();
    for (const { address, state } of delivery.recipients) {
      if (state !== 'queued') continue;
      emit({
        type: 'removed',
        at,
        id: message.id,
        delivery: delivery.key,
        lane: delivery.lane,
        sender: message.sender,
        recipient: address,
        server: '',
        delayMs: Math.max(at - Math.max(message.acceptedAt, message.notBefore), 0),
        status: '5.7.0',
        text: 'removed by an operator',
      });
    }
    return result;
  };
}
