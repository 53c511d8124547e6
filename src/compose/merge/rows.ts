/**
 * The list of a merge as it is handed in, row by row: to whom, and with which values.
 *
 * Promises: an address is read as everywhere, so that no row can bring a second recipient; nobody is in the list twice; where it was
 * said who gets it, a row for anybody else is an error, and who has no row gets what is for all. All that is wrong is named by the
 * address of its row, or its number where there is none.
 */
import { canonicalAddress, domainOf, parsePath } from '../../core/address.js';
import { parseAddressList } from '../../core/address-list.js';
import type { MergeValue, MergeValues } from '../../core/message.js';
import { type Issues, isLine, isObject, put, shownName } from '../checks.js';
import { checkValue, isTokenName } from './tokens.js';

/** As it came. */
export interface RawRow {
  /** An address, with or without a name. */
  readonly to: unknown;
  /** By the names of tokens. */
  readonly values: unknown;
}

/** Somebody who was named as a recipient beside the list. */
export interface NamedRecipient {
  readonly address: string;
  readonly name?: string;
}

export interface MergeRow extends NamedRecipient {
  /** Of the row in issues. */
  readonly path: string;
  readonly values: MergeValues;
}

const LONGEST_SHOWN = 100;

export class MergeRows {
  /** By their canonical address; only where recipients were named. */
  readonly #named: ReadonlyMap<string, NamedRecipient> | undefined;
  /** The same without letter case, where that is one. */
  readonly #anyCase = new Map<string, string | undefined>();
  readonly #seen = new Set<string>();
  #number = 0;

  /** `named`: who gets it; undefined: those in the list. */
  constructor(named: readonly NamedRecipient[] | undefined) {
    this.#named = named && new Map(named.map((one) => [canonicalAddress(one.address), one]));
    for (const address of this.#named?.keys() ?? []) {
      const folded = address.toLowerCase();
      this.#anyCase.set(folded, this.#anyCase.has(folded) ? undefined : address);
    }
  }

  /** Undefined, with an issue put, where it cannot be taken. */
  read(row: RawRow, issues: Issues): MergeRow | undefined {
    const number = this.#number++;
    const path = `merge[${shown(row.to) ?? number}]`;
    const before = issues.length;
    const addressee = readAddressee(row.to, path, issues);
    const values = readValues(row.values, path, issues);
    if (addressee === undefined || values === undefined || issues.length > before) return undefined;
    const key = canonicalAddress(addressee.address);
    const named = this.#named;
    const mine = named === undefined || named.has(key) ? key : this.#anyCase.get(folded(key));
    if (mine === undefined) return put(issues, path, 'INVALID_VALUE', 'is no recipient of the message');
    if (this.#seen.has(mine)) return put(issues, path, 'DUPLICATE', 'is in the list twice');
    this.#seen.add(mine);
    return { ...(named?.get(mine) ?? addressee), ...(addressee.name === undefined ? {} : { name: addressee.name }), path, values };
  }

  /** Those recipients that no row was for. */
  *rest(): Generator<MergeRow> {
    for (const [key, one] of this.#named ?? [])
      if (!this.#seen.has(key)) yield { ...one, path: `merge[${shown(one.address) ?? ''}]`, values: {} };
  }
}

function folded(address: string): string {
  return address.toLowerCase();
}

function shown(to: unknown): string | undefined {
  return typeof to === 'string' && to.length <= LONGEST_SHOWN && /^[\x20-\x7e]+$/.test(to) ? to : undefined;
}

function readAddressee(to: unknown, path: string, issues: Issues): NamedRecipient | undefined {
  if (typeof to !== 'string') return put(issues, path, 'WRONG_TYPE', 'the address must be a string');
  if (!isLine(to, path, issues)) return undefined;
  const parsed = parsePath(to);
  if (parsed.kind === 'mailbox') return { address: parsed.address };
  const list = parseAddressList(to);
  const only = 'kind' in list || list.length !== 1 ? undefined : list[0];
  if (only === undefined || domainOf(only.address) === '')
    return put(issues, path, 'INVALID_ADDRESS', parsed.kind === 'fault' ? parsed.text : 'an address with its domain is needed');
  return { address: only.address, ...(only.name === '' ? {} : { name: only.name }) };
}

/** Undefined, with an issue put for each that is none. */
export function readValues(given: unknown, path: string, issues: Issues): MergeValues | undefined {
  if (!isObject(given)) return put(issues, path, 'WRONG_TYPE', 'must be an object that has values by the names of tokens');
  const before = issues.length;
  const values: Record<string, MergeValue> = Object.create(null);
  for (const [name, value] of Object.entries(given)) {
    const at = `${path}.${shownName(name)}`;
    if (!isTokenName(name)) put(issues, at, 'INVALID_VALUE', 'a token begins with a letter or _, and holds letters, digits and _ . - only');
    else if (value !== undefined && checkValue(value, at, issues))
      values[name] = typeof value === 'string' ? value : { raw: (value as { raw: string }).raw };
  }
  return issues.length > before ? undefined : values;
}
