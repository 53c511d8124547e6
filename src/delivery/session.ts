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
 * Within a run there are at most three jobs: `finishing` (its final dot is written, the answer not in), `current` (begun, its
 * dot not written), and one `coming` (its content being fetched, or ready and MAIL not written).
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
import type { Job } from '../core/carrier.js';
import type { RecipientOutcome, Reply, Server, Stage, Trouble } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import { faultTrouble, isClosing, siteTrouble } from './classify.js';
import { type Content, contentOf, type Fetched, fetchContent } from './content.js';
import type { Opened, RunEnd, Session, SessionWork, Timeouts } from './contract.js';
import { type Envelope, makeEnvelope, type Peer } from './envelope.js';
import type { Fault } from './fault.js';
import { type OpeningOptions, openReady, type Ready } from './opening.js';
import { Stuffing } from './stuffing.js';
import { Transaction } from './transaction.js';
import type { Wire } from './wire.js';

export interface SessionOptions extends OpeningOptions {
  /** Transactions before it ends itself. */
  readonly maxMessages: number;
  /** Recipients in one transaction; the others come back as `again`. */
  readonly maxRecipients: number;
}

/** Dials, greets, encrypts, logs in. Never rejects: if `signal` aborts meanwhile, the trouble's reason is `stopped`. */
export async function openSession(options: SessionOptions, signal: AbortSignal): Promise<Opened> {
  const ready = await openReady(options, signal);
  return ready.kind === 'ready' ? { kind: 'open', session: new SmtpSession(ready, options) } : ready;
}

type State = 'idle' | 'running' | 'draining' | 'over';

const NOTHING = Buffer.alloc(0);
const STOPPED: Fault = { reason: 'stopped', text: 'the connection was given up from our side' };

class SmtpSession implements Session {
  readonly server: Server;
  readonly tls: string | undefined;
  messages = 0;

  readonly #wire: Wire;
  readonly #peer: Peer;
  readonly #pipelining: boolean;
  readonly #clock: Clock;
  readonly #timeouts: Timeouts;
  readonly #maxMessages: number;
  readonly #maxRecipients: number;

  #state: State = 'idle';
  #work: SessionWork | undefined;
  #resolveRun: ((end: RunEnd) => void) | undefined;
  #resolveDrain: (() => void) | undefined;
  #onLost: (() => void) | undefined;
  #lostIdle = false;
  /** How it ended, once it is over. */
  #end: RunEnd = { kind: 'worn' };

  #finishing: Transaction | undefined;
  #current: Transaction | undefined;
  #coming: Transaction | undefined;
  #fetching: Job | undefined;
  /** `current` waits for `mayFinish`: what happens to the connection meanwhile is not its fault. */
  #gated = false;
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
    this.#peer = ready;
    this.#pipelining = ready.extensions.pipelining;
    this.#clock = options.clock;
    this.#timeouts = options.timeouts;
    this.#maxMessages = options.maxMessages;
    this.#maxRecipients = options.maxRecipients;
    this.#wire.listen({
      onReply: (reply) => this.#replied(reply),
      onUnasked: (reply) => this.#unasked(reply),
      onFault: (fault) => this.#broken((stage) => faultTrouble(stage, fault, this.server), fault.reason === 'reset' ? 'ended' : 'failed'),
    });
  }

  run(work: SessionWork): Promise<RunEnd> {
    if (this.#state === 'over') return Promise.resolve(this.#end);
    this.#state = 'running';
    this.#work = work;
    return new Promise((resolve) => {
      this.#resolveRun = resolve;
      this.#advance();
    });
  }

  onLost(call: () => void): void {
    this.#onLost = call;
    // Lost in the moment between the end of a run and this: nobody has heard of it yet.
    if (this.#lostIdle) call();
  }

  quit(): Promise<void> {
    if (this.#state === 'over') return Promise.resolve();
    this.#state = 'over';
    return this.#wire.close('QUIT\r\n');
  }

  destroy(): void {
    this.#wire.destroy();
    if (this.#state === 'over') return;
    const trouble = faultTrouble('content', STOPPED, this.server);
    this.#cut(this.#finishing, trouble);
    this.#finishing = undefined;
    this.#giveBack();
    this.#over({ kind: 'broken', trouble, reachedMail: true });
  }

  drain(): Promise<void> {
    if (this.#state === 'over') return Promise.resolve();
    if (this.#state === 'idle') return this.quit();
    this.#state = 'draining';
    return new Promise((resolve) => {
      this.#resolveDrain = resolve;
      // What is pipelined behind a dot is taken back without a word: the connection ends before its content is due.
      this.#abandoned = this.#current !== undefined;
      this.#giveBack();
      if (!this.#finishing) this.#retire();
    });
  }

  // — the jobs —

  /** Goes on where nothing is begun: with the job that is ready, else with the next one, else to rest. */
  #advance(): void {
    if (this.#current || this.#state === 'over') return;
    if (!this.#coming && !this.#fetching && !this.#finishing) this.#take();
    const coming = this.#coming;
    if (coming && (this.#pipelining || !this.#finishing)) {
      const commands = this.#begin(coming);
      this.#wire.write(commands, this.#owed(coming), coming.envelope.utf8 ? 'utf8' : 'latin1');
      if (!this.#finishing) this.#wire.expectWithin(this.#timeouts.command);
    } else if (!coming && !this.#fetching && !this.#finishing) {
      if (this.#state === 'draining' || this.messages >= this.#maxMessages) return this.#retire();
      this.#rest();
    } else if (!this.#finishing) {
      // It is our own disk that is waited for.
      this.#wire.expectNothing();
    }
  }

  /** Asks for a job; those that cannot be sent to this server at all are reported at once. */
  #take(): void {
    while (this.#state === 'running' && this.messages < this.#maxMessages) {
      const job = this.#work!.next();
      if (!job) return;
      const envelope = makeEnvelope(job, this.#peer, this.#maxRecipients);
      if (envelope.kind === 'unsendable') {
        this.#unsendable(job, envelope.outcomes);
      } else if (job.bytes && !envelope.downgrade) {
        this.#coming = new Transaction(job, envelope, contentOf(job.bytes, job.delivery.message.content.dotted), this.server);
        return;
      } else {
        this.#fetching = job;
        void fetchContent(job, envelope.downgrade).then((fetched) => this.#fetched(job, envelope, fetched));
        return;
      }
    }
  }

  #fetched(job: Job, envelope: Envelope, fetched: Fetched): void {
    if (this.#fetching !== job) return;
    this.#fetching = undefined;
    switch (fetched.kind) {
      case 'unreadable':
        this.#work!.unreadable(job, fetched.error);
        break;
      case 'unsendable':
        this.#unsendable(job, job.recipients.map(() => fetched.outcome));
        break;
      case 'content': {
        // Made 7-bit, it has another size than the one in the record.
        const anew = envelope.downgrade ? makeEnvelope(job, this.#peer, this.#maxRecipients, fetched.sizeBytes) : envelope;
        if (anew.kind === 'unsendable') this.#unsendable(job, anew.outcomes);
        else this.#coming = new Transaction(job, anew, fetched.content, this.server);
      }
    }
    if (!this.#coming && this.#finishing && this.#pipelining) this.#take();
    this.#advance();
  }

  /** The commands to write. */
  #begin(transaction: Transaction): string {
    this.#coming = undefined;
    this.#current = transaction;
    this.messages++;
    const reset = this.#resetDue;
    this.#resetDue = false;
    const now = this.#clock.now();
    return this.#pipelining ? transaction.beginPipelined(reset, now) : transaction.begin(reset, now);
  }

  #owed(transaction: Transaction): number {
    return this.#pipelining ? transaction.replies : 1;
  }

  // — the content —

  #send(transaction: Transaction): void {
    const { content } = transaction;
    this.#wire.expectNothing();
    if (content.kind === 'piece') this.#whenOpen(transaction, () => this.#sendLast(transaction, content.bytes, content.ending));
    else void this.#sendBlocks(transaction, content);
  }

  async #sendBlocks(transaction: Transaction, content: Extract<Content, { kind: 'blocks' }>): Promise<void> {
    const stuffing = new Stuffing(content.dotted);
    try {
      for await (const block of content.open()) {
        if (this.#current !== transaction) return;
        if (this.#wire.write(stuffing.push(block), 0)) continue;
        this.#wire.expectWithin(this.#timeouts.data);
        await this.#wire.drained();
        this.#wire.expectNothing();
      }
    } catch (error) {
      if (this.#current !== transaction) return;
      this.#current = undefined;
      this.#work!.unreadable(transaction.job, error instanceof Error ? error : new Error(String(error)));
      this.#abandoned = true;
      this.#retire();
      return;
    }
    if (this.#current === transaction) this.#whenOpen(transaction, () => this.#sendLast(transaction, NOTHING, stuffing.ending()));
  }

  /** The gate before every final dot. */
  #whenOpen(transaction: Transaction, go: () => void): void {
    const may = this.#work!.mayFinish();
    if (may === true) return go();
    this.#gated = true;
    const opened = (open: boolean) => {
      if (this.#current !== transaction) return;
      this.#gated = false;
      if (open) go();
      else this.destroy();
    };
    may.then(
      () => opened(true),
      () => opened(false),
    );
  }

  /** The last of the content with its dot, and whatever can go along: one buffer, one write. */
  #sendLast(transaction: Transaction, bytes: Buffer, ending: string): void {
    this.#current = undefined;
    this.#finishing = transaction;
    let text = ending;
    let owed = 1;
    let utf8 = false;
    if (this.#pipelining) {
      this.#take();
      const coming = this.#coming;
      if (coming) {
        text += this.#begin(coming);
        owed += this.#owed(coming);
        utf8 = coming.envelope.utf8;
      }
    }
    const buffer = Buffer.allocUnsafe(bytes.length + (utf8 ? Buffer.byteLength(text) : text.length));
    bytes.copy(buffer);
    buffer.write(text, bytes.length, utf8 ? 'utf8' : 'latin1');
    this.#wire.write(buffer, owed);
    this.#wire.expectWithin(this.#timeouts.finalDot);
  }

  // — what the server says —

  #replied(reply: Reply): void {
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
        this.#wire.write(transaction.command(), 1, transaction.envelope.utf8 ? 'utf8' : 'latin1');
        return this.#wire.expectWithin(this.#timeouts.command);
      case 'send':
        return this.#send(transaction);
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

  #unasked(reply: Reply): void {
    if (isClosing(reply)) return this.#closing(reply);
    const transaction = this.#current;
    if (transaction?.step !== 'content' || this.#gated || reply.code < 400) return this.#garbled(reply);
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
    if (current && !finishing && !this.#gated && !worn) {
      this.#current = undefined;
      this.#cut(current, trouble);
    }
    this.#giveBack();
    this.#over(worn && how === 'closing' ? { kind: 'worn' } : { kind: 'broken', trouble, reachedMail: this.#reachedMail });
  }

  /** The whole of what is in hand and not behind its dot goes back. */
  #giveBack(): void {
    const jobs = [this.#current?.job, this.#coming?.job, this.#fetching];
    this.#current = this.#coming = this.#fetching = undefined;
    for (const job of jobs) if (job) this.#work!.untried(job);
  }

  #cut(transaction: Transaction | undefined, trouble: Trouble): void {
    if (!transaction) return;
    transaction.cutShort(trouble);
    this.#work!.done(transaction.job, transaction.result(this.#clock.now(), this.tls));
  }

  #report(transaction: Transaction): void {
    this.#completed++;
    this.#work!.done(transaction.job, transaction.result(this.#clock.now(), this.tls));
  }

  #unsendable(job: Job, outcomes: readonly RecipientOutcome[]): void {
    const now = this.#clock.now();
    this.#work!.done(job, { startedAt: now, endedAt: now, server: this.server, ...(this.tls === undefined ? {} : { tls: this.tls }), outcomes });
  }

  #rest(): void {
    this.#state = 'idle';
    this.#wire.expectNothing();
    const resolve = this.#resolveRun;
    this.#resolveRun = undefined;
    resolve?.({ kind: 'idle' });
  }

  /** We end it, for good. The run is over when the connection is closed: only then its place is free (G5). */
  #retire(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    if (this.#abandoned) {
      this.#wire.destroy();
      this.#settle();
    } else {
      void this.#wire.close('QUIT\r\n').then(() => this.#settle());
    }
  }

  #over(end: RunEnd): void {
    this.#lostIdle = this.#state === 'idle';
    this.#state = 'over';
    this.#end = end;
    this.#settle();
    if (this.#lostIdle) this.#onLost?.();
  }

  #settle(): void {
    this.#resolveRun?.(this.#end);
    this.#resolveDrain?.();
    this.#resolveRun = this.#resolveDrain = undefined;
  }
}
