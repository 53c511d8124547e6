/**
 * Message content as it comes in after DATA, up to CRLF.CRLF (RFC 5321 §4.1.1.4) and nothing else. Keeps at most
 * `limit` octets, and counts the rest.
 */

const END = Buffer.from('\r\n.\r\n');
const CRLF = Buffer.from('\r\n');
const STUFFED = Buffer.from('\r\n.');

export class SinkContent {
  /** Octets of content, still stuffed, the CRLF in front not counted. */
  sizeBytes = -CRLF.length;
  private readonly limit: number;
  private readonly pieces: Buffer[] = [];
  /** Begins with the CRLF of the DATA command, so that a dot in the first line is at the beginning of a line. */
  private tail: Buffer = CRLF;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** What follows the final dot, or undefined while it has not come. */
  push(chunk: Buffer): Buffer | undefined {
    const bytes = Buffer.concat([this.tail, chunk]);
    const end = bytes.indexOf(END);
    const taken = end < 0 ? Math.max(0, bytes.length - END.length + 1) : end + CRLF.length;
    this.sizeBytes += taken;
    if (this.sizeBytes > this.limit) this.pieces.length = 0;
    else this.pieces.push(bytes.subarray(0, taken));
    this.tail = bytes.subarray(taken);
    return end < 0 ? undefined : bytes.subarray(end + END.length);
  }

  /** The whole content, with the dots that were stuffed taken out. Not to be asked for beyond the limit. */
  unstuffed(): Buffer {
    const whole = Buffer.concat(this.pieces);
    const parts: Buffer[] = [];
    let from = CRLF.length;
    for (let at = whole.indexOf(STUFFED); at >= 0; at = whole.indexOf(STUFFED, at + STUFFED.length)) {
      parts.push(whole.subarray(from, at + CRLF.length));
      from = at + STUFFED.length;
    }
    parts.push(whole.subarray(from));
    return Buffer.concat(parts);
  }
}
