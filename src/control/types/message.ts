/** What is told of one message: how it stands, what it waits for, its content. */
import type { DeliveryKey, Recipient, RecipientState } from '../../core/delivery.js';
import type { LaneKey } from '../../core/lane.js';
import type { MessageId, Priority } from '../../core/message.js';
import type { DeliveryView } from '../../spool/spool.js';
import type { ConnectionReport } from './agent.js';

/** `queued` while any recipient is open, else `sent` if all were delivered, else `error`. */
export type StatusWord = 'queued' | 'sent' | 'error' | 'unknown';

export interface RecipientStatus {
  readonly address: string;
  readonly state: RecipientState;
  /** When something was last heard of it, and what; absent before the first attempt. */
  readonly last?: NonNullable<Recipient['last']>;
  /** Next attempt; 0 when there is none. */
  readonly due: number;
  readonly attempts: number;
  readonly held: boolean;
}

export interface StatusReport {
  readonly id: MessageId;
  readonly status: StatusWord;
  readonly acceptedAt: number;
  /** Of a merge a page of them. */
  readonly recipients: readonly RecipientStatus[];
  /** Of a merge: how many of all recipients are in which state. */
  readonly tally?: Readonly<Record<RecipientState, number>>;
  /** Pass as `after` to see further ones; absent at the end. */
  readonly next?: string;
}

/** Of the deliveries of one message. */
export interface ViewPage {
  readonly limit?: number;
  readonly after?: string;
}

/** Something that a delivery waits for. */
export interface Wait {
  /**
   * `date`: its time, or the one it was put off to. `retry`: the pause after an attempt. `trouble`: its servers are left alone for a while.
   * `agent`: none runs. `turn`: nothing stands in its way but others of its lane.
   */
  readonly kind: 'sending' | 'held' | 'paused' | 'date' | 'retry' | 'agent' | 'lookup' | 'outage' | 'trouble' | 'connections' | 'turn';
  /** In plain words, without times. */
  readonly text: string;
  readonly since?: number;
  /** When it is over by itself. */
  readonly until?: number;
}

export interface WhyDelivery {
  readonly key: DeliveryKey;
  readonly lane: LaneKey;
  /** The lane in words. */
  readonly description?: string;
  readonly state: DeliveryView['state'];
  readonly recipients: readonly Pick<Recipient, 'address' | 'state' | 'last'>[];
  readonly priority: Priority;
  /** The priority as waiting has raised it. */
  readonly level?: Priority;
  readonly attempts: number;
  /** The one that decides first; none where it is done. */
  readonly waits: readonly Wait[];
  readonly next?: { readonly text: string; readonly at?: number };
  /** When it is given up. */
  readonly expiresAt?: number;
  /** To the servers that its lane leads to. */
  readonly connections?: readonly ConnectionReport[];
}

/** Why a message is where it is. */
export interface WhyReport {
  readonly id: MessageId;
  readonly status: StatusWord;
  /** When this was so. */
  readonly at: number;
  /** False: told from the spool alone. */
  readonly agentRuns: boolean;
  readonly deliveries: readonly WhyDelivery[];
  /** It has more deliveries than these. */
  readonly more?: true;
}

/** The content of a queued message, octet for octet. */
export interface RawMessage {
  readonly sizeBytes: number;
  /** Fails before its end if the stored content is damaged. */
  readonly chunks: AsyncIterable<Buffer>;
}
