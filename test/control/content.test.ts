import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PartView, readContent } from '../../src/control/content.js';
import { from } from './served.js';

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

test('broken content is told of, with what could be read', { timeout: 20_000 }, async () => {
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
