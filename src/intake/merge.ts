/**
 * The one door for merges: a template comes in as any message does, and then the list of those who get a copy, one after the other.
 *
 * Promises
 *  - Every value is checked against each place where it will stand, and every copy against the size limit, before anything of the message
 *    can be seen: so nothing fails later that could have been known now.
 *  - Memory holds the template, the addresses (nobody gets two copies), and a few rows; not the list.
 *  - `finish` resolves when all of it is durable (G1). What rejects has stored nothing, and names all that is wrong, so many and no more.
 */
import { errorOf, type Issues, put } from '../compose/checks.js';
import { type MergeRow, MergeRows, type RawRow } from '../compose/merge/rows.js';
import { prepareTemplate, type Template } from '../compose/merge/template.js';
import { textOf } from '../compose/merge/tokens.js';
import type { NewDelivery, Recipient } from '../core/delivery.js';
import { MtaError } from '../core/errors.js';
import type { MergeValue, MergeValues, Message, MessageId } from '../core/message.js';
import type { BodyWriter, Spool } from '../spool/spool.js';
import { ONCE_MS } from './once.js';
import type { Merged, MergeEnvelope, MergeIntake, MergeSubmission } from './submission.js';
import { createIntake, Incoming, type IntakeDoor, type IntakeOptions, tellAccepted } from './submit.js';
import { createMailDate } from './trace.js';

/** A template is whole in memory, here and while its copies are sent. */
const LARGEST_TEMPLATE = 32 * 1024 * 1024;
/** What is for all is in the record of the message. */
const LARGEST_DEFAULTS = 1024 * 1024;
/** Copies of one message. */
export const MOST_COPIES = 1_000_000;
/** Named in one error. */
const MOST_ISSUES = 100;
/** Rows after which it is asked again whether the disk has room. */
const ROWS_A_LOOK = 1000;

export interface MergeIntakeOptions extends IntakeOptions {
  readonly spool: IntakeOptions['spool'] & Pick<Spool, 'acceptMerge'>;
}

type MergeDoor = MergeIntakeOptions & IntakeDoor;

/** Takes in single messages as well. */
export function createMergeIntake(options: MergeIntakeOptions): MergeIntake {
  const door: MergeDoor = { ...options, mailDate: createMailDate() };
  const intake = createIntake(options);
  return {
    ...intake,
    renew(limits) {
      Object.assign(door, limits);
      intake.renew(limits);
    },
    beginMerge: (envelope) => new IncomingMerge(door, envelope),
  };
}

class IncomingMerge implements MergeSubmission {
  readonly id: MessageId;
  readonly #door: MergeDoor;
  readonly #envelope: MergeEnvelope;
  readonly #incoming: Incoming;
  readonly #template: Buffer[] = [];
  #octets = 0;

  constructor(door: MergeDoor, envelope: MergeEnvelope) {
    this.#door = door;
    this.#envelope = envelope;
    const { spool } = door;
    const writeBody: Spool['writeBody'] = (about) => teed(spool.writeBody(about), this.#template);
    const inner: IntakeDoor['spool'] = {
      writeBody,
      accept: (entry) => spool.accept(entry),
      closedFor: (sizeBytes) => spool.closedFor(sizeBytes),
    };
    this.#incoming = new Incoming({ ...door, spool: inner }, { ...envelope, recipients: [] });
    this.id = this.#incoming.id;
  }

  write(chunk: Buffer): true | Promise<void> {
    this.#octets += chunk.length;
    return this.#octets > LARGEST_TEMPLATE ? true : this.#incoming.write(chunk);
  }

  abort(): void {
    this.#incoming.abort();
  }

  async finish(rows: AsyncIterable<RawRow>, once?: Parameters<MergeSubmission['finish']>[1]): Promise<Merged> {
    const { spool, clock, emit } = this.#door;
    const { server } = this.#incoming;
    this.#checkFirst();
    this.#incoming.endContent();
    const body = await this.#incoming.body();
    const template = prepareTemplate(Buffer.concat(this.#template.splice(0)), this.#envelope.defaults);
    const plain = this.#incoming.messageAt(clock.now());
    const message: Message = { ...plain, merge: { defaults: only(this.#envelope.defaults, template.names) } };
    const unknown = new Map<string, number>();
    const recipients = await spool.acceptMerge({
      message,
      body,
      deliveries: this.#deliveries(rows, template, unknown),
      ...(server === undefined ? {} : { server }),
      ...(once === undefined
        ? {}
        : {
            once: () => ({
              key: once.key,
              digest: once.digest(),
              until: message.acceptedAt + ONCE_MS,
              unknownTokens: Object.fromEntries(unknown),
            }),
          }),
    });
    const { id, messageId, sizeBytes } = message;
    tellAccepted(message, recipients, emit);
    return { id, messageId, sizeBytes, recipients, unknownTokens: Object.fromEntries(unknown) };
  }

  #checkFirst(): void {
    if (this.#octets > LARGEST_TEMPLATE) {
      const message = `the template has more than ${LARGEST_TEMPLATE} octets, which is the most that is merged`;
      throw new MtaError('MESSAGE_TOO_LARGE', message, { issues: [{ path: 'content', code: 'TOO_LARGE', message }] });
    }
    const octets = Object.values(this.#envelope.defaults).reduce((sum, value) => sum + Buffer.byteLength(textOf(value)), 0);
    if (octets <= LARGEST_DEFAULTS) return;
    throw errorOf([
      { path: 'tokens', code: 'OUT_OF_RANGE', message: `the values for all have ${octets} octets, and ${LARGEST_DEFAULTS} are possible` },
    ]);
  }

  /** Stops at the first row that is wrong, but for looking at the others; then it throws. */
  async *#deliveries(rows: AsyncIterable<RawRow>, template: Template, unknown: Map<string, number>): AsyncGenerator<NewDelivery> {
    const issues: Issues = [];
    const list = new MergeRows(this.#envelope.recipients);
    let count = 0;
    for await (const raw of rows) {
      if (++count % ROWS_A_LOOK === 0 && this.#door.spool.closedFor(0) === 'SPOOL_FULL')
        throw new MtaError('SPOOL_FULL', 'the disk of the spool has no more free space than spool.minFreeSpace');
      if (count > MOST_COPIES) put(issues, 'merge', 'OUT_OF_RANGE', `a message has ${MOST_COPIES} copies at most`);
      const row = count > MOST_COPIES ? undefined : list.read(raw, issues);
      const delivery = row && this.#checked(row, template, unknown, issues);
      if (issues.length >= MOST_ISSUES || count > MOST_COPIES) break;
      if (delivery !== undefined && issues.length === 0) yield delivery;
    }
    if (issues.length < MOST_ISSUES)
      for (const row of list.rest()) {
        const delivery = this.#checked(row, template, unknown, issues);
        if (delivery !== undefined && issues.length === 0) yield delivery;
        if (issues.length >= MOST_ISSUES) break;
      }
    if (count === 0 && this.#envelope.recipients === undefined) put(issues, 'merge', 'MISSING_FIELD', 'there is no recipient');
    if (issues.length > 0) throw errorOf(issues.slice(0, MOST_ISSUES));
  }

  #checked(row: MergeRow, template: Template, unknown: Map<string, number>, issues: Issues): NewDelivery | undefined {
    const { address, name, path } = row;
    const { sender, notify } = this.#envelope;
    const values = only(row.values, template.names);
    const found = template.check(values, { to: address, name }, this.#door.maxMessageSizeBytes);
    for (const token of found.unknown) unknown.set(token, (unknown.get(token) ?? 0) + 1);
    for (const issue of found.issues) issues.push({ ...issue, path: `${path}.${issue.path}` });
    if (found.issues.length > 0) return undefined;
    const recipient: Recipient = { address, state: 'queued', ...(notify === undefined ? {} : { notify }) };
    return {
      lane: this.#incoming.server?.lane ?? this.#door.laneOf(address, sender),
      recipients: [recipient],
      copy: name === undefined ? { values } : { values, name },
    };
  }
}

/** Those that the template has a use for. */
function only(values: MergeValues, names: readonly string[]): MergeValues {
  const used: Record<string, MergeValue> = {};
  for (const name of names) if (Object.hasOwn(values, name)) used[name] = values[name]!;
  return used;
}

function teed(writer: BodyWriter, into: Buffer[]): BodyWriter {
  return {
    write(chunk) {
      into.push(chunk);
      return writer.write(chunk);
    },
    finish: () => writer.finish(),
    abort: () => writer.abort(),
  };
}
