import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { type Answer, decode, encode } from 'dns-packet';
import { type AskedType, readAnswer } from '../../src/platform/dns-answer.js';
import fc from '../support/properties.js';

const AA = 1 << 10;
const respond = (answers: Answer[], authorities: Answer[] = [], flags = AA) =>
  decode(encode({ type: 'response', id: 1, flags, questions: [{ type: 'A', name: 'a.test' }], answers, authorities }));
const a = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, ttl, data });
const soa = (ttl: number, minimum: number): Answer => ({ type: 'SOA', name: 'test', ttl, data: { mname: 'n', rname: 'r', minimum } });

test('records of other names are not believed', () => {
  assert.deepEqual(
    readAnswer(respond([a('evil.test', '192.0.2.66'), a('A.test', '192.0.2.1'), a('b.a.test', '192.0.2.67')]), 'a.test', 'A'),
    { kind: 'found', records: ['192.0.2.1'], ttlMs: 60_000 },
  );
  assert.equal(readAnswer(respond([a('evil.test', '192.0.2.66')]), 'a.test', 'A').kind, 'noData');
});

test('the shortest time counts, and one with its highest bit set is none', () => {
  const ttl = (...ttls: number[]) =>
    (readAnswer(respond(ttls.map((each, i) => a('a.test', `192.0.2.${i}`, each))), 'a.test', 'A') as { ttlMs: number }).ttlMs;
  assert.equal(ttl(300, 20, 50), 20_000);
  assert.equal(ttl(300, 0x80000000), 0);
});

test('an absence is believed for the lesser of the two times in the SOA', () => {
  assert.deepEqual(readAnswer(respond([], [soa(20, 70)]), 'a.test', 'A'), { kind: 'noData', ttlMs: 20_000 });
  assert.deepEqual(readAnswer(respond([], [soa(70, 30)], AA | 3), 'a.test', 'A'), { kind: 'noName', ttlMs: 30_000 });
  assert.deepEqual(readAnswer(respond([], []), 'a.test', 'A'), { kind: 'noData', ttlMs: 5_000 });
});

test('a referral is not an absence', () => {
  const ns: Answer = { type: 'NS', name: 'test', ttl: 60, data: 'ns.test' };
  assert.equal(readAnswer(respond([], [ns], 0), 'a.test', 'A').kind, 'failed');
  assert.equal(readAnswer(respond([], [ns], AA), 'a.test', 'A').kind, 'noData');
});

test('octets that went wrong on the way give no exception, and nothing that is not an address or a name', () => {
  const whole = encode({
    type: 'response',
    id: 1,
    flags: AA,
    questions: [{ type: 'MX', name: 'a.test' }],
    answers: [
      { type: 'CNAME', name: 'a.test', data: 'b.test' },
      a('b.test', '192.0.2.1'),
      { type: 'MX', name: 'b.test', data: { exchange: 'm.test' } },
      { type: 'AAAA', name: 'b.test', data: '::1' },
    ],
    authorities: [soa(1, 1)],
  });
  let read = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 4, max: whole.length - 1 }), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.constantFrom<AskedType>('A', 'AAAA', 'MX'),
      (changes, type) => {
        const bytes = Buffer.from(whole);
        for (const [at, octet] of changes) bytes[at] = octet;
        let packet: ReturnType<typeof decode>;
        try {
          packet = decode(bytes);
        } catch {
          return;
        }
        const reading = readAnswer(packet, 'a.test', type);
        read++;
        if (reading.kind !== 'found') return;
        for (const record of reading.records) {
          if (typeof record === 'string') assert.ok(net.isIP(record));
          else assert.match(record.exchange, /^[a-z0-9._-]*$/);
        }
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(read > 300, `only ${read} could be read`);
});
