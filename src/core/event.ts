/**
 * What happens to mail, told live: one event per fact, in plain values. Logs, metrics and users of the API
 * all listen to these; nothing in the agent depends on anybody listening.
 */
import type { DeliveryKey } from './delivery.js';
import type { LaneKey } from './lane.js';
import type { MessageId } from './message.js';

interface AboutRecipient {
  readonly at: number;
  readonly id: MessageId;
  readonly delivery: DeliveryKey;
  readonly lane: LaneKey;
  readonly sender: string;
  readonly recipient: string;
  /** `host[address]:port`, or `''` where none was reached. */
  readonly server: string;
  /** Milliseconds since the message was accepted (or became due, if that was later). */
  readonly delayMs: number;
  /** RFC 3463. */
  readonly status: string;
  readonly text: string;
}

export type MailEvent =
  | {
      readonly type: 'accepted';
      readonly at: number;
      readonly id: MessageId;
      readonly sender: string;
      readonly recipients: number;
      readonly sizeBytes: number;
      readonly messageId: string;
      /** `smtp:<client address>`, `api`, or `report`. */
      readonly origin: string;
      /** What the client called itself. */
      readonly helo?: string;
      /** Who was logged in. */
      readonly user?: string;
    }
  | ({ readonly type: 'delivered' } & AboutRecipient)
  | ({ readonly type: 'deferred'; readonly nextAttemptAt: number; readonly attempts: number } & AboutRecipient)
  | ({ readonly type: 'bounced' } & AboutRecipient)
  | ({ readonly type: 'expired' } & AboutRecipient)
  | ({ readonly type: 'removed' } & AboutRecipient)
  /** An operator changed when or whether a delivery is tried. */
  | {
      readonly type: 'changed';
      readonly at: number;
      readonly id: MessageId;
      readonly delivery: DeliveryKey;
      readonly lane: LaneKey;
      readonly sender: string;
      readonly change: 'hold' | 'release' | 'retry' | 'reschedule';
      /** For `reschedule`: when it is tried next. */
      readonly due?: number;
    }
  /** An operator stopped a lane, or let it go on. */
  | { readonly type: 'paused'; readonly at: number; readonly lane: LaneKey; readonly reason: string }
  | { readonly type: 'resumed'; readonly at: number; readonly lane: LaneKey }
  /** Something that an operator should know: a site in trouble, a refused login, damage, a full disk. */
  | {
      readonly type: 'fault';
      readonly at: number;
      readonly code: string;
      readonly text: string;
      readonly lane?: LaneKey;
      readonly id?: MessageId;
    };

/** What became of one recipient. */
export type RecipientEvent = Extract<MailEvent, AboutRecipient>;

export type MailEventType = MailEvent['type'];
export type Emit = (event: MailEvent) => void;
