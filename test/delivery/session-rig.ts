/** Jobs, a source of work that writes down what it is told, and sessions to the recording destination. */
import type { Duplex } from 'node:stream';
import type { Job } from '../../src/core/carrier.js';
import type { Recipient } from '../../src/core/delivery.js';
import type { Body, Message } from '../../src/core/message.js';
import type { RecipientOutcome, TransactionResult } from '../../src/core/outcome.js';
import type { ChannelPolicy, Opened, Session, SessionWork, Timeouts } from '../../src/delivery/contract.js';
import { openSession, type SessionOptions } from '../../src/delivery/session.js';
import { systemClock } from '../../src/platform/clock.js';
import { type Dialer, systemDialer } from '../../src/platform/dialer.js';
import { silentLog } from '../../src/platform/log.js';

export const TIMEOUTS: Timeouts = { connect: 30_000, greeting: 300_000, command: 301_000, data: 180_000, finalDot: 600_000 };
export const POLICY: ChannelPolicy = { tls: 'off', tlsName: 'localhost', allowInsecureAuth: false, heloName: 'client.test' };

export const PLAIN = Buffer.from('Subject: hello\r\n\r\nHello.\r\n');

export interface JobOptions {
  readonly sender?: string;
  readonly to?: readonly string[];
  readonly bytes?: Buffer;
  readonly body?: () => Promise<Body>;
  readonly message?: Partial<Message>;
  readonly recipients?: readonly Recipient[];
}

let made = 0;

/** `body`: the bytes are not at hand, as far as the job goes. */
export function makeJob(options: JobOptions = {}): Job {
  const { sender = 'from@client.test', bytes = PLAIN, to = ['to@sink.test'], body } = options;
  const id = `job-${++made}`;
  const text = bytes.toString('latin1');
  const message: Message = {
    id,
    acceptedAt: 0,
    sender,
    sizeBytes: bytes.length,
    content: {
      eightBit: /[\x80-\xff]/.test(text),
      dotted: /^\./m.test(text),
      utf8Headers: /[\x80-\xff]/.test(text.slice(0, text.indexOf('\r\n\r\n'))),
    },
    smtpUtf8: false,
    requireTls: false,
    priority: 'medium',
    notBefore: 0,
    expiresAt: 1e12,
    origin: { kind: 'api' },
    messageId: '',
    bounces: 'mail',
    ...options.message,
  };
  const recipients = options.recipients ?? to.map((address): Recipient => ({ address, state: 'queued' }));
  const lane = 'mx:sink.test';
  return {
    delivery: {
      key: `${id}.0`,
      message,
      lane,
      priority: 'medium',
      recipients,
      attempts: 0,
      log: [],
      delayNoticed: false,
      held: false,
      due: 0,
    },
    recipients: recipients.map(({ address }) => address),
    bytes: body ? undefined : bytes,
    body: body ?? (() => Promise.reject(new Error('the bytes were at hand'))),
  };
}

/** Content that comes in these pieces; a function among them is called at its place. */
export function streamed(pieces: readonly (Buffer | (() => void | Promise<void>))[], sizeBytes = 100): () => Promise<Body> {
  return () =>
    Promise.resolve({
      kind: 'stream',
      sizeBytes,
      async *open() {
        for (const piece of pieces) {
          if (typeof piece === 'function') await piece();
          else yield piece;
        }
      },
    });
}

/** Gives out jobs in order, and writes down all that it is asked and told, by the number of the job (from 0). */
export class Work implements SessionWork {
  readonly events: string[] = [];
  readonly results: (TransactionResult | undefined)[] = [];
  readonly errors: Error[] = [];
  gate: () => true | Promise<void> = () => true;
  readonly #jobs: Job[];
  readonly #waiting: Job[];
  #wake: () => void = () => {};

  constructor(...jobs: readonly Job[]) {
    this.#jobs = [...jobs];
    this.#waiting = [...jobs];
  }

  add(job: Job): void {
    this.#jobs.push(job);
    this.#waiting.push(job);
  }

  next(): Job | undefined {
    const job = this.#waiting.shift();
    this.#note(job ? `next ${this.#jobs.indexOf(job)}` : 'nothing');
    return job;
  }

  done(job: Job, result: TransactionResult): void {
    const index = this.#jobs.indexOf(job);
    if (this.results[index]) throw new Error(`job ${index} was done already`);
    this.results[index] = result;
    this.#note(`done ${index}`);
  }

  untried(job: Job): void {
    this.#note(`untried ${this.#jobs.indexOf(job)}`);
  }

  unreadable(job: Job, error: Error): void {
    this.errors.push(error);
    this.#note(`unreadable ${this.#jobs.indexOf(job)}`);
  }

  mayFinish(): true | Promise<void> {
    this.#note('mayFinish');
    return this.gate();
  }

  /** Outcomes of a job, in short: `delivered`, `deferred rcpt 450`, `failed local size`, `again`. */
  outcomes(index: number): string[] {
    return (this.results[index]?.outcomes ?? []).map(brief);
  }

  /** Resolves when this was written down. */
  async until(event: string): Promise<void> {
    while (!this.events.includes(event)) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #note(event: string): void {
    this.events.push(event);
    this.#wake();
  }
}

export function brief(outcome: RecipientOutcome): string {
  if (outcome.kind === 'delivered' || outcome.kind === 'again') return outcome.kind;
  const { stage, code, reason } = outcome.trouble;
  return `${outcome.kind} ${stage} ${code ?? reason}`;
}

/** A dialer whose connections tell what is written to them, one string for each write. */
export function listening(): { readonly writes: string[]; readonly dialer: Dialer } {
  const writes: string[] = [];
  const connect: Dialer['connect'] = async (target, signal): Promise<Duplex> => {
    const stream = await systemDialer.connect(target, signal);
    const spy = <Call extends (...parameters: never[]) => unknown>(call: Call): Call =>
      ((...parameters: Parameters<Call>) => {
        if (parameters[0] !== undefined) writes.push(String(parameters[0]));
        return call.apply(stream, parameters);
      }) as Call;
    stream.write = spy(stream.write);
    stream.end = spy(stream.end);
    return stream;
  };
  return { writes, dialer: { ...systemDialer, connect } };
}

export async function open(port: number, options: Partial<SessionOptions> = {}, signal = new AbortController().signal): Promise<Opened> {
  return openSession(
    {
      target: { host: 'sink.test', address: '127.0.0.1', port },
      policy: POLICY,
      timeouts: TIMEOUTS,
      maxMessages: 100,
      maxRecipients: 100,
      dialer: systemDialer,
      clock: systemClock,
      log: silentLog,
      transcripts: 'all',
      connection: 1,
      ...options,
    },
    signal,
  );
}

export async function opened(port: number, options: Partial<SessionOptions> = {}): Promise<Session> {
  const answer = await open(port, options);
  if (answer.kind !== 'open') throw new Error(`not open: ${JSON.stringify(answer.trouble)}`);
  return answer.session;
}
