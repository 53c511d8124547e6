/**
 * The header of a message as options: who, what about, when, in answer to what; read, checked, and written as fields.
 *
 * Promises: each field that RFC 5322 §3.6 allows once comes once; Bcc and what belongs to the MIME structure cannot be smuggled in
 * as extra headers; nothing has a control character.
 */
import { type Listed, parseAddressList } from '../core/address-list.js';
import { isAsciiText } from './charset.js';
import { type Issues, isLine, isObject, line, onlyKnown, put } from './checks.js';
import { mailboxField, textField, wordsField } from './fields.js';
import { mailDate } from './moment.js';

/** RFC 8058. A string is the URL, or a `mailto:`. */
export type ListUnsubscribe =
  | string
  | {
      /** `https://…`: unsubscribes at one POST to it. */
      readonly url?: string | undefined;
      /** An address, or a whole `mailto:` URI. */
      readonly mailto?: string | undefined;
      /** Whether the URL can do it without another question. Default: it can, if there is one with https. */
      readonly oneClick?: boolean | undefined;
    };

/** `[name, value]` in order, repeats allowed; or a map. */
export type ExtraHeaders = readonly (readonly [string, string])[] | Readonly<Record<string, string>> | ReadonlyMap<string, string>;

export interface ExtraHeader {
  readonly name: string;
  readonly value: string;
  /** It names mailboxes. */
  readonly mailboxes: readonly Listed[] | undefined;
}

export interface HeaderPlan {
  readonly from: readonly Listed[];
  readonly sender: Listed | undefined;
  readonly replyTo: readonly Listed[];
  readonly to: readonly Listed[];
  readonly cc: readonly Listed[];
  readonly subject: string | undefined;
  /** With its brackets. */
  readonly messageId: string;
  readonly inReplyTo: readonly string[];
  readonly references: readonly string[];
  /** URIs in brackets. */
  readonly unsubscribe: { readonly uris: readonly string[]; readonly oneClick: boolean } | undefined;
  /** Epoch milliseconds. */
  readonly date: number;
  /** Not to be sent before; 0: at once. */
  readonly notBefore: number;
  /** Of this header, what would be another one if it were composed again: a drawn Message-ID, the date of now. */
  readonly chance: readonly string[];
}

/** All fields of a message but those of MIME and the extra ones. `open`: To and Cc are left out, for each recipient to get their own. */
export function messageFields(plan: HeaderPlan, open: boolean): string {
  const { unsubscribe } = plan;
  return [
    mailboxField('From', plan.from),
    mailboxField('Sender', plan.sender ? [plan.sender] : []),
    mailboxField('Reply-To', plan.replyTo),
    open ? '' : mailboxField('To', plan.to),
    open ? '' : mailboxField('Cc', plan.cc),
    plan.subject === undefined ? '' : textField('Subject', plan.subject),
    wordsField('Message-ID', [plan.messageId]),
    dateField(plan.date),
    plan.inReplyTo.length > 0 ? wordsField('In-Reply-To', plan.inReplyTo) : '',
    plan.references.length > 0 ? wordsField('References', plan.references) : '',
    unsubscribe ? wordsField('List-Unsubscribe', commaSeparated(unsubscribe.uris)) : '',
    unsubscribe?.oneClick ? wordsField('List-Unsubscribe-Post', ['List-Unsubscribe=One-Click']) : '',
  ].join('');
}

export function dateField(at: number): string {
  return `Date: ${mailDate(at)}\r\n`;
}

export function extraFields(headers: readonly ExtraHeader[]): string {
  return headers.map(({ name, value, mailboxes }) => (mailboxes ? mailboxField(name, mailboxes) : textField(name, value))).join('');
}

function commaSeparated(words: readonly string[]): string[] {
  return words.map((word, i) => (i < words.length - 1 ? `${word},` : word));
}

const MESSAGE_ID = /^<[!-;=?-~]{1,990}>$/;

/** With its brackets, whether it was given with or without. */
export function readMessageId(value: unknown, path: string, issues: Issues): string | undefined {
  const text = line(value, path, issues);
  if (text === undefined) return undefined;
  const id = text.startsWith('<') ? text : `<${text}>`;
  const fit = MESSAGE_ID.test(id) && /^<[^@]+@[^@]+>$/.test(id);
  return fit ? id : put(issues, path, 'INVALID_VALUE', 'must be like <unique@example.com>, in ASCII and without blanks');
}

/** A list of ids: an array, or one string with blanks between them. */
export function readMessageIds(value: unknown, path: string, issues: Issues): string[] {
  const items: unknown[] = Array.isArray(value)
    ? value
    : typeof value === 'string' && isLine(value, path, issues)
      ? (value.match(/[^ ]+/g) ?? [])
      : [];
  if (!Array.isArray(value) && typeof value !== 'string') put(issues, path, 'WRONG_TYPE', 'must be a string or an array of strings');
  return items.flatMap((item, i) => readMessageId(item, Array.isArray(value) ? `${path}[${i}]` : path, issues) ?? []);
}

const WEB_URL = /^https?:\/\/[!-;=?-~]{1,900}$/i;
const MAIL_URL = /^mailto:[!-;=?-~]{1,900}$/i;

export function readUnsubscribe(value: unknown, path: string, issues: Issues): HeaderPlan['unsubscribe'] {
  if (typeof value === 'string') return readUnsubscribe(/^mailto:/i.test(value) ? { mailto: value } : { url: value }, path, issues);
  if (!isObject(value)) return put(issues, path, 'WRONG_TYPE', 'must be a URL, or an object with url or mailto');
  onlyKnown(value, ['url', 'mailto', 'oneClick'], path, issues);
  const uris: string[] = [];
  const url = value['url'] === undefined ? undefined : line(value['url'], `${path}.url`, issues);
  if (url !== undefined && !WEB_URL.test(url))
    put(issues, `${path}.url`, 'INVALID_VALUE', 'must be a URL that begins with https://, in ASCII');
  else if (url !== undefined) uris.push(`<${url}>`);
  const mail = value['mailto'] === undefined ? undefined : line(value['mailto'], `${path}.mailto`, issues);
  const mailto = mail === undefined || /^mailto:/i.test(mail) ? mail : `mailto:${mail}`;
  if (mailto !== undefined && !MAIL_URL.test(mailto))
    put(issues, `${path}.mailto`, 'INVALID_VALUE', 'must be an address or a mailto: URI, in ASCII');
  else if (mailto !== undefined) uris.push(`<${mailto}>`);
  const secure = url !== undefined && /^https:/i.test(url);
  const oneClick = value['oneClick'] ?? secure;
  if (typeof oneClick !== 'boolean') return put(issues, `${path}.oneClick`, 'WRONG_TYPE', 'must be true or false');
  if (oneClick && !secure) return put(issues, `${path}.oneClick`, 'CONFLICT', 'needs a url that begins with https:// (RFC 8058)');
  if (url === undefined && mailto === undefined) return put(issues, path, 'MISSING_FIELD', 'needs url or mailto');
  return { uris, oneClick };
}

/** Of what RFC 5322 §3.6.8 lets into a name, the characters of a token; short enough to leave room on its line. */
const FIELD_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,76}$/;

/** Fields that are made from options, and which; `undefined` for those that nobody gives. */
const OWN_FIELDS = new Map<string, string | undefined>([
  ...['from', 'sender', 'to', 'cc', 'bcc', 'subject', 'date'].map((name) => [name, name] as const),
  ['reply-to', 'replyTo'],
  ['message-id', 'messageId'],
  ['in-reply-to', 'inReplyTo'],
  ['references', 'references'],
  ['content-type', 'contentType'],
  ['content-transfer-encoding', 'transferEncoding'],
  ['content-disposition', 'contentDisposition'],
  ['return-path', 'returnPath'],
  ['mime-version', undefined],
  ['resent-bcc', undefined],
]);

/** Fields whose value is a list of mailboxes, and cannot be encoded as a whole. */
const MAILBOX_FIELDS = new Set([
  'resent-from',
  'resent-sender',
  'resent-to',
  'resent-cc',
  'resent-reply-to',
  'disposition-notification-to',
  'return-receipt-to',
  'errors-to',
  'mail-followup-to',
  'mail-reply-to',
]);

export function readExtraHeaders(value: unknown, path: string, issues: Issues): ExtraHeader[] {
  const entries: unknown[] | undefined =
    value instanceof Map ? [...value] : Array.isArray(value) ? value : isObject(value) ? Object.entries(value) : undefined;
  if (entries === undefined) {
    put(issues, path, 'WRONG_TYPE', 'must be an array of [name, value], or a map');
    return [];
  }
  return entries.flatMap((entry, i) => readExtraHeader(entry, `${path}[${i}]`, issues) ?? []);
}

function readExtraHeader(entry: unknown, path: string, issues: Issues): ExtraHeader | undefined {
  if (!Array.isArray(entry) || entry.length !== 2) return put(issues, path, 'WRONG_TYPE', 'must be [name, value]');
  const name = line(entry[0], `${path}[0]`, issues);
  const value = line(entry[1], `${path}[1]`, issues);
  if (name === undefined || value === undefined) return undefined;
  if (!FIELD_NAME.test(name)) return put(issues, `${path}[0]`, 'INVALID_VALUE', 'is not the name of a header field');
  const key = name.toLowerCase();
  if (OWN_FIELDS.has(key)) {
    const option = OWN_FIELDS.get(key);
    return put(
      issues,
      `${path}[0]`,
      'CONFLICT',
      option === undefined ? 'this field cannot be given' : `this field is made from the option ${option}`,
    );
  }
  if (!MAILBOX_FIELDS.has(key)) return { name, value, mailboxes: undefined };
  const list = parseAddressList(value);
  if ('kind' in list) return put(issues, `${path}[1]`, 'INVALID_ADDRESS', `at character ${list.at + 1}: ${list.text}`);
  // An address beyond ASCII would need SMTPUTF8, which only envelope addresses ask for.
  if (list.some(({ address }) => !isAsciiText(address))) return put(issues, `${path}[1]`, 'INVALID_ADDRESS', 'the address must be ASCII');
  return { name, value, mailboxes: list };
}
