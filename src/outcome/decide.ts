/**
 * What follows from an attempt: the one place that knows the rules of retrying, failing and expiring.
 *
 * Promises: a function of its arguments. Every recipient that was queued gets exactly one fate; those that were not stay
 * as they are; the delivery is done exactly if nobody is queued any more (G2); whatever goes on at once has got
 * somewhere first, so no answer of a remote can make us loop.
 * Must not write, log, or read reply codes: `classify` of delivery has turned those into outcomes.
 *
 * An attempt is charged when the delivery goes back to waiting or ends, not for each of the transactions that follow one
 * another at once because a server takes only so many recipients in one.
 */
import type { Attempt, Delivery, Recipient } from '../core/delivery.js';
import { MAX_ATTEMPTS_KEPT, MAX_TRANSCRIPTS_KEPT } from '../core/delivery.js';
import { assertNever } from '../core/errors.js';
import type { Message } from '../core/message.js';
import type { RecipientOutcome, Stage, TransactionResult, Trouble } from '../core/outcome.js';
import { STAGES } from '../core/outcome.js';
import { withClass } from '../core/status.js';
import type { Settlement } from '../spool/spool.js';
import { nextTry, type RetryPolicy } from './retry.js';
import { clip, MAX_WORDS, serverLabel, troubleWords, words } from './words.js';

/**
 * What came of a leased delivery: a transaction, trouble before there was a server to talk to (DNS, null MX), or the word of an operator
 * that it is not tried any more.
 */
export type Happening = TransactionResult | LaneTrouble | { readonly kind: 'givenUp'; readonly reason: string };

export interface LaneTrouble {
  readonly kind: 'laneTrouble';
  readonly trouble: Trouble;
  /** Where a server was talked to: what was said. */
  readonly transcript?: string | undefined;
}

/** What it meant for one recipient that was queued; `recipient` is as it is from now on, its `last` says why. */
export interface Fate {
  /** `again`: untried, and goes on at once. */
  readonly kind: 'delivered' | 'deferred' | 'again' | 'bounced' | 'expired';
  readonly recipient: Recipient;
}

export interface Decision {
  /** Without reports: `bounce.ts` says which are due. */
  readonly settlement: Settlement;
  /** One for each recipient that was queued, in order; none where nothing was tried and nothing expired. */
  readonly fates: readonly Fate[];
  /** The sender should hear now that it takes longer. */
  readonly delayNotice: boolean;
  /** Success is for the next server to report. */
  readonly dsnPassedOn: boolean;
}

/** When a server that takes not one recipient in a transaction is asked again. */
const CROWDED_RETRY_MS = 60_000;
/** Longest grace past expiry that a sweep leaves to the last try, which falls on expiry itself. */
const MAX_SWEEP_GRACE_MS = 60_000;

const GIVEN_UP = 'given up by an operator';

const NO_REPORTS: Settlement['reports'] = [];
const DONE: Settlement['next'] = { kind: 'done' };
const READY: Settlement['next'] = { kind: 'ready' };

/** `now` is the time of the decision, at or after the end of the attempt. */
export function decide(delivery: Delivery, happening: Happening, policy: RetryPolicy, now: number): Decision {
  if ('outcomes' in happening) return decideTransaction(delivery, happening, policy, now);
  return happening.kind === 'laneTrouble'
    ? decideLaneTrouble(delivery, happening, policy, now)
    : decideGivenUp(delivery, happening.reason, policy, now);
}

function decideTransaction(delivery: Delivery, result: TransactionResult, policy: RetryPolicy, now: number): Decision {
  const outcomes = result.outcomes;
  const counts = { delivered: 0, deferred: 0, failed: 0, again: 0 };
  for (const outcome of outcomes) counts[outcome.kind]++;
  // Going on at once is for those who got rid of somebody: else a server that always says "later" would be asked for ever.
  const goesOn = counts.again > 0 && counts.delivered + counts.failed > 0;
  const attempts = goesOn ? delivery.attempts : delivery.attempts + 1;
  const over = isOver(delivery.message, attempts, policy, now);

  const fates: Fate[] = [];
  const recipients = mapQueued(delivery.recipients, (recipient, place) => {
    const outcome = outcomes[place];
    if (!outcome) throw new RangeError(`${delivery.key}: ${outcomes.length} outcomes for more recipients`);
    const fate = fateOf(recipient, outcome, result, goesOn, over, now);
    fates.push(fate);
    return fate.recipient;
  });
  if (fates.length !== outcomes.length) throw new RangeError(`${delivery.key}: ${outcomes.length} outcomes for ${fates.length} recipients`);

  const attempt: Attempt = {
    at: result.startedAt,
    durationMs: Math.max(result.endedAt - result.startedAt, 0),
    server: serverLabel(result.server),
    ...(result.tls === undefined ? {} : { tls: result.tls }),
    stage: furthestStage(outcomes),
    delivered: counts.delivered,
    deferred: counts.deferred + (goesOn ? 0 : counts.again),
    failed: counts.failed,
    ...firstTrouble(outcomes, goesOn, result),
    ...(result.transcript === undefined ? {} : { transcript: result.transcript }),
  };
  const retryAfterMs = askedPatience(outcomes, goesOn);
  const dsnPassedOn = result.dsnPassedOn === true;
  return conclude(delivery, { recipients, fates, attempts, attempt, goesOn, retryAfterMs, dsnPassedOn }, policy, now);
}

function fateOf(
  recipient: Recipient,
  outcome: RecipientOutcome,
  result: TransactionResult,
  goesOn: boolean,
  over: boolean,
  now: number,
): Fate {
  switch (outcome.kind) {
    case 'delivered': {
      const last = { at: now, status: outcome.status, text: words(outcome.text), server: serverLabel(outcome.server) };
      return { kind: 'delivered', recipient: { ...recipient, state: 'delivered', last } };
    }
    case 'failed':
      return { kind: 'bounced', recipient: withTrouble(recipient, 'bounced', outcome.trouble, now) };
    case 'deferred':
      return putOff(recipient, outcome.trouble, over, now);
    case 'again':
      return goesOn ? { kind: 'again', recipient } : putOff(recipient, crowded(result), over, now);
    default:
      return assertNever(outcome);
  }
}

/** DNS and its kin: the whole delivery met the same trouble, and nobody was asked. */
function decideLaneTrouble(delivery: Delivery, { trouble, transcript }: LaneTrouble, policy: RetryPolicy, now: number): Decision {
  const attempts = delivery.attempts + 1;
  const permanent = trouble.lasting === 'permanent';
  const over = isOver(delivery.message, attempts, policy, now);
  const fates: Fate[] = [];
  const recipients = mapQueued(delivery.recipients, (recipient) => {
    const fate: Fate = permanent
      ? { kind: 'bounced', recipient: withTrouble(recipient, 'bounced', trouble, now) }
      : putOff(recipient, trouble, over, now);
    fates.push(fate);
    return fate.recipient;
  });
  const attempt: Attempt = {
    at: now,
    durationMs: 0,
    ...(trouble.server ? { server: serverLabel(trouble.server) } : {}),
    stage: trouble.stage,
    delivered: 0,
    deferred: permanent ? 0 : fates.length,
    failed: permanent ? fates.length : 0,
    trouble: kept(trouble),
    ...(transcript === undefined ? {} : { transcript }),
  };
  const { retryAfterMs } = trouble;
  return conclude(delivery, { recipients, fates, attempts, attempt, goesOn: false, retryAfterMs, dsnPassedOn: false }, policy, now);
}

/** Every queued recipient fails, with what was heard of it last; nothing was tried, so nothing is charged. */
function decideGivenUp(delivery: Delivery, reason: string, policy: RetryPolicy, now: number): Decision {
  const words = reason === '' ? GIVEN_UP : `${GIVEN_UP}: ${reason}`;
  const fates: Fate[] = [];
  const recipients = mapQueued(delivery.recipients, (recipient) => {
    const { last } = recipient;
    const status = last === undefined ? '5.3.0' : withClass(last.status, 5);
    const text = last === undefined ? words : `${words}; last error: ${last.text}`;
    const fate: Fate = { kind: 'bounced', recipient: withTrouble(recipient, 'bounced', ended(status, text), now) };
    fates.push(fate);
    return fate.recipient;
  });
  const attempt: Attempt = {
    at: now,
    durationMs: 0,
    stage: 'local',
    delivered: 0,
    deferred: 0,
    failed: fates.length,
    trouble: ended('5.3.0', words),
  };
  const { attempts } = delivery;
  return conclude(
    delivery,
    { recipients, fates, attempts, attempt, goesOn: false, retryAfterMs: undefined, dsnPassedOn: false },
    policy,
    now,
  );
}

function ended(status: string, text: string): Trouble {
  return { lasting: 'permanent', stage: 'local', status, text, reason: 'givenUp' };
}

/**
 * For what waits untried while its site is in trouble: expires it, or says that a notice is due. Charges nothing.
 * `trouble` is the site's, for those who were never tried themselves. Undefined: nothing to do yet.
 */
export function decideWaiting(delivery: Delivery, policy: RetryPolicy, now: number, trouble?: Trouble): Decision | undefined {
  const expired = now >= delivery.message.expiresAt;
  const notice = !expired && noticeDue(delivery.message, delivery.delayNoticed, policy, now);
  if (!expired && !notice) return undefined;
  const fates: Fate[] = [];
  const recipients = mapQueued(delivery.recipients, (recipient) => {
    const last =
      recipient.last ?? (trouble ? lastTrouble(trouble, now) : { at: now, status: '4.4.7', text: 'it could not be tried in time' });
    if (!expired) return { ...recipient, last };
    const fate: Fate = { kind: 'expired', recipient: { ...recipient, state: 'expired', last } };
    fates.push(fate);
    return fate.recipient;
  });
  const settlement: Settlement = {
    at: now,
    recipients,
    attempts: delivery.attempts,
    log: delivery.log,
    delayNoticed: delivery.delayNoticed || notice,
    next: expired ? DONE : READY,
    reports: NO_REPORTS,
  };
  return { settlement, fates, delayNotice: notice, dsnPassedOn: false };
}

/** Whether `decideWaiting` may have something to say: asked for everything that is ready, from what an index knows. */
export function wantsSweep(
  about: { readonly expiresAt: number; readonly acceptedAt: number; readonly delayNoticed: boolean },
  policy: RetryPolicy,
  now: number,
): boolean {
  // The last try is due at the very moment of expiry: it gets a head start on the sweep, in proportion to the life it had.
  const grace = Math.min(MAX_SWEEP_GRACE_MS, Math.max(about.expiresAt - about.acceptedAt, 0) / 100);
  if (now >= about.expiresAt + grace) return true;
  return now < about.expiresAt && !about.delayNoticed && policy.delayNoticeMs > 0 && now >= about.acceptedAt + policy.delayNoticeMs;
}

interface Tally {
  readonly recipients: readonly Recipient[];
  readonly fates: readonly Fate[];
  readonly attempts: number;
  readonly attempt: Attempt;
  readonly goesOn: boolean;
  readonly retryAfterMs: number | undefined;
  readonly dsnPassedOn: boolean;
}

function conclude(delivery: Delivery, tally: Tally, policy: RetryPolicy, now: number): Decision {
  const { recipients, fates, attempts } = tally;
  const message = delivery.message;
  const done = recipients.every((recipient) => recipient.state !== 'queued');
  let next = DONE;
  let delayNotice = false;
  if (!done && tally.goesOn) {
    next = READY;
  } else if (!done) {
    const due = nextTry(policy, { now, attempts, key: delivery.key, expiresAt: message.expiresAt, retryAfterMs: tally.retryAfterMs });
    next = { kind: 'retry', due };
    delayNotice = noticeDue(message, delivery.delayNoticed, policy, now);
  }
  const settlement: Settlement = {
    at: now,
    recipients,
    attempts,
    log: withAttempt(delivery.log, tally.attempt),
    delayNoticed: delivery.delayNoticed || delayNotice,
    next,
    reports: NO_REPORTS,
  };
  return { settlement, fates, delayNotice, dsnPassedOn: tally.dsnPassedOn };
}

/** The life of a message begins when it was to be sent first. */
export function startOf(message: Message): number {
  return Math.max(message.acceptedAt, message.notBefore);
}

/** Whoever is deferred now has had the last chance. */
function isOver(message: Message, attempts: number, policy: RetryPolicy, now: number): boolean {
  return now >= message.expiresAt || (policy.maxAttempts > 0 && attempts >= policy.maxAttempts);
}

function noticeDue(message: Message, noticed: boolean, policy: RetryPolicy, now: number): boolean {
  return !noticed && policy.delayNoticeMs > 0 && now >= startOf(message) + policy.delayNoticeMs;
}

function mapQueued(recipients: readonly Recipient[], change: (recipient: Recipient, place: number) => Recipient): Recipient[] {
  let place = 0;
  return recipients.map((recipient) => (recipient.state === 'queued' ? change(recipient, place++) : recipient));
}

function putOff(recipient: Recipient, trouble: Trouble, over: boolean, now: number): Fate {
  return over
    ? { kind: 'expired', recipient: withTrouble(recipient, 'expired', trouble, now) }
    : { kind: 'deferred', recipient: withTrouble(recipient, 'queued', trouble, now) };
}

function withTrouble(recipient: Recipient, state: Recipient['state'], trouble: Trouble, now: number): Recipient {
  return { ...recipient, state, last: lastTrouble(trouble, now) };
}

function lastTrouble(trouble: Trouble, now: number): NonNullable<Recipient['last']> {
  return {
    at: now,
    status: trouble.status,
    text: troubleWords(trouble),
    ...(trouble.server ? { server: serverLabel(trouble.server) } : {}),
  };
}

function crowded(result: TransactionResult): Trouble {
  return {
    lasting: 'temporary',
    stage: 'rcpt',
    status: '4.5.3',
    text: 'the server took no recipient in this transaction',
    server: result.server,
    reason: 'crowded',
    retryAfterMs: CROWDED_RETRY_MS,
  };
}

/** The longest wait that anybody was asked for; undefined where nobody was. */
function askedPatience(outcomes: readonly RecipientOutcome[], goesOn: boolean): number | undefined {
  let asked: number | undefined;
  let onlyAgain = !goesOn;
  for (const outcome of outcomes) {
    if (outcome.kind === 'again') continue;
    onlyAgain = false;
    if (outcome.kind === 'deferred' && outcome.trouble.retryAfterMs !== undefined)
      asked = Math.max(asked ?? 0, outcome.trouble.retryAfterMs);
  }
  return onlyAgain ? CROWDED_RETRY_MS : asked;
}

function firstTrouble(outcomes: readonly RecipientOutcome[], goesOn: boolean, result: TransactionResult): { trouble?: Trouble } {
  for (const outcome of outcomes) if (outcome.kind === 'deferred' || outcome.kind === 'failed') return { trouble: kept(outcome.trouble) };
  return !goesOn && outcomes.some((outcome) => outcome.kind === 'again') ? { trouble: crowded(result) } : {};
}

function kept(trouble: Trouble): Trouble {
  return trouble.text.length * 3 <= MAX_WORDS ? trouble : { ...trouble, text: clip(trouble.text, MAX_WORDS) };
}

function furthestStage(outcomes: readonly RecipientOutcome[]): Stage {
  let furthest = 0;
  for (const outcome of outcomes) {
    if (outcome.kind === 'delivered') return 'content';
    const stage = outcome.kind === 'again' ? 'rcpt' : outcome.trouble.stage;
    furthest = Math.max(furthest, STAGES.indexOf(stage));
  }
  return STAGES[furthest]!;
}

/** The first attempt is kept for good, and the newest ones: what lies between says least. */
function withAttempt(log: readonly Attempt[], attempt: Attempt): readonly Attempt[] {
  if (log.length === 0) return [attempt];
  if (log.length < MAX_ATTEMPTS_KEPT) return withinTranscripts([...log, attempt]);
  return withinTranscripts([log[0]!, ...log.slice(log.length - (MAX_ATTEMPTS_KEPT - 2)), attempt]);
}

/** As many transcripts as may be kept: the first one, and the newest. */
function withinTranscripts(log: readonly Attempt[]): readonly Attempt[] {
  let left = MAX_TRANSCRIPTS_KEPT - octetsOf(log[0]!);
  let whole = true;
  const fit = (attempt: Attempt): Attempt => {
    if (whole && (left -= octetsOf(attempt)) >= 0) return attempt;
    whole = false;
    const { transcript, ...rest } = attempt;
    return transcript === undefined ? attempt : rest;
  };
  return [log[0]!, ...log.slice(1).reverse().map(fit).reverse()];
}

function octetsOf({ transcript = '' }: Attempt): number {
  return Buffer.byteLength(transcript);
}
