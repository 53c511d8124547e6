import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookInto, type PartView, readContent, readPage, readPart } from '../../src/control/content.js';
import { collect, from } from './served.js';

function raw(text: string, chunk = 7) {
  const bytes = Buffer.from(text.replace(/\n/g, '\r\n'));
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunk) chunks.push(bytes.subarray(at, at + chunk));
  return { sizeBytes: bytes.length, chunks: from(...chunks) };
}

/** `type size` of every part, indented by depth. */
function outline(part: PartView, depth = 0): string[] {
  const size = part.sizeBytes === undefined ? '' : ` ${part.sizeBytes}`;
  return [`${'  '.repeat(depth)}${part.path || '-'} ${part.type}${size}`, ...part.parts.flatMap((each) => outline(each, depth + 1))];
}

const MIXED = `From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>
To: a@example.net,
 b@example.net
Subject: two
  lines
Content-Type: multipart/mixed; boundary="o"

--o
Content-Type: multipart/alternative; boundary="i"

--i
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

gr=C3=BC=C3=9Fe
--i
Content-Type: text/html; charset=utf-8

<p>hello</p>
--i--
--o
Content-Type: application/pdf; name="b.pdf"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="b.pdf"

AAECAwQFBgc=
--o
Content-Type: message/rfc822
Content-Disposition: inline

From: inner@example.com
Content-Type: text/plain

inside
--o--
`;

test('the structure is the tree of parts with what each of them is, once decoded', async () => {
  const { structure, headers, incomplete } = await readContent(raw(MIXED));
  assert.equal(incomplete, undefined);
  assert.ok(structure);
  assert.deepEqual(outline(structure), [
    '- multipart/mixed',
    '  1 multipart/alternative',
    '    1.1 text/plain 7',
    '    1.2 text/html 12',
    '  2 application/pdf 8',
    '  3 message/rfc822',
    '    3.1 text/plain 6',
  ]);
  const pdf = structure.parts[1]!;
  assert.deepEqual([pdf.filename, pdf.disposition, pdf.encoding], ['b.pdf', 'attachment', 'base64']);
  assert.deepEqual(structure.parts[0]!.parts[0]!.charset, 'utf-8');
  assert.deepEqual(headers[0], { name: 'From', value: '=?utf-8?q?J=C3=BCrgen?= <j@example.com>' });
  assert.deepEqual(headers[1], { name: 'To', value: 'a@example.net, b@example.net' });
  assert.equal(headers[2]!.value, 'two lines');
});

test('header fields in UTF-8 are read as that', async () => {
  const { headers } = await readContent(raw('Subject: grüße 日本\n\nx\n'));
  assert.deepEqual(headers, [{ name: 'Subject', value: 'grüße 日本' }]);
});

test('a message without a header, without a body, or of nothing at all is no error', async () => {
  for (const text of ['', '\n', 'Subject: x\n', 'Subject: x\n\n', 'no header at all']) {
    const { incomplete } = await readContent(raw(text));
    assert.equal(incomplete, undefined, JSON.stringify(text));
  }
});

test('broken content is told of, with what could be read', { timeout: 120_000 }, async () => {
  const many = Array.from({ length: 1500 }, () => '--b\nContent-Type: text/plain\n\nx').join('\n');
  const { headers, incomplete } = await readContent(
    raw(`Subject: many\nContent-Type: multipart/mixed; boundary=b\n\n${many}\n--b--\n`, 4096),
  );
  assert.equal(headers[0]?.value, 'many');
  assert.match(incomplete ?? '', /cannot be parsed/);
});

test('a charset that nobody knows and a base64 that is none do not stop it', async () => {
  const { structure } = await readContent(raw('Content-Type: text/plain; charset=x-klingon\nContent-Transfer-Encoding: base64\n\n!!!!\n'));
  assert.equal(structure?.type, 'text/plain');
});

test('an attachment is counted to its end', async () => {
  const line = `${'QUJD'.repeat(19)}\r\n`;
  const chunk = Buffer.from(line.repeat(800));
  const chunks = (async function* () {
    yield Buffer.from('Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n');
    for (let i = 0; i < 100; i++) yield chunk;
  })();
  const { structure } = await readContent({ sizeBytes: 0, chunks });
  assert.equal(structure?.sizeBytes, 100 * 800 * 57);
});

const LETTER = `Subject: letter
Content-Type: multipart/mixed; boundary="o"

--o
Content-Type: text/plain; charset=utf-8
Content-Disposition: attachment; filename="first.txt"

not to be read at once
--o
Content-Type: multipart/related; boundary="r"

--r
Content-Type: multipart/alternative; boundary="i"

--i
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

gr=FC=DFe
--i
Content-Type: text/html; charset=utf-8

<script>alert(1)</script><img src="cid:dot"><img src="cid:evil">
--i--
--r
Content-Type: image/png
Content-ID: <dot>
Content-Disposition: inline
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--r
Content-Type: image/svg+xml
Content-ID: <evil>
Content-Disposition: inline

<svg onload="alert(2)"/>
--r--
--o
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="b.bin"
Content-Transfer-Encoding: base64

AAECAwQFBgc=
--o--
`;

test('to look into a message is to read its first text, decoded, not what came as a file', async () => {
  const { text, html, structure } = await lookInto(raw(LETTER));
  assert.deepEqual(text, { path: '2.1.1', content: 'grüße', cut: false });
  assert.equal(html, '2.1.2');
  assert.equal(structure!.parts.length, 3);
  const none = await lookInto(raw('Subject: x\nContent-Type: image/png\n\nx\n'));
  assert.deepEqual([none.text, none.html], [undefined, undefined]);
});

test('the subject is decoded to be read', async () => {
  const { subject, headers } = await lookInto(raw('Subject: =?iso-8859-1?q?Gr=FC=DFe?= =?utf-8?b?4pyT?=\n\nx\n'));
  assert.deepEqual([subject, headers[0]!.value], ['Grüße✓', '=?iso-8859-1?q?Gr=FC=DFe?= =?utf-8?b?4pyT?=']);
  assert.equal((await lookInto(raw('From: a@b.test\n\nx\n'))).subject, undefined);
});

test('a long text is cut, and that is told', async () => {
  const { text } = await lookInto(raw(`Subject: x\n\n${'long\n'.repeat(60_000)}`, 4096));
  assert.deepEqual([text!.content.length, text!.cut], [256 * 1024, true]);
});

test('the page of a message stands as it came, with its own raster images in their places', async () => {
  const page = await readPage(raw(LETTER));
  assert.equal(page, '<script>alert(1)</script><img src="data:image/png;base64,iVBORw0KGgo="><img src="cid:evil">');
  assert.equal(await readPage(raw('Subject: x\n\nx\n')), undefined);
});

test('nothing in the page of a message leads anywhere, however it is written', async () => {
  const page = (html: string) => readPage(raw(`Content-Type: text/html\n\n${html}`));
  assert.equal(
    await page('<IFRAME src=x></iframe><a\thref=y>y</a><a/href=z><object\ndata=w>'),
    '<mail-IFRAME src=x></mail-iframe><mail-a\thref=y>y</mail-a><mail-a/href=z><mail-object\ndata=w>',
  );
  const harmless = '<abbr>a</abbr><article>b</article><b>< a href=c></b>';
  assert.equal(await page(harmless), harmless);
});

test('a part is read by its path, decoded, in whatever order the parts stand', async () => {
  const read = async (path: string) => {
    const part = await readPart(async () => raw(LETTER), path);
    return part && [part.filename, (await collect(part.chunks)).toString('latin1')];
  };
  assert.deepEqual(await read('1'), ['first.txt', 'not to be read at once']);
  assert.deepEqual(await read('3'), ['b.bin', '\0\x01\x02\x03\x04\x05\x06\x07']);
  assert.deepEqual(await read('2.2'), ['part-2.2', '\x89PNG\r\n\x1a\n']);
  assert.deepEqual(await read('2.1.1'), ['part-2.1.1.txt', Buffer.from('grüße').toString('latin1')]);
  for (const path of ['', '2', '4', '2.9', '1.1', '__proto__']) assert.equal(await read(path), undefined, path);
});

test('a part that is not read to its end leaves nothing behind, and damage on the way is told', async () => {
  const large =
    `Subject: x\nContent-Type: application/x\nContent-Disposition: attachment\n\n${'y'.repeat(900)}\n`.repeat(1) + 'z'.repeat(2_000_000);
  let closed = 0;
  const open = async () => {
    const { sizeBytes, chunks } = raw(large, 65_536);
    return {
      sizeBytes,
      chunks: (async function* () {
        try {
          yield* chunks;
        } finally {
          closed++;
        }
      })(),
    };
  };
  const part = await readPart(open, '');
  for await (const _ of part!.chunks) break;
  assert.equal(closed, 2);
  let opened = 0;
  const damaged = await readPart(async () => {
    if (opened++ === 0) return raw(large, 65_536);
    return {
      sizeBytes: 9,
      chunks: (async function* () {
        yield Buffer.from(large.slice(0, 1_000).replaceAll('\n', '\r\n'));
        throw new Error('damaged');
      })(),
    };
  }, '');
  await assert.rejects(collect(damaged!.chunks), /damaged/);
});
