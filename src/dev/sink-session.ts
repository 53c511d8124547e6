/**
 * One connection of the recording destination.
 *
 *   command ──DATA, 354──► content ──dot──► command        login: a line of AUTH follows
 *      │ └──AUTH──► login ──► command                      closed: nothing more happens
 *      └──STARTTLS──► (TLS, all forgotten) ──► command     and in any of them `held`: an answer takes its time
 *
 * Every command gives an answer and an effect; the effect happens only if what is answered (the usual, a fate, a
 * script) is a success. Answers to commands that came together leave together.
 */
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { type Act, type ActWire, perform } from './act.js';
import { type FateStage, fateOf } from './fates.js';
import type { SinkCommand, SinkContext, SinkSessionView } from './sink.js';
import { SinkContent } from './sink-content.js';
import { beginLogin, type Login } from './sink-login.js';
import { sinkPath } from './sink-path.js';

/** RFC 5321 §4.5.3.1.4 says 512; extensions add to it. */
const MAX_LINE = 4096;
/** What may come in while an answer is held. Beyond it the client has to wait. */
const MAX_AHEAD = 256 * 1024;
/** Commands behind which a client has to wait for the answer (RFC 2920 §3.1). */
const LAST_OF_GROUP = new Set(['EHLO', 'HELO', 'DATA', 'QUIT', 'STARTTLS', 'NOOP', 'VRFY', 'AUTH']);
const NOTHING = Buffer.alloc(0);
const LF = 0x0a;
const CR = 0x0d;

interface Answer {
  readonly act: Act;
  readonly effect?: () => void;
}

type State =
  | { readonly kind: 'command' }
  | { readonly kind: 'content'; readonly content: SinkContent }
  | { readonly kind: 'login'; readonly take: (line: string) => Login }
  | { readonly kind: 'closed' };

interface Transaction {
  readonly sender: string;
  readonly parameters: readonly string[];
  readonly recipients: string[];
  readonly recipientParameters: (readonly string[])[];
}

/** A socket, or what stands in for one where there is no network. */
export type SinkSocket = Duplex & Partial<Pick<net.Socket, 'resetAndDestroy'>>;

export class SinkSession implements SinkSessionView {
  readonly connection: number;
  messages = 0;
  helo = '';
  tls: string | undefined;
  user: string | undefined;
  private readonly context: SinkContext;
  private socket: SinkSocket;
  private state: State = { kind: 'command' };
  private held = false;
  private input: Buffer = NOTHING;
  private output = '';
  private extended = false;
  private transaction: Transaction | undefined;

  constructor(socket: SinkSocket, context: SinkContext, connection: number) {
    this.socket = socket;
    this.context = context;
    this.connection = connection;
    this.listen(socket);
  }

  get sender(): string | undefined {
    return this.transaction?.sender;
  }

  get recipients(): readonly string[] {
    return this.transaction?.recipients ?? [];
  }

  greet(): void {
    if (this.context.options.tls?.implicit) this.secure();
    else this.handle({ verb: 'CONNECT', argument: '' });
    this.flush();
  }

  destroy(): void {
    this.state = { kind: 'closed' };
    this.socket.destroy();
  }

  // — input —

  private readonly onData = (chunk: Buffer): void => {
    if (this.closed) return;
    this.input = this.input.length === 0 ? chunk : Buffer.concat([this.input, chunk]);
    this.work();
  };

  private listen(socket: SinkSocket): void {
    socket.on('data', this.onData);
    socket.on('error', () => this.destroy());
    socket.once('close', () => void (this.state = { kind: 'closed' }));
  }

  private get closed(): boolean {
    return this.state.kind === 'closed';
  }

  /** Takes what has come in, as far as it goes. */
  private work(): void {
    while (!this.held && !this.closed && this.input.length > 0) {
      if (!(this.state.kind === 'content' ? this.takeContent(this.state.content) : this.takeLine())) break;
    }
    this.flush();
    if (this.held && this.input.length > MAX_AHEAD) this.socket.pause();
    else this.socket.resume();
  }

  private takeContent(content: SinkContent): boolean {
    const rest = content.push(this.input);
    this.input = rest ?? NOTHING;
    if (rest === undefined) return false;
    if (rest.length > 0 && !this.offers('PIPELINING')) this.context.violation('something sent ahead behind the final dot');
    this.handle({ verb: 'DOT', argument: '' });
    return true;
  }

  private takeLine(): boolean {
    const newline = this.input.indexOf(LF);
    if (newline > MAX_LINE || (newline < 0 && this.input.length > MAX_LINE)) {
      perform(['500 5.5.2 line too long', { drop: 'end' }], this.wire);
      return false;
    }
    if (newline < 0) return false;
    const bare = newline === 0 || this.input[newline - 1] !== CR;
    if (bare) this.context.violation('a command ended by a bare LF');
    const line = this.input.toString('utf8', 0, bare ? newline : newline - 1);
    this.input = this.input.subarray(newline + 1);
    if (this.state.kind === 'login') {
      const { act, effect } = this.login(this.state.take(line));
      perform(act, this.wire, effect);
      return true;
    }
    const space = line.indexOf(' ');
    const verb = (space < 0 ? line : line.slice(0, space)).toUpperCase();
    if (this.input.length > 0 && (LAST_OF_GROUP.has(verb) || !this.offers('PIPELINING')))
      this.context.violation(`something sent ahead behind ${verb}`);
    this.handle({ verb, argument: space < 0 ? '' : line.slice(space + 1) });
    return true;
  }

  private handle(command: SinkCommand): void {
    const { act, effect } = this.usual(command);
    const scripted = this.context.options.script?.(command, this);
    if (!(scripted instanceof Promise)) return perform(scripted ?? act, this.wire, effect);
    this.held = true;
    scripted.then((late) => this.release(() => perform(late ?? act, this.wire, effect)));
  }

  // — output —

  private readonly wire: ActWire = ((session: SinkSession) => ({
    get closed() {
      return session.closed;
    },
    answer: (text) => void (session.output += text),
    write(bytes, written) {
      session.flush();
      if (bytes.length > 0) session.socket.write(bytes, written);
    },
    drop: (how) => session.drop(how),
    hold: () => void (session.held = true),
    release: (call) => session.release(call),
    after: (ms, call) => void session.context.options.clock.after(ms, call),
  }))(this);

  private flush(): void {
    if (this.output === '') return;
    this.socket.write(this.output);
    this.output = '';
  }

  private release(call: () => void): void {
    this.held = false;
    if (this.closed) return;
    call();
    this.work();
  }

  /** Ended from our side, it is read on until the peer has closed, too: else the last answer could be lost to a reset. */
  private drop(how: 'end' | 'reset'): void {
    this.flush();
    this.state = { kind: 'closed' };
    if (how === 'end') this.socket.end().resume();
    else if (this.socket.resetAndDestroy) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  // — commands —

  private usual(command: SinkCommand): Answer {
    const { hostname, heloOnly, users } = this.context.options;
    switch (command.verb) {
      case 'CONNECT':
        return { act: `220 ${hostname} ESMTP` };
      case 'EHLO':
        if (heloOnly) return { act: '502 5.5.1 command not implemented' };
        if (command.argument === '') return { act: '501 5.5.4 who is there?' };
        return { act: this.extensionList(), effect: () => this.hail(command.argument, true) };
      case 'HELO':
        return { act: `250 ${hostname}`, effect: () => this.hail(command.argument, false) };
      case 'STARTTLS':
        if (!this.offers('STARTTLS')) return { act: '502 5.5.1 command not implemented' };
        return { act: '220 2.0.0 go ahead', effect: () => this.secure() };
      case 'AUTH':
        return users ? this.login(beginLogin(command.argument, users)) : { act: '502 5.5.1 command not implemented' };
      case 'MAIL':
        return this.mail(command.argument);
      case 'RCPT':
        return this.rcpt(command.argument);
      case 'DATA':
        if (!this.transaction || this.recipients.length === 0) return { act: '503 5.5.1 no recipients' };
        return { act: this.fate('data', this.recipients) ?? '354 go ahead, end with a dot', effect: () => this.beginContent() };
      case 'DOT':
        return this.state.kind === 'content' ? this.dot(this.state.content) : { act: '500 5.5.2 unknown command' };
      case 'RSET':
        return { act: '250 2.0.0 Ok', effect: () => void (this.transaction = undefined) };
      case 'NOOP':
        return { act: '250 2.0.0 Ok' };
      case 'VRFY':
        return { act: '252 2.0.0 try it' };
      case 'QUIT':
        return { act: ['221 2.0.0 bye', { drop: 'end' }] };
      default:
        return { act: '500 5.5.2 unknown command' };
    }
  }

  private offers(keyword: string): boolean {
    const { extensions, tls: secured, users, heloOnly } = this.context.options;
    if (heloOnly || (this.helo !== '' && !this.extended)) return false;
    if (keyword === 'STARTTLS') return secured !== undefined && this.tls === undefined;
    if (keyword === 'AUTH') return users !== undefined;
    return extensions.some((extension) => extension.split(' ')[0]!.toUpperCase() === keyword);
  }

  private extensionList(): string {
    const { hostname, extensions, maxBytes } = this.context.options;
    const lines = [hostname, ...extensions.map((extension) => (extension === 'SIZE' ? `SIZE ${maxBytes}` : extension))];
    if (this.context.options.tls && this.tls === undefined) lines.push('STARTTLS');
    if (this.context.options.users) lines.push('AUTH PLAIN LOGIN');
    return lines.map((line, at) => `250${at < lines.length - 1 ? '-' : ' '}${line}`).join('\r\n');
  }

  private hail(name: string, extended: boolean): void {
    this.helo = name;
    this.extended = extended;
    this.transaction = undefined;
  }

  private mail(argument: string): Answer {
    const { users, maxBytes } = this.context.options;
    if (this.helo === '') return { act: '503 5.5.1 say hello first' };
    if (users && this.user === undefined) return { act: '530 5.7.0 log in first' };
    if (this.transaction) return { act: '503 5.5.1 one transaction at a time' };
    const path = sinkPath(argument, 'FROM:');
    if (!path) return { act: '501 5.1.7 that is not an address' };
    const unknown = path.parameters.find((parameter) => !this.allows(parameter));
    if (unknown !== undefined) {
      this.context.violation(`${unknown} at MAIL without being offered`);
      return { act: `555 5.5.4 ${unknown} was not offered` };
    }
    const size = path.parameters.find((parameter) => /^SIZE=/i.test(parameter));
    if (size && Number(size.slice(5)) > maxBytes) return { act: '552 5.3.4 too large' };
    const transaction = { sender: path.address, parameters: path.parameters, recipients: [], recipientParameters: [] };
    return { act: this.fate('mail', [path.address]) ?? '250 2.1.0 Ok', effect: () => void (this.transaction = transaction) };
  }

  private rcpt(argument: string): Answer {
    const transaction = this.transaction;
    if (!transaction) return { act: '503 5.5.1 MAIL comes first' };
    const path = sinkPath(argument, 'TO:');
    if (!path || path.address === '') return { act: '501 5.1.3 that is not an address' };
    const effect = () => {
      transaction.recipients.push(path.address);
      transaction.recipientParameters.push(path.parameters);
    };
    return { act: this.fate('rcpt', [path.address]) ?? '250 2.1.5 Ok', effect };
  }

  private beginContent(): void {
    const { keep, maxBytes } = this.context.options;
    this.state = { kind: 'content', content: new SinkContent(keep > 0 ? maxBytes : 0) };
  }

  private dot(content: SinkContent): Answer {
    const transaction = this.transaction!;
    const { maxBytes, keep, clock } = this.context.options;
    this.state = { kind: 'command' };
    this.transaction = undefined;
    if (content.sizeBytes > maxBytes) return { act: '552 5.3.4 too large' };
    const bytes = keep > 0 ? content.unstuffed() : Buffer.alloc(0);
    if (!transaction.parameters.some((parameter) => /^BODY=8BITMIME$/i.test(parameter)) && bytes.some((octet) => octet > 127)) {
      this.context.violation('8-bit content without BODY=8BITMIME');
    }
    const effect = () => {
      const { connection, helo, user } = this;
      this.context.accepted({
        connection,
        number: ++this.messages,
        helo,
        ...transaction,
        bytes,
        sizeBytes: content.sizeBytes,
        at: clock.now(),
        tls: this.tls,
        user,
      });
    };
    return { act: this.fate('dot', transaction.recipients) ?? `250 2.0.0 Ok: kept as ${this.connection}.${this.messages + 1}`, effect };
  }

  private allows(parameter: string): boolean {
    const keyword = parameter.split('=')[0]!.toUpperCase();
    return this.offers({ BODY: '8BITMIME', RET: 'DSN', ENVID: 'DSN' }[keyword] ?? keyword);
  }

  /** The first fate among them that strikes at this stage. */
  private fate(stage: FateStage, addresses: readonly string[]): Act | undefined {
    const { fates, slowMs } = this.context.options;
    if (!fates) return undefined;
    for (const address of addresses) {
      const chosen = fateOf(address);
      if (chosen?.fate.stage !== stage) continue;
      const repeated = chosen.fate.name.startsWith('once-') && this.context.repeated(address);
      const act = chosen.fate.act({ code: chosen.code, first: this.recipients.length === 0, repeated, slowMs });
      if (act !== undefined) return act;
    }
    return undefined;
  }

  // — TLS and login —

  /** What came in the clear behind STARTTLS is thrown away: it must not count as said under TLS. */
  private secure(): void {
    const { context } = this;
    this.flush();
    this.input = NOTHING;
    this.socket.removeListener('data', this.onData);
    const implicit = context.options.tls?.implicit === true;
    const secured = new tls.TLSSocket(this.socket as net.Socket, {
      isServer: true,
      ...(context.secureContext ? { secureContext: context.secureContext } : {}),
    });
    this.socket = secured;
    this.hail('', false);
    this.user = undefined;
    secured.once('secure', () => {
      this.tls = secured.getProtocol() ?? 'TLS';
      if (implicit) this.handle({ verb: 'CONNECT', argument: '' });
      this.flush();
    });
    this.listen(secured);
  }

  private login(step: Login): Answer {
    this.state = step.kind === 'ask' ? { kind: 'login', take: step.take } : { kind: 'command' };
    const user = step.kind === 'end' ? step.user : undefined;
    return { act: step.reply, effect: () => void (this.user = user) };
  }
}
