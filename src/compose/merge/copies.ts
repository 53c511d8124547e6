/**
 * Copies as they are sent: a recipient's own message, made of the stored template just before it is needed.
 *
 * Promises: the same delivery gives the same octets each time, also after a restart; templates that were read are kept, so many octets
 * of them and no more, and the oldest go first. Must not: be asked for what is no copy.
 */
import { type Delivery, splitDeliveryKey } from '../../core/delivery.js';
import { MtaError } from '../../core/errors.js';
import { type Body, copyMessageId, type MergeCopy, type Message, type MessageId } from '../../core/message.js';
import { prepareTemplate, renderedBody, type Template } from './template.js';

export interface CopySource {
  /** The template as it is stored. */
  readBody(id: MessageId): Promise<Body | undefined>;
  copy(key: string): Promise<MergeCopy | undefined>;
}

/** Who gets it, and of what message. */
export type CopiedDelivery = Pick<Delivery, 'key' | 'message' | 'recipients'>;

export interface Copies {
  /** Rejects with `SPOOL_DAMAGED`, `SPOOL_FAILED`, or `NOT_FOUND` for what is done already. */
  body(delivery: CopiedDelivery): Promise<Body>;
}

/** Octets of templates that are kept; one is kept in any case. */
const KEPT_OCTETS = 32 * 1024 * 1024;

interface Kept {
  readonly template: Promise<Template>;
  octets: number;
}

export function createCopies(source: CopySource, keptOctets = KEPT_OCTETS): Copies {
  /** The one used last stands last. */
  const kept = new Map<MessageId, Kept>();

  const shrink = (): void => {
    let octets = 0;
    for (const each of kept.values()) octets += each.octets;
    for (const [id, each] of kept) {
      if (octets <= keptOctets || kept.size === 1) return;
      octets -= each.octets;
      kept.delete(id);
    }
  };

  const read = async (message: Message, entry: () => Kept): Promise<Template> => {
    const mime = await wholeOf(await source.readBody(message.id), message.id);
    entry().octets = mime.length;
    const template = prepareTemplate(mime, message.merge?.defaults);
    shrink();
    return template;
  };

  const templateOf = (message: Message): Promise<Template> => {
    const known = kept.get(message.id);
    if (known !== undefined) {
      kept.delete(message.id);
      kept.set(message.id, known);
      return known.template;
    }
    const entry: Kept = { template: Promise.resolve().then(() => read(message, () => entry)), octets: 0 };
    kept.set(message.id, entry);
    entry.template.catch(() => {
      if (kept.get(message.id) === entry) kept.delete(message.id);
    });
    return entry.template;
  };

  return {
    async body({ key, message, recipients }) {
      const [template, copy] = await Promise.all([templateOf(message), source.copy(key)]);
      const to = recipients[0]?.address;
      if (copy === undefined || to === undefined) throw gone(message.id);
      const { n } = splitDeliveryKey(key);
      return renderedBody(template.render(copy.values, { to, name: copy.name, messageId: copyMessageId(message, n) }));
    },
  };
}

async function wholeOf(body: Body | undefined, id: MessageId): Promise<Buffer> {
  if (body === undefined) throw gone(id);
  if (body.kind === 'bytes') return body.bytes;
  const chunks: Buffer[] = [];
  for await (const chunk of body.open()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function gone(id: MessageId): MtaError {
  return new MtaError('NOT_FOUND', `there is no such copy of message ${id} in the queue`);
}
