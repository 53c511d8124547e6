import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageSummary, QueueEntry } from '../../src/control/types.js';
import { summariesOf } from '../../src/page/summaries.js';
import { few, laneName, messageStanding, recipientStanding, relative, size, span, summaryStanding } from '../../src/page/words.js';
import { fakeDelivery, fakeMessage } from '../control/fake-agent.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test('a span is told in its largest unit, or in two', () => {
  const spans: [number, string, string][] = [
    [-5, '0 s', '0 s'],
    [999, '0 s', '0 s'],
    [59_999, '59 s', '59 s'],
    [MINUTE, '1 min', '1 min'],
    [HOUR - 1, '59 min', '59 min 59 s'],
    [36 * HOUR, '1 d', '1 d 12 h'],
    [12 * DAY, '12 d', '12 d'],
  ];
  for (const [ms, short, exact] of spans) assert.deepEqual([span(ms), span(ms, true)], [short, exact], String(ms));
});

test('what is past is never said to be longer ago than it is; what is to come is rounded', () => {
  const now = 1_000 * DAY;
  assert.equal(relative(now + 999, now), 'now');
  assert.equal(relative(now - 119_000, now), '1 min ago');
  assert.equal(relative(now + 5 * MINUTE - 200, now), 'in 5 min');
  assert.equal(relative(now + 5 * DAY - 1_000, now), 'in 5 d');
  assert.equal(relative(now + HOUR - 1_000, now), 'in 1 h', 'not in 60 min');
  assert.equal(relative(now + 4 * HOUR + 20 * MINUTE, now), 'in 4 h');
});

test('sizes, lanes and crowds have short names', () => {
  assert.deepEqual([0, 1023, 1024, 1_300, 38_912, 1_048_000, 8 * 2 ** 20].map(size), [
    '0 B',
    '1023 B',
    '1.0 KB',
    '1.3 KB',
    '38 KB',
    '1023 KB',
    '8.0 MB',
  ]);
  assert.equal(laneName('mx:example.com'), 'example.com');
  assert.equal(laneName('mx:[IPv6:2001:db8::1]'), '[IPv6:2001:db8::1]');
  assert.equal(laneName('host:smtp.example.net:587:abcdef'), 'smtp.example.net:587');
  assert.equal(laneName('mx.example.net:25'), 'mx.example.net:25');
  assert.deepEqual(
    [few('a@x.test', 0), few('a@x.test', 1), few('a@x.test', 1_200)],
    ['a@x.test', 'a@x.test and 1 other', 'a@x.test and 1,200 others'],
  );
});

test('a message stands as the worst placed of its deliveries does, and a recipient by its own end', () => {
  const message = fakeMessage();
  const delivery = (more: Partial<QueueEntry['delivery']>) => fakeDelivery(message, 0, ['a@x.test'], more);
  const ended = (state: 'delivered' | 'bounced' | 'removed') =>
    fakeDelivery(message, 1, [{ address: 'b@x.test', state }], { state: 'done' });
  const word = (...all: QueueEntry['delivery'][]) => messageStanding(all).word;
  assert.equal(word(delivery({})), 'Queued');
  assert.equal(word(delivery({ state: 'waiting' })), 'Scheduled');
  assert.equal(word(delivery({ state: 'waiting', attempts: 1 })), 'Retrying');
  assert.equal(word(delivery({ state: 'held' }), ended('delivered')), 'Held');
  assert.equal(word(delivery({ state: 'sending', attempts: 3 }), ended('bounced')), 'Sending');
  assert.equal(word(ended('delivered'), ended('bounced')), 'Failed');
  assert.equal(word(ended('delivered'), ended('removed')), 'Removed');
  assert.equal(word(ended('delivered')), 'Sent');
  assert.equal(recipientStanding('expired', ended('bounced')).word, 'Expired');
  assert.equal(recipientStanding('queued', delivery({ state: 'held' })).word, 'Held');
});

test('deliveries of a lane become a line for each message, which stands as it would in the list', () => {
  const [one, other] = [fakeMessage(), fakeMessage()];
  const trouble = { at: 7, status: '4.2.0', text: 'later' };
  const entries: QueueEntry[] = [
    {
      message: one,
      delivery: fakeDelivery(one, 0, ['a@x.test', { address: 'b@x.test', state: 'queued', last: trouble }], { state: 'waiting', due: 50 }),
    },
    { message: one, delivery: fakeDelivery(one, 1, [{ address: 'c@x.test', state: 'delivered' }], { state: 'held' }) },
    { message: other, delivery: fakeDelivery(other, 0, ['d@x.test'], { state: 'ready', due: 40 }) },
  ];
  const [first, second, ...rest] = summariesOf(entries) as [MessageSummary, MessageSummary];
  assert.deepEqual(rest, []);
  assert.deepEqual(first.recipients, { queued: 2, delivered: 1, failed: 0 });
  assert.deepEqual(first.deliveries, { ready: 0, waiting: 1, held: 1, sending: 0, done: 0 });
  assert.deepEqual([first.due, first.trouble], [50, { ...trouble, recipient: 'b@x.test' }]);
  assert.deepEqual([summaryStanding(first).word, summaryStanding(second).word], ['Held', 'Queued']);
});
