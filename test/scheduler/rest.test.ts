import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Trouble } from '../../src/core/outcome.js';
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS, pauseMs, REFUSED_LOGIN_PAUSE_MS } from '../../src/scheduler/backoff.js';
import { Rest, STALE_MS } from '../../src/scheduler/rest.js';

const refused: Trouble = { lasting: 'temporary', stage: 'connect', status: '4.4.1', text: 'connection refused', reason: 'refused' };

test('pauses double from half a minute to a quarter of an hour, spread by a tenth', () => {
  assert.equal(pauseMs(1, refused, 0.5), FIRST_PAUSE_MS);
  assert.equal(pauseMs(2, refused, 0.5), 2 * FIRST_PAUSE_MS);
  assert.equal(pauseMs(60, refused, 0.5), LONGEST_PAUSE_MS);
  assert.equal(pauseMs(1, refused, 0), FIRST_PAUSE_MS * 0.9);
  assert.ok(pauseMs(1, refused, 0.999) < FIRST_PAUSE_MS * 1.1);
});

test('a refused login is left alone for a quarter of an hour from the first time on', () => {
  assert.equal(pauseMs(1, { ...refused, stage: 'auth', reason: 'auth' }, 0.5), REFUSED_LOGIN_PAUSE_MS);
});

test('a server that names a longer time is given it, within the longest pause', () => {
  assert.equal(pauseMs(1, { ...refused, retryAfterMs: 300_000 }, 0.5), 300_000);
  assert.equal(pauseMs(1, { ...refused, retryAfterMs: 5_000 }, 0.5), FIRST_PAUSE_MS);
  assert.equal(pauseMs(1, { ...refused, retryAfterMs: 10 * 3_600_000 }, 0.5), LONGEST_PAUSE_MS);
});

test('failures count in a row until all is well, also over the end of a pause', () => {
  const rest = new Rest();
  assert.ok(rest.over(1_000));
  rest.begin(1_000, refused, 0.5);
  assert.equal(rest.over(1_000 + FIRST_PAUSE_MS - 1), false);
  assert.equal(rest.over(1_000 + FIRST_PAUSE_MS), true);
  rest.end();
  assert.equal(rest.failures, 1);
  rest.begin(50_000, refused, 0.5);
  assert.equal(rest.failures, 2);
  assert.equal(rest.until, 50_000 + 2 * FIRST_PAUSE_MS);
  rest.clear();
  assert.equal(rest.failures, 0);
  assert.equal(rest.trouble, undefined);
});

test('a wall clock that jumps back by a day does not prolong a pause by a day', () => {
  const rest = new Rest();
  const day = 86_400_000;
  rest.begin(2 * day, refused, 0.5);
  assert.equal(rest.over(day), true);
});

test('trouble is stale when its pause has been over for longer than mail waits, also where the pause was ended early', () => {
  const rest = new Rest();
  assert.ok(rest.stale(0));
  rest.begin(1_000, refused, 0.5);
  assert.equal(rest.stale(rest.until + STALE_MS), false);
  assert.equal(rest.stale(rest.until + STALE_MS + 1), true);
  rest.end();
  assert.equal(rest.stale(1_000 + STALE_MS), false);
  assert.equal(rest.stale(1_000 + STALE_MS + 1), true);
  rest.begin(9_000_000, refused, 0.5);
  rest.clear();
  assert.ok(rest.stale(9_000_001));
});
