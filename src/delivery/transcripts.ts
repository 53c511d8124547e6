/**
 * The transcripts of one connection: the first message's goes on where the opening ended, each later one begins with which
 * connection it was and the how many-th message on it. Which of them are kept is a setting; where none is, nothing is written down.
 */
import type { Server, TransactionResult } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import { Transcript, type Transcripts } from './transcript.js';

export interface ConnectionTranscriptsOptions {
  readonly transcripts: Transcripts;
  readonly target: Server;
  readonly connection: number;
  readonly clock: Pick<Clock, 'monotonic'>;
}

export class ConnectionTranscripts {
  readonly #mode: Transcripts;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #name: string;
  #opening: Transcript | undefined;

  constructor({ transcripts, target, connection, clock }: ConnectionTranscriptsOptions, opening: Transcript | undefined) {
    this.#mode = transcripts;
    this.#clock = clock;
    this.#name = `connection ${connection} to ${target.host}[${target.address}]:${target.port}`;
    this.#opening = opening;
  }

  /** For message number `message` on the connection, from 1; `commands` are written now. */
  begin(message: number, commands: string): Transcript | undefined {
    if (this.#mode === 'off') return undefined;
    let transcript = this.#opening;
    if (transcript === undefined || message > 1) {
      this.#opening = undefined;
      transcript = new Transcript(this.#clock);
      transcript.note(`${this.#name}, message ${message}`);
    }
    transcript.said(commands);
    return transcript;
  }

  /** What is kept of a transaction that has ended so. */
  kept(transcript: Transcript | undefined, outcomes: TransactionResult['outcomes']): string | undefined {
    if (transcript === undefined) return undefined;
    return this.#mode === 'all' || outcomes.some(({ kind }) => kind !== 'delivered') ? transcript.text() : undefined;
  }

  /** What was said up to and with the first message. */
  get opening(): string | undefined {
    return this.#opening?.text();
  }
}
