/**
 * The options of composing, and the plan that is made of them.
 *
 * Promises: every missing or wrong option puts an issue, and nothing is opened. Without `to`, `from` and `subject` it is the plan of
 * a MIME part, else that of a message.
 */
import type { Listed } from '../core/address-list.js';
import {
  type Attachment,
  type Attachments,
  checkContentIds,
  type Images,
  readAttachment,
  readAttachments,
  readImages,
} from './attachments.js';
import { boolean, type Issues, isObject, line, onlyKnown, put, string } from './checks.js';
import { type Form, readForm } from './form.js';
import {
  dateField,
  type ExtraHeader,
  type ExtraHeaders,
  type HeaderPlan,
  type ListUnsubscribe,
  readExtraHeaders,
  readMessageId,
  readMessageIds,
  readUnsubscribe,
} from './headers.js';
import { type AddressInput, distinctAddresses, readEnvelopeAddress, readMailboxes } from './mailboxes.js';
import { readDelay, readMoment } from './moment.js';
import { type CalendarInput, type PartInput, type Piece, readCalendar, readPart } from './pieces.js';

/** What a message is made of: addresses, header, content, structure. `docs/api.md` lists all of it. */
export interface ComposeOptions {
  /** The author. Several need a `sender`. */
  readonly from?: AddressInput | undefined;
  /** Recipients, in lists of any form: names, groups, IDN domains, local parts beyond ASCII. Each address is served once. */
  readonly to?: AddressInput | undefined;
  /** Further recipients, shown. */
  readonly cc?: AddressInput | undefined;
  /** Envelope only: it is never in what is composed. */
  readonly bcc?: AddressInput | undefined;
  /** Who sends it for the author: a field, and the envelope sender. */
  readonly sender?: AddressInput | undefined;
  /** Where answers go. */
  readonly replyTo?: AddressInput | undefined;
  /** Envelope sender; `''` for the null sender. Default: `sender`, else `from`. */
  readonly returnPath?: string | undefined;
  /** Replaces the envelope that follows from the header. */
  readonly envelope?: EnvelopeInput | undefined;
  /** One line, in any script. */
  readonly subject?: string | undefined;
  /** The text. */
  readonly body?: string | undefined;
  /** The page. With `body`, both are alternatives. */
  readonly html?: string | undefined;
  /** Shown within the page: `<img src="X">` with exactly the path or name given here, or `cid:` and the file name. */
  readonly htmlImages?: Images | undefined;
  /** Paths, `{name, data, contentType?}`, `{path, name?, contentType?}`, composed parts, or a map from names to data. Data may be a stream. */
  readonly attachments?: Attachments | undefined;
  /** The same, for one. */
  readonly attachment?: Attachment | undefined;
  /** What `compose` made, or MIME that is formatted already, placed as it is. */
  readonly parts?: readonly PartInput[] | undefined;
  /** An invitation: iCalendar text, or `{data, method}`. */
  readonly calendar?: CalendarInput | undefined;
  /** Of the text; `multipart/…` of the whole. Default: as the content is. */
  readonly contentType?: string | undefined;
  /** Any that iconv-lite knows; what it lacks is an error that names it. Default: UTF-8. */
  readonly characterSet?: string | undefined;
  /** `7bit`, `8bit`, `quoted-printable` or `base64`, for body and html. Default: by the content. */
  readonly transferEncoding?: string | undefined;
  /** `inline`, `attachment`, with parameters if need be. */
  readonly contentDisposition?: string | undefined;
  /** What kind of multipart this is: `mixed`, `related`, `alternative`, `parallel`, … Default: as its pieces demand. */
  readonly headerType?: string | undefined;
  /** Further fields: pairs in their order, repeats allowed, or a map. */
  readonly extraMIMEHeaders?: ExtraHeaders | undefined;
  /** A header without a body. Default: false. */
  readonly simpleForm?: boolean | undefined;
  /** When it is to be sent: a Date, epoch milliseconds, or ISO 8601 with an offset. The Date field shows it. */
  readonly date?: Date | string | number | undefined;
  /** The same, in seconds from now. */
  readonly delay?: number | undefined;
  /** Default: one is drawn. */
  readonly messageId?: string | undefined;
  /** Message-IDs of what is answered. */
  readonly inReplyTo?: string | readonly string[] | undefined;
  /** Message-IDs of the conversation, oldest first. */
  readonly references?: string | readonly string[] | undefined;
  /** How to leave the list: a URL, a `mailto:`, or `{url, mailto, oneClick}` (RFC 2369, RFC 8058). */
  readonly listUnsubscribe?: ListUnsubscribe | undefined;
}

export interface EnvelopeInput {
  readonly from?: string | undefined;
  readonly to?: AddressInput | undefined;
  readonly cc?: AddressInput | undefined;
  readonly bcc?: AddressInput | undefined;
}

/** Options that only a message has. */
const OF_MESSAGES = [
  'from',
  'to',
  'cc',
  'bcc',
  'sender',
  'replyTo',
  'returnPath',
  'envelope',
  'subject',
  'simpleForm',
  'date',
  'delay',
  'messageId',
  'inReplyTo',
  'references',
  'listUnsubscribe',
] as const satisfies readonly (keyof ComposeOptions)[];

const OF_CONTENT = [
  'body',
  'html',
  'htmlImages',
  'attachments',
  'attachment',
  'parts',
  'calendar',
  'contentType',
  'characterSet',
  'transferEncoding',
  'contentDisposition',
  'headerType',
  'extraMIMEHeaders',
] as const satisfies readonly (keyof ComposeOptions)[];

/** Every option there is. */
export const COMPOSE_OPTIONS: readonly (keyof ComposeOptions)[] = [...OF_MESSAGES, ...OF_CONTENT];

/** What a caller demands beyond what composing needs: each absence puts an issue. */
export interface Demands {
  readonly subject?: boolean;
  /** One of to, cc, bcc, or an envelope with to. */
  readonly recipients?: boolean;
  /** One of body and html, unless `simpleForm`. */
  readonly content?: boolean;
}

export interface Envelope {
  /** `''` for the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  /** An address of it is not ASCII. */
  readonly smtpUtf8: boolean;
}

export interface Plan {
  /** Undefined: it is a part. */
  readonly header: HeaderPlan | undefined;
  readonly envelope: Envelope;
  readonly extra: readonly ExtraHeader[];
  readonly form: Form;
  readonly simpleForm: boolean;
  readonly pieces: readonly Piece[];
}

/** What comes from outside of the options. */
export interface PlanWorld {
  readonly now: number;
  /** For a message that was given no id. */
  readonly newMessageId: () => string;
}

type Given = Readonly<Record<string, unknown>>;
type Read<T> = (value: unknown, path: string, issues: Issues) => T | undefined;

/** Where an issue was put, what could not be read is left out of the plan. */
export function readPlan(options: Given, world: PlanWorld, demands: Demands, issues: Issues): Plan {
  const message = ['to', 'from', 'subject'].some((name) => options[name] !== undefined) || Object.keys(demands).length > 0;
  if (!message) refuseMessageOptions(options, issues);
  const simpleForm = option(options, 'simpleForm', boolean, issues) ?? false;
  const pieces = readPieces(options, simpleForm, demands, issues);
  const extra = option(options, 'extraMIMEHeaders', readExtraHeaders, issues) ?? [];
  const form = readForm(options, issues);
  const { header, envelope } = message ? readMessage(options, world, demands, issues) : PART;
  if (header?.unsubscribe && extra.some(({ name }) => /^list-unsubscribe/i.test(name)))
    put(issues, 'listUnsubscribe', 'CONFLICT', 'extraMIMEHeaders has that field, too');
  return { header, envelope, extra, form, simpleForm, pieces };
}

const PART = { header: undefined, envelope: { from: '', to: [], smtpUtf8: false } };

function option<T>(options: Given, name: keyof ComposeOptions, read: Read<T>, issues: Issues): T | undefined {
  const value = options[name];
  return value === undefined ? undefined : read(value, name, issues);
}

function refuseMessageOptions(options: Given, issues: Issues): void {
  const given = OF_MESSAGES.filter((name) => options[name] !== undefined);
  for (const name of given) put(issues, name, 'CONFLICT', 'without from, to and subject this is a part, which has no such thing');
}

function readMessage(options: Given, world: PlanWorld, demands: Demands, issues: Issues): { header: HeaderPlan; envelope: Envelope } {
  const mailboxes = (name: keyof ComposeOptions) => option(options, name, readMailboxes, issues) ?? [];
  const before = issues.length;
  const from = mailboxes('from');
  if (from.length === 0 && issues.length === before) put(issues, 'from', 'MISSING_FIELD', 'is missing');
  const [senders, replyTo] = [mailboxes('sender'), mailboxes('replyTo')];
  if (senders.length > 1) put(issues, 'sender', 'INVALID_VALUE', 'must be one address');
  if (from.length > 1 && options['sender'] === undefined)
    put(issues, 'sender', 'MISSING_FIELD', 'is needed where from has several addresses');
  if (demands.subject && options['subject'] === undefined) put(issues, 'subject', 'MISSING_FIELD', 'is missing');
  const sender = senders[0];
  const { to, cc, envelope } = readRecipients(options, sender ?? from[0], demands, issues);
  const messageId = option(options, 'messageId', readMessageId, issues);
  const drawn = messageId ?? world.newMessageId();
  const date = readWhen(options, world.now, issues);
  const header: HeaderPlan = {
    from,
    to,
    cc,
    sender,
    replyTo,
    subject: option(options, 'subject', line, issues),
    messageId: drawn,
    inReplyTo: option(options, 'inReplyTo', readMessageIds, issues) ?? [],
    references: option(options, 'references', readMessageIds, issues) ?? [],
    unsubscribe: option(options, 'listUnsubscribe', readUnsubscribe, issues),
    date,
    notBefore: options['date'] === undefined && options['delay'] === undefined ? 0 : date,
    chance: [...(messageId === undefined ? [drawn] : []), ...(options['date'] === undefined ? [dateField(date)] : [])],
  };
  return { header, envelope };
}

/** Whoever cannot be read is no missing recipient as well. */
function readRecipients(
  options: Given,
  author: Listed | undefined,
  demands: Demands,
  issues: Issues,
): { readonly to: Listed[]; readonly cc: Listed[]; readonly envelope: Envelope } {
  const before = issues.length;
  const [to, cc, bcc] = (['to', 'cc', 'bcc'] as const).map((name) => option(options, name, readMailboxes, issues) ?? []) as Three<Listed[]>;
  const own = readOwnEnvelope(options['envelope'], issues);
  const named = own.to ?? [...to, ...cc, ...bcc];
  if (demands.recipients && named.length === 0 && issues.length === before)
    put(issues, 'to', 'MISSING_FIELD', 'there is no recipient: give to, cc or bcc');
  return { to, cc, envelope: readEnvelope(options, own.from, author, named, issues) };
}

type Three<T> = [T, T, T];

function readWhen(options: Given, now: number, issues: Issues): number {
  if (options['date'] !== undefined && options['delay'] !== undefined) put(issues, 'delay', 'CONFLICT', 'give date or delay, not both');
  const date = option(options, 'date', readMoment, issues);
  return date ?? option(options, 'delay', (value, path) => readDelay(value, now, path, issues), issues) ?? now;
}

/** Of `envelope`: the recipients that it names; undefined where it names none. */
function readOwnEnvelope(given: unknown = {}, issues: Issues): { readonly from: unknown; readonly to: readonly Listed[] | undefined } {
  if (!isObject(given)) put(issues, 'envelope', 'WRONG_TYPE', 'must be an object with from and to');
  else onlyKnown(given, ['from', 'to', 'cc', 'bcc'], 'envelope', issues);
  const own: Given = isObject(given) ? given : {};
  const fields = (['to', 'cc', 'bcc'] as const).filter((name) => own[name] !== undefined);
  const named = fields.flatMap((name) => readMailboxes(own[name], `envelope.${name}`, issues));
  return { from: own['from'], to: fields.length === 0 ? undefined : named };
}

/** `from`: as `envelope` has it. */
function readEnvelope(options: Given, from: unknown, author: Listed | undefined, recipients: readonly Listed[], issues: Issues): Envelope {
  const returnPath = option(options, 'returnPath', readEnvelopeAddress, issues);
  const asked = from === undefined ? undefined : readEnvelopeAddress(from, 'envelope.from', issues);
  if (from !== undefined && returnPath !== undefined) put(issues, 'returnPath', 'CONFLICT', 'envelope.from says the same thing');
  const to = distinctAddresses(recipients);
  const sender = asked ?? returnPath ?? author?.address ?? '';
  return { from: sender, to, smtpUtf8: [sender, ...to].some((address) => NOT_ASCII.test(address)) };
}

const NOT_ASCII = /[^\0-\x7f]/;

function readPieces(options: Given, simpleForm: boolean, demands: Demands, issues: Issues): Piece[] {
  const pieces: Piece[] = [];
  const body = option(options, 'body', string, issues);
  if (body !== undefined) pieces.push({ kind: 'text', at: 'body', source: { kind: 'text', text: body } });
  const html = option(options, 'html', string, issues);
  const images = option(options, 'htmlImages', readImages, issues) ?? [];
  checkContentIds(images, issues);
  if (html !== undefined) pieces.push({ kind: 'html', at: 'html', source: { kind: 'text', text: html }, images });
  else if (images.length > 0 && options['html'] === undefined) put(issues, 'htmlImages', 'CONFLICT', 'images need html to stand in');
  const calendar = option(options, 'calendar', readCalendar, issues);
  if (calendar) pieces.push(calendar);
  const one = option(options, 'attachment', readAttachment, issues);
  const attached = [...(one ? [one] : []), ...(option(options, 'attachments', readAttachments, issues) ?? [])];
  pieces.push(...attached.map((attached) => ({ kind: 'attached', attached }) as const));
  pieces.push(...(option(options, 'parts', readParts, issues) ?? []));
  if (demands.content && !simpleForm && options['body'] === undefined && options['html'] === undefined)
    put(issues, 'body', 'MISSING_FIELD', 'there is no content: give body or html, or simpleForm for a header alone');
  if (simpleForm) refuseContent(options, issues);
  return pieces;
}

function readParts(value: unknown, path: string, issues: Issues): Piece[] {
  if (Array.isArray(value)) return value.flatMap((part: unknown, i) => readPart(part, `${path}[${i}]`, issues) ?? []);
  put(issues, path, 'WRONG_TYPE', 'must be an array');
  return [];
}

function refuseContent(options: Given, issues: Issues): void {
  const given = OF_CONTENT.filter((name) => name !== 'extraMIMEHeaders' && options[name] !== undefined);
  for (const name of given) put(issues, name, 'CONFLICT', 'simpleForm makes a header without content');
}
