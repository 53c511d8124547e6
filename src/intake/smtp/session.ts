/**
 * One SMTP session (RFC 5321), over the connection of smtp-server.
 *
 * MAIL, RCPT and DATA are ours from end to end: they are where the time goes and where the library is too lenient. Lines
 * that any client sends go straight to them; everything else passes through the library's dispatcher, which calls the same
 * methods, so that both ways check the same things. EHLO, STARTTLS and the rest are the library's.
 *
 *   greeted ──EHLO──► idle ──MAIL──► transaction ──DATA──► content ──dot──► finishing ──► idle
 *
 * Promises
 *  - A client outside the trusted networks that has not logged in cannot begin a transaction, whatever it sends in whatever
 *    order (G12).
 *  - 250 after the dot means that the message is durable (G1). A client lost before its dot leaves nothing behind; one lost
 *    after it is not asked.
 *  - Replies come in the order of the commands; those to one chunk in one write.
 *  - Nothing of a refused command, and nothing of a past transaction, is left for the next.
 *  - Who does not begin as a mail client does is heard no further, whatever it goes on with (G12).
 *  - Who is silent, slow, or wrong too often, is told so and cut off; time that we take ourselves does not count.
 */
import type net from 'node:net';
import type tls from 'node:tls';
import type { SMTPServer } from 'smtp-server';
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import type { MessageId } from '../../core/message.js';
import { BareNewlines } from '../newlines.js';
import type { Submission } from '../submission.js';
import { TraceLines } from '../trace.js';
import { parseMail, parseRcpt } from './commands.js';
import { Patience } from './patience.js';
import { CLOSED, enhancedStatus, refusalReply } from './replies.js';
import { Rights } from './rights.js';
import type { SmtpPorts } from './server.js';
import { envelopeOf, originOf, recipientOf, type Transaction, transactionFrom } from './transaction.js';
import { Wire, type WireOwner } from './wire.js';

/** NOOP, RSET, EHLO and the like between two messages; more are counted as errors. */
const MAX_IDLE_COMMANDS = 100;

/** Wrong passwords on one connection. */
const MAX_WRONG_LOGINS = 3;

const FIVE = 0x35;
const SHUTTING_DOWN = '421 4.3.2 The server is shutting down';

/** What no reply may hold. */
const CONTROLS = /[\x00-\x1f\x7f-\x9f]/g;

export class Session extends SMTPConnection implements WireOwner {
  readonly #ports: SmtpPorts;
  readonly #rights: Rights;
  #transaction: Transaction | undefined;
  /** The message whose content is coming in. */
  #submission: Submission | undefined;
  #taken: true | Promise<void> = true;
  /** Where the setting is to refuse them. */
  #bareNewlines: BareNewlines | undefined;
  /** The message is in; the spool has not answered yet. */
  #finishing = false;
  /** The spool is slower than the client. */
  #spoolBusy = false;
  /** Ends with the reply to the message under way. */
  #leaving = false;
  #inputEnded = false;
  #replies = '';
  #gathering = false;
  #errors = 0;
  #wrongLogins = 0;
  #idleCommands = 0;
  #handshake: net.Socket | undefined;
  readonly #patience: Patience;
  readonly #trace = new TraceLines(() => ({
    helo: this.hostNameAppearsAs || '',
    client: this.remoteAddress,
    hostname: this.#ports.hostname,
    extended: this.openingCommand === 'EHLO',
    secure: this.secure,
    authenticated: this.#rights.user !== undefined,
  }));

  constructor(server: SMTPServer, socket: net.Socket | tls.TLSSocket, options: SMTPConnectionOptions | null, ports: SmtpPorts) {
    super(server, socket, options);
    this.#ports = ports;
    this.#rights = new Rights(this, ports);
    this.#patience = new Patience(ports.clock.monotonic());
  }

  /** Greets at once: no pause, no reverse lookup. */
  override init(): void {
    this._setListeners(() => {
      this._setClientHostname('');
      this._resetSession();
      this._ready = true;
      this._sendGreeting();
    });
  }

  // — commands —

  command(line: string): boolean {
    this.#patience.command();
    if (this._nextHandler === false && this._ready && !this._upgrading && this.#greeted) {
      if (line.startsWith('RCPT TO:<')) return this.#rcpt(line);
      if (line.startsWith('MAIL FROM:<')) return this.#mail(line);
      if (line === 'DATA') return this.#data();
    }
    return this.#dispatch(line);
  }

  commandTooLong(): void {
    if (this.#greeted) this.#answer('500 5.5.2 The line is too long');
    else this.#turnAway();
  }

  override handler_MAIL(command: Buffer, callback: () => void): void {
    this.#mail(command.toString('latin1'));
    callback();
  }

  override handler_RCPT(command: Buffer, callback: () => void): void {
    this.#rcpt(command.toString('latin1'));
    callback();
  }

  override handler_DATA(command: Buffer, callback: () => void): void {
    if (command.toString('latin1').trim().length === 4) this.#data();
    else this.#answer('501 5.5.4 Syntax: DATA');
    callback();
  }

  /** Does not wait for the client to close its side as well: with QUIT it has said that there is nothing more. */
  override handler_QUIT(command: Buffer, callback: () => void): void {
    super.handler_QUIT(command, callback);
    this._socket.destroySoon();
  }

  /** Everything but the common forms of MAIL, RCPT and DATA: the library finds the handler. True when it is done already. */
  #dispatch(line: string): boolean {
    if (!this.#greeted && !this._upgrading && !this.#isCommand(line)) return this.#turnAway();
    if (++this.#idleCommands > MAX_IDLE_COMMANDS) this.#errors++;
    // Errors of all kinds are counted here; the library counts this one, and never forgets.
    this._unrecognizedCommands = 0;
    if (this._nextHandler === false && /^AUTH\b/i.test(line)) {
      const denied = this.#rights.denyLogin(this.#transaction !== undefined);
      if (denied !== undefined) return this.#answer(denied);
    }
    const wire = this.#wire();
    const progress = { done: false, later: false };
    this._onCommand(Buffer.from(line, 'latin1'), () => {
      if (progress.later) wire?.resume();
      else progress.done = true;
    });
    progress.later = true;
    return progress.done;
  }

  /** Offered or not. An empty line is a slip of the hand. */
  #isCommand(line: string): boolean {
    const [name = ''] = line.split(' ', 1);
    return line === '' || typeof this._getHandler(name.toUpperCase()) === 'function';
  }

  get #greeted(): boolean {
    return this.hostNameAppearsAs !== false;
  }

  /**
   * What begins with anything but a command is no mail client, and what follows may be words that somebody put into its mouth: a
   * web page can have a browser send to any port of this machine, which is trusted, and choose all but the first lines.
   */
  #turnAway(): true {
    this.#ports.log.info('smtp.notMail', { session: this.id, client: this.remoteAddress });
    this.#leave('421 4.7.0 This is a mail server: a client begins with EHLO');
    return true;
  }

  #mail(line: string): true {
    if (!this.#rights.mayRelay) return this.#answer(this.#rights.denyRelay());
    if (this.#transaction !== undefined) return this.#answer('503 5.5.1 A transaction is open already');
    const parsed = parseMail(line, this.#ports.limits);
    if (parsed.kind === 'refused') return this.#answer(parsed.reply);
    const denied = this.#rights.denySender(parsed.sender);
    if (denied !== undefined) return this.#answer(denied);
    const closed = this.#ports.intake.closedFor(parsed.sizeBytes);
    if (closed !== undefined) return this.#answer(CLOSED[closed]);
    this.#transaction = transactionFrom(parsed);
    return this.#answer('250 2.1.0 Sender ok');
  }

  #rcpt(line: string): true {
    if (!this.#rights.mayRelay) return this.#answer(this.#rights.denyRelay());
    if (this.#transaction === undefined) return this.#answer('503 5.5.1 MAIL first');
    const { recipients, smtpUtf8 } = this.#transaction;
    if (recipients.length >= this.#ports.limits.maxRecipients) return this.#answer('452 4.5.3 Too many recipients');
    const parsed = parseRcpt(line, { smtpUtf8, postmasterDomain: this.#ports.hostname });
    if (parsed.kind === 'refused') return this.#answer(parsed.reply);
    recipients.push(recipientOf(parsed));
    return this.#answer('250 2.1.5 Recipient ok');
  }

  #data(): true {
    const transaction = this.#transaction;
    if (transaction === undefined) return this.#answer('503 5.5.1 MAIL first');
    if (transaction.recipients.length === 0) return this.#answer('554 5.5.1 No valid recipients');
    const origin = originOf(this.remoteAddress, this.hostNameAppearsAs || '', this.#rights.user);
    this.#submission = this.#ports.intake.begin(envelopeOf(transaction, origin, this.#trace));
    this.#taken = true;
    this.#bareNewlines = this.#ports.bareNewlines === 'refuse' ? new BareNewlines() : undefined;
    this.#patience.contentBegins();
    this.#wire()?.enterContent();
    return this.#answer('354 End data with <CR><LF>.<CR><LF>');
  }

  override _isSupported(command: string): boolean {
    return super._isSupported(command) && (command !== 'AUTH' || this.#rights.mayLogIn);
  }

  // — content —

  content(octets: Buffer): void {
    const submission = this.#submission;
    if (submission === undefined || this.#bareNewlines?.found) return;
    if (this.#bareNewlines?.look(octets)) submission.abort();
    else this.#taken = submission.write(octets);
  }

  contentTaken(): true | Promise<void> {
    const taken = this.#taken;
    this.#taken = true;
    if (taken === true) return true;
    const done = () => {
      this.#spoolBusy = false;
    };
    this.#spoolBusy = true;
    taken.then(done, done);
    return taken;
  }

  contentEnd(): boolean {
    const submission = this.#submission;
    this.#submission = undefined;
    this.#transaction = undefined;
    if (submission === undefined) return true;
    if (this.#bareNewlines?.found) {
      this.#conclude('550 5.6.0 Lines must end in CR LF: there is a bare CR or LF');
      return true;
    }
    this.#finishing = true;
    submission.finish().then(
      ({ id }) => {
        this.#errors = 0;
        this.#idleCommands = 0;
        this.#finished(`250 2.0.0 queued as ${id}`);
      },
      (error: unknown) => this.#finished(this.#refusal(submission.id, error)),
    );
    return false;
  }

  #finished(reply: string): void {
    this.#finishing = false;
    this.#gathering = true;
    this.#conclude(reply);
    // In one write with the replies to what came meanwhile, if anything did.
    this.#wire()?.resume();
    this.#gathering = false;
    this.#flush();
    // What came behind the message, QUIT as a rule, has had its answer.
    if (this.#inputEnded && !this.#finishing) this.close();
  }

  /** The reply to a dot, and the end of the session where that was waited for. */
  #conclude(reply: string): void {
    this.#answer(reply);
    if (this.#leaving) this.#leave(SHUTTING_DOWN);
  }

  #refusal(id: MessageId, error: unknown): string {
    const { reply, ours } = refusalReply(error);
    const fields = { id, session: this.id, client: this.remoteAddress, reply };
    const text = error instanceof Error ? error.message : String(error);
    if (ours) this.#ports.log.error('smtp.notAccepted', fields, text);
    else this.#ports.log.warn('smtp.refused', fields, text);
    return reply;
  }

  // — replies —

  gatherReplies(): void {
    this.#gathering = true;
  }

  writeReplies(): boolean {
    this.#gathering = false;
    this.#flush();
    const socket = this._socket;
    if (!socket.writableNeedDrain || socket.destroyed) return true;
    const wire = this.#wire();
    socket.once('drain', () => wire?.resume());
    return false;
  }

  /** The library's replies. What is in them is made harmless as there, and gets one status. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const status = enhancedStatus(code, context);
    const lines = Array.isArray(data) ? data : [data ?? ''];
    const last = lines.length - 1;
    const text = lines
      .map((line, index) => `${code}${index < last ? '-' : ' '}${status}${status && line ? ' ' : ''}${line.replace(CONTROLS, ' ')}`)
      .join('\r\n');
    if (code === 235) this.#trace.forget();
    if (code === 421) this.#leave(text);
    else this.#answer(text);
    if (code === 535 && ++this.#wrongLogins >= MAX_WRONG_LOGINS && !this._closing) this.#leave('421 4.7.0 Too many wrong passwords');
  }

  #answer(reply: string): true {
    this.#replies += `${reply}\r\n`;
    if (reply.charCodeAt(0) === FIVE) {
      this.#errors++;
      this.#ports.log.debug('smtp.rejected', { session: this.id, client: this.remoteAddress, reply });
    }
    if (this.#errors > this.#ports.limits.maxErrors && !this._closing) this.#leave('421 4.7.0 Too many errors');
    if (!this.#gathering) this.#flush();
    return true;
  }

  #leave(reply: string): void {
    this.#ports.log.debug('smtp.closing', { session: this.id, client: this.remoteAddress, reply });
    this.#replies += `${reply}\r\n`;
    this.close();
  }

  #flush(): void {
    const replies = this.#replies;
    if (replies === '') return;
    this.#replies = '';
    const socket = this._socket;
    // While the handshake runs the socket is still the plain one.
    if (!this._upgrading && socket.writable) socket.write(replies, 'latin1');
  }

  // — the life of the session —

  override _createParser(): Wire {
    return new Wire(this);
  }

  /** A new EHLO, RSET or STARTTLS: what was begun is forgotten. */
  override _resetSession(): void {
    super._resetSession();
    this.#transaction = undefined;
    this.#trace.forget();
  }

  /** Called by the library for the socket that the handshake runs on. Time is watched by `check`. */
  override _armTimeout(socket?: net.Socket): void {
    if (socket !== undefined && socket !== this._socket) this.#handshake = socket;
  }

  override upgrade(callback: () => void, secureCallback?: () => void): void {
    // The reply to STARTTLS is the last in the clear.
    this.#flush();
    super.upgrade(callback, secureCallback);
  }

  override close(): void {
    if (this._closed) return;
    this.#flush();
    this.#abort();
    super.close();
  }

  override _onClose(): void {
    this.#abort();
    this.#ports.sessions.delete(this);
    super._onClose();
    this.emit('ended');
  }

  inputEnd(): void {
    this.#inputEnded = true;
    if (!this.#finishing) this.close();
  }

  /** The session ends before the dot. */
  #abort(): void {
    if (this.#submission === undefined) return;
    const { id } = this.#submission;
    this.#ports.log.info('smtp.lost', { id, session: this.id, client: this.remoteAddress, octets: this.#patience.contentOctets });
    this.#submission.abort();
    this.#submission = undefined;
  }

  /** No more mail: says so at once, or behind the reply to the message that is under way. */
  drain(): void {
    if (this.#submission !== undefined || this.#finishing) this.#leaving = true;
    else if (this._upgrading) this.destroy();
    else if (!this._closing) this.#leave(SHUTTING_DOWN);
  }

  destroy(): void {
    this.#handshake?.destroy();
    this._socket.destroy();
  }

  progress(octets: number): void {
    this.#patience.content(octets);
  }

  /** Ends the session if its client tries our patience. Asked now and then. */
  check(now: number): void {
    if (this._closing) return;
    const state = { inContent: this.#submission !== undefined, ours: this.#finishing || this.#spoolBusy };
    const found = this.#patience.look(now, state, this.#ports.limits);
    if (found === 'well') return;
    if (this._upgrading) this.destroy();
    else this.#leave(found === 'idle' ? '421 4.4.2 Timeout, closing the connection' : '421 4.4.2 The content comes too slowly');
  }

  #wire(): Wire | undefined {
    return this._parser instanceof Wire ? this._parser : undefined;
  }
}
