/** Messages, deliveries and answers to try the outcome layer on. */
import type { Delivery, Recipient } from '../../src/core/delivery.js';
import { deliveryKey } from '../../src/core/delivery.js';
import type { Message } from '../../src/core/message.js';
import type { RecipientOutcome, Server, TransactionResult, Trouble } from '../../src/core/outcome.js';
import { DEFAULT_RETRY_POLICY } from '../../src/outcome/retry.js';

export const T0 = Date.UTC(2026, 10, 22, 10, 0, 0);
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const ID = '01KAN4S41G00000000000000A1';
export const SERVER: Server = { host: 'mx.example.net', address: '192.0.2.25', port: 25 };
export const LABEL = 'mx.example.net[192.0.2.25]:25';

export function message(changes: Partial<Message> = {}): Message {
  return {
    id: ID,
    acceptedAt: T0,
    sender: 'alice@example.com',
    sizeBytes: 500,
    content: { eightBit: false, dotted: false, utf8Headers: false },
    smtpUtf8: false,
    requireTls: false,
    priority: 'medium',
    notBefore: 0,
    expiresAt: T0 + DEFAULT_RETRY_POLICY.expiryMs,
    origin: { kind: 'api' },
    messageId: '<original@example.com>',
    bounces: 'mail',
    ...changes,
  };
}

export function queued(address: string, changes: Partial<Recipient> = {}): Recipient {
  return { address, state: 'queued', ...changes };
}

export function delivery(recipients: readonly (Recipient | string)[] = ['bob@example.net'], changes: Partial<Delivery> = {}): Delivery {
  return {
    key: deliveryKey(ID, 0),
    message: message(),
    lane: 'mx:example.net',
    priority: 'medium',
    recipients: recipients.map((recipient) => (typeof recipient === 'string' ? queued(recipient) : recipient)),
    attempts: 0,
    log: [],
    delayNoticed: false,
    held: false,
    due: T0,
    ...changes,
  };
}

export function trouble(lasting: Trouble['lasting'], changes: Partial<Trouble> = {}): Trouble {
  return lasting === 'permanent'
    ? { lasting, stage: 'rcpt', status: '5.1.1', text: '5.1.1 No such user', code: 550, server: SERVER, ...changes }
    : { lasting, stage: 'rcpt', status: '4.2.0', text: '4.2.0 Come back later', code: 450, server: SERVER, ...changes };
}

export const ok: RecipientOutcome = { kind: 'delivered', status: '2.0.0', text: '2.0.0 Ok: queued as 1A', server: SERVER };
export const later: RecipientOutcome = { kind: 'deferred', trouble: trouble('temporary') };
export const never: RecipientOutcome = { kind: 'failed', trouble: trouble('permanent') };
export const again: RecipientOutcome = { kind: 'again' };

export function laterAfter(retryAfterMs: number): RecipientOutcome {
  return { kind: 'deferred', trouble: trouble('temporary', { retryAfterMs }) };
}

export function transaction(outcomes: readonly RecipientOutcome[], changes: Partial<TransactionResult> = {}): TransactionResult {
  return { startedAt: T0 + 1000, endedAt: T0 + 1250, server: SERVER, outcomes, ...changes };
}
