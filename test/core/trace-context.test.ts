import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTraceContext } from '../../src/core/trace-context.js';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('a trace context is read as the standard says, and what is none is passed over', () => {
  assert.deepEqual(readTraceContext(PARENT, undefined), { traceparent: PARENT });
  assert.deepEqual(readTraceContext(` ${PARENT} `, 'vendor=1,other=2'), { traceparent: PARENT, tracestate: 'vendor=1,other=2' });
  assert.deepEqual(readTraceContext(`cc${PARENT.slice(2)}-what-is-new`, undefined), { traceparent: PARENT }, 'of a later version');
  for (const wrong of [
    undefined,
    '',
    [PARENT],
    PARENT.toUpperCase(),
    PARENT.slice(0, -1),
    `${PARENT}0`,
    `ff${PARENT.slice(2)}`,
    PARENT.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)),
    PARENT.replace('00f067aa0ba902b7', '0'.repeat(16)),
  ])
    assert.equal(readTraceContext(wrong, 'vendor=1'), undefined, String(wrong));
  for (const state of ['', 'x'.repeat(513), 'a=\r\nb', ['a=1']]) assert.deepEqual(readTraceContext(PARENT, state), { traceparent: PARENT });
});
