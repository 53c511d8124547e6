/**
 * A simulated mail server: RFC 5321's side of the conversation, as far as the agent needs one, with whatever goes wrong by its weather,
 * its habits (greylisting, few connections, few recipients, missing extensions) and the names of its recipients:
 * `nobody-…` does not exist, `later-…` is never there. Whatever it takes or refuses it writes down.
 */
import type { Clock } from '../../src/platform/clock.js';
import type { Host, Knock, Line, Listener } from './network.js';
import type { Act, Stage, Weather } from './weather.js';

export interface Habits {
  readonly name: string;
  readonly latencyMs: number;
  readonly extensions: readonly string[];
  /** Does not know EHLO. */
  readonly old: boolean;
  readonly tls: 'none' | 'trusted' | 'selfSigned' | 'broken';
  readonly mostConnections: number;
  readonly mostRecipients: number;
  /** How long it lets a stranger wait; 0: not at all. */
  readonly greylistMs: number;
}

/** A message that a server has taken. */
export interface Copy {
  readonly server: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: string;
  /** The agent has read the 250. */
  answered: boolean;
}

export interface ServerWatch {
  taken(copy: Copy): void;
  /** The agent has read that it was taken. */
  answered(copy: Copy): void;
  /** For good. At MAIL, where nobody is named yet, `recipient` is undefined. */
  refused(sender: string, recipient: string | undefined, text: string): void;
  /** A final dot is in, not yet answered. */
  dot(): void;
  violation(text: string): void;
}

export interface ServerOptions {
  readonly habits: Habits;
  readonly weather: Weather;
  readonly clock: Clock;
  readonly watch: ServerWatch;
  /** What the agent may do to one server (G5). */
  readonly limits: { readonly connections: number; readonly messages: number };
}

export class Server implements Host {
  readonly options: ServerOptions;
  readonly latencyMs: number;
  open = 0;
  /** When somebody was seen first, by sender and recipient. */
  readonly seen = new Map<string, number>();

  constructor(options: ServerOptions) {
    this.options = options;
    this.latencyMs = options.habits.latencyMs;
  }

  knock(): Knock {
    const { kind } = this.options.weather.actAt('knock');
    return kind === 'refuse' || kind === 'unreachable' ? kind : kind === 'hang' ? 'silence' : 'accept';
  }

  handshake(): 'trusted' | 'selfSigned' | 'broken' {
    const { tls } = this.options.habits;
    return tls === 'none' ? 'broken' : tls;
  }

  accept(line: Line): Listener {
    const { limits, watch, habits } = this.options;
    this.open++;
    if (this.open > limits.connections) watch.violation(`${habits.name} has ${this.open} connections`);
    return new Conversation(this, line);
  }
}

interface Transaction {
  readonly sender: string;
  readonly eightBit: boolean;
  readonly recipients: string[];
}

const NOTHING = () => {};

class Conversation implements Listener {
  readonly #server: Server;
  readonly #line: Line;
  #input = '';
  #state: 'command' | 'content' | 'held' | 'over' = 'command';
  /** Behind a held answer. */
  #next: 'command' | 'content' = 'command';
  #hello: 'none' | 'helo' | 'ehlo' = 'none';
  #secured = false;
  #transaction: Transaction | undefined;
  #messages = 0;
  /** When the agent read what became of its last dot; undefined: not yet, or there was none. */
  #answerRead: number | undefined = Number.NEGATIVE_INFINITY;
  #gone = false;

  constructor(server: Server, line: Line) {
    this.#server = server;
    this.#line = line;
    const { habits } = server.options;
    const crowded = server.open > habits.mostConnections;
    this.#answer('greeting', crowded ? '421 4.7.0 too many connections' : `220 ${habits.name} ESMTP`);
  }

  heard(chunk: Buffer): void {
    this.#input += chunk.toString('latin1');
    this.#work();
  }

  closed(): void {
    this.#leave();
    this.#state = 'over';
  }

  #leave(): void {
    if (!this.#gone) this.#server.open--;
    this.#gone = true;
  }

  #work(): void {
    while (this.#state === 'command' || this.#state === 'content') {
      if (this.#state === 'content' ? !this.#takeContent() : !this.#takeLine()) return;
    }
  }

  #takeLine(): boolean {
    const end = this.#input.indexOf('\r\n');
    if (end < 0) return false;
    const line = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + 2);
    if (this.#input !== '' && !this.#offers('PIPELINING')) this.#server.options.watch.violation(`something sent ahead behind ${line}`);
    this.#command(line.split(' ', 1)[0]!.toUpperCase(), line);
    return true;
  }

  #takeContent(): boolean {
    // The CRLF of DATA stands in front: a dot in the first line is at the beginning of a line, too.
    const end = `\r\n${this.#input}`.indexOf('\r\n.\r\n');
    if (end < 0) return false;
    const content = this.#input.slice(0, end).replace(/^\./gm, '');
    this.#input = this.#input.slice(end + 3);
    this.#state = 'command';
    this.#dot(content);
    return true;
  }

  // — answers —

  /** What is usual, unless the weather wills it otherwise. `effect` is what a success brings. */
  #answer(stage: Stage | undefined, usual: string, effect: () => void = NOTHING, refused: (text: string) => void = NOTHING): void {
    const act: Act = stage === undefined ? { kind: 'usual' } : this.#server.options.weather.actAt(stage);
    switch (act.kind) {
      case 'late':
        return this.#hold(act.ms, () => this.#say(usual, effect, refused));
      case 'say':
        return this.#say(act.text, NOTHING, refused);
      case 'takeAnd':
        effect();
        return this.#break(act.thenTo);
      case 'hang':
      case 'reset':
      case 'end':
        return this.#break(act.kind);
      default:
        return this.#say(usual, effect, refused);
    }
  }

  #say(text: string, effect: () => void, refused: (text: string) => void): void {
    if (text.startsWith('5')) refused(text);
    else if (!text.startsWith('4')) effect();
    this.#line.send(`${text}\r\n`, this.#told);
    this.#told = undefined;
    if (/^(?:421|221)/.test(text)) this.#break('end');
  }

  /** To be called when the answer under way has been read. */
  #told: (() => void) | undefined;

  #hold(ms: number, then: () => void): void {
    this.#next = this.#state === 'content' ? 'content' : 'command';
    this.#state = 'held';
    this.#server.options.clock.after(ms, () => {
      if (this.#state !== 'held') return;
      this.#state = this.#next;
      then();
      this.#work();
    });
  }

  #break(how: 'hang' | 'reset' | 'end'): void {
    this.#state = 'over';
    if (how === 'hang') return;
    this.#leave();
    if (how === 'end') this.#line.end();
    else this.#line.reset();
  }

  // — commands —

  #command(verb: string, line: string): void {
    const { habits } = this.#server.options;
    switch (verb) {
      case 'EHLO':
        if (habits.old) return this.#answer('ehlo', '502 5.5.1 not here');
        return this.#answer('ehlo', this.#extensions(), () => this.#greet('ehlo'));
      case 'HELO':
        return this.#answer('ehlo', `250 ${habits.name}`, () => this.#greet('helo'));
      case 'STARTTLS':
        return this.#answer('starttls', '220 2.0.0 go ahead', () => {
          this.#secured = true;
          this.#greet('none');
        });
      case 'MAIL':
        return this.#mail(line);
      case 'RCPT':
        return this.#rcpt(line);
      case 'DATA':
        return this.#data();
      case 'RSET':
        return this.#answer(undefined, '250 2.0.0 Ok', () => void (this.#transaction = undefined));
      case 'QUIT':
        return this.#answer('quit', '221 2.0.0 bye');
      default:
        this.#server.options.watch.violation(`a command that nobody knows: ${line}`);
        return this.#answer(undefined, '500 5.5.2 what?');
    }
  }

  #greet(hello: 'none' | 'helo' | 'ehlo'): void {
    this.#hello = hello;
    this.#transaction = undefined;
  }

  #offers(keyword: string): boolean {
    const { habits } = this.#server.options;
    if (keyword === 'STARTTLS') return habits.tls !== 'none' && !this.#secured;
    return this.#hello === 'ehlo' && habits.extensions.includes(keyword);
  }

  #extensions(): string {
    const { habits } = this.#server.options;
    const words = [habits.name, ...habits.extensions, ...(this.#offers('STARTTLS') ? ['STARTTLS'] : [])];
    return words.map((word, at) => `250${at < words.length - 1 ? '-' : ' '}${word}`).join('\r\n');
  }

  #mail(line: string): void {
    const { watch, limits, habits } = this.#server.options;
    const sender = /^MAIL FROM:<([^>]*)>/.exec(line)?.[1];
    if (sender === undefined || this.#hello === 'none' || this.#transaction) return watch.violation(`out of turn: ${line}`);
    if (++this.#messages > limits.messages) watch.violation(`${this.#messages} messages on a connection to ${habits.name}`);
    const begin = () => void (this.#transaction = { sender, eightBit: line.includes('BODY=8BITMIME'), recipients: [] });
    this.#answer('mail', '250 2.1.0 Ok', begin, (text) => watch.refused(sender, undefined, text));
  }

  #rcpt(line: string): void {
    const { watch, habits } = this.#server.options;
    const recipient = /^RCPT TO:<([^>]+)>/.exec(line)?.[1];
    if (recipient === undefined) return watch.violation(`out of turn: ${line}`);
    const transaction = this.#transaction;
    if (transaction === undefined) return this.#answer(undefined, '503 5.5.1 MAIL first');
    const refused = (text: string) => watch.refused(transaction.sender, recipient, text);
    const take = () => void transaction.recipients.push(recipient);
    if (recipient.startsWith('nobody-')) return this.#answer(undefined, '550 5.1.1 nobody', NOTHING, refused);
    if (recipient.startsWith('later-')) return this.#answer(undefined, '450 4.2.1 not today');
    if (transaction.recipients.length >= habits.mostRecipients) return this.#answer(undefined, '452 4.5.3 too many recipients');
    const wait = this.#stranger(transaction.sender, recipient);
    if (wait > 0) return this.#answer(undefined, `450 4.7.1 Greylisted, try again in ${Math.ceil(wait / 1000)} seconds`);
    this.#answer('rcpt', '250 2.1.5 Ok', take, refused);
  }

  /** How long they have to wait yet. */
  #stranger(sender: string, recipient: string): number {
    const { habits, clock } = this.#server.options;
    if (habits.greylistMs === 0) return 0;
    const pair = `${sender} ${recipient}`;
    const since = this.#server.seen.get(pair) ?? clock.monotonic();
    this.#server.seen.set(pair, since);
    return habits.greylistMs - (clock.monotonic() - since);
  }

  #data(): void {
    const transaction = this.#transaction;
    if (!transaction || transaction.recipients.length === 0) return this.#answer(undefined, '503 5.5.1 RCPT first');
    this.#answer(
      'data',
      '354 go ahead',
      () => void (this.#state = 'content'),
      (text) => this.#refuseAll(transaction, text),
    );
  }

  #dot(content: string): void {
    const { habits, watch } = this.#server.options;
    const transaction = this.#transaction!;
    this.#transaction = undefined;
    if (/[\x80-\xff]/.test(content) && !(transaction.eightBit && this.#offers('8BITMIME'))) watch.violation(`8 bits to ${habits.name}`);
    // What is heard now was written a latency ago. One unread answer at a time: more would be doubled if the agent died (G3).
    const wroteAt = this.#server.options.clock.monotonic() - this.#server.latencyMs;
    if ((this.#answerRead ?? Number.POSITIVE_INFINITY) > wroteAt)
      watch.violation(`a dot before the answer to the last was read at ${habits.name}`);
    this.#answerRead = undefined;
    watch.dot();
    const { sender, recipients } = transaction;
    const copy: Copy = { server: habits.name, sender, recipients, content, answered: false };
    const read = () => void (this.#answerRead = this.#server.options.clock.monotonic());
    const take = () => {
      watch.taken(copy);
      this.#told = () => {
        read();
        watch.answered(copy);
      };
    };
    this.#told = read;
    this.#answer('dot', '250 2.0.0 taken', take, (text) => this.#refuseAll(transaction, text));
  }

  #refuseAll({ sender, recipients }: Transaction, text: string): void {
    for (const recipient of recipients) this.#server.options.watch.refused(sender, recipient, text);
  }
}
