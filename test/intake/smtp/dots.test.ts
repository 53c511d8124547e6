import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dots } from '../../../src/intake/smtp/dots.js';

interface Found {
  readonly content: string;
  /** What is left behind the end; undefined if there was none. */
  readonly rest: string | undefined;
}

/** RFC 5321 §4.5.2 in the plainest words. */
function reference(text: string): Found {
  const lines = text.split('\r\n');
  const end = lines.slice(0, -1).indexOf('.');
  const content = (end === -1 ? lines : [...lines.slice(0, end), '']).map((line) => line.replace(/^\./, '')).join('\r\n');
  return { content, rest: end === -1 ? undefined : lines.slice(end + 1).join('\r\n') };
}

function read(pieces: readonly string[]): Found {
  let content = '';
  const dots = new Dots((octets) => {
    content += octets.toString('latin1');
  });
  dots.begin();
  for (let i = 0; i < pieces.length; i++) {
    const chunk = Buffer.from(pieces[i]!, 'latin1');
    const end = dots.read(chunk, 0);
    if (end !== -1) return { content, rest: chunk.toString('latin1', end) + pieces.slice(i + 1).join('') };
  }
  return { content, rest: undefined };
}

function* texts(alphabet: string, length: number): Generator<string> {
  if (length === 0) return yield '';
  for (const rest of texts(alphabet, length - 1)) for (const character of alphabet) yield rest + character;
}

/** While the content goes on, its last octets may wait for what follows: a dot and a CR that may be the end. */
function same(found: Found, expected: Found, text: string): void {
  if (expected.rest !== undefined) assert.deepEqual(found, expected, JSON.stringify(text));
  else {
    assert.equal(found.rest, undefined, JSON.stringify(text));
    const waiting = /(?:^|\r\n)\.\r$/.test(text) ? 1 : 0;
    assert.equal(found.content, expected.content.slice(0, expected.content.length - waiting), JSON.stringify(text));
  }
}

test('every text of CR, LF, dot and a letter is read as RFC 5321 says, however it is cut', () => {
  for (let length = 0; length <= 7; length++) {
    for (const text of texts('\r\n.a', length)) {
      const expected = reference(text);
      same(read([text]), expected, text);
      same(read([...text]), expected, text);
      if (length > 6) continue;
      for (let cut = 1; cut < length; cut++) same(read([text.slice(0, cut), text.slice(cut)]), expected, text);
    }
  }
});

test('the end is found behind any line, at every cut', () => {
  for (const line of ['', 'a', '..', '.a', '...', '\r', '\n', '\r\r', 'a\n', '.\n', '.\r']) {
    const text = `${line}\r\n.\r\nQUIT\r\n`;
    const expected = reference(text);
    for (let cut = 0; cut <= text.length; cut++) {
      for (let second = cut; second <= text.length; second++) {
        same(read([text.slice(0, cut), text.slice(cut, second), text.slice(second)]), expected, text);
      }
    }
  }
});

test('a second message begins anew, whatever the first ended with', () => {
  let content = '';
  const dots = new Dots((octets) => {
    content += octets.toString('latin1');
  });
  for (const first of ['.\r\n', 'a\r\n.\r\n', '..\r\n.\r\n']) {
    content = '';
    dots.begin();
    assert.equal(dots.read(Buffer.from(first), 0), first.length);
    dots.begin();
    content = '';
    assert.equal(dots.read(Buffer.from('.\r\n'), 0), 3);
    assert.equal(content, '');
  }
});

test('what comes before the content in a chunk is left alone', () => {
  const taken: string[] = [];
  const dots = new Dots((octets) => void taken.push(octets.toString()));
  dots.begin();
  const chunk = Buffer.from('DATA\r\n..a\r\n..b\r\n.\r\nQUIT\r\n');
  assert.equal(dots.read(chunk, 6), chunk.length - 6);
  assert.deepEqual(taken, ['.a\r\n.b\r\n']);
  assert.equal(chunk.toString('latin1', 0, 6), 'DATA\r\n');
  assert.equal(chunk.toString('latin1', chunk.length - 6), 'QUIT\r\n');
});

test('content without dots is given on without a copy', () => {
  const taken: Buffer[] = [];
  const dots = new Dots((octets) => void taken.push(octets));
  dots.begin();
  const chunk = Buffer.from('a\r\nb\r\n');
  dots.read(chunk, 0);
  assert.equal(taken[0], chunk);
});

test('mebibytes of lines that are a dot each are read in one turn, in time that grows as they do', () => {
  let octets = 0;
  const dots = new Dots((content) => {
    octets += content.length;
  });
  dots.begin();
  const chunk = Buffer.from('..\r\n'.repeat(524_288));
  const started = performance.now();
  dots.read(chunk, 0);
  // Some tens of ms. Where what follows is moved for each dot, as in the scanner this one replaces, it is minutes.
  assert.ok(performance.now() - started < 20_000);
  assert.equal(octets, 3 * 524_288);
});
