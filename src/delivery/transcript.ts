/**
 * What was said on a connection, as people read it: a line each for commands, replies and what happened in between, with the
 * milliseconds since it began.
 *
 *   0 connecting to mx.example.com[192.0.2.1]:25, connection 7
 *   31 S: 220 mx.example.com ESMTP
 *   32 C: EHLO mail.example.org
 *   190 TLS: TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified
 *
 * Promises
 *  - Cheap while it is written: what comes is kept as it came, and made into text only by `text`, for whoever wants it.
 *  - Bounded whatever a server says: `MAX_ENTRIES` entries (the first and the last), each clipped, and `MAX_TRANSCRIPT` octets as text.
 *  - It holds what it is given and nothing else: whoever writes content or credentials keeps them away from here.
 */
import type { Reply } from '../core/outcome.js';
import { printable } from '../core/printable.js';
import type { Clock } from '../platform/clock.js';

/** When transcripts are kept: of every attempt, of those that did not deliver to everybody, never. */
export const TRANSCRIPTS = ['all', 'trouble', 'off'] as const;
export type Transcripts = (typeof TRANSCRIPTS)[number];

/** Octets of a transcript as it is kept. */
export const MAX_TRANSCRIPT = 4096;
/** Of these the beginning gets so many, what came last the others, and the line that tells of the gap its own. */
const HEAD = 2560;
const GAP = 64;
const MAX_ENTRIES = 64;
const HEAD_ENTRIES = 40;
/** Characters kept of one reply. */
const LONGEST_REPLY = 600;

/** Who said it: the client, the server, or nobody. */
interface Entry {
  readonly ms: number;
  readonly by: 'C' | 'S' | '';
  /** A number: octets of content. */
  readonly what: string | Reply | number;
}

export class Transcript {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #start: number;
  readonly #head: Entry[] = [];
  #tail: Entry[] | undefined;
  #left = 0;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
    this.#start = clock.monotonic();
  }

  /** One or more commands, with their line ends. Never a password, never content. */
  said(commands: string): void {
    this.#add('C', commands);
  }

  /** Content went out whose octets are nobody's business. */
  sent(octets: number): void {
    this.#add('C', octets);
  }

  heard(reply: Reply): void {
    this.#add('S', reply);
  }

  /** What happened besides: one plain line. */
  note(line: string): void {
    this.#add('', line);
  }

  /** Every line ends in `\n` but the last. */
  text(): string {
    let text = '';
    for (const entry of this.#head) text += text === '' ? lines(entry) : `\n${lines(entry)}`;
    if (this.#tail !== undefined) {
      if (this.#left > 0) text += `\n… ${this.#left} commands or replies left out …`;
      for (const entry of this.#tail) text += `\n${lines(entry)}`;
    }
    return fitted(text);
  }

  #add(by: Entry['by'], what: Entry['what']): void {
    const ms = Math.round(this.#clock.monotonic() - this.#start);
    const entry = { ms, by, what: typeof what === 'number' ? what : cut(what) };
    if (this.#head.length < HEAD_ENTRIES) {
      this.#head.push(entry);
      return;
    }
    this.#tail ??= [];
    this.#tail.push(entry);
    if (this.#tail.length <= MAX_ENTRIES - HEAD_ENTRIES) return;
    this.#tail.shift();
    this.#left++;
  }
}

/** Commands are ours, and many may come in one. */
function cut(what: string | Reply): string | Reply {
  if (typeof what === 'string') return shortened(what, MAX_TRANSCRIPT);
  return what.text.length <= LONGEST_REPLY ? what : { code: what.code, text: shortened(what.text, LONGEST_REPLY) };
}

/** A copy: a slice would hold on to the whole. */
function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${Buffer.from(text.slice(0, most)).toString()}…`;
}

function lines({ ms, by, what }: Entry): string {
  if (typeof what === 'number') return `${ms} C: … ${grouped(what)} octets of content`;
  if (typeof what === 'object') return what.text.includes('\n') ? replyLines(ms, what) : `${ms} S: ${what.code} ${what.text}`;
  if (by === '') return `${ms} ${printable(what)}`;
  const end = what.indexOf('\r\n');
  if (end === what.length - 2) return `${ms} C: ${what.slice(0, end)}`;
  return `${ms} C: ${what.trimEnd().replaceAll('\r\n', `\n${ms} C: `)}`;
}

function replyLines(ms: number, { code, text }: Reply): string {
  const all = text.split('\n');
  return all.map((line, i) => `${ms} S: ${code}${i < all.length - 1 ? '-' : ' '}${line}`).join('\n');
}

/** `12,345`. */
export function grouped(count: number): string {
  return count < 1000 ? `${count}` : String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** The transcripts of one attempt, on one connection after the other, as one. */
export function joined(transcripts: readonly string[]): string {
  return transcripts.length === 1 ? transcripts[0]! : fitted(transcripts.join('\n'));
}

/** Within the bound: whole lines from the beginning and from the end, and in between how many were left out. */
function fitted(text: string): string {
  if (text.length * 3 <= MAX_TRANSCRIPT || Buffer.byteLength(text) <= MAX_TRANSCRIPT) return text;
  const all = text.split('\n');
  let octets = 0;
  let from = 0;
  for (; octets + sizeOf(all[from]!) <= HEAD; from++) octets += sizeOf(all[from]!);
  let to = all.length;
  for (; to > from && octets + sizeOf(all[to - 1]!) <= MAX_TRANSCRIPT - GAP; to--) octets += sizeOf(all[to - 1]!);
  return [...all.slice(0, from), `… ${to - from} lines left out …`, ...all.slice(to)].join('\n');
}

function sizeOf(line: string): number {
  return Buffer.byteLength(line) + 1;
}
