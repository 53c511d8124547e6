/**
 * A connection to a server, held by the program itself: commands by hand, messages whole. It is the client that delivery uses, and knows
 * no queue; for mail that must arrive there is `createMta`.
 *
 *   const smtp = new SmtpClient();
 *   await smtp.open({ host: 'smtp.example.net', port: 587, username, password, ssl: 'starttls' });
 *   await smtp.send({ from, recipients, message });
 *   await smtp.close();
 *
 *   new ──open──► open ⇄ command, send ──close, or lost──► closed ──open──► …
 *
 * Promises
 *  - A command is one line, whatever is put into it: a line end or a NUL in it is refused (G12).
 *  - A login goes out only over TLS with a certificate that holds, or on loopback.
 *  - One thing at a time, in the order of the calls. No I/O before `open`.
 */
import { isIP } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import { errorOf, type Issues, isObject, onlyKnown, put, string } from '../compose/checks.js';
import type { Compose } from '../compose/compose.js';
import { type AddressInput, distinctAddresses, readEnvelopeAddress, readMailboxes } from '../compose/mailboxes.js';
import { normalizeDomain } from '../core/address.js';
import { MtaError } from '../core/errors.js';
import { createIdSource } from '../core/id.js';
import type { NowOutcome, Reply, Trouble } from '../core/outcome.js';
import { type Client, type ClientWorld, openClient } from '../delivery/client.js';
import { outcomeOf, rejected } from '../intake/immediate.js';
import { keptAside } from '../intake/raw.js';
import { aliveUntil } from '../platform/alive.js';
import { systemClock } from '../platform/clock.js';
import { systemDialer } from '../platform/dialer.js';
import { createDnsResolver } from '../platform/dns.js';
import { silentLog } from '../platform/log.js';
import { systemRandom } from '../platform/random.js';
import { readWait } from './asked.js';
import { chunksOf, readData } from './content.js';
import { readOwnServer, readTimeout, SERVER_OPTIONS } from './own-server.js';
import { readSignal, unlessAborted, type WaitOptions } from './waiting.js';

export interface SmtpClientOptions {
  /** A name or an IP address. Required by `open`, here or there. */
  readonly host?: string | undefined;
  /** Default: 25, and 465 with `ssl: true`. */
  readonly port?: number | undefined;
  /** Seconds that each step may take. Default: 30 for the connection, 300 for each answer. The answer to a message is waited for 600 at least. */
  readonly timeout?: number | undefined;
  /** Together with `password`. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** `true`: TLS from the first octet; `'starttls'`: demanded; both verified. Default: `false`, encrypted where the server offers it. */
  readonly ssl?: boolean | 'starttls' | undefined;
  /** Local address to connect from. */
  readonly clientIp?: string | undefined;
}

export interface SmtpCommand {
  /** The command, one line without its end. `DATA`, `BDAT`, `STARTTLS` and `QUIT` have their own ways: `send`, `ssl`, `close`. */
  readonly send: string;
  /** The code, or codes, that make it a success. Default: any of 200 to 399. */
  readonly expect?: number | readonly number[] | undefined;
  /** With `read`: the text of all lines of the reply, joined by `\n`, not that of the last one alone. */
  readonly multi?: boolean | undefined;
  /** Resolves with the reply instead of whether it was expected. */
  readonly read?: boolean | undefined;
  /** Seconds to wait for the answer. */
  readonly timeout?: number | undefined;
  /** Rejects with `ABORTED`; the connection is over then, if the command has gone out. */
  readonly signal?: AbortSignal | undefined;
}

export interface SmtpReply {
  readonly code: number;
  /** RFC 3463, where the reply has one. */
  readonly enhanced?: string;
  readonly text: string;
}

export interface SmtpMessage {
  /** Envelope sender; `''` for the null sender. */
  readonly from: string;
  readonly recipients: AddressInput;
  /** The whole message, header and body. Line ends become CRLF; nothing else is changed. */
  readonly message: string | Uint8Array | Readable | Compose;
  /** Rejects with `ABORTED`; the connection is over then, and whether the message was taken is not known. */
  readonly signal?: AbortSignal | undefined;
}

export interface SmtpSent {
  readonly outcomes: readonly NowOutcome[];
  /** Octets of the message. */
  readonly size: number;
}

/** What a program under test puts in the place of the world. */
export type SmtpClientWorld = Partial<ClientWorld>;

const CONNECT_MS = 30_000;
const ANSWER_MS = 300_000;
/** RFC 5321 §4.5.3.2.6: giving up earlier makes second copies. */
const FINAL_DOT_MS = 600_000;
const OPTIONS = [...SERVER_OPTIONS, 'clientIp'] as const satisfies readonly (keyof SmtpClientOptions)[];
const ELSEWHERE: Readonly<Record<string, string>> = {
  DATA: 'a message is sent by send()',
  BDAT: 'a message is sent by send()',
  STARTTLS: "TLS is begun by open(): ssl: 'starttls'",
  QUIT: 'a connection is ended by close()',
};

export class SmtpClient implements AsyncDisposable {
  readonly #defaults: SmtpClientOptions;
  readonly #world: ClientWorld;
  #client: Client | undefined;
  #answerMs = ANSWER_MS;

  /** Connects to nobody yet: `options` are what `open` takes where it is not told otherwise. */
  constructor(options: SmtpClientOptions = {}, world: SmtpClientWorld = {}) {
    const issues: Issues = [];
    if (!isObject(options)) put(issues, 'options', 'WRONG_TYPE', 'must be an object');
    else onlyKnown(options, OPTIONS, '', issues);
    if (issues.length > 0) throw errorOf(issues);
    this.#defaults = options;
    const { clock = systemClock, random = systemRandom } = world;
    this.#world = {
      clock,
      random,
      dialer: world.dialer ?? systemDialer,
      resolver: world.resolver ?? createDnsResolver({ clock, random }),
      log: world.log ?? silentLog,
    };
  }

  /** `host[address]:port` of the server, while it is open. */
  get server(): string | undefined {
    return this.#client?.server;
  }

  /** TLS version and cipher, where the connection has it. */
  get tls(): string | undefined {
    return this.#client?.tls;
  }

  /**
   * Connects, greets, encrypts, logs in. What was open is closed first. Rejects with `MtaError`: one that names every wrong option,
   * `CONNECTION_FAILED` with the stage and the server's words, `ABORTED`.
   */
  async open(options: SmtpClientOptions & { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const issues: Issues = [];
    if (!isObject(options)) {
      put(issues, 'options', 'WRONG_TYPE', 'must be an object');
      throw errorOf(issues);
    }
    const { signal: asked, ...given } = options;
    onlyKnown(given, OPTIONS, '', issues);
    const merged = { ...this.#defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
    const { server } = readOwnServer({ ...merged, host: merged.host ?? '' }, issues, false);
    const localAddress = readClientIp(merged.clientIp, issues);
    const signal = asked === undefined ? new AbortController().signal : readSignal(asked, 'signal', issues);
    if (server === undefined || signal === undefined || issues.length > 0) throw errorOf(issues);
    await this.close();
    const ms = server.timeoutMs;
    this.#answerMs = ms ?? ANSWER_MS;
    const timeouts = {
      connect: ms ?? CONNECT_MS,
      greeting: this.#answerMs,
      command: this.#answerMs,
      data: this.#answerMs,
      finalDot: Math.max(this.#answerMs, FINAL_DOT_MS),
    };
    const where = { server, heloName: heloName(), timeouts, ...(localAddress === undefined ? {} : { localAddress }) };
    const opened = await aliveUntil(openClient(where, this.#world, signal));
    if (signal.aborted) {
      if (!('lasting' in opened)) await opened.close();
      throw new MtaError('ABORTED', 'connecting was given up', { cause: signal.reason });
    }
    if ('lasting' in opened) throw failed(opened);
    this.#client = opened;
  }

  /** One command and its reply. Rejects with `CONNECTION_FAILED` where none comes, and the connection is over then. */
  command(command: SmtpCommand & { readonly read: true }): Promise<SmtpReply>;
  command(command: SmtpCommand & { readonly read?: false | undefined }): Promise<boolean>;
  command(command: SmtpCommand): Promise<boolean | SmtpReply>;
  async command(command: SmtpCommand): Promise<boolean | SmtpReply> {
    const { line, expect, timeoutMs, signal } = readCommand(command);
    const client = this.#open();
    const answer = await this.#held(client, signal, () => client.command(line, timeoutMs ?? this.#answerMs));
    if (answer.kind === 'fault') {
      this.#lost(client);
      throw new MtaError('CONNECTION_FAILED', `${client.server}: ${answer.fault.text}`);
    }
    if (command.read) return shown(answer.reply, command.multi === true);
    const { code } = answer.reply;
    return expect === undefined ? code < 400 : expect.includes(code);
  }

  /**
   * Sends one message. Resolves with each recipient's outcome; rejects with `REMOTE_REJECTED` where none was accepted. The connection stays
   * open for more, unless it was lost.
   */
  async send(options: SmtpMessage): Promise<SmtpSent> {
    const issues: Issues = [];
    if (!isObject(options)) {
      put(issues, 'options', 'WRONG_TYPE', 'must be an object');
      throw errorOf(issues);
    }
    onlyKnown(options, ['from', 'recipients', 'message', 'signal'], '', issues);
    const { from, recipients, message } = options;
    const sender =
      from === undefined
        ? put(issues, 'from', 'MISSING_FIELD', 'is missing: an address, or an empty string for the null sender')
        : readEnvelopeAddress(from, 'from', issues);
    const before = issues.length;
    const to = recipients === undefined ? [] : distinctAddresses(readMailboxes(recipients, 'recipients', issues));
    if (to.length === 0 && issues.length === before) put(issues, 'recipients', 'MISSING_FIELD', 'there is no recipient');
    const content = readData(message, issues, false, 'message');
    const signal = options.signal === undefined ? undefined : readSignal(options.signal, 'signal', issues);
    if (sender === undefined || content === undefined || issues.length > 0) throw errorOf(issues);
    const client = this.#open();
    const id = createIdSource(this.#world.clock, this.#world.random)();
    return this.#held(client, signal, () =>
      keptAside(chunksOf(content, signal), { folder: tmpdir(), id, sender, recipients: to }, async ({ about, body }) => {
        const outcomes = await client.send(about, to, body);
        if (outcomes.some((one) => one.kind === 'deferred' && one.trouble.code === undefined)) this.#lost(client);
        const told = to.map((address, i) => ({ address, ...outcomeOf(outcomes[i]!) }));
        if (!told.some(({ state }) => state === 'delivered')) throw rejected(told);
        return { outcomes: told, size: about.sizeBytes };
      }),
    );
  }

  /** Says goodbye and closes, after what was begun; with `signal` at once. Idempotent; `open` may follow. */
  async close(options: WaitOptions = {}): Promise<void> {
    const { signal } = readWait(options);
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    const cut = () => client.destroy();
    if (signal?.aborted) cut();
    signal?.addEventListener('abort', cut, { once: true });
    await aliveUntil(client.close()).finally(() => signal?.removeEventListener('abort', cut));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): Client {
    if (this.#client === undefined) throw new MtaError('CONNECTION_FAILED', 'there is no connection: call open first');
    return this.#client;
  }

  /** What is given up ends the connection: its answer would be taken for that to the next command. */
  #held<T>(client: Client, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (signal === undefined) return aliveUntil(work());
    const cut = () => {
      if (this.#client === client) this.#client = undefined;
      client.destroy();
    };
    const held = () => {
      signal.addEventListener('abort', cut, { once: true });
      return work().finally(() => signal.removeEventListener('abort', cut));
    };
    return aliveUntil(unlessAborted(signal, held));
  }

  #lost(client: Client): void {
    if (this.#client === client) this.#client = undefined;
    void client.close();
  }
}

function failed({ stage, text, code, status }: Trouble): MtaError {
  const message = `${stage}: ${code === undefined ? text : `${code} ${text}`}`;
  return new MtaError('CONNECTION_FAILED', message, { issues: [{ path: stage, code: status, message: text }] });
}

function readClientIp(value: unknown, issues: Issues): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && isIP(value)) return value;
  return put(issues, 'clientIp', 'INVALID_VALUE', 'must be an IP address of this machine');
}

/** A name that servers accept: ours where it is one, else the literal of nobody in particular. */
function heloName(): string {
  return normalizeDomain(hostname()) ?? '[127.0.0.1]';
}

function readCommand(command: unknown): {
  readonly line: string;
  readonly expect: readonly number[] | undefined;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
} {
  const issues: Issues = [];
  if (!isObject(command)) {
    put(issues, 'options', 'WRONG_TYPE', 'must be an object');
    throw errorOf(issues);
  }
  onlyKnown(command, ['send', 'expect', 'multi', 'read', 'timeout', 'signal'], '', issues);
  const line = command['send'] === undefined ? put(issues, 'send', 'MISSING_FIELD', 'is missing') : string(command['send'], 'send', issues);
  if (line !== undefined) checkLine(line, issues);
  const codes = command['expect'] === undefined ? undefined : [command['expect']].flat();
  const expect = codes?.filter((code): code is number => typeof code === 'number' && Number.isInteger(code) && code >= 200 && code < 600);
  if (codes !== undefined && (expect?.length !== codes.length || codes.length === 0))
    put(issues, 'expect', 'INVALID_VALUE', 'must be a reply code from 200 to 599, or several');
  for (const name of ['multi', 'read'] as const)
    if (command[name] !== undefined && typeof command[name] !== 'boolean') put(issues, name, 'WRONG_TYPE', 'must be true or false');
  const timeoutMs = command['timeout'] === undefined ? undefined : readTimeout(command['timeout'], issues);
  const signal = command['signal'] === undefined ? undefined : readSignal(command['signal'], 'signal', issues);
  if (line === undefined || issues.length > 0) throw errorOf(issues);
  return { line, expect, timeoutMs, signal };
}

/** RFC 5321 §4.5.3.1.4 says 512 octets; extensions of MAIL and RCPT add to that, and a login may be longer. */
const LONGEST_LINE = 8192;

function checkLine(line: string, issues: Issues): void {
  const verb = /^\s*([a-z]+)/i.exec(line)?.[1]?.toUpperCase() ?? '';
  const elsewhere = ELSEWHERE[verb];
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(line))
    put(issues, 'send', 'HEADER_INJECTION', 'must be one line: it has a control character or a line end');
  else if (/\P{ASCII}/u.test(line)) put(issues, 'send', 'INVALID_VALUE', 'must be ASCII');
  else if (line.trim() === '' || line.length > LONGEST_LINE)
    put(issues, 'send', 'INVALID_VALUE', `must have 1 to ${LONGEST_LINE} characters`);
  else if (elsewhere !== undefined) put(issues, 'send', 'INVALID_VALUE', `is not sent by hand: ${elsewhere}`);
}

function shown({ code, enhanced, text }: Reply, multi: boolean): SmtpReply {
  return { code, ...(enhanced === undefined ? {} : { enhanced }), text: multi ? text : text.slice(text.lastIndexOf('\n') + 1) };
}
