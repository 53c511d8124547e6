/**
 * A stored message as a template: read once, written for each recipient just before it is sent.
 *
 * Promises
 *  - Each copy has a To that names its own recipient alone, and no Cc or Bcc; its Message-ID can be its own.
 *  - Values stand where their tokens stood, encoded for the place: header, character set, transfer encoding, HTML. No value can break a
 *    header, a part or the page; what cannot be told in a place is found by `check`, so that writing never fails.
 *  - The same values give the same octets: nothing is drawn, and no clock is read.
 *  - Attachments and all else without tokens are slices of the stored octets, copied nowhere: memory is one message, however many
 *    copies are written.
 */

import { canonicalAddress } from '../../core/address.js';
import { parseAddressList } from '../../core/address-list.js';
import type { Body, ContentFacts } from '../../core/message.js';
import { isAscii } from '../charset.js';
import { type Issues, put } from '../checks.js';
import { mailboxField, wordsField } from '../fields.js';
import { decodeWords } from '../words.js';
import { type HeaderPlace, headerPlace } from './header-place.js';
import { TextPlace, type WrittenText } from './text-place.js';
import { fieldValue, findPlaces, type MessagePlaces } from './texts.js';
import { checkValue, chosen, type Lookup, lookupIn, type Tokens, textOf } from './tokens.js';

export interface Addressee {
  /** Address of the one recipient. */
  readonly to: string;
  /** Shown with it. Default: the name that the message's To or Cc has for this address. */
  readonly name?: string | undefined;
  /** With its brackets, in place of the message's. */
  readonly messageId?: string | undefined;
}

/** A copy for one recipient. */
export interface Rendered {
  readonly sizeBytes: number;
  /** The octets, in order. Most are slices of the template: they must not be written to. */
  readonly pieces: readonly Buffer[];
  readonly content: ContentFacts;
}

export interface Checked {
  /** Paths are the names of tokens; `size` for a copy beyond `maxSizeBytes`. */
  readonly issues: Issues;
  /** Tokens that have no value, each once: they stay as they are. */
  readonly unknown: readonly string[];
}

export interface Template {
  /** Every name that stands in the message as a token, each once. */
  readonly names: readonly string[];
  render(tokens: Tokens, addressee: Addressee): Rendered;
  /** What would be wrong with this copy. Much faster than rendering, unless the copy comes near to `maxSizeBytes`. */
  check(tokens: Tokens, addressee: Addressee, maxSizeBytes?: number): Checked;
}

/** `defaults`: for tokens that a recipient has no value for. Line ends other than CRLF are made CRLF. */
export function prepareTemplate(mime: Buffer, defaults: Tokens = {}): Template {
  return new StoredTemplate(withLineEnds(mime), defaults);
}

/** A copy in one piece. */
export function renderedBytes(rendered: Rendered): Buffer {
  return rendered.pieces.length === 1 ? rendered.pieces[0]! : Buffer.concat(rendered.pieces, rendered.sizeBytes);
}

/** Copies up to this size are joined: one write on the wire is worth more than the copying. */
const LARGEST_JOINED = 64 * 1024;

/** A copy as delivery wants the content of a message. */
export function renderedBody(rendered: Rendered): Body {
  const { content } = rendered;
  if (rendered.sizeBytes <= LARGEST_JOINED) return { kind: 'bytes', bytes: renderedBytes(rendered), content };
  return {
    kind: 'stream',
    content,
    sizeBytes: rendered.sizeBytes,
    open: async function* () {
      yield* rendered.pieces;
    },
  };
}

/** What stands in the stored message at `start`..`end` and is written anew. */
type Place = { readonly start: number; readonly end: number } & (
  | { readonly kind: 'to' }
  | { readonly kind: 'dropped' }
  | { readonly kind: 'messageId' }
  | { readonly kind: 'header'; readonly place: HeaderPlace }
  /** Content-Transfer-Encoding of a text. */
  | { readonly kind: 'encoding'; readonly text: number }
  | { readonly kind: 'text'; readonly text: number }
);

/** A piece that every copy has. */
interface Fixed {
  readonly octets: Buffer;
  /** The place that follows it. */
  readonly place: Place | undefined;
}

const REQUOTED = Buffer.from('Content-Transfer-Encoding: quoted-printable\r\n', 'latin1');
const HEADER_LINE = 1024;

class StoredTemplate implements Template {
  readonly names: readonly string[];
  readonly #defaults: Tokens;
  readonly #texts: readonly TextPlace[];
  readonly #headers: readonly HeaderPlace[];
  readonly #fixed: readonly Fixed[];
  readonly #mime: Buffer;
  readonly #shownNames: ReadonlyMap<string, string>;
  /** Of all fixed pieces together. */
  readonly #facts: ContentFacts;
  /** A bound for the size of a copy without values. */
  readonly #largest: number;
  /** How often each name stands somewhere. */
  readonly #occurrences = new Map<string, number>();

  constructor(mime: Buffer, defaults: Tokens) {
    this.#mime = mime;
    this.#defaults = defaults;
    const places = findPlaces(mime);
    this.#texts = places.texts.flatMap((range) => TextPlace.of(mime, range, places) ?? []);
    this.#shownNames = namesOf(mime, places);
    const found = [...fieldPlaces(mime, places), ...this.#texts.flatMap(placesOfText)].sort((a, b) => a.start - b.start || a.end - b.end);
    this.#headers = found.flatMap((place) => (place.kind === 'header' ? [place.place] : []));
    this.#fixed = cut(mime, found);
    this.#facts = factsOf(this.#fixed, places.headerEnd);
    for (const { name } of [...this.#headers, ...this.#texts].flatMap(({ marks }) => marks))
      this.#occurrences.set(name, (this.#occurrences.get(name) ?? 0) + 1);
    this.names = [...this.#occurrences.keys()];
    const texts = this.#texts.reduce((sum, { range }) => sum + (range.end - range.start), 0);
    this.#largest = mime.length + texts * 3 + this.#headers.reduce((sum, { start, end }) => sum + (end - start) * 3 + 100, 0) + HEADER_LINE;
  }

  render(tokens: Tokens, addressee: Addressee): Rendered {
    const lookup = lookupIn(tokens, this.#defaults);
    const texts = this.#texts.map((text) => text.write(lookup));
    const pieces: Buffer[] = [];
    let { eightBit, dotted, utf8Headers } = this.#facts;
    let sizeBytes = 0;
    for (const { octets, place } of this.#fixed) {
      pieces.push(octets);
      sizeBytes += octets.length;
      if (place === undefined) continue;
      for (const piece of this.#written(place, lookup, addressee, texts)) {
        pieces.push(piece);
        sizeBytes += piece.length;
        if (!isAscii(piece)) {
          eightBit = true;
          if (place.kind !== 'text') utf8Headers = true;
        }
        dotted ||= hasDottedLine(piece);
      }
    }
    return { sizeBytes, pieces, content: { eightBit, dotted, utf8Headers } };
  }

  check(tokens: Tokens, addressee: Addressee, maxSizeBytes = Number.POSITIVE_INFINITY): Checked {
    const issues: Issues = [];
    const unknown: string[] = [];
    const lookup = lookupIn(tokens, this.#defaults);
    let bound = this.#largest + (addressee.to.length + (addressee.name?.length ?? 0)) * 12;
    for (const [name, count] of this.#occurrences) {
      const value = lookup(name);
      if (value === undefined) unknown.push(name);
      else if (checkValue(value, name, issues)) bound += (textOf(value).length * MOST_OCTETS + HEADER_LINE) * count;
    }
    if (issues.length === 0) this.#checkPlaces(lookup, issues);
    if (issues.length === 0 && bound > maxSizeBytes) {
      const { sizeBytes } = this.render(tokens, addressee);
      if (sizeBytes > maxSizeBytes)
        put(issues, 'size', 'MESSAGE_TOO_LARGE', `the copy has ${sizeBytes} octets, ${maxSizeBytes} are possible`);
    }
    return { issues, unknown };
  }

  #checkPlaces(lookup: Lookup, issues: Issues): void {
    for (const place of this.#headers) for (const { mark, value } of chosen(place.marks, lookup)) place.check(mark.name, value, issues);
    for (const place of this.#texts) for (const { mark, value } of chosen(place.marks, lookup)) place.check(value, mark.name, issues);
  }

  #written(place: Place, lookup: Lookup, addressee: Addressee, texts: readonly WrittenText[]): readonly Buffer[] {
    switch (place.kind) {
      case 'to': {
        const name = addressee.name ?? this.#shownNames.get(canonicalAddress(addressee.to)) ?? '';
        return [Buffer.from(mailboxField('To', [{ name, address: addressee.to }]))];
      }
      case 'dropped':
        return [];
      case 'messageId':
        return [addressee.messageId === undefined ? this.#stored(place) : Buffer.from(wordsField('Message-ID', [addressee.messageId]))];
      case 'header':
        return [Buffer.from(place.place.write(lookup))];
      case 'encoding':
        return [texts[place.text]!.requoted ? REQUOTED : this.#stored(place)];
      case 'text':
        return texts[place.text]!.pieces;
    }
  }

  #stored({ start, end }: Place): Buffer {
    return this.#mime.subarray(start, end);
  }
}

/** Octets that one UTF-16 unit of a value may become: five in HTML, or three in a character set, each in three, and soft line ends. */
const MOST_OCTETS = 20;

function fieldPlaces(mime: Buffer, places: MessagePlaces): Place[] {
  const found: Place[] = [];
  let to = false;
  let afterAuthor = 0;
  for (const field of places.fields) {
    const { name, start, end } = field;
    if (name === 'to' && !to) {
      to = true;
      found.push({ kind: 'to', start, end });
    } else if (name === 'to' || name === 'cc' || name === 'bcc' || name === 'resent-bcc') {
      found.push({ kind: 'dropped', start, end });
    } else if (name === 'message-id') {
      found.push({ kind: 'messageId', start, end });
    } else {
      if (name === 'from' || name === 'sender' || name === 'reply-to') afterAuthor = end;
      const written = mime.toString('latin1', start, mime.indexOf(0x3a, start)).trimEnd();
      const place = name === '' ? undefined : headerPlace(field, written, fieldValue(mime, field));
      if (place) found.push({ kind: 'header', start, end, place });
    }
  }
  if (!to) found.push({ kind: 'to', start: afterAuthor, end: afterAuthor });
  return found;
}

function placesOfText({ range }: TextPlace, text: number): Place[] {
  return [
    { kind: 'encoding', start: range.encodingField.start, end: range.encodingField.end, text },
    { kind: 'text', start: range.start, end: range.end, text },
  ];
}

function cut(mime: Buffer, places: readonly Place[]): Fixed[] {
  let at = 0;
  const fixed: Fixed[] = places.map((place) => {
    const octets = mime.subarray(at, place.start);
    at = place.end;
    return { octets, place };
  });
  return [...fixed, { octets: mime.subarray(at), place: undefined }];
}

function factsOf(fixed: readonly Fixed[], headerEnd: number): ContentFacts {
  let eightBit = false;
  let utf8Headers = false;
  let dotted = false;
  let at = 0;
  for (const { octets, place } of fixed) {
    if (!isAscii(octets)) {
      eightBit = true;
      if (at < headerEnd && !isAscii(octets.subarray(0, headerEnd - at))) utf8Headers = true;
    }
    dotted ||= hasDottedLine(octets);
    at = place?.end ?? at;
  }
  return { eightBit, dotted, utf8Headers };
}

const DOTTED = Buffer.from('\n.', 'latin1');

/** What begins with a dot may stand at the beginning of a line. */
function hasDottedLine(octets: Buffer): boolean {
  return octets[0] === 0x2e || octets.includes(DOTTED);
}

/** Names that To and Cc show, by address. */
function namesOf(mime: Buffer, places: MessagePlaces): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const field of places.fields) {
    if (field.name !== 'to' && field.name !== 'cc') continue;
    const list = parseAddressList(fieldValue(mime, field));
    if ('kind' in list) continue;
    for (const { name, address } of list) if (name !== '') names.set(canonicalAddress(address), decodeWords(name));
  }
  return names;
}

function withLineEnds(mime: Buffer): Buffer {
  if (!hasBareLineEnd(mime)) return mime;
  return Buffer.from(mime.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n'), 'latin1');
}

function hasBareLineEnd(mime: Buffer): boolean {
  let returns = 0;
  for (let at = mime.indexOf(0x0a); at >= 0; at = mime.indexOf(0x0a, at + 1)) {
    if (mime[at - 1] !== 0x0d) return true;
    returns++;
  }
  for (let at = mime.indexOf(0x0d); at >= 0; at = mime.indexOf(0x0d, at + 1)) returns--;
  return returns !== 0;
}
