import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ComposeOptions } from '../../src/compose/options.js';
import { MtaError } from '../../src/core/errors.js';
import { BREAKS, DISGUISES, FIELDS, OF_ADDRESSES, TAILS } from './attacks.js';
import { message } from './composing.js';
import { type ForeignEntity, noPython, readByPython } from './foreign-reader.js';

test('no line break or control gets through any field: each is refused, and the field named', async (t) => {
  let attempts = 0;
  for (const [field, options] of Object.entries(FIELDS)) {
    for (const control of BREAKS) {
      for (const tail of TAILS) {
        attempts++;
        assert.throws(
          () => message({ body: 'b', ...options(control + tail) }),
          (error) => {
            assert.ok(error instanceof MtaError);
            assert.match(error.issues[0]!.path, /^[a-zA-Z]/);
            const injected = error.issues.some((issue) => issue.code === 'HEADER_INJECTION');
            assert.ok(injected || ['date', 'calendarMethod'].includes(field), `${field}: ${error.message}`);
            assert.doesNotMatch(error.message, /evil/, 'what was tried is not repeated');
            return true;
          },
          `${field} ${JSON.stringify(control)}`,
        );
      }
    }
  }
  t.diagnostic(`${attempts} attempts`);
  assert.ok(attempts > 2000);
});

test('what is disguised says what it says, or is refused: no recipient, header or part that was not asked for', {
  skip: noPython,
}, async (t) => {
  const base = await message({ body: 'b' }).data();
  const composed: { octets: Buffer; name: string; recipients: string[] }[] = [];
  let refused = 0;
  for (const [field, options] of Object.entries(FIELDS)) {
    for (const disguise of DISGUISES) {
      try {
        const whole = message({ body: 'b', ...options(disguise) });
        const recipients = [...whole.recipients(), whole.envelope().from];
        composed.push({ octets: await whole.data(), name: `${field} ${disguise}`, recipients });
      } catch (error) {
        assert.ok(error instanceof MtaError, `${field} ${disguise}: ${error}`);
        refused++;
      }
    }
  }
  t.diagnostic(`${composed.length} composed, ${refused} refused`);
  assert.ok(composed.length > 100 && refused > 100);
  const known = new Set(fieldNames(readByPython([base])[0]!));
  const allowed = new Set([
    ...known,
    'cc',
    'sender',
    'reply-to',
    'in-reply-to',
    'references',
    'list-unsubscribe',
    'list-unsubscribe-post',
    'x-a',
    'resent-to',
  ]);
  readByPython(composed.map(({ octets }) => octets)).forEach((entity, i) => {
    const { name, recipients, octets } = composed[i]!;
    const names = fieldNames(entity);
    for (const one of names) assert.ok(allowed.has(one) || one.startsWith('content-'), `${name} made ${one}`);
    assert.equal(new Set(names).size, names.length, `${name} doubled a field`);
    // Only lists in which a comma and an address were written as such have it: those in the fields of addresses.
    const asked = OF_ADDRESSES.test(name.split(' ')[0]!);
    if (!asked) {
      for (const address of recipients) assert.doesNotMatch(address, /@evil\.example$/, name);
      for (const list of Object.values(entity.mailboxes))
        for (const { address } of list) assert.doesNotMatch(address, /@evil\.example$/, name);
    }
    assert.doesNotMatch(octets.toString('latin1'), /^(?:bcc|rcpt|evil)/im, name);
    assert.ok(count(entity) <= 5, `${name} made a part`);
  });
});

test('of disguises in addresses, only what stands there as an address is one', () => {
  const cases: [ComposeOptions, string[]][] = [
    [{ to: '"x\\" <evil@evil.example>" <a@x.example>' }, ['a@x.example']],
    [{ to: '=?utf-8?q?evil=40evil.example=2C?= <a@x.example>' }, ['a@x.example']],
    [{ to: '(evil@evil.example, (b@evil.example)) a@x.example' }, ['a@x.example']],
    [{ to: '"evil@evil.example, b"@x.example' }, ['"evil@evil.example, b"@x.example']],
    [{ to: { name: '" <evil@evil.example>, "', address: 'a@x.example' } }, ['a@x.example']],
    [{ to: 'G (evil@evil.example;): a@x.example;' }, ['a@x.example']],
  ];
  for (const [options, expected] of cases) assert.deepEqual(message({ body: 'b', ...options }).recipients(), expected);
  for (const to of [
    'G: H: a@x.example;;',
    'a@x.example <evil@evil.example>',
    'a@x.example\u2028,b@x.example',
    '<a@x.example>evil@evil.example',
    'a@x.example@evil.example',
  ])
    assert.throws(() => message({ body: 'b', to }), MtaError);
});

function fieldNames(entity: ForeignEntity): string[] {
  return entity.headers.map(([name]) => name.toLowerCase());
}

function count(entity: ForeignEntity): number {
  return 1 + entity.parts.reduce((sum, part) => sum + count(part), 0);
}
