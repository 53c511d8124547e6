/**
 * A field of a stored message with tokens in it, written for each recipient.
 *
 * Promises: text is encoded by RFC 2047 as a whole, so a value may hold whatever a header can show; in fields of addresses a value is
 * part of a name or of an address, and never a further one; in fields of URLs it is escaped by percent signs. No value ends a
 * line: controls become blanks (and `check` finds them before). A value that would make an address unreadable leaves its token as it is.
 *
 * Never touched: what carries the structure (Content-…, MIME-Version), what identifies and dates (Message-ID, References, Date,
 * Received), what signs.
 */
import { parsePath } from '../../core/address.js';
import { parseAddressList } from '../../core/address-list.js';
import { isAsciiText } from '../charset.js';
import { type Issues, isLine, put } from '../checks.js';
import { mailboxField, textField, wordsField } from '../fields.js';
import { decodeWords } from '../words.js';
import { findMarks, type Lookup, lookupIn, type Mark, type TokenValue, textOf, withValues } from './tokens.js';

export interface HeaderPlace {
  readonly start: number;
  readonly end: number;
  readonly marks: readonly Mark[];
  /** The field with its line end. */
  write(lookup: Lookup): string;
  /** Puts an issue for a value that cannot stand here. */
  check(name: string, value: TokenValue, issues: Issues): void;
}

const UNTOUCHED =
  /^(?:|content-.*|mime-version|message-id|resent-message-id|in-reply-to|references|date|resent-date|received|return-path|dkim-signature|arc-.*|authentication-results|list-unsubscribe-post|to|cc|bcc|resent-bcc)$/;
const OF_MAILBOXES =
  /^(?:from|sender|reply-to|resent-from|resent-sender|resent-to|resent-cc|resent-reply-to|disposition-notification-to|return-receipt-to|errors-to|mail-followup-to|mail-reply-to)$/;
const OF_URLS = /^list-(?!id$)/;

/** Undefined where no token can be: the field stays as it is. `written` is its name as it was written. */
export function headerPlace(
  field: { readonly name: string; readonly start: number; readonly end: number },
  written: string,
  value: string,
): HeaderPlace | undefined {
  const { name, start, end } = field;
  if (UNTOUCHED.test(name)) return undefined;
  const place = OF_MAILBOXES.test(name)
    ? mailboxPlace(written, value)
    : OF_URLS.test(name)
      ? urlPlace(written, value)
      : textPlace(written, decodeWords(value));
  return place === undefined || place.marks.length === 0 ? undefined : { start, end, ...place };
}

type Place = Omit<HeaderPlace, 'start' | 'end'>;

function textPlace(field: string, text: string): Place {
  const marks = findMarks(text);
  return {
    marks,
    write: (lookup) => textField(field, withValues(text, marks, lookup, textOf)),
    check: (name, value, issues) => void isLine(textOf(value), name, issues),
  };
}

function urlPlace(field: string, text: string): Place {
  const marks = findMarks(text);
  return {
    marks,
    write: (lookup) => wordsField(field, withValues(text, marks, lookup, inUrl).split(' ')),
    check: (name, value, issues) => void isLine(textOf(value), name, issues),
  };
}

/** As it is only where it was said to be a URL, and can be part of one. */
function inUrl(value: TokenValue): string {
  if (typeof value !== 'string' && /^[!-;=?-~]*$/.test(value.raw)) return value.raw;
  return encodeURIComponent(textOf(value).replace(/\p{Cs}/gu, '\ufffd'));
}

function mailboxPlace(field: string, text: string): Place | undefined {
  const list = parseAddressList(text);
  if ('kind' in list) return undefined;
  const mailboxes = list.map(({ name, address, utf8 }) => {
    const shown = decodeWords(name);
    return { name: shown, address, utf8, ofName: findMarks(shown), ofAddress: findMarks(address) };
  });
  return {
    marks: mailboxes.flatMap(({ ofName, ofAddress }) => [...ofName, ...ofAddress]),
    write: (lookup) =>
      mailboxField(
        field,
        mailboxes.map(({ name, address, utf8, ofName, ofAddress }) => ({
          name: withValues(name, ofName, lookup, textOf),
          address: mergedAddress(address, utf8, ofAddress, lookup) ?? address,
        })),
      ),
    check(name, value, issues) {
      if (!isLine(textOf(value), name, issues)) return;
      const one = lookupIn({ [name]: value }, {});
      for (const { address, utf8, ofAddress } of mailboxes) {
        if (ofAddress.some((mark) => mark.name === name) && mergedAddress(address, utf8, ofAddress, one) === undefined)
          put(issues, name, 'INVALID_ADDRESS', `cannot be part of the address in ${field}`);
      }
    },
  };
}

/** Undefined where it would be none. An address that was ASCII stays so: nobody asked for SMTPUTF8. */
function mergedAddress(address: string, utf8: boolean, marks: readonly Mark[], lookup: Lookup): string | undefined {
  if (marks.length === 0) return address;
  const merged = parsePath(withValues(address, marks, lookup, textOf));
  return merged.kind === 'mailbox' && (utf8 || isAsciiText(merged.address)) ? merged.address : undefined;
}
