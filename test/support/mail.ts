/** Made-up mail for tests of the spool and what stands on it: values with sensible defaults, every one different. */
import type { Delivery, NewDelivery, Recipient } from '../../src/core/delivery.js';
import type { Message } from '../../src/core/message.js';
import type { Acceptance, Lease, Settlement } from '../../src/spool/spool.js';

let made = 0;

/** Sorts in the order of the calls. */
export function nextId(): string {
  return `01TEST${(++made).toString(32).toUpperCase().padStart(20, '0')}`;
}

export function message(given: Partial<Message> & { acceptedAt: number }): Message {
  return {
    id: nextId(),
    sender: 'sender@example.com',
    sizeBytes: 5,
    content: { eightBit: false, dotted: false, utf8Headers: false },
    smtpUtf8: false,
    requireTls: false,
    priority: 'medium',
    notBefore: 0,
    expiresAt: given.acceptedAt + 5 * 86_400_000,
    origin: { kind: 'smtp', client: '127.0.0.1', helo: 'client.example.com' },
    messageId: `<${made}@example.com>`,
    bounces: 'mail',
    ...given,
  };
}

export function recipient(address: string): Recipient {
  return { address, state: 'queued' };
}

/** One delivery per lane, to `user@` its domain. */
export function acceptance(
  given: Partial<Message> & { acceptedAt: number },
  lanes: readonly string[] = ['mx:one.test'],
  body: Acceptance['body'] = Buffer.from('hello'),
): Acceptance {
  const sizeBytes = Buffer.isBuffer(body) ? body.length : body.sizeBytes;
  const deliveries = lanes.map((lane): NewDelivery => ({ lane, recipients: [recipient(`user@${lane.replace(/^mx:/, '')}`)] }));
  return { message: message({ sizeBytes, ...given }), deliveries, body };
}

/** All who were queued are delivered. */
export function delivered(delivery: Delivery, at: number): Settlement {
  const last = { at, status: '2.0.0', text: 'Ok', server: 'mx.test[192.0.2.1]:25' };
  return {
    at,
    recipients: delivery.recipients.map((one) => (one.state === 'queued' ? { ...one, state: 'delivered', last } : one)),
    attempts: delivery.attempts + 1,
    log: [...delivery.log, { at, durationMs: 5, server: last.server, stage: 'content', delivered: 1, deferred: 0, failed: 0 }],
    delayNoticed: delivery.delayNoticed,
    next: { kind: 'done' },
    reports: [],
  };
}

/** Nobody was: tried again at `due`, or at once. */
export function deferred(delivery: Delivery, at: number, due?: number, text = '450 later'): Settlement {
  const trouble = { lasting: 'temporary', stage: 'rcpt', status: '4.2.0', text } as const;
  return {
    at,
    recipients: delivery.recipients,
    attempts: delivery.attempts + 1,
    log: [...delivery.log, { at, durationMs: 5, stage: 'rcpt', delivered: 0, deferred: 1, failed: 0, trouble }],
    delayNoticed: delivery.delayNoticed,
    next: due === undefined ? { kind: 'ready' } : { kind: 'retry', due },
    reports: [],
  };
}

export function idOf(lease: Lease | undefined): string | undefined {
  return lease?.delivery.message.id;
}
