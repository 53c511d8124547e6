import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, tableCrc32 } from '../../src/core/checksum.js';
import fc from '../support/properties.js';

test('the checksum is the CRC-32 that everybody means', () => {
  for (const crc of [crc32, tableCrc32]) {
    assert.equal(crc(Buffer.from('123456789')), 0xcbf43926);
    assert.equal(crc(Buffer.alloc(0)), 0);
    assert.equal(crc(Buffer.alloc(32, 0xff)), 0xff6cab0b);
  }
});

test('both makes agree, and pieces add up to the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
      const whole = crc32(bytes);
      assert.equal(tableCrc32(bytes), whole);
      for (const crc of [crc32, tableCrc32]) assert.equal(crc(bytes.subarray(cut), crc(bytes.subarray(0, cut))), whole);
    }),
    { numRuns: 300 },
  );
});
