import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ending, Stuffing, stuff } from '../../src/delivery/stuffing.js';
import fc from '../support/properties.js';

/** By the letter of RFC 5321 §4.5.2, a line at a time. */
function reference(text: string): string {
  return text
    .split('\r\n')
    .map((line) => (line.startsWith('.') ? `.${line}` : line))
    .join('\r\n');
}

const texts = fc.array(fc.constantFrom('\r\n', '\r', '\n', '.', '..', 'x', '\r\n.'), { maxLength: 30 }).map((parts) => parts.join(''));

it('every line that begins with a dot gets another, as the letter of the RFC has it', () => {
  fc.assert(
    fc.property(texts, (text) => {
      assert.equal(stuff(Buffer.from(text)).toString(), reference(text));
    }),
  );
});

it('it makes no difference where the content is cut', () => {
  fc.assert(
    fc.property(texts, fc.array(fc.nat(40), { maxLength: 6 }), (text, cuts) => {
      const content = Buffer.from(text);
      const at = [0, ...cuts.map((cut) => Math.min(cut, content.length)).sort((a, b) => a - b), content.length];
      const stuffing = new Stuffing(true);
      const pieces = at.slice(1).map((end, index) => stuffing.push(content.subarray(at[index], end)));
      assert.equal(Buffer.concat(pieces).toString(), reference(text));
      assert.equal(stuffing.ending(), ending(content));
    }),
    { numRuns: 500 },
  );
});

it('content ends with a dot on a line of its own, whatever it ended with', () => {
  for (const [text, end] of [
    ['', '.\r\n'],
    ['x\r\n', '.\r\n'],
    ['\r\n', '.\r\n'],
    ['x', '\r\n.\r\n'],
    ['x\n', '\r\n.\r\n'],
    ['x\r', '\r\n.\r\n'],
    ['\n', '\r\n.\r\n'],
  ] as const) {
    assert.equal(ending(Buffer.from(text)), end, JSON.stringify(text));
  }
});

it('content without dots is not copied', () => {
  const content = Buffer.from('a.b\r\nc\r\n');
  assert.equal(stuff(content), content);
  assert.equal(new Stuffing(false).push(content), content);
});
