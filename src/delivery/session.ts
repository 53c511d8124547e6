/**
 * An outbound SMTP session: one connection, from the dial to its end, that takes jobs while there are any and reports each.
 *
 * With PIPELINING a message costs one write and one round trip: its content and final dot travel together with MAIL, RCPT and DATA
 * of the next (RFC 2920 §3.1), which is asked for at that moment. Without, one command at a time.
 *
 *   idle ──run──► running ──nothing left──► idle
 *                    │ drain                │ quit, peer closes, destroy
 *                    ▼                      ▼
 *                 draining ──────────────► over
 *
 * Within a run there are at most two jobs begun: `finishing` (its final dot is written, the answer not in) and `current` (MAIL is
 * written, the dot not). One more may be upcoming: its content being fetched, or ready and its MAIL not written.
 *
 * Promises
 *  - Before a final dot is written, the outcomes of the transaction before it have been reported and `mayFinish` was asked (G3).
 *  - A final dot is written only behind complete content; whatever cannot be read ends the connection before its dot (G9).
 *  - Delivered is only what was answered so, by a reply that came after the dot. A lost answer is a deferral.
 *  - Charged is only what was tried. A job whose MAIL got no answer because the connection ended is untried if an earlier
 *    transaction was completed there, and deferred on a fresh connection: so connections that servers end after some number of
 *    messages cost nothing, and a message that breaks connections cannot circle, since each round needs another's success.
 *
 * Must not: decide when to try again, choose servers, know the queue.
 */
import type { Reply, Server, Stage, Trouble } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import { faultTrouble, isClosing, siteTrouble } from './classify.js';
import type { Opened, RunEnd, Session, SessionWork, Timeouts } from './contract.js';
import { type Fault, STOPPED } from './fault.js';
import { type OpeningOptions, openReady, type Ready } from './opening.js';
import { Sending } from './sending.js';
import type { Transaction } from './transaction.js';
import { ConnectionTranscripts } from './transcripts.js';
import { Upcoming } from './upcoming.js';
import type { Answer, Wire } from './wire.js';

export interface SessionOptions extends OpeningOptions {
  /** Transactions before it ends itself. */
  readonly maxMessages: number;
  /** Recipients in one transaction; the others come back as `again`. */
  readonly maxRecipients: number;
}

/** Dials, greets, encrypts, logs in. Never rejects: if `signal` aborts meanwhile, the trouble's reason is `stopped`. */
export function openSession(options: SessionOptions, signal: AbortSignal): Promise<Opened> {
  return openClientSession(options, signal);
}

/** A session that also takes commands by hand, while it is idle. */
export interface ClientSession extends Session {
  /** One command with its line end. What it began on the server is ended before the next message. */
  command(line: string, timeoutMs: number): Promise<Answer>;
}

/** As `openSession`, for whoever holds the connection. */
export async function openClientSession(
  options: SessionOptions,
  signal: AbortSignal,
): Promise<{ readonly kind: 'open'; readonly session: ClientSession } | Extract<Opened, { kind: 'trouble' }>> {
  const ready = await openReady(options, signal);
  return ready.kind === 'ready' ? { kind: 'open', session: new SmtpSession(ready, options) } : ready;
}

type State = 'idle' | 'running' | 'draining' | 'over';

/** Commands, and how many replies they bring. */
interface Written {
  readonly text: string;
  readonly owed: number;
  readonly encoding: 'latin1' | 'utf8';
}

class SmtpSession implements ClientSession {
  readonly server: Server;
  readonly tls: string | undefined;
  messages = 0;

  readonly #wire: Wire;
  readonly #pipelining: boolean;
  readonly #clock: Clock;
  readonly #timeouts: Timeouts;
  readonly #maxMessages: number;
  readonly #transcripts: ConnectionTranscripts;

  #state: State = 'idle';
  #work: SessionWork | undefined;
  #resolveRun: ((end: RunEnd) => void) | undefined;
  /** The run under way, to its end. */
  #ended: Promise<RunEnd> = Promise.resolve({ kind: 'idle' });
  #onLost: (() => void) | undefined;
  #lostIdle = false;
  /** How it ended, once it is over. */
  #end: RunEnd = { kind: 'worn' };

  #finishing: Transaction | undefined;
  #current: Transaction | undefined;
  readonly #upcoming: Upcoming;
  readonly #sending: Sending;
  /** A transaction was begun that will not be ended: QUIT would be out of place. */
  #abandoned = false;
  /** The last transaction ended without its dot: the server holds it still. */
  #resetDue = false;
  /** Transactions whose outcomes are known by reply. */
  #completed = 0;
  #reachedMail = false;

  constructor(ready: Ready, options: SessionOptions) {
    this.server = options.target;
    this.tls = ready.tls;
    this.#wire = ready.wire;
    this.#pipelining = ready.extensions.pipelining;
    this.#clock = options.clock;
    this.#timeouts = options.timeouts;
    this.#maxMessages = options.maxMessages;
    this.#transcripts = new ConnectionTranscripts(options, ready.transcript);
    this.#upcoming = new Upcoming({
      server: options.target,
      peer: ready,
      tls: ready.tls,
      maxRecipients: options.maxRecipients,
      clock: options.clock,
      onFetched: () => this.#fetched(),
    });
    this.#sending = new Sending({
      wire: this.#wire,
      timeouts: options.timeouts,
      mayFinish: () => this.#work!.mayFinish(),
      isWanted: (transaction) => this.#current === transaction,
      finish: (transaction, rest, ending) => this.#sendLast(transaction, rest, ending),
      unreadable: (transaction, error) => this.#unreadable(transaction, error),
      shut: () => this.destroy(),
    });
    this.#wire.listen({
      onReply: (reply) => this.#replied(reply),
      onUnasked: (reply) => this.#unasked(reply),
      onFault: (fault) => this.#broken((stage) => faultTrouble(stage, fault, this.server), fault.reason === 'reset' ? 'ended' : 'failed'),
    });
  }

  run(work: SessionWork): Promise<RunEnd> {
    if (this.#state === 'over') return this.#wire.closed().then(() => this.#end);
    this.#state = 'running';
    this.#work = work;
    this.#ended = new Promise((resolve) => {
      this.#resolveRun = resolve;
    });
    this.#advance();
    return this.#ended;
  }

  command(line: string, timeoutMs: number): Promise<Answer> {
    if (this.#state !== 'idle') return Promise.resolve({ kind: 'fault', fault: { reason: 'reset', text: 'the connection is closed' } });
    this.#resetDue = true;
    return this.#wire.ask(line, timeoutMs);
  }

  onLost(call: () => void): void {
    this.#onLost = call;
    // Lost in the moment between the end of a run and this: nobody has heard of it yet.
    if (this.#lostIdle) call();
  }

  quit(): Promise<void> {
    if (this.#state === 'over') return this.#wire.closed();
    this.#state = 'over';
    return this.#wire.close('QUIT\r\n');
  }

  destroy(): void {
    this.#wire.destroy();
    if (this.#state === 'over') return;
    const trouble = faultTrouble(this.#finishing ? 'content' : 'local', STOPPED, this.server);
    this.#cut(this.#finishing, trouble);
    this.#finishing = undefined;
    this.#giveBack();
    this.#over({ kind: 'broken', trouble, reachedMail: true });
  }

  async drain(): Promise<void> {
    if (this.#state === 'over') return;
    if (this.#state === 'idle') return this.quit();
    if (this.#state === 'running') {
      this.#state = 'draining';
      // What is pipelined behind a dot is taken back without a word: the connection ends before its content is due.
      this.#abandoned = this.#current !== undefined;
      this.#giveBack();
      if (!this.#finishing) this.#retire();
    }
    await this.#ended;
  }

  // — the jobs —

  /**
   * Goes on where nothing is begun: with the job that is ready, else with the next one, else to rest. While a dot is
   * unanswered only what was looked for with pipelining can be ready.
   */
  #advance(): void {
    if (this.#current || this.#state === 'over') return;
    if (!this.#finishing) this.#look();
    switch (this.#upcoming.state) {
      case 'ready':
        this.#write(this.#begin());
        if (!this.#finishing) this.#wire.expectWithin(this.#timeouts.command);
        return;
      case 'fetching':
        // It is our own disk that is waited for.
        if (!this.#finishing) this.#wire.expectNothing();
        return;
      case 'empty':
        if (this.#finishing) return;
        if (this.#state === 'draining' || this.messages >= this.#maxMessages) this.#retire();
        else this.#rest();
    }
  }

  #look(): void {
    if (this.#state === 'running' && this.messages < this.#maxMessages && this.#upcoming.state === 'empty')
      this.#upcoming.look(this.#work!);
  }

  #fetched(): void {
    if (this.#finishing && this.#pipelining) this.#look();
    this.#advance();
  }

  /** What to write first for the job that is ready. */
  #begin(): Written {
    const transaction = this.#upcoming.take()!;
    this.#current = transaction;
    this.messages++;
    const reset = this.#resetDue;
    this.#resetDue = false;
    const now = this.#clock.now();
    const encoding = transaction.envelope.utf8 ? 'utf8' : 'latin1';
    const text = this.#pipelining ? transaction.beginPipelined(reset, now) : transaction.begin(reset, now);
    transaction.transcript = this.#transcripts.begin(this.messages, text);
    return { text, owed: this.#pipelining ? transaction.replies : 1, encoding };
  }

  #write({ text, owed, encoding }: Written): void {
    this.#wire.write(text, owed, encoding);
  }

  // — the content —

  #unreadable(transaction: Transaction, error: Error): void {
    this.#current = undefined;
    this.#work!.unreadable(transaction.job, error);
    this.#abandoned = true;
    this.#retire();
  }

  /** The last of the content with its dot, and whatever can go along: one buffer, one write. */
  #sendLast(transaction: Transaction, bytes: Buffer, ending: string): void {
    this.#current = undefined;
    this.#finishing = transaction;
    transaction.sentBytes += bytes.length;
    transaction.transcript?.sent(transaction.sentBytes);
    if (this.#pipelining) this.#look();
    const next = this.#pipelining && this.#upcoming.state === 'ready' ? this.#begin() : undefined;
    const text = next ? ending + next.text : ending;
    const encoding = next?.encoding ?? 'latin1';
    const buffer = Buffer.allocUnsafe(bytes.length + (encoding === 'utf8' ? Buffer.byteLength(text) : text.length));
    bytes.copy(buffer);
    buffer.write(text, bytes.length, encoding);
    this.#wire.write(buffer, 1 + (next?.owed ?? 0));
    this.#wire.expectWithin(this.#timeouts.finalDot);
  }

  // — what the server says —

  #replied(reply: Reply): void {
    (this.#finishing ?? this.#current)?.transcript?.heard(reply);
    if (isClosing(reply)) return this.#closing(reply);
    const finishing = this.#finishing;
    if (finishing) this.#dotAnswered(finishing, reply);
    else if (this.#current) this.#commandAnswered(this.#current, reply);
    else this.#garbled(reply);
  }

  #dotAnswered(finishing: Transaction, reply: Reply): void {
    if (finishing.take(reply) === 'garbage') return this.#garbled(reply);
    this.#finishing = undefined;
    this.#report(finishing);
    if (this.#current) this.#wire.expectWithin(this.#timeouts.command);
    else this.#advance();
  }

  #commandAnswered(transaction: Transaction, reply: Reply): void {
    const advice = transaction.take(reply);
    if (transaction.mailAnswered) this.#reachedMail = true;
    switch (advice) {
      case 'wait':
        return this.#wire.expectWithin(this.#timeouts.command);
      case 'write':
        this.#sayNext(transaction);
        return this.#wire.expectWithin(this.#timeouts.command);
      case 'send':
        return this.#sending.send(transaction);
      case 'ended':
        this.#current = undefined;
        this.#resetDue = true;
        this.#report(transaction);
        return this.#advance();
      case 'leave':
        this.#current = undefined;
        this.#report(transaction);
        this.#abandoned = true;
        return this.#retire();
      case 'untried':
        this.#abandoned = true;
        this.#giveBack();
        return this.#retire();
      case 'garbage':
        return this.#garbled(reply);
    }
  }

  /** Without pipelining: the command that is due. */
  #sayNext(transaction: Transaction): void {
    const text = transaction.command();
    transaction.transcript?.said(text);
    this.#write({ text, owed: 1, encoding: transaction.envelope.utf8 ? 'utf8' : 'latin1' });
  }

  #unasked(reply: Reply): void {
    if (!this.#finishing) this.#current?.tellPart();
    (this.#finishing ?? this.#current)?.transcript?.heard(reply);
    if (isClosing(reply)) return this.#closing(reply);
    const transaction = this.#current;
    if (transaction?.step !== 'content' || this.#sending.gated || reply.code < 400) return this.#garbled(reply);
    // A refusal in the middle of the content stands for the one after the dot, which is therefore never written.
    transaction.take(reply);
    this.#current = undefined;
    this.#report(transaction);
    this.#abandoned = true;
    this.#retire();
  }

  #closing(reply: Reply): void {
    this.#wire.destroy();
    this.#broken((stage) => siteTrouble(stage, reply, this.server), 'closing');
  }

  #garbled(reply: Reply): void {
    const fault: Fault = { reason: 'garbage', text: `out of step: ${reply.code} ${reply.text}` };
    this.#wire.destroy();
    this.#broken((stage) => faultTrouble(stage, fault, this.server), 'failed');
  }

  // — ends —

  /** The connection is gone: by a 421, by an end without a word, or because the server fell silent or talked nonsense. */
  #broken(troubleAt: (stage: Stage) => Trouble, how: 'closing' | 'ended' | 'failed'): void {
    if (this.#state === 'over') return;
    const finishing = this.#finishing;
    const current = this.#current;
    const stage = finishing ? 'content' : (current?.stage ?? 'mail');
    const trouble = troubleAt(stage);
    this.#finishing = undefined;
    this.#cut(finishing, trouble);
    // Worked well and then wanted no more: nothing is wrong with it or with the job whose MAIL it left unanswered.
    const worn = how !== 'failed' && this.#completed > 0 && !finishing && !current?.mailAnswered;
    if (current && !finishing && !this.#sending.gated && !worn) {
      this.#current = undefined;
      current.tellPart();
      this.#cut(current, trouble);
    }
    this.#giveBack();
    if (worn && how === 'closing') return this.#over({ kind: 'worn' });
    const transcript = this.#reachedMail ? undefined : this.#transcripts.opening;
    this.#over({ kind: 'broken', trouble, reachedMail: this.#reachedMail, ...(transcript !== undefined && { transcript }) });
  }

  /** The whole of what is in hand and not behind its dot goes back. */
  #giveBack(): void {
    const jobs = [this.#current?.job, this.#upcoming.giveBack()];
    this.#current = undefined;
    for (const job of jobs) if (job) this.#work!.untried(job);
  }

  #cut(transaction: Transaction | undefined, trouble: Trouble): void {
    if (!transaction) return;
    // What the server said is there already.
    if (trouble.code === undefined) transaction.transcript?.note(trouble.text);
    transaction.cutShort(trouble);
    this.#done(transaction);
  }

  #report(transaction: Transaction): void {
    this.#completed++;
    this.#done(transaction);
  }

  #done(transaction: Transaction): void {
    const { job, transcript, outcomes } = transaction;
    this.#work!.done(job, transaction.result(this.#clock.now(), this.tls, this.#transcripts.kept(transcript, outcomes)));
  }

  #rest(): void {
    this.#state = 'idle';
    this.#wire.expectNothing();
    const resolve = this.#resolveRun;
    this.#resolveRun = undefined;
    resolve?.({ kind: 'idle' });
  }

  /** We end it, for good. */
  #retire(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    if (this.#abandoned) this.#wire.destroy();
    else void this.#wire.close('QUIT\r\n');
    void this.#settle();
  }

  #over(end: RunEnd): void {
    this.#lostIdle = this.#state === 'idle';
    this.#state = 'over';
    this.#end = end;
    void this.#settle();
    if (this.#lostIdle) this.#onLost?.();
  }

  /** The run is over when the connection is closed: only then its place is free (G5). */
  async #settle(): Promise<void> {
    await this.#wire.closed();
    this.#resolveRun?.(this.#end);
    this.#resolveRun = undefined;
  }
}
