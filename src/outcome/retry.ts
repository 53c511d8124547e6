/**
 * When to try again: a function of the policy, the attempts so far, and a key.
 *
 * Promises: the same arguments always give the same moment (jitter is a hash, not a draw), a wish of the remote to be
 * left alone for a while is heeded within bounds, and the last try falls on the moment of expiry itself.
 * Must not look at the clock, and must not decide whether there is a next try: `decide.ts` does.
 */

/** How often and how long to try. The settings `[retry]`, in milliseconds. */
export interface RetryPolicy {
  readonly firstDelayMs: number;
  /** Each delay is the one before times this. */
  readonly factor: number;
  /** Ceiling of the delay, before jitter. */
  readonly maxDelayMs: number;
  /** 0.1: up to a tenth earlier or later. */
  readonly jitter: number;
  /** Life of a message from its acceptance, or from when it was to be sent first. */
  readonly expiryMs: number;
  /** The sender is told of a delay after this time; 0 for never. */
  readonly delayNoticeMs: number;
  /** Attempts after which a recipient is given up; 0: expiry alone decides. */
  readonly maxAttempts: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  firstDelayMs: 5 * MINUTE,
  factor: 2,
  maxDelayMs: 4 * HOUR,
  jitter: 0.1,
  expiryMs: 5 * 24 * HOUR,
  delayNoticeMs: 4 * HOUR,
  maxAttempts: 0,
};

/** However soon a remote asks us back, not before this. */
export const MIN_RETRY_AFTER_MS = 5_000;
/**
 * So often a remote may ask us back sooner than the policy would come. After that it may only ask for more patience:
 * a reply that says "in 5 seconds" for days would else cost an attempt every five seconds.
 */
export const HASTY_ATTEMPTS = 10;

/**
 * Milliseconds from the end of attempt number `attempts` (from 1) to the next one.
 * `retryAfterMs` is what the remote asked for; it is kept within `MIN_RETRY_AFTER_MS` and `maxDelayMs`.
 */
export function nextDelay(policy: RetryPolicy, attempts: number, key: string, retryAfterMs?: number): number {
  const grown = policy.firstDelayMs * Math.min(policy.factor ** Math.max(attempts - 1, 0), Number.MAX_SAFE_INTEGER);
  const spread = 1 + policy.jitter * (2 * hashUnit(`${key}#${attempts}`) - 1);
  const own = Math.max(Math.round(Math.min(grown, policy.maxDelayMs) * spread), 1);
  if (retryAfterMs === undefined) return own;
  const asked = Math.max(Math.min(Math.round(retryAfterMs), policy.maxDelayMs), MIN_RETRY_AFTER_MS);
  return attempts > HASTY_ATTEMPTS ? Math.max(asked, own) : asked;
}

/** The moment of the next try: after the delay, but not past expiry while that is still to come. */
export function nextTry(
  policy: RetryPolicy,
  about: {
    readonly now: number;
    readonly attempts: number;
    readonly key: string;
    readonly expiresAt: number;
    readonly retryAfterMs?: number | undefined;
  },
): number {
  const at = about.now + nextDelay(policy, about.attempts, about.key, about.retryAfterMs);
  return about.expiresAt > about.now ? Math.min(at, about.expiresAt) : at;
}

/** 0 ≤ x < 1, evenly spread over keys (FNV-1a, then a mixing that lets every bit reach every other). */
function hashUnit(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
