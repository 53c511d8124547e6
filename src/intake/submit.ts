/**
 * The one door: whatever becomes a message passes through here, from SMTP and from the API alike.
 *
 * Promises
 *  - What is stored is what came in, with all line ends CRLF, the trace line on top, `Date`, `Message-ID` and `From` put in
 *    where they were missing, `Bcc` and `Resent-Bcc` taken out, and nothing else changed (G11).
 *  - `finish` resolves once the spool has it durable, and not before (G1). One `accepted` event each.
 *  - A submission that is refused or aborted leaves nothing behind.
 *  - Memory is bounded whatever the size: octets go on to the spool as they come (G8).
 *
 * Must not: speak SMTP, know routes, decide when anything is sent.
 */
import { canonicalAddress } from '../core/address.js';
import type { NewDelivery, Recipient } from '../core/delivery.js';
import { MtaError } from '../core/errors.js';
import type { Emit } from '../core/event.js';
import type { LaneKey } from '../core/lane.js';
import type { Message, MessageId } from '../core/message.js';
import type { OwnServer } from '../core/own-server.js';
import type { Clock } from '../platform/clock.js';
import type { Acceptance, Spool, StoredBody } from '../spool/spool.js';
import { Gatherer } from './gatherer.js';
import { type HeaderFindings, HeaderScan, type HeaderSink } from './header.js';
import { Newlines } from './newlines.js';
import { ONCE_MS } from './once.js';
import type { Intake, OnceMark, Staged, Submission, SubmissionEnvelope, Submitted } from './submission.js';
import { createMailDate } from './trace.js';

/** A header block larger than this is refused: nobody needs it, and every reader of it suffers. */
export const MAX_HEADER_BYTES = 256 * 1024;

export interface IntakeOptions {
  readonly spool: Pick<Spool, 'closedFor' | 'writeBody' | 'accept'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly newId: () => MessageId;
  /** Names this agent in Message-IDs and in the sender of mail that has none. */
  readonly hostname: string;
  /** Octets a client may send for one message. */
  readonly maxMessageSizeBytes: number;
  /** More `Received` fields than this are a loop. */
  readonly maxReceived: number;
  /** How long a message is tried, from its acceptance or from `notBefore`. */
  readonly expiryMs: number;
  readonly laneOf: (recipient: string, sender: string) => LaneKey;
  /** The lane of mail that brings its server along, and what is to be stored about it. */
  readonly ownServer: (server: OwnServer) => NonNullable<Acceptance['server']>;
  readonly emit: Emit;
}

/** What a message on its way in goes by. */
export interface IntakeDoor extends IntakeOptions {
  readonly mailDate: (epochMs: number) => string;
}

export function createIntake(options: IntakeOptions): Intake {
  const door = { ...options, mailDate: createMailDate() };
  return {
    renew: (limits) => void Object.assign(door, limits),
    begin: (envelope) => new Incoming(door, envelope),
    closedFor: (sizeBytes) => door.spool.closedFor(sizeBytes),
  };
}

/** Why content is refused. `code` of the error's one issue; listeners turn it into a reply. */
export type RefusalCode = 'TOO_LARGE' | 'NUL' | 'LOOP' | 'HEADER_TOO_LARGE';

const REFUSALS: Readonly<Record<RefusalCode, { readonly error: 'MESSAGE_TOO_LARGE' | 'MESSAGE_REFUSED'; readonly text: string }>> = {
  TOO_LARGE: { error: 'MESSAGE_TOO_LARGE', text: 'the message is larger than this server takes' },
  NUL: { error: 'MESSAGE_REFUSED', text: 'the message contains a NUL octet' },
  LOOP: { error: 'MESSAGE_REFUSED', text: 'too many Received fields: the message goes in a loop' },
  HEADER_TOO_LARGE: { error: 'MESSAGE_REFUSED', text: `the header is larger than ${MAX_HEADER_BYTES / 1024} KiB` },
};

function refusal(code: RefusalCode): MtaError {
  const { error, text } = REFUSALS[code];
  return new MtaError(error, text, { issues: [{ path: 'content', code, message: text }] });
}

/** open → finished | aborted. A refusal leaves it open, but nothing is stored any more. */
export class Incoming implements Submission, HeaderSink {
  readonly id: MessageId;
  readonly #door: IntakeDoor;
  readonly #envelope: SubmissionEnvelope;
  readonly #server: Acceptance['server'];
  readonly #newlines = new Newlines((octets) => this.#take(octets));
  readonly #header: HeaderScan = new HeaderScan(this);
  readonly #gatherer: Gatherer;
  #inHeader = true;
  #refused: RefusalCode | undefined;
  #octetsIn = 0;
  /** An octet above 127 is in a field that was added. */
  #utf8Added = false;
  #messageIdAdded = '';

  constructor(door: IntakeDoor, envelope: SubmissionEnvelope) {
    this.#door = door;
    this.#envelope = envelope;
    // First of all: it fails where the key cannot be read.
    this.#server = envelope.server && door.ownServer(envelope.server);
    this.id = door.newId();
    this.#gatherer = new Gatherer(() =>
      door.spool.writeBody({ id: this.id, sender: envelope.sender, recipients: envelope.recipients.map((recipient) => recipient.address) }),
    );
    const { received } = envelope;
    const trace = typeof received === 'string' ? received : received(this.id, door.mailDate(door.clock.now()));
    if (trace !== '') this.putText(trace);
  }

  write(chunk: Buffer): true | Promise<void> {
    this.#octetsIn += chunk.length;
    if (this.#refused !== undefined) return true;
    if (this.#octetsIn > this.#door.maxMessageSizeBytes) return this.#refuse('TOO_LARGE');
    if (chunk.indexOf(0) !== -1) return this.#refuse('NUL');
    this.#newlines.feed(chunk);
    return this.#gatherer.waiting();
  }

  async finish(once?: OnceMark): Promise<Submitted> {
    const { id, messageId, sizeBytes, durable } = await this.stage(once);
    await durable;
    return { id, messageId, sizeBytes };
  }

  async stage(once?: OnceMark): Promise<Staged> {
    this.endContent();
    const { spool, clock } = this.#door;
    const server = this.#server;
    const deliveries = deliveriesOf(this.#envelope, server === undefined ? this.#door.laneOf : () => server.lane);
    const body = await this.#gatherer.finish();
    const message = this.messageAt(clock.now());
    const remembered = once === undefined ? undefined : { once: { ...once, until: message.acceptedAt + ONCE_MS } };
    const durable = spool.accept({ message, deliveries, body, ...remembered, ...(server && { server }) }).then(() => this.#tell(message));
    return { id: message.id, messageId: message.messageId, sizeBytes: message.sizeBytes, durable };
  }

  /** The one it brought along. */
  get server(): Acceptance['server'] {
    return this.#server;
  }

  /** Nothing more comes. Throws what is wrong with it. */
  endContent(): void {
    if (this.#refused === undefined) this.#end();
    if (this.#refused !== undefined) throw refusal(this.#refused);
  }

  /** The content, once it has ended: not yet owned by a message. */
  body(): Promise<Buffer | StoredBody> {
    return this.#gatherer.finish();
  }

  abort(): void {
    this.#gatherer.abort();
  }

  put(bytes: Buffer, from: number, to: number): void {
    this.#gatherer.put(bytes, from, to);
  }

  putText(text: string): void {
    const bytes = Buffer.from(text);
    if (bytes.length !== text.length) this.#utf8Added = true;
    this.#gatherer.put(bytes, 0, bytes.length);
  }

  missing(found: HeaderFindings): string {
    this.#inHeader = false;
    if (found.date && found.messageId && found.from) return '';
    const { clock, hostname, mailDate } = this.#door;
    const { sender } = this.#envelope;
    const date = found.date ? '' : `Date: ${mailDate(clock.now())}\r\n`;
    const from = found.from ? '' : `From: ${sender === '' ? `MAILER-DAEMON@${hostname}` : sender}\r\n`;
    if (!found.messageId) this.#messageIdAdded = `<${this.id}@${hostname}>`;
    return `${date}${from}${found.messageId ? '' : `Message-ID: ${this.#messageIdAdded}\r\n`}`;
  }

  #take(bytes: Buffer): void {
    if (!this.#inHeader) {
      this.#gatherer.put(bytes, 0, bytes.length);
      return;
    }
    this.#header.feed(bytes);
    if (this.#header.received > this.#door.maxReceived) this.#refuse('LOOP');
    else if (this.#header.sizeBytes > MAX_HEADER_BYTES) this.#refuse('HEADER_TOO_LARGE');
  }

  #end(): void {
    this.#newlines.end();
    if (this.#refused !== undefined) return;
    if (this.#inHeader) this.#header.end();
    // SMTP always ends a line before the dot; other callers need not.
    if (!this.#gatherer.atLineStart) this.putText('\r\n');
  }

  #refuse(code: RefusalCode): true {
    this.#refused ??= code;
    this.#gatherer.abort();
    return true;
  }

  /** What it is, once its content has ended. */
  messageAt(acceptedAt: number): Message {
    const { sender, recipients, origin, priority, notBefore, bounces, requireTls, tags, trace, dsn } = this.#envelope;
    const utf8 = this.#envelope.smtpUtf8 || !isPlain(sender) || !recipients.every((recipient) => isPlain(recipient.address));
    return {
      id: this.id,
      acceptedAt,
      sender,
      sizeBytes: this.#gatherer.sizeBytes,
      content: {
        eightBit: this.#gatherer.eightBit,
        dotted: this.#gatherer.dotted,
        utf8Headers: this.#header.utf8 || this.#utf8Added,
      },
      smtpUtf8: utf8,
      requireTls,
      priority,
      notBefore,
      expiresAt: this.#envelope.expiresAt ?? Math.max(acceptedAt, notBefore) + this.#door.expiryMs,
      origin,
      messageId: this.#messageIdAdded || this.#header.messageIdText(),
      bounces,
      ...(tags === undefined ? undefined : { tags }),
      ...(trace === undefined ? undefined : { trace }),
      ...(dsn === undefined ? undefined : { dsn }),
    };
  }

  #tell(message: Message): void {
    tellAccepted(message, this.#envelope.recipients.length, this.#door.emit);
  }
}

export function tellAccepted(message: Message, recipients: number, emit: Emit): void {
  const { id, sender, origin, sizeBytes, messageId, acceptedAt } = message;
  emit({ type: 'accepted', at: acceptedAt, id, sender, recipients, sizeBytes, messageId, ...about(origin) });
}

/** Who handed it in, as events tell it. */
function about(origin: Message['origin']): { origin: string; helo?: string; user?: string } {
  if (origin.kind === 'smtp')
    return { origin: `smtp:${origin.client}`, helo: origin.helo, ...(origin.user === undefined ? undefined : { user: origin.user }) };
  if (origin.kind === 'api' && origin.user !== undefined) return { origin: 'api', user: origin.user };
  return { origin: origin.kind };
}

/** One delivery for each lane, in the order in which the lanes first appear; each mailbox once. */
function deliveriesOf({ recipients, sender }: SubmissionEnvelope, laneOf: IntakeOptions['laneOf']): NewDelivery[] {
  const only = recipients[0];
  if (recipients.length === 1 && only !== undefined) return [{ lane: laneOf(only.address, sender), recipients: [queued(only)] }];
  const seen = new Set<string>();
  const lanes = new Map<LaneKey, Recipient[]>();
  for (const recipient of recipients) {
    // A quoted local part may say the same as one that is not.
    const mailbox = recipient.address.charCodeAt(0) === QUOTE ? canonicalAddress(recipient.address) : recipient.address;
    if (seen.has(mailbox)) continue;
    seen.add(mailbox);
    const lane = laneOf(recipient.address, sender);
    const together = lanes.get(lane);
    if (together === undefined) lanes.set(lane, [queued(recipient)]);
    else together.push(queued(recipient));
  }
  return Array.from(lanes, ([lane, together]) => ({ lane, recipients: together }));
}

function queued(recipient: SubmissionEnvelope['recipients'][number]): Recipient {
  // Nearly all say nothing but their address, and spreading costs more than the rest of the record.
  if (recipient.notify === undefined && recipient.orcpt === undefined) return { address: recipient.address, state: 'queued' };
  return { ...recipient, state: 'queued' };
}

const QUOTE = 0x22;

function isPlain(address: string): boolean {
  for (let at = 0; at < address.length; at++) if (address.charCodeAt(at) > 127) return false;
  return true;
}
