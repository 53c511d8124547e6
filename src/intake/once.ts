/**
 * Messages that are handed in under a key: the first is taken in, and whoever comes with the same key within a day is told of that one.
 *
 * Promises: of those who come with one key at the same time, one goes through and the others wait for it; if it fails, the next one
 * goes. The key is stored by the write that stores the message (`Acceptance.once`), so it holds exactly as long as the message was taken.
 */
import { createHash, type Hash } from 'node:crypto';
import { MtaError } from '../core/errors.js';
import type { OwnServer } from '../core/own-server.js';
import { orAborted } from '../platform/abort.js';
import type { AcceptedOnce, Spool } from '../spool/spool.js';

/** How long a key is remembered. */
export const ONCE_MS = 86_400_000;

const LONGEST_KEY = 255;

/** Why this is no key, for a sentence that begins with it; undefined: it is one. */
export function keyFault(text: string): string | undefined {
  if (text.length >= 1 && text.length <= LONGEST_KEY && /^[ -~]+$/.test(text)) return undefined;
  return `must be 1 to ${LONGEST_KEY} printable ASCII characters`;
}

/** The turn of one who came with a key. It must be left, whatever comes of it. */
export interface Turn {
  /** Something was taken in under this key before: nothing must be stored now. */
  readonly taken: boolean;
  /**
   * A digest to be fed with what came. `chance`: words that would be others, and of the same length, if the same thing were composed
   * again; each lies within one chunk.
   */
  digest(envelope: DigestedEnvelope, chance?: readonly string[]): ContentDigest;
  /** What was taken in before, if it has this digest. Throws `IDEMPOTENCY_CONFLICT`. */
  first(digest: string): AcceptedOnce;
  leave(): void;
}

export interface DigestedEnvelope {
  readonly sender: string;
  readonly recipients: readonly { readonly address: string }[];
  readonly server?: OwnServer;
}

/** What was handed in, in one word: the same for the same envelope and content. */
export interface ContentDigest {
  update(chunk: Buffer): void;
  /** Ends it. */
  text(): string;
}

/** Resolves when it is one's turn. Rejects with `INVALID_OPTIONS` for what is no key, `ABORTED`, or as the spool does. */
export type TakeTurn = (key: string, signal?: AbortSignal) => Promise<Turn>;

const GIVEN_UP = 'gave up waiting for a message with the same idempotency key';

export function createTurns(spool: Pick<Spool, 'once'>): TakeTurn {
  const underWay = new Map<string, Promise<void>>();
  return async (key, signal) => {
    const fault = keyFault(key);
    if (fault !== undefined) throw invalidKey(fault);
    for (let before = underWay.get(key); before !== undefined; before = underWay.get(key)) await orAborted(before, signal, GIVEN_UP);
    let over = () => {};
    const mine = new Promise<void>((resolve) => {
      over = resolve;
    });
    underWay.set(key, mine);
    const leave = () => {
      if (underWay.get(key) === mine) underWay.delete(key);
      over();
    };
    try {
      return turnOf(await spool.once(key), leave);
    } catch (error) {
      leave();
      throw error;
    }
  };
}

function turnOf(first: AcceptedOnce | undefined, leave: () => void): Turn {
  return {
    taken: first !== undefined,
    digest: (envelope, chance = []) => new Digest(envelope, chance),
    first(digest) {
      if (first?.digest === digest) return first;
      const message = `under this idempotency key another message was taken in: ${first?.id}`;
      throw new MtaError('IDEMPOTENCY_CONFLICT', message, { issues: [{ path: 'idempotencyKey', code: 'CONFLICT', message }] });
    },
    leave,
  };
}

function invalidKey(fault: string): MtaError {
  const message = `idempotencyKey: ${fault}`;
  return new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'idempotencyKey', code: 'INVALID_VALUE', message }] });
}

/** Which server, and as whom. Not the password: one that was changed makes no other message, and nobody shall guess it by the digest. */
function named({ host, port, tls, credentials }: OwnServer): readonly unknown[] {
  return [host, port, tls, credentials?.username ?? null];
}

class Digest implements ContentDigest {
  readonly #hash: Hash;
  readonly #chance: readonly Buffer[];

  constructor({ sender, recipients, server }: DigestedEnvelope, chance: readonly string[]) {
    this.#chance = chance.map((word) => Buffer.from(word, 'utf8'));
    const whither = [sender, ...recipients.map(({ address }) => address), ...(server === undefined ? [] : [named(server)])];
    this.#hash = createHash('sha256').update(`${JSON.stringify(whither)}\n`);
  }

  update(chunk: Buffer): void {
    let neutral: Buffer | undefined;
    for (const word of this.#chance) {
      for (let at = chunk.indexOf(word); at >= 0; at = chunk.indexOf(word, at + word.length)) {
        neutral ??= Buffer.from(chunk);
        neutral.fill(0, at, at + word.length);
      }
    }
    this.#hash.update(neutral ?? chunk);
  }

  text(): string {
    return this.#hash.digest('base64url');
  }
}
