/**
 * The lowest layer of an SMTP client: a stream, replies in order, one deadline, TLS in mid-conversation. It knows what a reply
 * looks like but not what any code means.
 *
 * Promises
 *  - A reply is given to the listener only if it was owed: whoever writes says how many replies that will bring, and what was
 *    already there before the question was written is no answer to it, whatever it says (`onUnasked`).
 *  - `onFault` comes at most once, and nothing after it; the stream is destroyed by then. Nothing comes after `destroy` or `close`.
 *  - What is not a reply is the fault `garbage`, never a reply.
 *  - One timer for the life of the connection: a new deadline is a number, not a new timer.
 *
 * States: open → lost | closing → closed. Must not: read codes, keep what was written, log.
 */
import type { Duplex } from 'node:stream';
import type { Reply } from '../core/outcome.js';
import { createReplyParser, isGarbage } from '../core/reply.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Dialer, TlsOptions } from '../platform/dialer.js';
import { brokenFault, errorText, type Fault, STOPPED } from './fault.js';
import { within } from './within.js';

export interface WireListener {
  onReply(reply: Reply): void;
  /** A reply that nothing was asked for, or that came before its question. */
  onUnasked(reply: Reply): void;
  onFault(fault: Fault): void;
}

export type Answer = { readonly kind: 'reply'; readonly reply: Reply } | { readonly kind: 'fault'; readonly fault: Fault };
export type Secured =
  | { readonly kind: 'secured'; readonly description: string; readonly verified: boolean }
  | { readonly kind: 'fault'; readonly fault: Fault };

/** How long a peer may take to close after QUIT. */
const CLOSE_WAIT_MS = 2_000;

export class Wire {
  readonly #clock: Clock;
  #stream: Duplex;
  #parser = createReplyParser();
  #listener: WireListener | undefined;
  #waiting: ((answer: Answer) => void) | undefined;
  /** Replies owed for what was written. The greeting is owed for the connection itself. */
  #owed = 1;
  #mute = false;
  #fault: Fault | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  #allowedMs = 0;
  #timer: Timer | undefined;
  #timerDue = 0;
  /** The stream has told that it is closed. (A socket counts itself as `closed` as soon as it begins to.) */
  #gone = false;
  #awaitingEnd: (() => void)[] = [];

  constructor(stream: Duplex, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
    this.#attach(stream);
  }

  /** From now on replies go here. `ask` is over. */
  listen(listener: WireListener): void {
    this.#listener = listener;
    if (this.#fault) listener.onFault(this.#fault);
  }

  /** `owed`: how many replies this will bring. */
  write(data: Buffer | string, owed: number, encoding: 'latin1' | 'utf8' = 'latin1'): void {
    if (this.#fault || this.#mute) return;
    this.#owed += owed;
    if (typeof data === 'string') this.#stream.write(data, encoding);
    else this.#stream.write(data);
  }

  /** Content. Resolves when all of it has gone out, or the connection is lost: from then on its memory may be used again. */
  writeOut(data: Buffer): Promise<void> {
    if (this.#fault || this.#mute) return Promise.resolve();
    return new Promise((resolve) => {
      this.#stream.write(data, () => resolve());
    });
  }

  /** The peer must do its part within this time, counted from now. Replaces the deadline before. */
  expectWithin(ms: number): void {
    const due = this.#clock.monotonic() + ms;
    this.#deadline = due;
    this.#allowedMs = ms;
    if (this.#timer === undefined || due < this.#timerDue) this.#arm(ms, due);
  }

  expectNothing(): void {
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  /** For conversations without haste: one command (undefined: the greeting), one reply. */
  ask(line: string | undefined, timeoutMs: number): Promise<Answer> {
    if (this.#fault) return Promise.resolve({ kind: 'fault', fault: this.#fault });
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.expectWithin(timeoutMs);
      if (line !== undefined) this.write(line, 1);
    });
  }

  /** TLS over what is there. Right after the reply that allowed it: whatever else has come in by then was a fault already. */
  async secure(dialer: Dialer, options: TlsOptions, timeoutMs: number, signal: AbortSignal): Promise<Secured> {
    if (this.#fault) return { kind: 'fault', fault: this.#fault };
    const plain = this.#stream;
    this.expectNothing();
    this.#detach(plain);
    const ready = await within(this.#clock, timeoutMs, signal, (limit) => dialer.secure(plain, options, limit));
    if (ready.kind !== 'value') {
      this.#stop({
        reason: 'tls',
        text: ready.kind === 'late' ? 'the TLS handshake took too long' : `TLS failed: ${errorText(ready.error)}`,
      });
      return { kind: 'fault', fault: this.#fault! };
    }
    const { stream, description, verified } = ready.value;
    if (this.#fault) {
      stream.on('error', ignore);
      stream.destroy();
      return { kind: 'fault', fault: this.#fault };
    }
    this.#stream = stream;
    this.#parser = createReplyParser();
    this.#attach(stream);
    return { kind: 'secured', description, verified };
  }

  /** Says its last words, waits a little for the peer to close, then closes. Resolves when closed. */
  async close(lastWords: string): Promise<void> {
    if (this.#fault) return this.closed();
    this.#retire(STOPPED);
    const stream = this.#stream;
    const timer = this.#clock.after(CLOSE_WAIT_MS, () => stream.destroy());
    stream.end(lastWords, 'latin1');
    await this.closed();
    timer.cancel();
  }

  /** Resolves when nothing is left of the connection: a fault, and `destroy`, only begin its end. */
  closed(): Promise<void> {
    return this.#gone ? Promise.resolve() : new Promise((resolve) => this.#awaitingEnd.push(resolve));
  }

  /** Ends at once, also a `close` under way. A pending `ask` is answered with the fault `stopped`; the listener hears nothing. */
  destroy(): void {
    if (this.#fault) this.#stream.destroy();
    else this.#stop(STOPPED);
  }

  #attach(stream: Duplex): void {
    stream.once('close', () => this.#closedNow(stream));
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('close', this.#onEnd);
    stream.on('error', this.#onError);
  }

  /** Not the one under TLS that was begun meanwhile. */
  #closedNow(stream: Duplex): void {
    if (stream !== this.#stream) return;
    this.#gone = true;
    for (const resolve of this.#awaitingEnd.splice(0)) resolve();
  }

  #detach(stream: Duplex): void {
    stream.off('data', this.#onData);
    stream.off('end', this.#onEnd);
    stream.off('close', this.#onEnd);
    stream.off('error', this.#onError);
    stream.on('error', ignore);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#fault) return;
    const owed = this.#owed;
    const replies = this.#parser.push(chunk);
    // More came than was owed: that is the end of it, so whatever the replies before would make us say is not said any more.
    this.#mute = replies.length > owed || (replies.length === owed && this.#parser.partial);
    for (let i = 0; i < replies.length; i++) {
      const reply = replies[i]!;
      if (isGarbage(reply)) return this.#lose({ reason: 'garbage', text: `not an SMTP reply: ${reply.garbage}` });
      if (i >= owed) this.#unasked(reply);
      else this.#answered(reply);
      if (this.#fault) return;
    }
    if (this.#mute) this.#lose({ reason: 'garbage', text: 'the server talks without being asked' });
  };

  readonly #onEnd = (): void => this.#lose({ reason: 'reset', text: 'the server closed the connection' });
  readonly #onError = (error: Error): void => this.#lose(brokenFault(error));

  #answered(reply: Reply): void {
    this.#owed--;
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = undefined;
      this.expectNothing();
      waiting({ kind: 'reply', reply });
    } else {
      this.#listener?.onReply(reply);
    }
  }

  #unasked(reply: Reply): void {
    if (this.#listener) this.#listener.onUnasked(reply);
    else this.#lose({ reason: 'garbage', text: `an answer without a question: ${reply.code} ${reply.text}` });
  }

  #arm(ms: number, due: number): void {
    this.#timer?.cancel();
    this.#timerDue = due;
    this.#timer = this.#clock.after(ms, this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    if (this.#fault || this.#deadline === Number.POSITIVE_INFINITY) return;
    const left = this.#deadline - this.#clock.monotonic();
    if (left > 0) this.#arm(left, this.#deadline);
    else this.#lose({ reason: 'timeout', text: `no answer within ${this.#allowedMs / 1000} s` });
  };

  #lose(fault: Fault): void {
    if (this.#fault) return;
    this.#stop(fault);
    this.#listener?.onFault(fault);
  }

  #stop(fault: Fault): void {
    this.#retire(fault);
    this.#stream.destroy();
  }

  /** Nothing is told to anybody from here on, but to those who wait. */
  #retire(fault: Fault): void {
    this.#fault = fault;
    this.#timer?.cancel();
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.({ kind: 'fault', fault });
  }
}

function ignore(): void {}
