/**
 * A message as programs give it to sendmail(1): its lone dot, its header, and the name that `-F` gives. Octets are passed on as they
 * come; memory does not grow with the message.
 */
const LF = 10;
const CR = 13;
const DOT = 46;

/** The content up to a line with nothing but a dot, which ended messages typed by hand; what is behind it is not read. */
export async function* untilLoneDot(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  // A line begins behind a line end, and one is thought before the first line.
  let held: Buffer = Buffer.from('\n');
  let thought = 1;
  for await (const chunk of input) {
    const bytes = Buffer.concat([held, chunk]);
    const found = findLoneDot(bytes);
    if (found.end) {
      yield bytes.subarray(thought, found.at + 1);
      return;
    }
    if (found.at > 0) {
      yield bytes.subarray(thought, found.at);
      thought = 0;
    }
    held = bytes.subarray(found.at);
  }
  const dot = held[1] === DOT && (held.length === 2 || (held.length === 3 && held[2] === CR));
  yield held.subarray(thought, dot ? 1 : held.length);
}

/** Where the line end before a lone dot is; without one, where that is of which more must be seen. */
function findLoneDot(bytes: Buffer): { readonly at: number; readonly end: boolean } {
  for (let at = bytes.indexOf('\n.'); at >= 0; at = bytes.indexOf('\n.', at + 1)) {
    const next = bytes[at + 2];
    if (next === LF || (next === CR && bytes[at + 3] === LF)) return { at, end: true };
    if (next === undefined || (next === CR && bytes[at + 3] === undefined)) return { at, end: false };
  }
  return { at: bytes[bytes.length - 1] === LF ? bytes.length - 1 : bytes.length, end: false };
}

/** `lines` (complete, with their line ends) before the content, behind the line of a mailbox file if it begins with one. */
export async function* withFields(lines: string, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let first = true;
  for await (const chunk of content) {
    const mailbox = first && /^>?From /.test(chunk.toString('latin1', 0, 6));
    const from = mailbox ? chunk.indexOf(LF) + 1 : 0;
    if (first && lines !== '') {
      if (from > 0) yield chunk.subarray(0, from);
      yield Buffer.from(lines);
      yield chunk.subarray(from);
    } else {
      yield chunk;
    }
    first = false;
  }
  // An empty message is one, too: cron sends them.
  if (first) yield Buffer.from(`${lines}\n`);
}

/** The fields that name the recipients: those of `Resent-` where there are any (RFC 5322 §3.6.6), under their plain names. */
export function addressFields(header: Buffer): Buffer {
  const fields = header.toString('latin1').split(/\r?\n(?![ \t])/);
  const resent = fields.filter((field) => /^resent-/i.test(field));
  const wanted = resent.some((field) => /^resent-(?:to|cc|bcc)[ \t]*:/i.test(field)) ? resent.map((field) => field.slice(7)) : fields;
  return Buffer.from(wanted.filter((field) => /^(?:to|cc|bcc)[ \t]*:/i.test(field)).join('\r\n'), 'latin1');
}

export function hasFrom(header: Buffer): boolean {
  return /^from[ \t]*:/im.test(header.toString('latin1'));
}
