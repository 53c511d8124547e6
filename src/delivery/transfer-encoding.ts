/**
 * Content made 7-bit as it streams by: quoted-printable and base64 (RFC 2045 §6.7, §6.8). Lines come out with at most 76
 * characters; neither encoder ends its output with a line end that was not in its input.
 */

export interface Encoder {
  push(octets: Buffer): Buffer;
  /** What is left. */
  end(): Buffer;
}

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;
const LONGEST_LINE = 76;
const HEX = Buffer.from('0123456789ABCDEF', 'latin1');

/** CRLF stays a line end; a lone CR or LF is an octet like others. */
export class QuotedPrintable implements Encoder {
  /** Characters on the line so far. */
  #column = 0;
  /** An octet whose form depends on what follows: a blank or a CR. -1: none. */
  #held = -1;
  #out = Buffer.alloc(0);
  #length = 0;

  push(octets: Buffer): Buffer {
    // The worst: each octet three characters, and a soft line end for every 25 of them; and what was held.
    this.#out = Buffer.allocUnsafe(octets.length * 4 + 16);
    this.#length = 0;
    for (const octet of octets) this.#octet(octet);
    return this.#out.subarray(0, this.#length);
  }

  end(): Buffer {
    this.#out = Buffer.allocUnsafe(16);
    this.#length = 0;
    if (this.#held >= 0) this.#escaped(this.#held);
    this.#held = -1;
    return this.#out.subarray(0, this.#length);
  }

  #octet(octet: number): void {
    const held = this.#held;
    this.#held = -1;
    if (held === CR && octet === LF) {
      this.#out[this.#length++] = CR;
      this.#out[this.#length++] = LF;
      this.#column = 0;
      return;
    }
    if (held === CR) this.#escaped(CR);
    else if (held >= 0 && octet === CR) this.#escaped(held);
    else if (held >= 0) this.#plain(held);
    if (octet === CR || octet === SPACE || octet === TAB) this.#held = octet;
    else if (octet > SPACE && octet < 0x7f && octet !== EQUALS) this.#plain(octet);
    else this.#escaped(octet);
  }

  #plain(octet: number): void {
    this.#room(1);
    this.#out[this.#length++] = octet;
  }

  #escaped(octet: number): void {
    this.#room(3);
    this.#out[this.#length++] = EQUALS;
    this.#out[this.#length++] = HEX[octet >> 4]!;
    this.#out[this.#length++] = HEX[octet & 15]!;
  }

  /** Leaves a column for the `=` of a soft line end. */
  #room(characters: number): void {
    if (this.#column + characters >= LONGEST_LINE) {
      this.#out[this.#length++] = EQUALS;
      this.#out[this.#length++] = CR;
      this.#out[this.#length++] = LF;
      this.#column = 0;
    }
    this.#column += characters;
  }
}

/** Octets that make one line. */
const BASE64_OCTETS = 57;

export class Base64 implements Encoder {
  #rest = Buffer.alloc(0);
  #begun = false;

  push(octets: Buffer): Buffer {
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, octets]) : octets;
    const whole = all.length - (all.length % BASE64_OCTETS);
    this.#rest = Buffer.from(all.subarray(whole));
    return this.#lines(all.subarray(0, whole));
  }

  end(): Buffer {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return this.#lines(rest);
  }

  #lines(octets: Buffer): Buffer {
    let text = '';
    for (let at = 0; at < octets.length; at += BASE64_OCTETS) {
      text += `${this.#begun ? '\r\n' : ''}${octets.toString('base64', at, at + BASE64_OCTETS)}`;
      this.#begun = true;
    }
    return Buffer.from(text, 'latin1');
  }
}
