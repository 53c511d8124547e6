/**
 * `riata/nodemailer`: a transport by which nodemailer (6 and later) hands its mail to an agent.
 *
 *   const transporter = nodemailer.createTransport(riataTransport(mta));
 *
 * Promises: `sendMail` resolves when the message is durable; the envelope is the one that nodemailer found, and nothing else in the
 * message can add to it; what composing, plugins and DKIM signing made of the content goes on as it is.
 *
 * Must not: need nodemailer (it is the caller's), or end the agent, which is the caller's as well.
 */
import type { Readable } from 'node:stream';
import type { QueueOptions } from './api/hand-in.js';
import type { MailAgent } from './api/mail-agent.js';
import { version } from './version.js';

/** Options of `mta.queue` that nodemailer has no name for: tags, idempotencyKey, date, delay, expires, bounces, … */
export type RiataMailOptions = Omit<QueueOptions, 'data' | 'from' | 'recipients' | 'signal'>;

/** What is read of a message that nodemailer has composed. */
export interface ComposedMail {
  readonly data: object;
  readonly message: {
    getEnvelope(): { readonly from: string | false; readonly to: string[] };
    messageId(): string;
    createReadStream(): Readable;
  };
}

/** What `sendMail` resolves with. */
export interface RiataSentInfo {
  envelope: { from: string; to: string[] };
  /** As in the header. */
  messageId: string;
  /** Taken into the queue; what becomes of them is told by the agent: `mta.status(info.id)`. */
  accepted: string[];
  rejected: string[];
  pending: string[];
  response: string;
  /** The agent's id of the message. */
  id: string;
  [more: string]: unknown;
}

type SendCallback = (error: Error | null, info: RiataSentInfo) => void;

export interface RiataTransport {
  readonly name: string;
  readonly version: string;
  /** The `signal` of a message is obeyed. */
  readonly supportsAbortSignal: true;
  send(mail: ComposedMail, callback: SendCallback): void;
  /** Whether the agent is open. */
  verify(callback?: (error: Error | null, success: true) => void): Promise<true> | undefined;
  /** The queue takes the next message at any time. */
  isIdle(): true;
}

/**
 * `defaults` hold for every message; `riata: {…}` among the options of a message goes before them. Of nodemailer's own options `priority`,
 * `dsn` and `requireTLSExtensionEnabled` count for the delivery, too. Errors are those of `mta.queue`.
 */
export function riataTransport(mta: Pick<MailAgent, 'queue' | 'status'>, defaults: RiataMailOptions = {}): RiataTransport {
  return {
    name: 'riata',
    version: version(),
    supportsAbortSignal: true,
    send(mail, callback) {
      queue(mta, mail, defaults).then(
        // Outside of the promise: what the callback throws is its own.
        (info) => setImmediate(callback, null, info),
        (error: Error) => setImmediate(callback as (error: Error) => void, error),
      );
    },
    verify(callback) {
      const open = mta.status('').then(() => true as const);
      if (callback === undefined) return open;
      open.then(
        (success) => setImmediate(callback, null, success),
        (error: Error) => setImmediate(callback as (error: Error) => void, error),
      );
      return undefined;
    },
    isIdle: () => true,
  };
}

/** What nodemailer's users may have put among the options of a message. */
interface MailData {
  readonly priority?: 'high' | 'normal' | 'low';
  readonly dsn?: {
    readonly id?: string;
    readonly envid?: string;
    readonly return?: string;
    readonly ret?: string;
    readonly notify?: string | readonly string[];
  };
  readonly requireTLSExtensionEnabled?: boolean;
  readonly signal?: AbortSignal;
  readonly riata?: RiataMailOptions;
}

async function queue(mta: Pick<MailAgent, 'queue'>, mail: ComposedMail, defaults: RiataMailOptions): Promise<RiataSentInfo> {
  const { message } = mail;
  const { from, to } = message.getEnvelope();
  const data: MailData = mail.data;
  const envelope = { from: from || '', to: [...to] };
  const sent = await mta.queue({
    ...termsOf(data),
    ...defaults,
    ...data.riata,
    ...(data.signal === undefined ? {} : { signal: data.signal }),
    data: message.createReadStream(),
    from: envelope.from,
    // One mailbox each, whatever characters it has.
    recipients: envelope.to.map((address) => ({ address })),
  });
  return {
    envelope,
    messageId: message.messageId(),
    accepted: envelope.to,
    rejected: [],
    pending: [],
    response: `250 2.0.0 Ok: queued as ${sent.id}`,
    id: sent.id,
  };
}

const PRIORITY = { high: 'high', normal: 'medium', low: 'low' } as const;
const RETURN: Readonly<Record<string, 'full' | 'hdrs'>> = { full: 'full', body: 'full', hdrs: 'hdrs', headers: 'hdrs' };

function termsOf({ priority, dsn, requireTLSExtensionEnabled }: MailData): RiataMailOptions {
  return {
    ...(priority === undefined ? {} : { priority: PRIORITY[priority] }),
    ...(requireTLSExtensionEnabled === true ? { requireTls: true } : {}),
    ...(dsn ? { dsn: dsnOf(dsn) } : {}),
  };
}

function dsnOf(dsn: NonNullable<MailData['dsn']>): NonNullable<RiataMailOptions['dsn']> {
  const { id, envid = id, return: returned, ret = returned, notify } = dsn;
  const words = typeof notify === 'string' ? notify.split(',').map((word) => word.trim()) : notify;
  return {
    ...(envid === undefined ? {} : { envid }),
    // What is no such word is named by the agent's error.
    ...(ret === undefined ? {} : { ret: RETURN[ret.toLowerCase()] ?? (ret as 'full') }),
    ...(words === undefined ? {} : { notify: words as ['failure'] }),
  };
}
