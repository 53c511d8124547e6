/**
 * A message as JSON: the options of `send`, handed in from another machine. Composing is the agent's.
 *
 * Promises: nothing in it names a file, an address or a server of this side: data comes along, in base64. What there is to say
 * against it is said at once. Bounded: a few are read at a time, and none is larger than what is taken in.
 */
import { type Issue, MtaError } from '../core/errors.js';
import type { TraceContext } from '../core/message.js';
import type { SubmitReport } from './types.js';

export const LETTER_TYPE = 'application/json';

/** Options that are read as they are. What is in neither list is unknown. */
export const LETTER_OPTIONS = [
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
  'body',
  'html',
  'calendar',
  'contentType',
  'characterSet',
  'transferEncoding',
  'contentDisposition',
  'headerType',
  'extraMIMEHeaders',
  'priority',
  'expires',
  'bounces',
  'requireTls',
  'dsn',
  'tags',
  'tokens',
  'merge',
  'idempotencyKey',
] as const;
/** Options whose data comes along in base64. */
export const DATA_OPTIONS = ['attachments', 'attachment', 'htmlImages'] as const;
/** Of `send`, but only within its own process: what they hold is no JSON, or leads somewhere from here. */
export const LOCAL_OPTIONS = ['signal', 'parts', 'host', 'port', 'username', 'password', 'timeout', 'ssl', 'immediate'] as const;

/** What composes, and hands it to intake. */
export type SendLetter = (options: Readonly<Record<string, unknown>>, trace: TraceContext | undefined) => Promise<SubmitReport>;

/** Larger ones are for `message/rfc822`, which is never whole in memory. */
const LARGEST = 32 * 1024 * 1024;
const AT_ONCE = 4;
const FIELDS = ['name', 'data', 'contentType', 'cid'];

export function createLetters(send: SendLetter | undefined, maxMessageSize: () => number) {
  const read = oneOfFew(AT_ONCE);
  return async (content: AsyncIterable<Buffer>, idempotencyKey?: string, trace?: TraceContext): Promise<SubmitReport> => {
    if (send === undefined) throw new MtaError('INVALID_OPTIONS', 'this agent composes no mail: hand it in as message/rfc822');
    return read(async () => {
      // Base64 takes four octets for three, and there are lines and other options besides.
      const limit = Math.min(LARGEST, Math.ceil(maxMessageSize() * 1.4) + 64 * 1024);
      const given = lettersOptions(parse(await whole(content, limit)));
      return send(idempotencyKey === undefined ? given : keyed(given, idempotencyKey), trace);
    });
  };
}

function keyed(given: Readonly<Record<string, unknown>>, idempotencyKey: string): Readonly<Record<string, unknown>> {
  if (given['idempotencyKey'] !== undefined && given['idempotencyKey'] !== idempotencyKey)
    throw wrong([{ path: 'idempotencyKey', code: 'CONFLICT', message: 'the header Idempotency-Key and the option differ' }]);
  return { ...given, idempotencyKey };
}

function parse(bytes: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw wrong([{ path: '', code: 'WRONG_TYPE', message: `this is no JSON: ${(cause as Error).message}` }]);
  }
  if (isObject(value)) return value;
  throw wrong([{ path: '', code: 'WRONG_TYPE', message: 'must be an object with the options of send' }]);
}

/** As `send` takes them. Throws `INVALID_OPTIONS` for what it must not be asked from afar; the rest is for `send` to judge. */
export function lettersOptions(given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const issues: Issue[] = [];
  const read: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (has(LOCAL_OPTIONS, name)) issues.push({ path: name, code: 'UNKNOWN_FIELD', message: `${name} is not taken over the network` });
    else if (has(DATA_OPTIONS, name)) read[name] = readData(name, value, issues);
    else if (has(LETTER_OPTIONS, name)) read[name] = value;
    else issues.push({ path: name, code: 'UNKNOWN_FIELD', message: `there is no option ${JSON.stringify(name.slice(0, 60))}` });
  }
  if (issues.length > 0) throw wrong(issues);
  return read;
}

function readData(name: string, value: unknown, issues: Issue[]): unknown {
  if (name === 'attachment') return readOne(value, name, issues);
  if (Array.isArray(value)) return value.map((one, i) => readOne(one, `${name}[${i}]`, issues));
  issues.push({ path: name, code: 'WRONG_TYPE', message: 'must be an array of objects with name and data' });
  return undefined;
}

function readOne(value: unknown, path: string, issues: Issue[]): unknown {
  const fault = (at: string, code: string, message: string) => void issues.push({ path: at, code, message });
  if (!isObject(value)) return fault(path, 'WRONG_TYPE', 'must be an object with name and data: paths are not taken over the network');
  for (const field of Object.keys(value))
    if (!FIELDS.includes(field))
      fault(`${path}.${field.slice(0, 60)}`, 'UNKNOWN_FIELD', 'is not taken over the network: name, data, contentType and cid are');
  const { data } = value;
  const text = typeof data === 'string' ? data.replace(/\s/g, '') : undefined;
  if (text === undefined || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    return fault(`${path}.data`, 'INVALID_VALUE', 'must be a string of base64');
  return { ...value, data: Buffer.from(text, 'base64') };
}

async function whole(content: AsyncIterable<Buffer>, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > limit)
      throw new MtaError(
        'MESSAGE_TOO_LARGE',
        `more than ${limit} octets of JSON: hand what is larger in as message/rfc822, within the size limit`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Runs so many at a time, in the order in which they came. */
function oneOfFew(most: number): <T>(run: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (run) => {
    if (running >= most) await new Promise<void>((go) => waiting.push(go));
    else running++;
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      // Its place goes to the next one.
      if (next === undefined) running--;
      else next();
    }
  };
}

function has(names: readonly string[], name: string): boolean {
  return names.includes(name);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(issues: readonly Issue[]): MtaError {
  return new MtaError('INVALID_OPTIONS', issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '), {
    issues,
  });
}
