/**
 * What a session sends next: asks for a job, settles at once those that cannot be sent to this server at all, and has the content
 * at hand before the first command is written, so that what cannot be read costs no transaction.
 *
 *   empty ──look──► ready ──take──► empty
 *             └──► fetching ──► ready, or empty again (unreadable, unsendable)
 */
import type { Job } from '../core/carrier.js';
import type { RecipientOutcome, Server } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import { contentOf, type Fetched, fetchContent } from './content.js';
import type { SessionWork } from './contract.js';
import { type Envelope, makeEnvelope, type Peer } from './envelope.js';
import { Transaction } from './transaction.js';

export interface UpcomingOptions {
  readonly server: Server;
  readonly peer: Peer;
  readonly tls: string | undefined;
  readonly maxRecipients: number;
  readonly clock: Clock;
  /** It was fetching and is no more. */
  readonly onFetched: () => void;
}

export class Upcoming {
  readonly #options: UpcomingOptions;
  #ready: Transaction | undefined;
  #fetching: { readonly job: Job; readonly work: SessionWork } | undefined;

  constructor(options: UpcomingOptions) {
    this.#options = options;
  }

  get state(): 'empty' | 'fetching' | 'ready' {
    return this.#ready ? 'ready' : this.#fetching ? 'fetching' : 'empty';
  }

  /** While empty: asks for a job, and again after each that came to nothing. */
  look(work: SessionWork): void {
    const { peer, maxRecipients, server } = this.#options;
    for (let job = work.next(); job; job = work.next()) {
      // What a copy is like shows only when it is there.
      if (job.delivery.message.merge !== undefined) return this.#fetch(work, job, undefined);
      const envelope = makeEnvelope(job, peer, maxRecipients);
      if (envelope.kind === 'unsendable') {
        this.#unsendable(work, job, envelope.outcomes);
      } else if (job.bytes && !envelope.downgrade) {
        this.#ready = new Transaction(job, envelope, contentOf(job.bytes, job.delivery.message.content.dotted), server);
        return;
      } else {
        this.#fetch(work, job, envelope);
        return;
      }
    }
  }

  take(): Transaction | undefined {
    const ready = this.#ready;
    this.#ready = undefined;
    return ready;
  }

  /** What is in hand is nobody's task any more. */
  giveBack(): Job | undefined {
    const job = this.#ready?.job ?? this.#fetching?.job;
    this.#ready = this.#fetching = undefined;
    return job;
  }

  /** `envelope`: undefined where it depends on the content. */
  #fetch(work: SessionWork, job: Job, envelope: Envelope | undefined): void {
    const fetching = { job, work };
    this.#fetching = fetching;
    void fetchContent(job, this.#options.peer.extensions.eightBitMime).then((fetched) => {
      if (this.#fetching !== fetching) return;
      this.#fetching = undefined;
      this.#fetched(work, job, envelope, fetched);
      this.#options.onFetched();
    });
  }

  #fetched(work: SessionWork, job: Job, envelope: Envelope | undefined, fetched: Fetched): void {
    const { peer, maxRecipients, server } = this.#options;
    switch (fetched.kind) {
      case 'unreadable':
        return work.unreadable(job, fetched.error);
      case 'unsendable':
        return this.#unsendable(
          work,
          job,
          job.recipients.map(() => fetched.outcome),
        );
      case 'content': {
        const { sizeBytes, facts } = fetched;
        // Made 7-bit, it has another size than the one in the record.
        const known = envelope?.downgrade === false ? envelope : undefined;
        const anew = known ?? makeEnvelope(job, peer, maxRecipients, { sizeBytes, content: facts });
        if (anew.kind === 'unsendable') this.#unsendable(work, job, anew.outcomes);
        else this.#ready = new Transaction(job, anew, fetched.content, server);
      }
    }
  }

  #unsendable(work: SessionWork, job: Job, outcomes: readonly RecipientOutcome[]): void {
    const { clock, server, tls } = this.#options;
    const now = clock.now();
    work.done(job, { startedAt: now, endedAt: now, server, ...(tls === undefined ? undefined : { tls }), outcomes });
  }
}
