/** What the killed process and its judge (`kill.test.ts`) must agree on: the content of a message follows from its id. */
import { INLINE_LIMIT, pattern } from '../../contract/spool.js';

/** Most are small, some go into files. */
export function bodyOf(id: string): Buffer {
  let seed = 7;
  for (let at = 0; at < id.length; at++) seed = (seed * 31 + id.charCodeAt(at)) >>> 0;
  const size = seed % 10 === 0 ? INLINE_LIMIT + (seed % 200_000) : seed % 3000;
  const body = Buffer.from(pattern(size + 1));
  body.write(id, 0, 'latin1');
  return body;
}

export function lanesOf(number: number): string[] {
  const lanes = [`mx:lane${number % 5}.test`];
  if (number % 4 === 0) lanes.push(`mx:lane${(number + 1) % 5}.test`, 'mx:shared.test');
  return lanes;
}
