import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STAGES } from '../../src/core/outcome.js';
import { isStatus, statusClass, statusMeaning, statusOf, withClass } from '../../src/core/status.js';

test('the status of a reply is its own where it gave one', () => {
  assert.equal(statusOf({ code: 550, enhanced: '5.7.1', text: '5.7.1 no' }, 'rcpt'), '5.7.1');
});

test('a reply without a status gets what its code stands for at that stage', () => {
  const status = (code: number, stage: (typeof STAGES)[number]) => statusOf({ code, text: '' }, stage);
  assert.equal(status(250, 'rcpt'), '2.1.5');
  assert.equal(status(250, 'content'), '2.0.0');
  assert.equal(status(452, 'rcpt'), '4.5.3');
  assert.equal(status(452, 'mail'), '4.3.1');
  assert.equal(status(552, 'rcpt'), '5.2.2');
  assert.equal(status(552, 'content'), '5.3.4');
  assert.equal(status(550, 'rcpt'), '5.2.0', 'an unknown user is not ours to guess');
  assert.equal(status(535, 'auth'), '5.7.8');
  assert.equal(status(499, 'mail'), '4.0.0');
  assert.equal(status(599, 'mail'), '5.0.0');
});

test('every code at every stage has a status of its own class', () => {
  for (let code = 200; code < 600; code++) {
    if (code >= 300 && code < 400) continue;
    for (const stage of STAGES) {
      const status = statusOf({ code, text: '' }, stage);
      assert.equal(statusClass(status), Math.floor(code / 100), `${code} at ${stage}: ${status}`);
      assert.ok(statusMeaning(status).length > 0);
    }
  }
});

test('a status changes its class and keeps the rest', () => {
  assert.equal(withClass('4.4.1', 5), '5.4.1');
  assert.throws(() => withClass('4.4', 5), RangeError);
});

test('what is not a status is told from one', () => {
  assert.ok(isStatus('5.1.10'));
  for (const text of ['', '3.0.0', '5.1', '5.1.1.1', '5.1.1 ', '5.1234.1', '5.1.1\n']) assert.equal(isStatus(text), false, text);
});

test('a status says what it means, an unknown detail what its subject means', () => {
  assert.equal(statusMeaning('5.1.1'), 'no such mailbox');
  assert.equal(statusMeaning('4.7.99'), statusMeaning('5.7.0'));
  assert.equal(statusMeaning('5.99.1'), statusMeaning('5.0.0'));
});
