/**
 * The door for what is sent now: content goes through intake as any other, so that the same is refused, added and taken out, but what
 * comes of it is handed on to be delivered, and is stored nowhere.
 *
 *   open ──write…──► finished (whole, kept aside) ──► being delivered ──► ended (nothing is left)
 *
 * Promises
 *  - No limit of size; memory is a few blocks and what recipients have for a template.
 *  - It resolves with an outcome for every recipient, and rejects with `REMOTE_REJECTED` where none was accepted.
 *  - So many deliveries are under way at once and no more, however many there are.
 *
 * Must not: know routes or connections.
 */
import { createCopies } from '../compose/merge/copies.js';
import type { RawRow } from '../compose/merge/rows.js';
import { type Delivery, deliveryKey, type NewDelivery } from '../core/delivery.js';
import { MtaError } from '../core/errors.js';
import type { Body, Message, MessageId } from '../core/message.js';
import type { NowOutcome, RecipientOutcome } from '../core/outcome.js';
import type { OwnServer } from '../core/own-server.js';
import type { Log } from '../platform/log.js';
import type { Acceptance } from '../spool/spool.js';
import { createMergeIntake, type MergeIntakeOptions } from './merge.js';
import { Spill } from './spill.js';
import type { Merged, MergeEnvelope, SubmissionEnvelope } from './submission.js';

export interface SentNowReport {
  readonly id: MessageId;
  readonly messageId: string;
  readonly sizeBytes: number;
  readonly outcomes: readonly NowOutcome[];
  readonly unknownTokens?: Merged['unknownTokens'];
}

export interface NowOptions {
  /** How long each delivery waits for a place. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface ImmediateSubmission {
  write(chunk: Buffer): true | Promise<void>;
  /** Rejects with what is wrong with the content, `REMOTE_REJECTED`, `ABORTED`. Nothing is left then. */
  send(options: NowOptions): Promise<SentNowReport>;
  abort(): void;
}

export interface ImmediateMerge extends Omit<ImmediateSubmission, 'send'> {
  send(rows: AsyncIterable<RawRow>, options: NowOptions): Promise<SentNowReport>;
}

export interface ImmediateIntake {
  begin(envelope: SubmissionEnvelope): ImmediateSubmission;
  beginMerge(envelope: MergeEnvelope): ImmediateMerge;
}

type Deliver = (
  delivery: Delivery,
  body: () => Promise<Body>,
  options: NowOptions,
) => Promise<{ readonly outcomes: readonly RecipientOutcome[]; readonly transcript?: string }>;

export interface ImmediateIntakeOptions extends Omit<MergeIntakeOptions, 'spool' | 'emit' | 'maxMessageSizeBytes' | 'ownServer'> {
  /** Where large content is kept aside; nothing is left there. */
  readonly folder: string;
  readonly deliver: Deliver;
  /** A lane for a server that a message brought along, good until it is given back. */
  readonly lend: (server: OwnServer) => { readonly lane: string; readonly release: () => void };
  readonly log: Log;
}

const AT_ONCE = 64;

export function createImmediateIntake(options: ImmediateIntakeOptions): ImmediateIntake {
  return {
    begin(envelope) {
      const aside = new Aside(options);
      const submission = aside.intake.begin(envelope);
      return {
        write: (chunk) => submission.write(chunk),
        async send(how) {
          try {
            await submission.finish();
            return await aside.deliver(how);
          } finally {
            await aside.end();
          }
        },
        abort() {
          submission.abort();
          void aside.end();
        },
      };
    },
    beginMerge(envelope) {
      const aside = new Aside(options);
      const submission = aside.intake.beginMerge(envelope);
      return {
        write: (chunk) => submission.write(chunk),
        async send(rows, how) {
          try {
            const { unknownTokens } = await submission.finish(rows);
            return { ...(await aside.deliver(how)), unknownTokens };
          } finally {
            await aside.end();
          }
        },
        abort() {
          submission.abort();
          void aside.end();
        },
      };
    },
  };
}

/** Stands in for the spool of one message: what would be stored is kept aside. */
class Aside {
  readonly intake: ReturnType<typeof createMergeIntake>;
  readonly #options: ImmediateIntakeOptions;
  #spill: Spill | undefined;
  #message: Message | undefined;
  #deliveries: NewDelivery[] = [];
  #release: (() => void) | undefined;

  constructor(options: ImmediateIntakeOptions) {
    this.#options = options;
    const { folder, lend } = options;
    const accept = (entry: Acceptance) => {
      this.#message = entry.message;
      this.#deliveries.push(...entry.deliveries);
      return Promise.resolve();
    };
    this.intake = createMergeIntake({
      ...options,
      maxMessageSizeBytes: Number.POSITIVE_INFINITY,
      emit: () => {},
      ownServer: (server) => {
        const { lane, release } = lend(server);
        this.#release = release;
        return { lane, about: '' };
      },
      spool: {
        closedFor: () => undefined,
        writeBody: ({ id }) => (this.#spill = new Spill(folder, `immediate-${id}`)),
        accept,
        acceptMerge: async ({ message, body, deliveries }) => {
          const all: NewDelivery[] = [];
          for await (const delivery of deliveries) all.push(delivery);
          await accept({ message, body, deliveries: all });
          return all.length;
        },
      },
    });
  }

  async deliver(options: NowOptions): Promise<SentNowReport> {
    const message = this.#message!;
    const outcomes: NowOutcome[][] = this.#deliveries.map(() => []);
    const body = this.#bodyOf(message);
    let next = 0;
    const one = async () => {
      while (next < this.#deliveries.length) {
        const n = next++;
        const delivery = deliveryOf(message, this.#deliveries[n]!, n);
        outcomes[n] = this.#told(delivery, await this.#options.deliver(delivery, () => body(delivery), options));
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, this.#deliveries.length) }, one));
    const all = outcomes.flat();
    if (!all.some(({ state }) => state === 'delivered')) throw rejected(all);
    const { id, messageId, sizeBytes } = message;
    return { id, messageId, sizeBytes, outcomes: all };
  }

  async end(): Promise<void> {
    this.#release?.();
    this.#release = undefined;
    await this.#spill?.close();
  }

  #bodyOf(message: Message): (delivery: Delivery) => Promise<Body> {
    const whole = async () => this.#spill!.body();
    if (message.merge === undefined) return whole;
    const copies = createCopies({
      readBody: whole,
      copy: async (key) => this.#deliveries[Number(key.slice(key.indexOf('.') + 1))]?.copy,
    });
    return (delivery) => copies.body(delivery);
  }

  #told(delivery: Delivery, { outcomes, transcript }: Awaited<ReturnType<Deliver>>): NowOutcome[] {
    return delivery.recipients.map(({ address }, i) => {
      const told = { address, ...outcomeOf(outcomes[i]!), ...(transcript === undefined ? {} : { transcript }) };
      const { state, status, text, server } = told;
      this.#options.log.info('immediate.outcome', { id: delivery.message.id, recipient: address, state, status, server, text });
      return told;
    });
  }
}

function deliveryOf(message: Message, { lane, recipients }: NewDelivery, n: number): Delivery {
  const { id, priority, acceptedAt: due } = message;
  return { key: deliveryKey(id, n), message, lane, priority, recipients, attempts: 0, log: [], delayNoticed: false, held: false, due };
}

export function outcomeOf(outcome: RecipientOutcome): Omit<NowOutcome, 'address' | 'transcript'> {
  if (outcome.kind === 'delivered') {
    const { host, address, port } = outcome.server;
    return { state: 'delivered', status: outcome.status, text: outcome.text, server: `${host}[${address}]:${port}` };
  }
  if (outcome.kind === 'again') throw new RangeError('a recipient was left without an outcome');
  const { status, text, code, server } = outcome.trouble;
  return {
    state: outcome.kind,
    status,
    text: code === undefined ? text : `${code} ${text}`,
    ...(server === undefined ? {} : { server: `${server.host}[${server.address}]:${server.port}` }),
  };
}

/** Named in one error, so many of them and no more. */
const MOST_NAMED = 100;

export function rejected(outcomes: readonly NowOutcome[]): MtaError {
  const issues = outcomes
    .slice(0, MOST_NAMED)
    .map(({ address, state, text }) => ({ path: address, code: state.toUpperCase(), message: text }));
  const more = outcomes.length > MOST_NAMED ? ` and ${outcomes.length - MOST_NAMED} more` : '';
  return new MtaError(
    'REMOTE_REJECTED',
    `no recipient was accepted: ${issues.map(({ path, message }) => `${path}: ${message}`).join('; ')}${more}`,
    {
      issues,
    },
  );
}
