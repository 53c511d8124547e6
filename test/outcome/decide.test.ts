import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attempt, MAX_ATTEMPTS_KEPT, MAX_TRANSCRIPTS_KEPT, type RecipientState } from '../../src/core/delivery.js';
import type { RecipientOutcome, TransactionResult } from '../../src/core/outcome.js';
import { type Decision, decide, decideWaiting, wantsSweep } from '../../src/outcome/decide.js';
import { DEFAULT_RETRY_POLICY, nextDelay, type RetryPolicy } from '../../src/outcome/retry.js';
import fc from '../support/properties.js';
import {
  again,
  DAY,
  delivery,
  HOUR,
  ID,
  LABEL,
  later,
  laterAfter,
  MINUTE,
  message,
  never,
  ok,
  queued,
  SERVER,
  T0,
  transaction,
  trouble,
} from './samples.js';

const policy: RetryPolicy = { ...DEFAULT_RETRY_POLICY, jitter: 0 };
const NOW = T0 + 2000;
const states = (decision: Decision) => decision.settlement.recipients.map((recipient) => recipient.state);
const fates = (decision: Decision) => decision.fates.map((fate) => fate.kind);
const retry = (delayMs: number) => ({ kind: 'retry', due: NOW + delayMs });

const table: readonly {
  readonly name: string;
  readonly outcomes: readonly RecipientOutcome[];
  readonly states: readonly RecipientState[];
  readonly fates: readonly string[];
  readonly charged: number;
  readonly next: object;
}[] = [
  { name: 'delivered: done', outcomes: [ok], states: ['delivered'], fates: ['delivered'], charged: 1, next: { kind: 'done' } },
  { name: 'failed: done', outcomes: [never], states: ['bounced'], fates: ['bounced'], charged: 1, next: { kind: 'done' } },
  { name: 'deferred: waits', outcomes: [later], states: ['queued'], fates: ['deferred'], charged: 1, next: retry(5 * MINUTE) },
  {
    name: 'a mix: the deferred one waits alone',
    outcomes: [ok, later, never],
    states: ['delivered', 'queued', 'bounced'],
    fates: ['delivered', 'deferred', 'bounced'],
    charged: 1,
    next: retry(5 * MINUTE),
  },
  {
    name: 'too many recipients: the rest goes at once, charged nothing',
    outcomes: [ok, again, again],
    states: ['delivered', 'queued', 'queued'],
    fates: ['delivered', 'again', 'again'],
    charged: 0,
    next: { kind: 'ready' },
  },
  {
    name: 'a refusal is progress as well',
    outcomes: [never, again],
    states: ['bounced', 'queued'],
    fates: ['bounced', 'again'],
    charged: 0,
    next: { kind: 'ready' },
  },
  {
    name: 'some delivered, some deferred, the rest goes at once: the attempt is not over yet',
    outcomes: [ok, later, again],
    states: ['delivered', 'queued', 'queued'],
    fates: ['delivered', 'deferred', 'again'],
    charged: 0,
    next: { kind: 'ready' },
  },
  {
    name: 'deferrals alone are no progress: those who should go again wait with them',
    outcomes: [later, again],
    states: ['queued', 'queued'],
    fates: ['deferred', 'deferred'],
    charged: 1,
    next: retry(5 * MINUTE),
  },
  {
    name: 'a server that takes not one recipient is asked again in a minute, not at once',
    outcomes: [again, again],
    states: ['queued', 'queued'],
    fates: ['deferred', 'deferred'],
    charged: 1,
    next: retry(MINUTE),
  },
  {
    name: 'the longest wait that was asked for counts',
    outcomes: [laterAfter(20 * MINUTE), laterAfter(70_000), later],
    states: ['queued', 'queued', 'queued'],
    fates: ['deferred', 'deferred', 'deferred'],
    charged: 1,
    next: retry(20 * MINUTE),
  },
];

for (const row of table) {
  test(row.name, () => {
    const before = delivery(row.outcomes.map((_, i) => `r${i}@example.net`));
    const decision = decide(before, transaction(row.outcomes), policy, NOW);
    assert.deepEqual(states(decision), row.states);
    assert.deepEqual(fates(decision), row.fates);
    assert.equal(decision.settlement.attempts, row.charged);
    assert.deepEqual(decision.settlement.next, row.next);
    assert.equal(decision.settlement.at, NOW);
    assert.equal(decision.settlement.log.length, 1);
    assert.equal(decision.delayNotice, false);
    assert.deepEqual(decision.settlement.reports, []);
  });
}

test('what became of a recipient is kept with the remote words, its code in front, and the server', () => {
  const decision = decide(delivery(['a@example.net', 'b@example.net', 'c@example.net']), transaction([ok, later, never]), policy, NOW);
  assert.deepEqual(
    decision.settlement.recipients.map((recipient) => recipient.last),
    [
      { at: NOW, status: '2.0.0', text: '2.0.0 Ok: queued as 1A', server: LABEL },
      { at: NOW, status: '4.2.0', text: '450 4.2.0 Come back later', server: LABEL },
      { at: NOW, status: '5.1.1', text: '550 5.1.1 No such user', server: LABEL },
    ],
  );
});

test('the attempt tells its time, server, TLS, furthest stage, counts and first trouble', () => {
  const atData: RecipientOutcome = { kind: 'deferred', trouble: trouble('temporary', { stage: 'data' }) };
  const decision = decide(
    delivery(['a@x.example', 'b@x.example', 'c@x.example']),
    transaction([never, atData, atData], { tls: 'TLSv1.3 X' }),
    policy,
    NOW,
  );
  const attempt: Attempt = {
    at: T0 + 1000,
    durationMs: 250,
    server: LABEL,
    tls: 'TLSv1.3 X',
    stage: 'data',
    delivered: 0,
    deferred: 2,
    failed: 1,
    trouble: trouble('permanent'),
  };
  assert.deepEqual(decision.settlement.log, [attempt]);
  assert.equal(decide(delivery(['a@x.example', 'b@x.example']), transaction([never, ok]), policy, NOW).settlement.log[0]?.stage, 'content');
});

test('an attempt counts as deferred who must wait, not who goes at once', () => {
  const counts = (...mix: RecipientOutcome[]) => {
    const {
      delivered,
      deferred,
      failed,
      trouble: first,
    } = decide(delivery(mix.map((_, i) => `r${i}@x.example`)), transaction(mix), policy, NOW).settlement.log[0]!;
    return [delivered, deferred, failed, first?.reason];
  };
  assert.deepEqual(counts(again, again), [0, 2, 0, 'crowded']);
  assert.deepEqual(counts(later, again), [0, 2, 0, undefined]);
  assert.deepEqual(counts(ok, again, again), [1, 0, 0, undefined]);
});

test('recipients with an end stay as they are, and outcomes go to the queued ones in order', () => {
  const before = delivery(
    [queued('a@x.example', { state: 'delivered' }), 'b@x.example', queued('c@x.example', { state: 'removed' }), 'd@x.example'],
    { attempts: 3 },
  );
  const decision = decide(before, transaction([never, ok]), policy, NOW);
  assert.deepEqual(states(decision), ['delivered', 'bounced', 'removed', 'delivered']);
  assert.equal(decision.settlement.recipients[0], before.recipients[0]);
  assert.equal(decision.settlement.attempts, 4);
  assert.deepEqual(decision.settlement.next, { kind: 'done' });
});

test('too few or too many outcomes are a broken invariant, not a guess', () => {
  assert.throws(() => decide(delivery(['a@x.example', 'b@x.example']), transaction([ok]), policy, NOW), RangeError);
  assert.throws(() => decide(delivery(['a@x.example']), transaction([ok, ok]), policy, NOW), RangeError);
});

test('delays grow with the attempts charged so far, and jitter goes by the key of the delivery', () => {
  const decision = decide(delivery(undefined, { attempts: 3 }), transaction([later]), DEFAULT_RETRY_POLICY, NOW);
  assert.deepEqual(decision.settlement.next, retry(nextDelay(DEFAULT_RETRY_POLICY, 4, `${ID}.0`)));
});

test('from expiry on a deferral is an end, one moment earlier it is not', () => {
  const before = delivery(['a@x.example', 'b@x.example', 'c@x.example']);
  const { expiresAt } = before.message;
  const at = (now: number) => decide(before, transaction([later, again, later]), policy, now);
  assert.deepEqual(states(at(expiresAt)), ['expired', 'expired', 'expired']);
  assert.deepEqual(at(expiresAt).settlement.next, { kind: 'done' });
  assert.equal(at(expiresAt).settlement.recipients[0]?.last?.text, '450 4.2.0 Come back later', 'it expires with its reason');
  assert.deepEqual(states(at(expiresAt - 1)), ['queued', 'queued', 'queued']);
  assert.deepEqual(at(expiresAt - 1).settlement.next, { kind: 'retry', due: expiresAt });
});

test('at expiry those who should go at once still go, if somebody got through', () => {
  const before = delivery(['a@x.example', 'b@x.example', 'c@x.example']);
  const decision = decide(before, transaction([ok, later, again]), policy, before.message.expiresAt);
  assert.deepEqual(states(decision), ['delivered', 'expired', 'queued']);
  assert.deepEqual(decision.settlement.next, { kind: 'ready' });
});

test('with maxAttempts the last deferral is an end, for transactions and for trouble of the lane', () => {
  const three = { ...policy, maxAttempts: 3 };
  for (const happening of [transaction([later]), { kind: 'laneTrouble', trouble: trouble('temporary') } as const]) {
    assert.deepEqual(states(decide(delivery(undefined, { attempts: 1 }), happening, three, NOW)), ['queued']);
    assert.deepEqual(states(decide(delivery(undefined, { attempts: 2 }), happening, three, NOW)), ['expired']);
  }
});

test('with maxAttempts, who is deferred while the rest goes at once has not had the last attempt yet', () => {
  const one = { ...policy, maxAttempts: 1 };
  assert.deepEqual(states(decide(delivery(['a@x.example', 'b@x.example', 'c@x.example']), transaction([ok, later, again]), one, NOW)), [
    'delivered',
    'queued',
    'queued',
  ]);
});

test('permanent trouble of the lane fails everybody who is queued', () => {
  const nullMx = trouble('permanent', { stage: 'resolve', status: '5.1.10', text: 'the domain takes no mail', reason: 'nullMx' });
  const { code: _, server: __, ...bare } = nullMx;
  const decision = decide(
    delivery([queued('a@x.example', { state: 'delivered' }), 'b@x.example', 'c@x.example']),
    { kind: 'laneTrouble', trouble: bare },
    policy,
    NOW,
  );
  assert.deepEqual(states(decision), ['delivered', 'bounced', 'bounced']);
  assert.deepEqual(fates(decision), ['bounced', 'bounced']);
  assert.deepEqual(decision.settlement.recipients[1]?.last, { at: NOW, status: '5.1.10', text: 'the domain takes no mail' });
  assert.deepEqual(decision.settlement.next, { kind: 'done' });
  assert.deepEqual(decision.settlement.log, [
    { at: NOW, durationMs: 0, stage: 'resolve', delivered: 0, deferred: 0, failed: 2, trouble: bare },
  ]);
});

test('temporary trouble of the lane is charged an attempt and retried by policy', () => {
  const dns = { lasting: 'temporary', stage: 'resolve', status: '4.4.3', text: 'SERVFAIL', reason: 'dns' } as const;
  const decision = decide(delivery(['a@x.example', 'b@x.example'], { attempts: 1 }), { kind: 'laneTrouble', trouble: dns }, policy, NOW);
  assert.deepEqual(fates(decision), ['deferred', 'deferred']);
  assert.equal(decision.settlement.attempts, 2);
  assert.deepEqual(decision.settlement.next, retry(10 * MINUTE));
  assert.deepEqual(decision.settlement.log[0]?.deferred, 2);
});

test('a delay notice is due once, from its time on, while somebody waits', () => {
  const at = (now: number, changes = {}, outcomes: readonly RecipientOutcome[] = [later]) =>
    decide(
      delivery(
        outcomes.map((_, i) => `r${i}@x.example`),
        changes,
      ),
      transaction(outcomes),
      policy,
      now,
    );
  assert.equal(at(T0 + 4 * HOUR - 1).delayNotice, false);
  assert.equal(at(T0 + 4 * HOUR - 1).settlement.delayNoticed, false);
  assert.equal(at(T0 + 4 * HOUR).delayNotice, true);
  assert.equal(at(T0 + 4 * HOUR).settlement.delayNoticed, true);
  assert.equal(at(T0 + 4 * HOUR, { delayNoticed: true }).delayNotice, false);
  assert.equal(at(T0 + 4 * HOUR, { delayNoticed: true }).settlement.delayNoticed, true);
  assert.equal(at(T0 + 4 * HOUR, {}, [ok]).delayNotice, false);
  assert.equal(at(T0 + 4 * HOUR, {}, [ok, again]).delayNotice, false, 'the rest goes at once');
  assert.equal(at(T0 + 5 * DAY).delayNotice, false, 'it has expired: that is told instead');
  assert.equal(
    at(T0 + 9 * HOUR, { message: message({ notBefore: T0 + 6 * HOUR }) }).delayNotice,
    false,
    'waiting for its time is no delay',
  );
  assert.equal(at(T0 + 10 * HOUR, { message: message({ notBefore: T0 + 6 * HOUR }) }).delayNotice, true);
  assert.equal(decide(delivery(), transaction([later]), { ...policy, delayNoticeMs: 0 }, T0 + 4 * DAY).delayNotice, false);
});

test('what waits untried expires, or is owed a notice, and is charged nothing', () => {
  const untried = delivery([queued('a@x.example', { state: 'delivered' }), 'b@x.example'], { attempts: 2 });
  const site = trouble('temporary', { stage: 'connect', status: '4.4.1', text: 'connection refused' });
  assert.equal(decideWaiting(untried, policy, T0 + HOUR, site), undefined);

  const noticed = decideWaiting(untried, policy, T0 + 4 * HOUR, site)!;
  assert.equal(noticed.delayNotice, true);
  assert.deepEqual(noticed.settlement.next, { kind: 'ready' });
  assert.deepEqual(states(noticed), ['delivered', 'queued']);
  assert.equal(noticed.settlement.recipients[1]?.last?.text, '450 connection refused', 'the reason of the wait is known from now on');
  assert.deepEqual([noticed.settlement.attempts, noticed.settlement.log, noticed.fates], [2, [], []]);
  assert.equal(decideWaiting({ ...untried, delayNoticed: true }, policy, T0 + 4 * HOUR, site), undefined);

  const expired = decideWaiting(untried, policy, untried.message.expiresAt, site)!;
  assert.deepEqual(states(expired), ['delivered', 'expired']);
  assert.deepEqual(fates(expired), ['expired']);
  assert.deepEqual([expired.delayNotice, expired.settlement.attempts, expired.settlement.next], [false, 2, { kind: 'done' }]);
  assert.equal(decideWaiting(untried, policy, untried.message.expiresAt)!.settlement.recipients[1]?.last?.status, '4.4.7');
});

test('a recipient that was tried itself expires with its own reason, not with that of the site', () => {
  const last = { at: T0, status: '4.2.2', text: '452 4.2.2 Mailbox full' };
  const tried = delivery([queued('a@x.example', { last })]);
  const expired = decideWaiting(tried, policy, tried.message.expiresAt, trouble('temporary', { text: 'refused' }))!;
  assert.deepEqual(expired.settlement.recipients[0]?.last, last);
});

test('a sweep asks for what is expired or owed a notice, and leaves the last try its head start', () => {
  const about = { acceptedAt: T0, expiresAt: T0 + 5 * DAY, delayNoticed: false };
  const wants = (now: number, changes = {}) => wantsSweep({ ...about, ...changes }, policy, now);
  assert.equal(wants(T0 + 4 * HOUR - 1), false);
  assert.equal(wants(T0 + 4 * HOUR), true);
  assert.equal(wants(T0 + 4 * HOUR, { delayNoticed: true }), false);
  assert.equal(wants(T0 + 5 * DAY), false, 'at that moment it is tried for the last time');
  assert.equal(wants(T0 + 5 * DAY + MINUTE - 1), false);
  assert.equal(wants(T0 + 5 * DAY + MINUTE, { delayNoticed: true }), true);
  assert.equal(wants(T0 + 1010, { expiresAt: T0 + 1000 }), true, 'a short life has a short grace');
  assert.equal(wantsSweep(about, { ...policy, delayNoticeMs: 0 }, T0 + 4 * DAY), false);
});

test('the first attempt and the newest are kept, and no more than that', () => {
  let now = delivery(undefined, { message: message({ expiresAt: T0 + 5000 * DAY }) });
  for (let i = 1; i <= 60; i++) {
    const { settlement } = decide(now, transaction([later], { startedAt: T0 + i }), policy, NOW);
    now = { ...now, attempts: settlement.attempts, log: settlement.log };
  }
  assert.equal(now.attempts, 60);
  assert.deepEqual(
    now.log.map((attempt) => attempt.at - T0),
    [1, ...Array.from({ length: MAX_ATTEMPTS_KEPT - 1 }, (_, i) => 60 - (MAX_ATTEMPTS_KEPT - 2) + i)],
  );
});

test('what was said is kept with the attempt, whether there was a transaction or not', () => {
  const tried = decide(delivery(), { ...transaction([later]), transcript: '0 C: MAIL' }, policy, NOW);
  const never = decide(delivery(), { kind: 'laneTrouble', trouble: trouble('temporary'), transcript: '0 connecting' }, policy, NOW);
  const silent = decide(delivery(), transaction([later]), policy, NOW);
  assert.deepEqual(
    [tried, never, silent].map(({ settlement }) => settlement.log[0]!.transcript),
    ['0 C: MAIL', '0 connecting', undefined],
  );
});

test('of many transcripts the first and the newest are kept, within a bound', () => {
  let now = delivery();
  for (let i = 1; i <= 40; i++) {
    const { settlement } = decide(now, { ...transaction([later]), transcript: `${i} ${'é'.repeat(500)}` }, policy, T0 + i);
    now = { ...now, log: settlement.log, attempts: settlement.attempts };
    const kept = now.log.map(({ transcript }) => (transcript === undefined ? 0 : Number.parseInt(transcript, 10)));
    assert.ok(Buffer.byteLength(now.log.map(({ transcript = '' }) => transcript).join('')) <= MAX_TRANSCRIPTS_KEPT);
    assert.deepEqual([kept[0], kept.at(-1)], [1, i]);
    const newest = kept.slice(1).filter((number) => number > 0);
    assert.deepEqual(
      newest,
      Array.from({ length: Math.min(i - 1, 7) }, (_, n) => i - Math.min(i - 1, 7) + n + 1),
    );
  }
});

test('endless words of a remote are stored cut, and without control characters', () => {
  const loud: RecipientOutcome = { kind: 'deferred', trouble: trouble('temporary', { text: `a\r\nb\u0000\u202e${'é'.repeat(4000)}` }) };
  const { settlement } = decide(delivery(), transaction([loud]), policy, NOW);
  const { text } = settlement.recipients[0]!.last!;
  assert.ok(Buffer.byteLength(text) <= 1024 && text.startsWith('450 a b ééé') && text.endsWith('é…'), text.slice(0, 40));
  assert.ok(Buffer.byteLength(settlement.log[0]!.trouble!.text) <= 1024);
});

const outcomes = fc.constantFrom<RecipientOutcome>(ok, later, never, again, laterAfter(30_000), laterAfter(100 * HOUR));

test('every recipient ends in exactly one state, done exactly if nobody is queued, attempts never fall, and it all ends', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.infiniteStream(outcomes),
      fc.constantFrom(0, 1, 4),
      fc.integer({ min: 1, max: 5 * DAY }),
      (size, stream, maxAttempts, life) => {
        const limits = { ...DEFAULT_RETRY_POLICY, maxAttempts };
        let now = T0;
        let current = delivery(
          Array.from({ length: size }, (_, i) => `r${i}@x.example`),
          { message: message({ expiresAt: T0 + life }) },
        );
        let atOnce = 0;
        for (let round = 0; ; round++) {
          assert.ok(round < 200_000, 'it goes on for ever');
          const before = current.recipients.filter((recipient) => recipient.state === 'queued').length;
          const result: TransactionResult = transaction(
            Array.from({ length: before }, () => stream.next().value!),
            { startedAt: now, endedAt: now, server: SERVER },
          );
          const { settlement, fates: all } = decide(current, result, limits, now);
          assert.equal(all.length, before);
          assert.ok(settlement.attempts >= current.attempts && settlement.attempts <= current.attempts + 1);
          assert.ok(settlement.log.length <= MAX_ATTEMPTS_KEPT);
          const left = settlement.recipients.filter((recipient) => recipient.state === 'queued').length;
          settlement.recipients.forEach((recipient, i) => {
            if (current.recipients[i]!.state !== 'queued') assert.equal(recipient, current.recipients[i]);
          });
          assert.equal(settlement.next.kind === 'done', left === 0);
          if (settlement.next.kind === 'done') break;
          if (settlement.next.kind === 'ready') {
            assert.ok(left < before, 'it goes on at once without having got anywhere');
            assert.ok(++atOnce <= size);
          } else {
            assert.ok(settlement.next.due > now && settlement.next.due <= T0 + life);
            assert.equal(settlement.attempts, current.attempts + 1);
            now = settlement.next.due;
          }
          current = { ...current, recipients: settlement.recipients, attempts: settlement.attempts, log: settlement.log };
        }
        assert.ok(now <= T0 + life);
        if (maxAttempts > 0) assert.ok(current.attempts < maxAttempts);
      },
    ),
    { numRuns: 200 },
  );
});

test('the same attempt always leads to the same decision', () => {
  fc.assert(
    fc.property(fc.array(outcomes, { minLength: 1, maxLength: 8 }), fc.integer({ min: 0, max: 6 * DAY }), (mix, after) => {
      const before = delivery(mix.map((_, i) => `r${i}@x.example`));
      const once = decide(before, transaction(mix), DEFAULT_RETRY_POLICY, T0 + after);
      assert.deepEqual(decide(before, transaction(mix), DEFAULT_RETRY_POLICY, T0 + after), once);
    }),
  );
});
