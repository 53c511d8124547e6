/**
 * Content that is sent as it is: line ends become CRLF, and it is found what the wire must know of it. Kept aside as long as it is used.
 *
 * Must not: look into header fields but for octets above 127, or change anything else.
 */
import { isAscii } from 'node:buffer';
import { MtaError } from '../core/errors.js';
import type { Body, Message, MessageId } from '../core/message.js';
import { Gatherer } from './gatherer.js';
import { Newlines } from './newlines.js';
import { Spill } from './spill.js';

export interface RawEnvelope {
  readonly folder: string;
  readonly id: MessageId;
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** A header that is longer has no octet above 127 in it, as far as this looks. */
const LONGEST_HEADER = 256 * 1024;
const END_OF_HEADER = Buffer.from('\r\n\r\n', 'latin1');

/** `use` may read the body as often as it likes until it resolves. Rejects with `MESSAGE_REFUSED` for a NUL and for nothing at all. */
export async function keptAside<T>(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  { folder, id, sender, recipients }: RawEnvelope,
  use: (kept: { readonly about: Message; readonly body: Body }) => Promise<T>,
): Promise<T> {
  const spill = new Spill(folder, `riata-${id}`);
  const gatherer = new Gatherer(() => spill);
  const head: Buffer[] = [];
  let headBytes = 0;
  const newlines = new Newlines((octets) => {
    if (headBytes < LONGEST_HEADER) head.push(octets);
    headBytes += octets.length;
    gatherer.put(octets, 0, octets.length);
  });
  try {
    for await (const chunk of chunks) {
      if (chunk.indexOf(0) !== -1) throw new MtaError('MESSAGE_REFUSED', 'the message contains a NUL octet');
      newlines.feed(chunk);
      const waiting = gatherer.waiting();
      if (waiting !== true) await waiting;
    }
    newlines.end();
    if (gatherer.sizeBytes === 0) throw new MtaError('MESSAGE_REFUSED', 'the message is empty');
    if (!gatherer.atLineStart) gatherer.put(Buffer.from('\r\n'), 0, 2);
    await gatherer.finish();
    const { sizeBytes, eightBit, dotted } = gatherer;
    const about: Message = {
      id,
      acceptedAt: 0,
      sender,
      sizeBytes,
      content: { eightBit, dotted, utf8Headers: eightBit && !isAscii(headerOf(Buffer.concat(head))) },
      smtpUtf8: [sender, ...recipients].some((address) => /\P{ASCII}/u.test(address)),
      requireTls: false,
      priority: 'medium',
      notBefore: 0,
      expiresAt: Number.MAX_SAFE_INTEGER,
      origin: { kind: 'api' },
      messageId: '',
      bounces: 'none',
    };
    return await use({ about, body: spill.body() });
  } finally {
    await spill.close();
  }
}

function headerOf(bytes: Buffer): Buffer {
  const end = bytes.indexOf(END_OF_HEADER);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
