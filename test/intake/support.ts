/** A spool that keeps what it is given in memory and can be told to fail or to be slow, an intake on it, a listener, and a raw client. */
import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { domainOf } from '../../src/core/address.js';
import { MtaError } from '../../src/core/errors.js';
import type { MailEvent } from '../../src/core/event.js';
import type { SmtpListenerOptions } from '../../src/intake/smtp/listener.js';
import { startSmtpListener } from '../../src/intake/smtp/listener.js';
import type { Submission, SubmissionEnvelope } from '../../src/intake/submission.js';
import { createIntake, type IntakeOptions } from '../../src/intake/submit.js';
import { type Clock, systemClock } from '../../src/platform/clock.js';
import { type LogFields, silentLog } from '../../src/platform/log.js';
import type { Acceptance, BodyWriter, Spool } from '../../src/spool/spool.js';

export interface Stored {
  readonly entry: Acceptance;
  readonly text: string;
  readonly bytes: Buffer;
}

export class FakeSpool implements Pick<Spool, 'closedFor' | 'writeBody' | 'accept'> {
  readonly stored: Stored[] = [];
  /** Writers that were opened and neither finished nor aborted. */
  open = 0;
  opened = 0;
  /** Octets of the writes, one number each. */
  writes: number[] = [];
  closed: 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined;
  closedAsked: number[] = [];
  /** What the next accepts wait for. */
  gate: Promise<void> | undefined;
  /** What the writes wait for. */
  writeGate: Promise<void> | undefined;
  acceptError: Error | undefined;
  finishError: Error | undefined;
  keep = true;

  closedFor(sizeBytes: number): 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined {
    this.closedAsked.push(sizeBytes);
    return this.closed;
  }

  writeBody(): BodyWriter {
    const chunks: Buffer[] = [];
    this.open++;
    this.opened++;
    let ended = false;
    const end = () => {
      if (!ended) this.open--;
      ended = true;
    };
    return {
      write: (chunk) => {
        this.writes.push(chunk.length);
        if (this.keep) chunks.push(chunk);
        return this.writeGate ?? true;
      },
      finish: async () => {
        end();
        if (this.finishError) throw this.finishError;
        return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      },
      abort: end,
    };
  }

  async accept(entry: Acceptance): Promise<void> {
    await this.gate;
    if (this.acceptError) throw this.acceptError;
    const bytes = entry.body as Buffer;
    this.stored.push({ entry, bytes, text: bytes.toString('latin1') });
  }
}

export const EPOCH = Date.UTC(2026, 10, 22, 9, 5, 7);

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly event: string;
  readonly fields: LogFields | undefined;
}

export function openIntake(more: Partial<IntakeOptions> = {}) {
  const spool = new FakeSpool();
  const events: MailEvent[] = [];
  const lines: LogLine[] = [];
  const note = (level: LogLine['level']) => (event: string, fields?: LogFields) => void lines.push({ level, event, fields });
  const log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
  let number = 0;
  const intake = createIntake({
    spool,
    clock: { now: () => EPOCH },
    newId: () => `01HZZZZZZZZZZZZZZZZZZZ${String(++number).padStart(4, '0')}`,
    hostname: 'mx.test',
    maxMessageSizeBytes: 1024 * 1024,
    maxReceived: 50,
    expiryMs: 5 * 86_400_000,
    laneOf: (recipient) => `mx:${domainOf(recipient)}`,
    ownServer: ({ host, port }) => ({ lane: `host:${host}:${port}:o1`, about: 'sealed' }),
    emit: (event) => void events.push(event),
    ...more,
  });
  return { spool, intake, events, lines, log };
}

export const ENVELOPE: SubmissionEnvelope = {
  sender: 'a@example.org',
  recipients: [{ address: 'b@example.net' }],
  smtpUtf8: false,
  requireTls: false,
  origin: { kind: 'api' },
  priority: 'medium',
  notBefore: 0,
  bounces: 'mail',
  received: '',
};

/** A header that lacks nothing. */
export const HEADER = 'Date: Sun, 22 Nov 2026 09:00:00 +0000\r\nFrom: a@example.org\r\nMessage-ID: <1@example.org>\r\n';

/** Writes the content in pieces of `size` octets, waiting where it is asked to. */
export async function write(submission: Submission, content: string | Buffer, size = Number.POSITIVE_INFINITY): Promise<void> {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  for (let at = 0; at < bytes.length; at += size) {
    const taken = submission.write(Buffer.from(bytes.subarray(at, at + size)));
    if (taken !== true) await taken;
  }
}

export type Opened = Awaited<ReturnType<typeof openListener>>;

/** A listener on a free port of loopback, closed when the test ends. */
export async function openListener(t: TestContext, more: Partial<SmtpListenerOptions> = {}, intakeMore: Partial<IntakeOptions> = {}) {
  const opened = openIntake(intakeMore);
  const listener = await startSmtpListener({
    intake: opened.intake,
    clock: systemClock,
    log: opened.log,
    hostname: 'mx.test',
    listen: [{ host: '127.0.0.1', port: 0, implicitTls: false }],
    trustedNetworks: ['127.0.0.0/8'],
    bareNewlines: 'normalise',
    maxConnections: 100,
    maxRecipients: 100,
    maxMessageSizeBytes: 1024 * 1024,
    idleTimeoutMs: 60_000,
    ...more,
  });
  t.after(() => listener.close(AbortSignal.abort()));
  return { ...opened, listener, port: listener.addresses[0]!.port };
}

/** Talks to a listener in octets. Replies are read one at a time, multi-line ones as one. */
export class Client {
  readonly socket: Duplex;
  #input = '';
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#input += text;
      this.#wake?.();
    });
    const end = () => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }

  static async dial(port: number, host = '127.0.0.1'): Promise<Client> {
    const socket = net.connect({ host, port, noDelay: true });
    const client = new Client(socket);
    await once(socket, 'connect');
    return client;
  }

  /** Dialled, greeted, and past EHLO. */
  static async ready(port: number): Promise<Client> {
    const client = await Client.dial(port);
    await client.reply();
    await client.ask('EHLO client.test');
    return client;
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** The next reply, all its lines; `''` if the server closed instead. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n/.exec(this.#input);
      if (match) {
        this.#input = this.#input.slice(match[0].length);
        return match[0].trimEnd();
      }
      if (this.#ended) return '';
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async replies(count: number): Promise<string[]> {
    const all: string[] = [];
    for (let i = 0; i < count; i++) all.push(await this.reply());
    return all;
  }

  async ask(command: string): Promise<string> {
    this.send(`${command}\r\n`);
    return this.reply();
  }

  /** One transaction up to the 354. */
  async begin(from = 'a@example.org', to = 'b@example.net'): Promise<string> {
    this.send(`MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\nDATA\r\n`);
    return (await this.replies(3)).at(-1)!;
  }

  /** All that is still to come, until the server closes. */
  async rest(): Promise<string> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#input;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Resolves once `holds` does; fails by the test's own time limit if it never does. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock whose time only the test moves. */
export class ManualClock implements Clock {
  #now = 0;
  #timers: { at: number; call: () => void }[] = [];

  now = () => EPOCH + this.#now;
  monotonic = () => this.#now;

  after(ms: number, call: () => void) {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Goes on in order, calling what comes due on the way. */
  advance(ms: number): void {
    const target = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= target).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = next.at;
      next.call();
    }
    this.#now = target;
  }
}

export { MtaError, silentLog };
