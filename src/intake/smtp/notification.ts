/**
 * What a client asks to be told of (DSN, RFC 3461): RET and ENVID of MAIL, NOTIFY and ORCPT of RCPT, as they stand behind the `=`.
 *
 * Promises: pure; what is wrong is undefined, and nothing that is decoded here holds a control character: xtext could bring a line end
 * into a report or a command.
 */
import { NOTIFY, type Notify } from '../../core/delivery.js';
import type { Message } from '../../core/message.js';
import { decodeXtext } from '../../core/xtext.js';

type Dsn = NonNullable<Message['dsn']>;

/** §4.4, §4.2: octets of the parameter's value. */
const LONGEST_ENVID = 100;
const LONGEST_ORCPT = 500;

export function readRet(value: string | undefined): Dsn['ret'] {
  const word = value?.toLowerCase();
  return word === 'full' || word === 'hdrs' ? word : undefined;
}

export function readEnvid(value: string | undefined): string | undefined {
  return value === undefined || value.length > LONGEST_ENVID ? undefined : decodeXtext(value);
}

/** `NEVER` stands alone (§4.1). */
export function readNotify(value: string | undefined): readonly Notify[] | undefined {
  const words = (value ?? '').toLowerCase().split(',');
  const found = NOTIFY.filter((each) => words.includes(each));
  if (found.length < words.length || (found.length > 1 && found.includes('never'))) return undefined;
  return found;
}

/** With its type. An address of type `utf-8` has an encoding of its own (RFC 6533 §3), and stays as it is. */
export function readOrcpt(value: string | undefined): string | undefined {
  const [, type, encoded = ''] = /^([A-Za-z0-9-]+);(.+)$/.exec(value ?? '') ?? [];
  if (type === undefined || value!.length > LONGEST_ORCPT) return undefined;
  const address = type.toLowerCase() === 'utf-8' ? encoded : decodeXtext(encoded);
  return address && `${type};${address}`;
}
