/**
 * Settles what deliveries came to: asks `decide` what follows, has it written together with the reports it causes (G2),
 * and tells of it when it is durable, not before.
 *
 *   leased ──settle──► (report due: the original's header is read) ──► being written ──► told: events, log
 *
 * Promises: what the remote answered to a dot is noted in the journal before `settle` returns, so before that
 * connection's next dot (G3). Nothing here throws or rejects for what a remote or the store did; waiting for a store that
 * failed is the spool's affair. `idle` resolves when everything handed in has ended.
 * Must not: touch connections, read reply codes, or hold more than the leases it was given.
 */
import { type Delivery, type DeliveryKey, splitDeliveryKey } from '../core/delivery.js';
import { assertNever, MtaError } from '../core/errors.js';
import type { Emit } from '../core/event.js';
import type { LaneKey } from '../core/lane.js';
import { type Body, copyMessageId, type Message, type MessageId } from '../core/message.js';
import type { TransactionResult, Trouble } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import { createGate, type Gate } from '../platform/gate.js';
import type { Log } from '../platform/log.js';
import type { Tracing } from '../platform/tracing.js';
import type { Acceptance, Lease, Settlement, Spool } from '../spool/spool.js';
import {
  type DueReport,
  dueReports,
  type Original,
  originalOf,
  readOriginal,
  reportAcceptance,
  returnsWhole,
  UNREADABLE,
} from './bounce.js';
import { type Decision, decide, decideWaiting, type Fate, startOf, wantsSweep } from './decide.js';
import type { RetryPolicy } from './retry.js';

export interface SettlerOptions {
  readonly spool: Pick<Spool, 'note' | 'settle' | 'giveBack' | 'mayFinish'>;
  /** The content as it is sent. Rejects with `SPOOL_DAMAGED` or `SPOOL_FAILED`. */
  readonly body: (lease: Lease) => Promise<Body>;
  readonly clock: Pick<Clock, 'now'>;
  readonly newId: () => MessageId;
  readonly policy: RetryPolicy;
  /** Who reports: the full name of this machine. */
  readonly hostname: string;
  /** The lane of a recipient, given the envelope sender (`''` for reports). */
  readonly laneOf: (recipient: string, sender: string) => LaneKey;
  readonly emit: Emit;
  readonly log: Log;
  /** Told how long each transaction took, in milliseconds. */
  readonly attempted?: (ms: number) => void;
  /** Absent where nobody traces. */
  readonly tracing?: Pick<Tracing, 'attempted' | 'ended'> | undefined;
}

export interface Settler {
  /** What a transaction came to. */
  settle(lease: Lease, result: TransactionResult): void;
  /**
   * Trouble that met the delivery before any transaction. Permanent: its recipients fail; else an attempt is charged.
   * `transcript`: what was said on the way there. Resolves when settled; never rejects.
   */
  settleTrouble(lease: Lease, trouble: Trouble, transcript?: string): Promise<void>;
  /** An operator wants it tried no more: its queued recipients fail, with a report. False: it could not be settled. Never rejects. */
  giveUp(lease: Lease, reason: string): Promise<boolean>;
  /** Whether a delivery that merely waits must be looked at: it has expired, or its sender is owed a word of the delay. */
  isOverdue(about: { readonly expiresAt: number; readonly acceptedAt: number; readonly delayNoticed: boolean }): boolean;
  /** Ends it, or sends the word, or gives it back. `trouble` is what it waits for, if that is known. Never rejects. */
  settleOverdue(lease: Lease, trouble: Trouble | undefined): Promise<void>;
  /** Leases whose settlement is under way. */
  pending(): number;
  idle(): Promise<void>;
}

/** Originals that reports need and that are read at the same time: each may be a file. */
const ORIGINALS_AT_ONCE = 16;

export function createSettler(options: SettlerOptions): Settler {
  const { spool, clock, policy, log } = options;
  const gate = createGate(ORIGINALS_AT_ONCE);
  let pending = 0;
  let waiting: (() => void)[] = [];

  const ended = () => {
    pending--;
    if (pending > 0 || waiting.length === 0) return;
    const call = waiting;
    waiting = [];
    for (const resolve of call) resolve();
  };

  const write = (lease: Lease, decision: Decision, settlement: Settlement): Promise<boolean> =>
    spool.settle(lease, settlement).then(
      (held) => {
        if (held) {
          tell(options, lease, decision, settlement);
          if (options.tracing !== undefined && settlement.next.kind === 'done') traceEnd(options.tracing, lease, settlement);
        }
        // Somebody else had the right to decide by then: what we found changes nothing.
        else log.warn('delivery.leaseLost', { delivery: lease.delivery.key });
        ended();
        return held;
      },
      (error: unknown) => {
        // Anything else is a broken invariant: not to be passed over.
        if (!(error instanceof MtaError)) throw error;
        log.error('delivery.unsettled', { delivery: lease.delivery.key, error: error.message });
        ended();
        return false;
      },
    );

  const conclude = (lease: Lease, decision: Decision): Promise<boolean> => {
    pending++;
    const due = dueReports(lease.delivery.message, decision);
    if (due.length === 0) return write(lease, decision, decision.settlement);
    return reportsOn(options, gate, lease, due).then((reports) => write(lease, decision, { ...decision.settlement, reports }));
  };

  return {
    settle(lease, result) {
      options.attempted?.(result.endedAt - result.startedAt);
      options.tracing?.attempted(lease.delivery, result);
      if (result.outcomes.some((outcome) => outcome.kind === 'delivered')) spool.note(lease, result.outcomes);
      void conclude(lease, decide(lease.delivery, result, policy, clock.now()));
    },
    async settleTrouble(lease, trouble, transcript) {
      await conclude(lease, decide(lease.delivery, { kind: 'laneTrouble', trouble, transcript }, policy, clock.now()));
    },
    giveUp: (lease, reason) => conclude(lease, decide(lease.delivery, { kind: 'givenUp', reason }, policy, clock.now())),
    isOverdue: (about) => wantsSweep(about, policy, clock.now()),
    async settleOverdue(lease, trouble) {
      const decision = decideWaiting(lease.delivery, policy, clock.now(), trouble);
      if (decision !== undefined) await conclude(lease, decision);
      else spool.giveBack(lease);
    },
    pending: () => pending,
    idle: () => (pending === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

/** The reports that are due, as mail. Never rejects: what cannot be read is left out, what has no way back is recorded only. */
async function reportsOn(options: SettlerOptions, gate: Gate, lease: Lease, due: readonly DueReport[]): Promise<Acceptance[]> {
  const { clock, newId, policy, hostname, laneOf, log } = options;
  const of = asSent(lease.delivery);
  const original = await originalFor(options, gate, lease, returnsWhole(of, due));
  let lane: LaneKey;
  try {
    lane = laneOf(of.sender, '');
  } catch (error) {
    log.error('report.noWayBack', { id: of.id, sender: of.sender, error: messageOf(error) });
    return [];
  }
  const now = clock.now();
  return due.map((one) => reportAcceptance({ id: newId(), due: one, of, original, lane, hostname, now, expiryMs: policy.expiryMs }));
}

/** A report is about what its recipient got: of a merge the copy, which has a Message-ID of its own. */
function asSent({ key, message }: Delivery): Message {
  return message.merge === undefined ? message : { ...message, messageId: copyMessageId(message, splitDeliveryKey(key).n) };
}

async function originalFor(options: SettlerOptions, gate: Gate, lease: Lease, whole: boolean): Promise<Original> {
  if (lease.bytes) return originalOf(lease.bytes, whole);
  const read = () => gate(async () => readOriginal(await options.body(lease), whole));
  try {
    return await read().catch(async (error: unknown) => {
      if (!(error instanceof MtaError && error.code === 'SPOOL_FAILED')) throw error;
      // The settlement has to wait for the store in any case: so does the header, once.
      await options.spool.mayFinish();
      return read();
    });
  } catch (error) {
    options.log.warn('report.originalUnreadable', { id: lease.delivery.message.id, error: messageOf(error) });
    return UNREADABLE;
  }
}

function tell(options: SettlerOptions, { delivery }: Lease, decision: Decision, settlement: Settlement): void {
  for (const fate of decision.fates) tellFate(options, delivery.key, delivery.lane, delivery.message, fate, settlement);
  for (const { message } of settlement.reports) {
    options.log.info('report.queued', {
      id: message.id,
      of: delivery.message.id,
      to: delivery.message.sender,
      sizeBytes: message.sizeBytes,
    });
    options.emit({
      type: 'accepted',
      at: message.acceptedAt,
      id: message.id,
      sender: '',
      recipients: 1,
      sizeBytes: message.sizeBytes,
      messageId: message.messageId,
      origin: 'report',
    });
  }
}

function tellFate(
  options: SettlerOptions,
  key: DeliveryKey,
  lane: LaneKey,
  message: Message,
  { kind, recipient }: Fate,
  settlement: Settlement,
): void {
  const { emit, log } = options;
  if (kind === 'again') return;
  const { at, attempts, next } = settlement;
  const { status, text, server = '' } = recipient.last!;
  const delayMs = Math.max(at - startOf(message), 0);
  const about = {
    at,
    id: message.id,
    delivery: key,
    lane,
    sender: message.sender,
    recipient: recipient.address,
    server,
    delayMs,
    status,
    text,
  };
  switch (kind) {
    case 'delivered':
      return emit({ type: 'delivered', ...about });
    case 'deferred': {
      const nextAttemptAt = next.kind === 'retry' ? next.due : at;
      return emit({ type: 'deferred', ...about, attempts, nextAttemptAt });
    }
    case 'bounced':
    case 'expired':
      if (message.origin.kind === 'report')
        log.warn('report.undeliverable', { id: message.id, of: message.origin.of, to: recipient.address, text });
      return emit({ type: kind, ...about });
    default:
      return assertNever(kind);
  }
}

function traceEnd(tracing: Pick<Tracing, 'ended'>, { delivery }: Lease, { recipients, attempts, at }: Settlement): void {
  const delivered = recipients.filter(({ state }) => state === 'delivered').length;
  tracing.ended(delivery, { attempts, delivered, failed: recipients.length - delivered }, at);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
