import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32, tableCrc32 } from '../../../src/core/checksum.js';
import {
  crcOf,
  seal,
  sealBody,
  sealMoved,
  sealReady,
  sealTimer,
  unseal,
  unsealBody,
  unsealReady,
  unsealTimer,
} from '../../../src/spool/level/codec.js';
import {
  checksum32,
  deliveryKeyOf,
  escapeLane,
  historyKey,
  LAST_TIME,
  ordinal,
  parse32,
  sequence32,
  sequenceOf,
  splitTimed,
  time32,
  timerKey,
  unescapeLane,
} from '../../../src/spool/level/keys.js';
import fc from '../../support/properties.js';

const id = '01ARZ3NDEKTSV4RRFFQ69G5FAV';

describe('values and keys of the store', () => {
  test('what is sealed comes out as it went in', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: 'binary' }), (key, payload) => {
        assert.equal(unseal(key, seal(key, payload)), payload);
      }),
    );
    fc.assert(
      fc.property(fc.string(), fc.uint8Array(), (key, bytes) => {
        const into = Buffer.alloc(bytes.length + 5);
        assert.deepEqual(unsealBody(key, Buffer.from(sealBody(key, Buffer.from(bytes), into))), Buffer.from(bytes));
      }),
    );
  });

  test('any changed character, any other key, any cut is found', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 40 }), fc.nat(), fc.integer({ min: 1, max: 127 }), (payload, at, by) => {
        const value = seal('d/key', payload);
        const place = at % value.length;
        const changed = value.slice(0, place) + String.fromCharCode(value.charCodeAt(place) ^ by) + value.slice(place + 1);
        const read = unseal('d/key', changed);
        // Digits of the checksum may be written in either case.
        assert.ok(read === undefined || (read === payload && place < 7));
        assert.equal(unseal('d/other', value), undefined);
        assert.equal(unseal('d/key', value.slice(0, -1)), undefined);
      }),
    );
    const body = Buffer.from(sealBody('b/key', Buffer.from('hello'), Buffer.alloc(10)));
    for (let at = 0; at < body.length; at++) {
      body[at]! ^= 4;
      assert.equal(unsealBody('b/key', body), undefined, `octet ${at}`);
      body[at]! ^= 4;
    }
    assert.equal(unsealBody('b/other', body), undefined);
    assert.equal(unsealBody('b/key', body.subarray(0, 3)), undefined);
  });

  test('the checksum of text is that of its UTF-8, and the same everywhere', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (text, seed) => {
        assert.equal(crcOf(text, seed), crc32(Buffer.from(text), seed));
        assert.equal(crcOf(text, seed), tableCrc32(Buffer.from(text), seed));
      }),
    );
  });

  test('index entries say what a sweep must know', () => {
    const entry = { version: 3, expiresAt: 1_764_232_000_000, acceptedAt: 1_763_800_000_000, delayNoticed: true };
    const ready = sealReady('r/x', ordinal(id, 7), entry);
    assert.deepEqual(unsealReady('r/x', ready), { ...entry, ordinal: `${id}/0007` });
    assert.equal(unsealReady('r/y', ready), undefined);
    const timer = sealTimer('t/x', 'mx:a%20;b', 2, { ...entry, delayNoticed: false });
    const read = unsealTimer('t/x', timer)!;
    assert.deepEqual([read.version, read.lane, read.priority], [3, 'mx:a%20;b', 2]);
    assert.equal(unsealTimer('t/y', timer), undefined);
    assert.deepEqual(unsealReady('r/z', sealMoved('r/z', ordinal(id, 7), read)), { ...entry, delayNoticed: false, ordinal: `${id}/0007` });
  });

  test('times and sequences sort as text, and times stay in their bounds', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        assert.equal(sequence32(a) < sequence32(b), a < b);
        assert.equal(parse32(sequence32(a)), a);
        assert.equal(sequenceOf(`r/mx:a/1/${sequence32(a)}`), a);
      }),
    );
    fc.assert(fc.property(fc.nat(LAST_TIME), fc.nat(LAST_TIME), (a, b) => assert.equal(time32(a) < time32(b), a < b)));
    fc.assert(fc.property(fc.nat(0xff_ff_ff_ff), (crc) => assert.equal(parse32(checksum32(crc >>> 0)), crc >>> 0)));
    for (const value of [0, 31, 1023, 2 ** 20 - 1, 2 ** 20, 2 ** 31, 2 ** 40 - 1, 2 ** 40, LAST_TIME]) {
      assert.equal(time32(value), value.toString(32).padStart(9, '0'));
      assert.equal(sequence32(value), value.toString(32).padStart(11, '0'));
    }
    assert.equal(sequence32(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER.toString(32).padStart(11, '0'));
    assert.equal(checksum32(0xff_ff_ff_ff), '3vvvvvv');
    assert.equal(parse32(time32(-5)), 0);
    assert.equal(parse32(time32(1e18)), LAST_TIME);
    assert.equal(time32(1.9), time32(1));
  });

  test('keys split into what they were made of', () => {
    assert.deepEqual(splitTimed(timerKey(1_763_800_000_000, ordinal(id, 40))), { at: 1_763_800_000_000, ordinal: ordinal(id, 40) });
    assert.deepEqual(splitTimed(historyKey(5, ordinal(id, 0))), { at: 5, ordinal: `${id}/0000` });
    assert.equal(deliveryKeyOf(ordinal(id, 1000)), `${id}.1000`);
    fc.assert(fc.property(fc.nat(100_000), fc.nat(100_000), (a, b) => assert.equal(ordinal(id, a) < ordinal(id, b), a < b)));
  });

  test('lanes keep their names, never contain a separator, and never meet', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        assert.equal(unescapeLane(escapeLane(a)), a);
        assert.match(escapeLane(a), /^[^/ ]*$/);
        assert.equal(escapeLane(a) === escapeLane(b), a === b);
      }),
    );
    assert.equal(escapeLane('mx:example.com'), 'mx:example.com');
  });
});
