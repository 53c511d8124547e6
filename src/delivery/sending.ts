/**
 * The content of a session's transactions on its way: one at a time, up to the gate before its final dot. The dot itself is the
 * session's, which sends it along with whatever follows.
 *
 * Promises: `finish` is called behind complete content only, once the gate is open, for a transaction that is still wanted; content that
 * cannot be read to its end never gets there (G9). Blocks go out one after the other, each within the time that the server is given
 * to take it; time that our own disk takes is not the server's.
 */
import type { Content } from './content.js';
import type { Timeouts } from './contract.js';
import { Stuffing } from './stuffing.js';
import type { Transaction } from './transaction.js';
import type { Wire } from './wire.js';

export interface SendingPorts {
  readonly wire: Pick<Wire, 'expectNothing' | 'expectWithin' | 'writeOut'>;
  readonly timeouts: Pick<Timeouts, 'data'>;
  readonly mayFinish: () => true | Promise<void>;
  /** The server still waits for its content. */
  readonly isWanted: (transaction: Transaction) => boolean;
  /** `rest` is what has not gone out yet, `ending` what ends the content. */
  readonly finish: (transaction: Transaction, rest: Buffer, ending: string) => void;
  readonly unreadable: (transaction: Transaction, error: Error) => void;
  /** The gate will not open. */
  readonly shut: () => void;
}

const NOTHING = Buffer.alloc(0);

export class Sending {
  readonly #ports: SendingPorts;
  /** The gate is waited for: what happens to the connection meanwhile is not the message's fault. */
  gated = false;

  constructor(ports: SendingPorts) {
    this.#ports = ports;
  }

  send(transaction: Transaction): void {
    const { content } = transaction;
    this.#ports.wire.expectNothing();
    if (content.kind === 'piece') this.#finish(transaction, content.bytes, content.ending);
    else void this.#blocks(transaction, content);
  }

  async #blocks(transaction: Transaction, content: Extract<Content, { kind: 'blocks' }>): Promise<void> {
    const { wire, timeouts, isWanted, unreadable } = this.#ports;
    const stuffing = new Stuffing(content.dotted);
    try {
      for await (const block of content.open()) {
        if (!isWanted(transaction)) return;
        const stuffed = stuffing.push(block);
        transaction.sentBytes += stuffed.length;
        wire.expectWithin(timeouts.data);
        await wire.writeOut(stuffed);
        wire.expectNothing();
      }
    } catch (error) {
      if (isWanted(transaction)) unreadable(transaction, error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (isWanted(transaction)) this.#finish(transaction, NOTHING, stuffing.ending());
  }

  /** The gate before every final dot. */
  #finish(transaction: Transaction, rest: Buffer, ending: string): void {
    const { mayFinish, isWanted, finish, shut } = this.#ports;
    const may = mayFinish();
    if (may === true) return finish(transaction, rest, ending);
    this.gated = true;
    const opened = (open: boolean) => {
      if (!isWanted(transaction)) return;
      this.gated = false;
      if (open) finish(transaction, rest, ending);
      else shut();
    };
    may.then(
      () => opened(true),
      () => opened(false),
    );
  }
}
