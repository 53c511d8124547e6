/** The argument of MAIL and RCPT as the recording destination reads it. */
import { readPath } from '../core/address.js';

/** `prefix`: `FROM:` or `TO:`. Undefined: it is not an address in angle brackets. */
export function sinkPath(argument: string, prefix: string): { readonly address: string; readonly parameters: string[] } | undefined {
  if (argument.slice(0, prefix.length).toUpperCase() !== prefix) return undefined;
  const text = argument.slice(prefix.length).trimStart();
  const read = readPath(text, 0);
  if ('kind' in read || !text.startsWith('<')) return undefined;
  return { address: text.slice(1, read.end - 1), parameters: text.slice(read.end).split(' ').filter(Boolean) };
}
