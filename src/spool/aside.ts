/** What becomes of a delivery that is set aside: held, with the reason as its last trouble. The same for all drivers. Pure. */
import { type Attempt, type Delivery, MAX_ATTEMPTS_KEPT, type Recipient } from '../core/delivery.js';
import type { Trouble } from '../core/outcome.js';

export interface AsideVersion {
  readonly recipients: readonly Recipient[];
  readonly attempts: number;
  readonly log: readonly Attempt[];
  readonly delayNoticed: boolean;
  readonly next: { readonly kind: 'hold'; readonly due: number };
}

/** RFC 3463: other or undefined mail system status. */
const STATUS = '4.3.0';

export function asideVersion(delivery: Delivery, reason: string, at: number): AsideVersion {
  const trouble: Trouble = { lasting: 'temporary', stage: 'local', status: STATUS, text: reason, reason: 'setAside' };
  const attempt: Attempt = { at, durationMs: 0, stage: 'local', delivered: 0, deferred: 0, failed: 0, trouble };
  const { log } = delivery;
  return {
    recipients: delivery.recipients.map((one) => (one.state === 'queued' ? { ...one, last: { at, status: STATUS, text: reason } } : one)),
    attempts: delivery.attempts,
    log: log.length < MAX_ATTEMPTS_KEPT ? [...log, attempt] : [log[0]!, ...log.slice(2), attempt],
    delayNoticed: delivery.delayNoticed,
    next: { kind: 'hold', due: delivery.due },
  };
}
