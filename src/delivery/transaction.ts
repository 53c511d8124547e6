/**
 * One transaction: what was asked of the server, what it answered, and what that means for each recipient. Takes replies and gives
 * back the next step; it writes nothing and knows no connection, so every path through it can be tested without one.
 *
 *   (reset →) mail → rcpt … rcpt → data → content → ended
 *
 * With pipelining all of it up to `data` was written at once, so a refusal does not end it: the other replies must still be
 * taken. `content` lasts from the first octet of content to the reply to the final dot.
 */
import type { Job } from '../core/carrier.js';
import type { RecipientOutcome, Reply, Server, Stage, TransactionResult, Trouble } from '../core/outcome.js';
import { delivered, isCrowded, postponed, refused, verdict } from './classify.js';
import type { Content } from './content.js';
import type { Envelope } from './envelope.js';
import type { Transcript } from './transcript.js';

export type Step = 'reset' | 'mail' | 'rcpt' | 'data' | 'content' | 'ended';

export type Advice =
  /** More replies are to come for what was written. */
  | 'wait'
  /** Write `command()`. Only without pipelining. */
  | 'write'
  /** The server wants the content. */
  | 'send'
  /** All outcomes are known. */
  | 'ended'
  /** The server wants content for nobody: leave, lest it deliver an empty message. */
  | 'leave'
  /** The server would not even reset: it was not tried. */
  | 'untried'
  | 'garbage';

const AGAIN: RecipientOutcome = { kind: 'again' };
const NOBODY: ReadonlyMap<number, RecipientOutcome> = new Map();

export class Transaction {
  readonly job: Job;
  readonly envelope: Envelope;
  readonly content: Content;
  step: Step = 'mail';
  /** MAIL was answered, whatever the answer. */
  mailAnswered = false;
  /** Where what is said is written down. */
  transcript: Transcript | undefined;
  /** Octets of content written, dot-stuffed. */
  sentBytes = 0;
  #pipelined = false;
  #server: Server;
  #startedAt = 0;
  #rcpt = 0;
  #accepted = 0;
  #mailRefused = false;
  /** By index of the job's recipients. */
  readonly #outcomes: (RecipientOutcome | undefined)[];
  /** Those whom the server wanted later, with what becomes of them if it took nobody now. */
  #crowded: ReadonlyMap<number, RecipientOutcome> = NOBODY;

  constructor(job: Job, envelope: Envelope, content: Content, server: Server) {
    this.job = job;
    this.envelope = envelope;
    this.content = content;
    this.#server = server;
    this.#outcomes = job.recipients.length === 1 ? [undefined] : new Array<undefined>(job.recipients.length).fill(undefined);
    envelope.settled?.forEach((outcome, index) => {
      this.#outcomes[index] = outcome;
    });
  }

  /** Everything up to DATA, to be written at once. `reset`: the last transaction is still open on the server. */
  beginPipelined(reset: boolean, now: number): string {
    this.#pipelined = true;
    this.#begin(reset, now);
    const { mail, rcpts } = this.envelope;
    const commands = `${mail}${rcpts.length === 1 ? rcpts[0]! : rcpts.join('')}DATA\r\n`;
    return reset ? `RSET\r\n${commands}` : commands;
  }

  begin(reset: boolean, now: number): string {
    this.#begin(reset, now);
    return this.command();
  }

  #begin(reset: boolean, now: number): void {
    this.#startedAt = now;
    this.step = reset ? 'reset' : 'mail';
  }

  /** How many replies `beginPipelined` brings. */
  get replies(): number {
    return this.envelope.rcpts.length + (this.step === 'reset' ? 3 : 2);
  }

  /** What to write at this step. */
  command(): string {
    switch (this.step) {
      case 'reset':
        return 'RSET\r\n';
      case 'mail':
        return this.envelope.mail;
      case 'rcpt':
        return this.envelope.rcpts[this.#rcpt]!;
      default:
        return 'DATA\r\n';
    }
  }

  /** The stage that a loss of the connection would be charged to. */
  get stage(): Stage {
    return this.step === 'reset' ? 'mail' : this.step === 'ended' ? 'content' : this.step;
  }

  /** The next reply of those owed. */
  take(reply: Reply): Advice {
    switch (this.step) {
      case 'reset':
        if (reply.code !== 250) return reply.code < 400 ? 'garbage' : 'untried';
        this.step = 'mail';
        return this.#pipelined ? 'wait' : 'write';
      case 'mail':
        return this.#mail(reply);
      case 'rcpt':
        return this.#recipient(reply);
      case 'data':
        return this.#data(reply);
      default:
        return this.#final(reply);
    }
  }

  #mail(reply: Reply): Advice {
    const answer = verdict('mail', reply.code);
    if (answer === 'garbage') return 'garbage';
    this.mailAnswered = true;
    if (answer !== 'ok') {
      this.#mailRefused = true;
      this.#settleOpen(refused('mail', reply, this.#server));
      if (!this.#pipelined) return this.#end();
    }
    this.step = 'rcpt';
    return this.#pipelined ? 'wait' : 'write';
  }

  #recipient(reply: Reply): Advice {
    const answer = verdict('rcpt', reply.code);
    if (answer === 'garbage') return 'garbage';
    if (!this.#mailRefused) {
      const index = this.envelope.indexes[this.#rcpt]!;
      if (answer === 'ok') this.#accepted++;
      else if (isCrowded(reply)) this.#crowded = new Map(this.#crowded).set(index, postponed('rcpt', reply, this.#server));
      else this.#outcomes[index] = refused('rcpt', reply, this.#server);
    }
    if (++this.#rcpt === this.envelope.rcpts.length) {
      this.step = 'data';
      if (!this.#pipelined && this.#accepted === 0) return this.#end();
    }
    return this.#pipelined ? 'wait' : 'write';
  }

  #data(reply: Reply): Advice {
    const answer = verdict('data', reply.code);
    if (answer === 'garbage') return 'garbage';
    if (answer === 'ok') {
      if (this.#accepted === 0) {
        this.#end();
        return 'leave';
      }
      this.step = 'content';
      return 'send';
    }
    if (this.#accepted > 0) this.#settleAccepted(refused('data', reply, this.#server));
    return this.#end();
  }

  #final(reply: Reply): Advice {
    const answer = verdict('content', reply.code);
    if (answer === 'garbage') return 'garbage';
    this.#settleAccepted(answer === 'ok' ? delivered(reply, this.#server) : refused('content', reply, this.#server));
    return this.#end();
  }

  #end(): 'ended' {
    this.step = 'ended';
    this.#settleCrowded();
    // Those who did not fit go with the next one.
    for (let index = this.envelope.end; index < this.#outcomes.length; index++) this.#outcomes[index] ??= AGAIN;
    return 'ended';
  }

  /** The connection is gone before all was known: who has no outcome yet is deferred. */
  cutShort(trouble: Trouble): void {
    this.step = 'ended';
    this.#settleCrowded();
    this.#settleOpen({ kind: 'deferred', trouble });
  }

  result(now: number, tls: string | undefined, transcript?: string): TransactionResult {
    return {
      startedAt: this.#startedAt,
      endedAt: now,
      server: this.#server,
      ...(tls === undefined ? undefined : { tls }),
      ...(this.envelope.dsnPassedOn ? { dsnPassedOn: true } : undefined),
      ...(transcript === undefined ? undefined : { transcript }),
      outcomes: this.outcomes,
    };
  }

  /** Asked only when it has ended: by then nobody is without one. */
  get outcomes(): readonly RecipientOutcome[] {
    return this.#outcomes as readonly RecipientOutcome[];
  }

  /** The content breaks off here: how much of it went out. */
  tellPart(): void {
    if (this.step === 'content' && this.sentBytes > 0) this.transcript?.sent(this.sentBytes);
  }

  /** Everybody without an outcome, those who did not fit included. */
  #settleOpen(outcome: RecipientOutcome): void {
    for (let index = 0; index < this.#outcomes.length; index++) this.#outcomes[index] ??= outcome;
  }

  /** Everybody named in this transaction who was accepted. */
  #settleAccepted(outcome: RecipientOutcome): void {
    for (const index of this.envelope.indexes) {
      if (!this.#crowded.has(index)) this.#outcomes[index] ??= outcome;
    }
  }

  /** If it took nobody, the next transaction would fare no better: they wait. */
  #settleCrowded(): void {
    const took = this.#accepted > 0;
    for (const [index, otherwise] of this.#crowded) this.#outcomes[index] ??= took ? AGAIN : otherwise;
  }
}
