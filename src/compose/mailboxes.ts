/**
 * Addresses as options: strings with lists in them, single mailboxes as objects, arrays of both.
 *
 * Promises: what comes out was written as an address (`core/address-list.ts`); text with control characters is refused before it
 * is parsed; every wrong element is named by its path, with the place in its text.
 */
import { canonicalAddress, parsePath } from '../core/address.js';
import { type Listed, parseAddressList } from '../core/address-list.js';
import { type Issues, isLine, isObject, line, onlyKnown, put } from './checks.js';

export interface MailboxInput {
  readonly name?: string | undefined;
  readonly address: string;
}

/** `'Joe <joe@example.com>, ann@example.com'`, `{name, address}`, or an array of these. */
export type AddressInput = string | MailboxInput | readonly (string | MailboxInput)[];

export function readMailboxes(value: unknown, path: string, issues: Issues): Listed[] {
  if (!Array.isArray(value)) return readOne(value, path, issues);
  return value.flatMap((one: unknown, i) => readOne(one, `${path}[${i}]`, issues));
}

function readOne(value: unknown, path: string, issues: Issues): Listed[] {
  if (typeof value === 'string') return readList(value, path, issues);
  if (isObject(value)) return readMailbox(value, path, issues);
  put(issues, path, 'WRONG_TYPE', 'must be a string, an object with address and name, or an array of these');
  return [];
}

function readList(text: string, path: string, issues: Issues): Listed[] {
  if (!isLine(text, path, issues)) return [];
  const list = parseAddressList(text);
  if (!('kind' in list)) return [...list];
  put(issues, path, 'INVALID_ADDRESS', `at character ${list.at + 1}: ${list.text}`);
  return [];
}

function readMailbox(value: Readonly<Record<string, unknown>>, path: string, issues: Issues): Listed[] {
  onlyKnown(value, ['name', 'address'], path, issues);
  const name = value['name'] === undefined ? '' : line(value['name'], `${path}.name`, issues);
  const text = line(value['address'], `${path}.address`, issues);
  if (text === undefined) return [];
  const parsed = parsePath(text);
  if (parsed.kind === 'mailbox') return name === undefined ? [] : [{ name, address: parsed.address, utf8: parsed.utf8 }];
  put(issues, `${path}.address`, 'INVALID_ADDRESS', parsed.kind === 'fault' ? parsed.text : 'that is no address');
  return [];
}

/** One address for the envelope; `''`, the null sender, where that is allowed. */
export function readEnvelopeAddress(value: unknown, path: string, issues: Issues): string | undefined {
  const text = line(value, path, issues);
  if (text === undefined) return undefined;
  if (text === '' || text === '<>') return '';
  const parsed = parsePath(text);
  if (parsed.kind === 'mailbox') return parsed.address;
  return put(issues, path, 'INVALID_ADDRESS', parsed.kind === 'fault' ? parsed.text : 'the domain is missing');
}

/** Each mailbox once, in the spelling in which it came first. */
export function distinctAddresses(mailboxes: readonly { readonly address: string }[]): string[] {
  const seen = new Map<string, string>();
  for (const { address } of mailboxes) {
    const key = canonicalAddress(address);
    if (!seen.has(key)) seen.set(key, address);
  }
  return [...seen.values()];
}
