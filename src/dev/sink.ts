/**
 * A recording SMTP destination, for tests and for `riata dev`: it speaks the server's side on loopback, keeps what it is
 * given octet for octet, and answers as its recipients (`fates.ts`) or a script wish.
 *
 * Promises: the newest messages are kept within bounds (`keep`, `keepBytes`), all of them are counted. What a client
 * does that it must not is written down in `violations`.
 * Must not be exposed: it takes mail for anybody, from anybody.
 */
import net from 'node:net';
import tls from 'node:tls';
import { type Clock, systemClock } from '../platform/clock.js';
import type { Act } from './act.js';
import { SinkSession } from './sink-session.js';

export interface SinkMessage {
  /** Connections are numbered from 1; messages from 1 on each connection. */
  readonly connection: number;
  readonly number: number;
  readonly helo: string;
  /** What stood between the angle brackets. */
  readonly sender: string;
  /** `SIZE=100`, `BODY=8BITMIME` … as given at MAIL. */
  readonly parameters: readonly string[];
  readonly recipients: readonly string[];
  /** As given at each RCPT, in the same order. */
  readonly recipientParameters: readonly (readonly string[])[];
  /** The content as it was before dots were stuffed; empty where only counting (`keep: 0`). */
  readonly bytes: Buffer;
  /** Octets between DATA and the final dot, stuffed dots included. */
  readonly sizeBytes: number;
  /** When the final dot was accepted, by the sink's clock. */
  readonly at: number;
  /** TLS version, or undefined in the clear. */
  readonly tls: string | undefined;
  readonly user: string | undefined;
}

/** `CONNECT` stands for the greeting, `DOT` for the end of the content; other verbs as they are on the wire, upper case. */
export interface SinkCommand {
  readonly verb: string;
  readonly argument: string;
}

/** The state of a connection, as a script sees it. */
export interface SinkSessionView {
  readonly connection: number;
  /** Messages accepted on it. */
  readonly messages: number;
  readonly helo: string;
  readonly sender: string | undefined;
  readonly recipients: readonly string[];
  readonly tls: string | undefined;
  readonly user: string | undefined;
}

/** What to do instead of the usual; undefined for the usual. A promise holds the answer back. */
export type SinkScript = (command: SinkCommand, session: SinkSessionView) => Act | undefined | Promise<Act | undefined>;

export interface SinkOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** How it names itself. Default `sink.test`. */
  readonly hostname?: string;
  /** What EHLO offers, besides `STARTTLS` and `AUTH`, which follow from `tls` and `users`. `SIZE` is given its number. */
  readonly extensions?: readonly string[];
  /** EHLO is an unknown command. */
  readonly heloOnly?: boolean;
  /** Key and certificate in PEM: STARTTLS is offered, or TLS spoken from the first octet. */
  readonly tls?: {
    readonly key: string;
    readonly cert: string;
    readonly implicit?: boolean;
    readonly minVersion?: tls.SecureVersion;
    readonly maxVersion?: tls.SecureVersion;
  };
  /** Passwords by name: AUTH PLAIN and LOGIN are offered, and MAIL refused without. */
  readonly users?: Readonly<Record<string, string>>;
  /** Whether recipients choose their fate. Default true. */
  readonly fates?: boolean;
  /** How long `slow@` takes. Default 2,000. */
  readonly slowMs?: number;
  /** Longest content taken, in octets. Default 64 MiB. */
  readonly maxBytes?: number;
  /** How many messages are kept (the newest), and octets of them. Default 10,000 and 256 MiB. 0: counted only. */
  readonly keep?: number;
  readonly keepBytes?: number;
  readonly clock?: Pick<Clock, 'now' | 'after'>;
  readonly script?: SinkScript;
  readonly onMessage?: (message: SinkMessage) => void;
}

export interface SinkCounts {
  /** Connections since the start, now, and at most at one time. */
  readonly connections: number;
  readonly open: number;
  readonly mostOpen: number;
  /** Messages accepted since the start. */
  readonly messages: number;
}

export interface Sink {
  readonly port: number;
  readonly messages: readonly SinkMessage[];
  readonly counts: SinkCounts;
  /** What clients did against the protocol: the first 100. */
  readonly violations: readonly string[];
  /** Resolves when so many messages have been accepted since the start. */
  received(count: number): Promise<void>;
  /** Resolves when no connection is open. */
  idle(): Promise<void>;
  /** Ends every connection, as a crash would. */
  cut(): void;
  close(): Promise<void>;
}

/** What sessions share. */
export interface SinkContext {
  readonly options: Required<Omit<SinkOptions, 'tls' | 'users' | 'script' | 'onMessage' | 'host' | 'port'>> &
    Pick<SinkOptions, 'tls' | 'users' | 'script'>;
  readonly secureContext: tls.SecureContext | undefined;
  accepted(message: SinkMessage): void;
  violation(text: string): void;
  /** True from the second time on. */
  repeated(recipient: string): boolean;
}

const MAX_VIOLATIONS = 100;
const MAX_REMEMBERED = 10_000;
const DEFAULTS = {
  hostname: 'sink.test',
  extensions: ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'SIZE', 'ENHANCEDSTATUSCODES'],
  heloOnly: false,
  fates: true,
  slowMs: 2000,
  maxBytes: 64 << 20,
  keep: 10_000,
  keepBytes: 256 << 20,
  clock: systemClock,
};

export async function startSink(options: SinkOptions = {}): Promise<Sink> {
  const { host = '127.0.0.1', port = 0, onMessage, ...rest } = options;
  const settings = { ...DEFAULTS, ...rest };
  const record = createRecord(settings);
  const { counts } = record;
  const sessions = new Set<SinkSession>();
  const context: SinkContext = {
    options: settings,
    secureContext: settings.tls && tls.createSecureContext(settings.tls),
    accepted(message) {
      record.add(message);
      onMessage?.(message);
      record.changed();
    },
    violation: record.violation,
    repeated: createMemory(),
  };

  const server = net.createServer({ noDelay: true }, (socket) => {
    counts.open++;
    counts.mostOpen = Math.max(counts.mostOpen, counts.open);
    const session = new SinkSession(socket, context, ++counts.connections);
    sessions.add(session);
    socket.once('close', () => {
      counts.open--;
      sessions.delete(session);
      record.changed();
    });
    session.greet();
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));

  const cut = () => {
    for (const session of sessions) session.destroy();
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    messages: record.messages,
    counts,
    violations: record.violations,
    received: (count) => record.until(() => counts.messages >= count),
    idle: () => record.until(() => counts.open === 0),
    cut,
    close() {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** What is kept, within bounds, and who waits for it. */
function createRecord({ keep, keepBytes }: { readonly keep: number; readonly keepBytes: number }) {
  const messages: SinkMessage[] = [];
  const violations: string[] = [];
  const counts = { connections: 0, open: 0, mostOpen: 0, messages: 0 };
  let waiting: { readonly done: () => boolean; readonly resolve: () => void }[] = [];
  let bytes = 0;
  return {
    messages,
    violations,
    counts,
    add(message: SinkMessage) {
      counts.messages++;
      if (keep === 0) return;
      messages.push(message);
      bytes += message.bytes.length;
      while (messages.length > keep || bytes > keepBytes) bytes -= messages.shift()!.bytes.length;
    },
    violation(text: string) {
      if (violations.length < MAX_VIOLATIONS) violations.push(text);
    },
    until(done: () => boolean): Promise<void> {
      return done() ? Promise.resolve() : new Promise((resolve) => waiting.push({ done, resolve }));
    },
    changed() {
      const ready = waiting.filter(({ done }) => done());
      waiting = waiting.filter((wait) => !ready.includes(wait));
      for (const { resolve } of ready) resolve();
    },
  };
}

/** Whether somebody was here before. Forgets all when there are too many to remember. */
function createMemory(): (name: string) => boolean {
  const seen = new Set<string>();
  return (name) => {
    if (seen.has(name)) return true;
    if (seen.size >= MAX_REMEMBERED) seen.clear();
    seen.add(name);
    return false;
  };
}
