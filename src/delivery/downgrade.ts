/** Content made 7-bit for a server without 8BITMIME. What cannot be converted is thrown as `Undowngradable`. */

export class Undowngradable extends Error {
  override readonly name = 'Undowngradable';
  /** RFC 3463. */
  readonly status = '5.6.3';
}

// biome-ignore lint/correctness/useYield: nothing can be converted yet
export async function* downgraded(_source: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncIterable<Buffer> {
  throw new Undowngradable('the content has octets above 127, and the server does not offer 8BITMIME');
}
