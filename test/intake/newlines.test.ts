import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BareNewlines, bareNewlineAt, Newlines } from '../../src/intake/newlines.js';

const reference = (text: string) => text.replace(/\r\n|\r|\n/g, '\r\n');

function normalise(pieces: readonly string[]): string {
  const newlines = new Newlines();
  const out = pieces.map((piece) => newlines.normalise(Buffer.from(piece, 'latin1')).toString('latin1'));
  return out.join('') + (newlines.end()?.toString('latin1') ?? '');
}

/** Every text of up to `length` characters of `alphabet`. */
function* texts(alphabet: readonly string[], length: number): Generator<string> {
  yield '';
  if (length === 0) return;
  for (const rest of texts(alphabet, length - 1)) {
    if (rest.length === length - 1) for (const character of alphabet) yield rest + character;
    if (rest !== '') yield rest;
  }
}

test('every CR, LF and CRLF becomes one CRLF, whatever the chunks', () => {
  for (const text of new Set(texts(['\r', '\n', 'a'], 6))) {
    const expected = reference(text);
    assert.equal(normalise([text]), expected, JSON.stringify(text));
    assert.equal(normalise([...text]), expected, JSON.stringify(text));
    for (let cut = 1; cut < text.length; cut++)
      assert.equal(normalise([text.slice(0, cut), text.slice(cut)]), expected, JSON.stringify(text));
  }
});

test('no chunk ends between the CR and the LF of a line end', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[\r\na]{0,5}$/)), (pieces) => {
      const newlines = new Newlines();
      for (const piece of pieces) assert.ok(!newlines.normalise(Buffer.from(piece)).toString().endsWith('\r'));
    }),
  );
});

test('clean content is returned as it is, not copied', () => {
  const chunk = Buffer.from('one\r\ntwo\r\n');
  assert.equal(new Newlines().normalise(chunk), chunk);
});

test('the first bare line end is found', () => {
  const at = (text: string) => bareNewlineAt(Buffer.from(text), 0);
  assert.equal(at(''), -1);
  assert.equal(at('a\r\nb\r\n'), -1);
  assert.equal(at('a\r\nb\n'), 4);
  assert.equal(at('a\rb\r\n'), 1);
  assert.equal(at('\n\r\n'), 0);
  assert.equal(at('\r\r\n'), 0);
  assert.equal(at('a\r\n\r'), 3);
});

test('bare line ends are told from clean ones over chunk borders', () => {
  for (const text of new Set(texts(['\r', '\n', 'a'], 5))) {
    // A CR at the very end cannot be judged.
    const bare = /\r(?!\n|$)|(?<!\r)\n/.test(text);
    for (const pieces of [[text], [...text], ['', text, '']]) {
      const seen = new BareNewlines();
      assert.equal(
        pieces.map((piece) => seen.in(Buffer.from(piece))).some((found) => found),
        bare,
        JSON.stringify(pieces),
      );
    }
  }
});
