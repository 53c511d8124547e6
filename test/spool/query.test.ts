import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attempt, Recipient } from '../../src/core/delivery.js';
import type { Message } from '../../src/core/message.js';
import { matches } from '../../src/spool/query.js';
import type { DeliveryView } from '../../src/spool/spool.js';

const ATTEMPT: Attempt = { at: 0, durationMs: 0, stage: 'rcpt', delivered: 0, deferred: 1, failed: 0 };

function finds(error: string, recipients: readonly Recipient[], ...troubles: readonly string[]): boolean {
  const log = troubles.map(
    (text): Attempt => ({ ...ATTEMPT, trouble: { lasting: 'temporary', stage: 'rcpt', status: '4.0.0', text, code: 451 } }),
  );
  return matches({ error }, {} as Message, { recipients, log: [...log, ATTEMPT] } as unknown as DeliveryView);
}

test('mail is found by the words that stand with its recipients, code and all, and by those of its newest trouble', () => {
  const waits: Recipient = { address: 'a@x.test', state: 'queued', last: { at: 0, status: '4.0.0', text: '451 4.0.0 Greylisted' } };
  const ended: Recipient = { address: 'b@x.test', state: 'bounced', last: { at: 0, status: '5.1.1', text: '550 5.1.1 Unknown' } };
  const fresh: Recipient = { address: 'c@x.test', state: 'queued' };
  assert.ok(finds('451 4.0.0 GREY', [fresh, waits], '4.0.0 Greylisted'));
  assert.ok(finds('no route', [fresh], 'older', 'no route to host'));
  assert.ok(!finds('older', [fresh], 'older', 'no route to host'));
  assert.ok(!finds('unknown', [ended, fresh]));
  assert.ok(!finds('451', [fresh]));
  // With no words at all: whatever had trouble.
  assert.ok(finds('', [waits]));
  assert.ok(finds('', [fresh], 'no route to host'));
  assert.ok(!finds('', [ended, fresh]));
});
