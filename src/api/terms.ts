/**
 * The options that are about delivery and not about content, the same for `send` and `queue`: priority, when it is given up, what the
 * sender is told, and what the way there must be like.
 */
import { boolean, type Issues, isObject, line, onlyKnown, put, word } from '../compose/checks.js';
import { readMoment } from '../compose/moment.js';
import { NOTIFY, type Notify } from '../core/delivery.js';
import { type Message, PRIORITIES, type Priority } from '../core/message.js';
import type { OwnServer } from '../core/own-server.js';
import { MOST_TAGS, tagFault } from '../core/tag.js';
import { readOwnServer, SERVER_OPTIONS } from './own-server.js';

const RETURNS = ['full', 'hdrs'] as const;
const BOUNCES = ['mail', 'none'] as const;
/** RFC 3461 §4.4, before it is encoded. */
const LONGEST_ENVID = 100;

export type { Notify };

/** RFC 3461: what the servers on the way are asked to report. */
export interface DsnOptions {
  /** Of every recipient; `never` stands alone. */
  readonly notify?: Notify | readonly Notify[] | undefined;
  /** How much of the message a report is to bring back. */
  readonly ret?: (typeof RETURNS)[number] | undefined;
  /** Printable ASCII that a report names again. */
  readonly envid?: string | undefined;
}

export interface DeliveryOptions {
  /** Order of the queue, in any letter case. Default: medium. */
  readonly priority?: Priority | Capitalize<Priority> | Uppercase<Priority> | undefined;
  /** When it is given up: a Date, epoch milliseconds, or ISO 8601 with an offset. Default: `retry.expiry` after it may be sent. */
  readonly expires?: Date | string | number | undefined;
  /** `none`: a failure is recorded, and no mail about it is sent. Default: `mail`. */
  readonly bounces?: (typeof BOUNCES)[number] | undefined;
  /** Only over verified TLS, the whole way (RFC 8689). Default: false. */
  readonly requireTls?: boolean | undefined;
  /** What the servers on the way are asked to report, and to whom (RFC 3461): `{notify, ret, envid}`. */
  readonly dsn?: DsnOptions | undefined;
  /**
   * It goes through this server, whatever the routes say: a name or an IP address. Its login is stored sealed, and never shown. Bounces
   * take the ordinary way.
   */
  readonly host?: string | undefined;
  /** Default: 25, and 465 with `ssl: true`. */
  readonly port?: number | undefined;
  /** Together with `password`. A login is given away only over TLS with a certificate that holds, and on loopback. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Seconds that each step of a conversation may take, but for the answer to the final dot. Default: `delivery.timeouts`. */
  readonly timeout?: number | undefined;
  /** `true`: TLS from the first octet; `'starttls'`: demanded; both verified. Default: `false`, encrypted where the server offers it. */
  readonly ssl?: boolean | 'starttls' | undefined;
  /** Words to find it again by, one or several: 20 at most, each 1 to 100 characters. They are not sent. */
  readonly tags?: string | readonly string[] | undefined;
}

export const DELIVERY_OPTIONS = [
  'priority',
  'expires',
  'bounces',
  'requireTls',
  'dsn',
  'tags',
  ...SERVER_OPTIONS,
] as const satisfies readonly (keyof DeliveryOptions)[];

export interface Terms {
  readonly priority: Priority;
  readonly expiresAt: number | undefined;
  readonly bounces: Message['bounces'];
  readonly requireTls: boolean;
  readonly notify: readonly Notify[] | undefined;
  readonly dsn: Message['dsn'];
  readonly tags: Message['tags'];
  readonly server?: OwnServer;
  /** As given, of what is sent at once. */
  readonly timeoutMs?: number;
}

type Given = Readonly<Record<string, unknown>>;

/** Puts an issue for all that is wrong; what it returns is of use only if there is none. `earliest`: epoch ms before which it is not sent. */
export function readTerms(given: Given, earliest: number, issues: Issues, immediate = false): Terms {
  const option = <T>(name: keyof DeliveryOptions, read: (value: unknown, path: string, issues: Issues) => T | undefined) =>
    given[name] === undefined ? undefined : read(given[name], name, issues);
  const expiresAt = option('expires', readMoment);
  if (expiresAt !== undefined && expiresAt <= earliest) put(issues, 'expires', 'OUT_OF_RANGE', 'it would be given up before it is sent');
  const { notify, ...dsn } = option('dsn', readDsn) ?? {};
  return {
    priority: option('priority', (value, path) => word(value, PRIORITIES, path, issues)) ?? 'medium',
    expiresAt,
    bounces: option('bounces', (value, path) => word(value, BOUNCES, path, issues)) ?? 'mail',
    requireTls: option('requireTls', boolean) ?? false,
    notify,
    dsn: Object.keys(dsn).length === 0 ? undefined : dsn,
    tags: option('tags', readTags),
    ...readOwnServer(given, issues, immediate),
  };
}

interface ReadDsn extends NonNullable<Message['dsn']> {
  readonly notify?: readonly Notify[];
}

function readDsn(value: unknown, path: string, issues: Issues): ReadDsn | undefined {
  if (!isObject(value)) return put(issues, path, 'WRONG_TYPE', 'must be an object with notify, ret or envid');
  onlyKnown(value, ['notify', 'ret', 'envid'], path, issues);
  const notify = value['notify'] === undefined ? undefined : readNotify(value['notify'], `${path}.notify`, issues);
  const ret = value['ret'] === undefined ? undefined : word(value['ret'], RETURNS, `${path}.ret`, issues);
  const envid = value['envid'] === undefined ? undefined : readEnvid(value['envid'], `${path}.envid`, issues);
  return { ...(notify && { notify }), ...(ret && { ret }), ...(envid !== undefined && { envid }) };
}

function readNotify(value: unknown, path: string, issues: Issues): readonly Notify[] | undefined {
  const words: readonly unknown[] = Array.isArray(value) ? value : [value];
  const found = words.flatMap((one) => word(one, NOTIFY, path, issues) ?? []);
  const distinct = [...new Set(found)];
  if (words.length === 0) return put(issues, path, 'INVALID_VALUE', `must name one of ${NOTIFY.join(', ')} at least`);
  if (distinct.length > 1 && distinct.includes('never')) return put(issues, path, 'CONFLICT', 'never stands alone');
  return distinct;
}

function readEnvid(value: unknown, path: string, issues: Issues): string | undefined {
  const text = line(value, path, issues);
  if (text === undefined) return undefined;
  if (/^[\x20-\x7e]+$/.test(text) && text.length <= LONGEST_ENVID) return text;
  return put(issues, path, 'INVALID_VALUE', `must be printable ASCII, ${LONGEST_ENVID} characters at most`);
}

function readTags(value: unknown, path: string, issues: Issues): readonly string[] | undefined {
  const given: readonly unknown[] = Array.isArray(value) ? value : [value];
  const tags = [...new Set(given.flatMap((one, i) => readTag(one, Array.isArray(value) ? `${path}[${i}]` : path, issues) ?? []))];
  if (tags.length > MOST_TAGS) return put(issues, path, 'OUT_OF_RANGE', `a message has ${MOST_TAGS} tags at most`);
  return tags.length === 0 ? undefined : tags;
}

export function readTag(value: unknown, path: string, issues: Issues): string | undefined {
  const text = line(value, path, issues);
  const fault = text === undefined ? undefined : tagFault(text);
  return fault === undefined ? text : put(issues, path, 'INVALID_VALUE', fault);
}
