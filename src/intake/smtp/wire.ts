/**
 * The octets of one session, cut into commands and content. Stands in for the stream of smtp-server, whose scanner goes
 * octet by octet, whose dots cost a turn of the event loop each, and which takes a dot behind a bare LF for a stuffed one.
 *
 *   command ◄──────► content          (`enterContent`, and the end of the content)
 *      └── waiting ──┘                (until `resume`, once for each reason: a reply is made, the spool or the client is slow)
 *      └── closed                     (what still comes is thrown away)
 *
 * Promises: commands and contents are given to the owner in the order in which they came, one at a time; while the owner
 * makes it wait nothing is read but what was under way; a command line is bounded; the replies to one chunk are
 * written at once. Must not: know commands.
 */
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { Dots } from './dots.js';

/** RFC 4954 §4: an AUTH line may have 12,288 octets. No other is longer. */
export const MAX_COMMAND_LINE = 12_288;

const CR = 13;
const LF = 10;

/** Whose octets these are. Each call that returns false has the wire wait for one `resume`. */
export interface WireOwner {
  /** `line`: without its line end, one character for each octet. */
  command(line: string): boolean;
  /** A line was longer than `MAX_COMMAND_LINE`, and dropped. */
  commandTooLong(): void;
  content(octets: Buffer): void;
  /** The content so far was taken, or what to wait for. */
  contentTaken(): true | Promise<void>;
  contentEnd(): boolean;
  /** The client will send nothing more. */
  inputEnd(): void;
  /** Octets of content came in, dots included. */
  progress(octets: number): void;
  /** Replies are gathered from here … */
  gatherReplies(): void;
  /** … to here. False: the client does not read them, and the owner resumes when it does. */
  writeReplies(): boolean;
}

export class Wire extends SMTPStream {
  readonly #owner: WireOwner;
  readonly #dots: Dots;
  #inContent = false;
  /** How often `resume` must be called until reading goes on. */
  #waits = 0;
  /** `write` returned false: its caller waits for `drain`. */
  #drainOwed = false;
  /** What came and could not be read yet. */
  #held: Buffer | undefined;
  /** The beginning of a command line. */
  #partial = '';
  /** The present line is too long already. */
  #skipping = false;

  constructor(owner: WireOwner) {
    super();
    this.#owner = owner;
    this.#dots = new Dots((octets) => owner.content(octets));
  }

  get inContent(): boolean {
    return this.#inContent;
  }

  /** What follows is content, up to its dot. */
  enterContent(): void {
    this.#inContent = true;
    this.#dots.begin();
  }

  override write(chunk: Buffer): boolean {
    if (this.isClosed) return true;
    if (this.#waits > 0) this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    else this.#read(chunk);
    this.#drainOwed = this.#held !== undefined && !this.isClosed;
    return !this.#drainOwed;
  }

  /** The stream itself does not end, and so flushes nothing: a command without its line end is none. */
  override end(): this {
    this.#owner.inputEnd();
    return this;
  }

  /** One wait is over. */
  resume(): void {
    if (--this.#waits > 0) return;
    const held = this.#held;
    this.#held = undefined;
    if (this.isClosed) return;
    this.#read(held);
    if (!this.#drainOwed || this.#held !== undefined || this.isClosed) return;
    this.#drainOwed = false;
    this.emit('drain');
  }

  #read(chunk: Buffer | undefined): void {
    this.#owner.gatherReplies();
    const length = chunk?.length ?? 0;
    for (let at = 0; chunk !== undefined && at < length && !this.isClosed; ) {
      if (this.#waits > 0) {
        this.#held = chunk.subarray(at);
        break;
      }
      at = this.#inContent ? this.#readContent(chunk, at) : this.#readLine(chunk, at);
    }
    if (!this.#owner.writeReplies()) this.#waits++;
  }

  #readContent(chunk: Buffer, start: number): number {
    const end = this.#dots.read(chunk, start);
    this.#owner.progress((end === -1 ? chunk.length : end) - start);
    if (end !== -1) {
      this.#inContent = false;
      if (!this.#owner.contentEnd()) this.#waits++;
      return end;
    }
    const taken = this.#owner.contentTaken();
    if (taken !== true) {
      this.#waits++;
      const resume = () => this.resume();
      taken.then(resume, resume);
    }
    return chunk.length;
  }

  #readLine(chunk: Buffer, start: number): number {
    const lf = chunk.indexOf(LF, start);
    if ((lf === -1 ? chunk.length : lf) - start + this.#partial.length > MAX_COMMAND_LINE) this.#skipping = true;
    if (lf === -1) {
      this.#partial = this.#skipping ? '' : this.#partial + chunk.toString('latin1', start);
      return chunk.length;
    }
    if (this.#skipping) {
      this.#skipping = false;
      this.#partial = '';
      this.#owner.commandTooLong();
      return lf + 1;
    }
    let line = chunk.toString('latin1', start, lf > start && chunk[lf - 1] === CR ? lf - 1 : lf);
    if (this.#partial !== '') {
      // The CR may have come with the part before.
      line = (this.#partial + line).replace(/\r$/, '');
      this.#partial = '';
    }
    if (!this.#owner.command(line)) this.#waits++;
    return lf + 1;
  }
}
