/** Work by the wall clock: that it is done, that its faults are told, and that nothing of it is left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepHouse } from '../../src/platform/housekeeping.js';
import { silentLog } from '../../src/platform/log.js';
import { never, until } from '../support/scope.js';

const EVERY_SECOND = '* * * * * *';

test('work is done at its time, and again after it failed, and the log tells of that', { timeout: 120_000 }, async () => {
  const told: unknown[] = [];
  let runs = 0;
  const log = { ...silentLog, error: (event: string, fields?: object) => void told.push([event, fields]) };
  const work = async () => {
    if (++runs === 1) throw new Error('not now');
  };
  const house = keepHouse(EVERY_SECOND, 'tidy', work, log, 0);
  await until('the second run', () => runs >= 2);
  await house.stop();
  assert.deepEqual(told, [['housekeeping.failed', { work: 'tidy', error: 'not now' }]]);
});

test('when it was stopped nothing is done any more, in its first minute, while it is scheduled, and later', {
  timeout: 120_000,
}, async () => {
  let runs = 0;
  const work = async () => void runs++;
  await keepHouse(EVERY_SECOND, 'tidy', work, silentLog).stop();
  const begun = keepHouse(EVERY_SECOND, 'tidy', work, silentLog, 0);
  await new Promise((resolve) => setTimeout(resolve, 1));
  await begun.stop();
  const house = keepHouse(EVERY_SECOND, 'tidy', work, silentLog, 0);
  await until('a run', () => runs > 0);
  await house.stop();
  const before = runs;
  await never('a run', () => runs > before, 1500);
});

test('a time that is none is told of, and does not end the process', async () => {
  const told: string[] = [];
  const house = keepHouse('never', 'tidy', async () => {}, { ...silentLog, error: (event: string) => void told.push(event) }, 0);
  await until('the word', () => told.length > 0);
  await house.stop();
  assert.deepEqual(told, ['housekeeping.failed']);
});
