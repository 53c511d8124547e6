import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BareNewlines, bareNewlineAt, Newlines } from '../../src/intake/newlines.js';
import fc from '../support/properties.js';

const reference = (text: string) => text.replace(/\r\n|\r|\n/g, '\r\n');

function normalise(pieces: readonly string[]): string[] {
  const out: string[] = [];
  const newlines = new Newlines((octets) => void out.push(octets.toString('latin1')));
  for (const piece of pieces) newlines.feed(Buffer.from(piece, 'latin1'));
  newlines.end();
  return out;
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
    assert.equal(normalise([text]).join(''), expected, JSON.stringify(text));
    assert.equal(normalise([...text]).join(''), expected, JSON.stringify(text));
    for (let cut = 1; cut < text.length; cut++)
      assert.equal(normalise([text.slice(0, cut), text.slice(cut)]).join(''), expected, JSON.stringify(text));
  }
});

test('no piece is empty, and none ends between the CR and the LF of a line end', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[\r\na]{0,5}$/)), (pieces) => {
      for (const piece of normalise(pieces)) assert.match(piece, /[^\r]$/);
    }),
  );
});

test('clean content is given on as it is, not copied, also where a line end is cut', () => {
  const taken: Buffer[] = [];
  const newlines = new Newlines((octets) => void taken.push(octets));
  const chunks = ['one\r\ntwo\r\n', 'three\r', '\nfour'].map((text) => Buffer.from(text));
  for (const chunk of chunks) newlines.feed(chunk);
  assert.equal(taken[0], chunks[0]);
  assert.equal(taken.map(String).join(''), 'one\r\ntwo\r\nthree\r\nfour');
  for (const [piece, chunk] of [
    [taken[1], chunks[1]],
    [taken[3], chunks[2]],
  ]) {
    assert.equal(piece?.buffer, chunk?.buffer);
  }
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
      const looks = pieces.map((piece) => seen.look(Buffer.from(piece)));
      assert.deepEqual([looks.at(-1) ?? false, seen.found], [bare, bare], JSON.stringify(pieces));
    }
  }
});
