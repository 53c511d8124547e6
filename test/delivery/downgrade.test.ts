import assert from 'node:assert/strict';
import { isAscii } from 'node:buffer';
import { describe, it } from 'node:test';
import { downgraded, surveyed, Undowngradable } from '../../src/delivery/downgrade.js';
import { type SinkOptions, startSink } from '../../src/dev/sink.js';
import fc from '../support/properties.js';
import { decoded } from './foreign-decoder.js';
import { makeJob, opened, streamed, Work } from './session-rig.js';

const crlf = (text: string, encoding: BufferEncoding = 'utf8') => Buffer.from(text.replace(/\r?\n/g, '\r\n'), encoding);

async function downgrade(content: Buffer, cut = content.length): Promise<Buffer> {
  const blocks = Array.from({ length: Math.ceil(content.length / cut) }, (_, index) => content.subarray(index * cut, (index + 1) * cut));
  const pieces: Buffer[] = [];
  for await (const piece of downgraded(blocks, await surveyed(blocks))) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Foreign eyes see the same; and all of it is 7-bit in lines of a decent length. */
async function assertFaithful(contents: readonly Buffer[], cuts: readonly number[] = [1 << 20]): Promise<Buffer[]> {
  const pairs: [Buffer, Buffer][] = [];
  for (const content of contents) for (const cut of cuts) pairs.push([content, await downgrade(content, cut)]);
  for (const [, after] of pairs) assert.ok(isAscii(after), after.toString('latin1'));
  for (const [index, [before, after]] of decoded(pairs).entries()) assert.deepEqual(after, before, pairs[index]![1].toString('latin1'));
  return pairs.map(([, after]) => after);
}

async function refusal(content: Buffer): Promise<string> {
  try {
    await downgrade(content);
  } catch (error) {
    assert.ok(error instanceof Undowngradable, String(error));
    return `${error.status} ${error.message.slice(error.message.indexOf(': ') + 2)}`;
  }
  assert.fail('it was downgraded');
}

const MIXED = `From: a@b
Subject: x
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer (1)"; charset=x
Content-Transfer-Encoding: 8bit

This is the preamble.
--outer (1)
Content-Type: multipart/alternative;
 boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
X-After: stays

Grüße = schön
trailing blanks  \t
.dot
From the start
--inner-not
é
-- inner
é

--inner  \t
Content-Type: text/html; charset=utf-8

<p>é</p>
--inner--
Epilogue of the inner one.
--outer (1)
Content-Type: application/octet-stream; name=x
content-transfer-encoding: BINARY (as it is)
Content-Disposition: attachment

\x00\x01ÿþ binary é
line two
--outer (1)
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 8bit

Nothing foreign in here.

--outer (1)
Content-Type: text/plain
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
--outer (1)
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

From: c@d
Content-Type: text/plain; charset=iso-8859-1

Ünder the cover
--outer (1)

--outer (1)
Content-Type: multipart/digest; boundary="d\\"q"

--d"q

From: e@f
Subject: in the digest

é in the digest
--d"q--
--outer (1)--
Epilogue.
`;

describe('content made 7-bit', () => {
  it('is the same to foreign eyes, however it is cut', async () => {
    const after = await assertFaithful([crlf(MIXED)], [1 << 20, 1, 7, 64]);
    for (const other of after) assert.deepEqual(other, after[0]);
    const text = after[0]!.toString('latin1');
    assert.match(text, /charset=x\r\nContent-Transfer-Encoding: 7bit\r\n/);
    assert.match(text, /Content-Transfer-Encoding: quoted-printable\r\nX-After: stays\r\n\r\nGr=C3=BC=C3=9Fe =3D sch=C3=B6n\r\n/);
    assert.match(text, /trailing blanks {2}=09\r\n/);
    assert.match(text, /Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n/);
    // What needs nothing is left as it was, label and all.
    assert.match(text, /charset=us-ascii\r\nContent-Transfer-Encoding: 8bit\r\n\r\nNothing/);
  });

  it('of one part gets what it lacks of MIME', async () => {
    const [plain, old, ended] = await assertFaithful([
      crlf('Subject: x\n\nfür dich\n'),
      crlf('Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n\nf\xfcr dich', 'latin1'),
      crlf('Subject: x\nContent-Type: image/png\n\n\x89PNG\n\x1a', 'latin1'),
    ]);
    assert.equal(
      plain!.toString(),
      'Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nf=C3=BCr dich\r\n',
    );
    assert.equal(old!.toString().match(/MIME-Version/g)!.length, 1);
    assert.match(ended!.toString(), /\r\n\r\niVBORw0KGg==$/);
  });

  it('that is 7-bit already stays as it is, to the octet', async () => {
    const contents = [
      MIXED.replace(/[^\x01-\x7f]/g, '?'),
      'no header at all',
      '',
      '\n\nbody',
      'Subject: x\n\n--a\n--a--\n',
      `A: ${'x'.repeat(9000)}\n\n${'y'.repeat(70000)}\nz`,
    ];
    for (const content of contents.map((text) => crlf(text.replaceAll('8bit', '7bit')))) {
      for (const cut of [1 << 20, 3, 4096]) assert.deepEqual(await downgrade(content, cut), content);
    }
  });

  it('has lines of at most 76 characters, from lines of any length', async () => {
    const long = 'é'.repeat(40_000);
    const [text, binary] = await assertFaithful(
      [crlf(`Subject: x\n\n${long}\n${long}`), crlf(`Content-Type: a/b\n\n${long}\n${long}`)],
      [5000],
    );
    for (const line of `${text}\r\n${binary}`.split('\r\n')) assert.ok(line.length <= 76, `${line.length}`);
  });

  it('is the same to foreign eyes whatever octets it is made of', async () => {
    const octets = fc.uint8Array({ maxLength: 300 }).map((bytes) =>
      Buffer.from(bytes)
        .toString('latin1')
        .replace(/[\r\n]+/g, '\r\n'),
    );
    const leaf = fc.tuple(
      fc.constantFrom('text/plain', 'text/html; charset=utf-8', 'application/x', 'image/gif'),
      fc.constantFrom('', 'Content-Transfer-Encoding: 8bit\r\n'),
      octets,
    );
    const bodies = fc.sample(fc.array(leaf, { minLength: 1, maxLength: 5 }), { numRuns: 60, seed: 7 });
    const contents = bodies.map((parts) =>
      Buffer.from(
        `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=bbb\r\n\r\n${parts
          .map(([type, label, body]) => `--bbb\r\nContent-Type: ${type}\r\n${label}\r\n${body}\r\n`)
          .join('')}--bbb--\r\n`,
        'latin1',
      ),
    );
    await assertFaithful(contents, [50]);
  });

  it('is refused where something signed would have to change, and only there', async () => {
    const signed = (inside: string, outside: string) =>
      crlf(`Content-Type: multipart/mixed; boundary=o

--o
Content-Type: multipart/signed; boundary=s; micalg=x
Content-Transfer-Encoding: 8bit

--s
Content-Type: multipart/mixed; boundary=i
Content-Transfer-Encoding: 8bit

--i
Content-Transfer-Encoding: 8bit

${inside}
--i--
--s
Content-Type: application/pkcs7-signature

xxxx
--s--
--o
Content-Type: text/plain

${outside}
--o--
`);
    assert.equal(await refusal(signed('é', 'x')), '5.6.3 signed content must not be altered');
    const after = (await downgrade(signed('x', 'é'))).toString('latin1');
    const part = (text: string) => text.slice(text.indexOf('--o'), text.indexOf('--s--'));
    assert.equal(part(after), part(signed('x', 'é').toString('latin1')));
  });

  it('is refused where octets stand that no encoding can carry', async () => {
    assert.match(await refusal(crlf('Content-Type: text/plain; name=é\n\nx')), /^5\.6\.7 a header/);
    assert.match(await refusal(crlf('Content-Type: multipart/mixed; boundary=b\n\n--b\nX: é\n\nx\n--b--')), /^5\.6\.7 a header/);
    assert.match(await refusal(crlf('Content-Type: message/rfc822\n\nSubject: é\n\nx')), /^5\.6\.7 a header/);
    assert.match(
      await refusal(crlf('Content-Type: multipart/mixed; boundary=b\n\né\n--b\n\nx\n--b--')),
      /^5\.6\.3 .* outside of all parts/,
    );
    assert.match(await refusal(crlf('Content-Type: multipart/mixed\n\né')), /^5\.6\.3 a part of type multipart\/mixed/);
    assert.match(await refusal(crlf('Content-Type: message/partial; id=x\n\né')), /^5\.6\.3 a part of type message\/partial/);
    assert.match(await refusal(crlf('Content-Transfer-Encoding: base64\n\né')), /^5\.6\.3 a part in base64/);
    assert.match(await refusal(crlf('Content-Transfer-Encoding: x-uuencode\n\né')), /^5\.6\.3 a part in x-uuencode/);
  });

  it('is refused beyond the bounds of depth, number and header, quickly', async () => {
    const deep = Array.from({ length: 60 }, (_, level) => `Content-Type: multipart/mixed; boundary=b${level}\n\n--b${level}\n`).join('');
    assert.match(await refusal(crlf(`${deep}\né`)), /^5\.6\.3 .*nested too deep/);
    const many = `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\né\n'.repeat(10_001)}--b--`;
    assert.match(await refusal(crlf(many)), /^5\.6\.3 .*too many parts/);
    assert.match(await refusal(crlf(`${'X: y\n'.repeat(60_000)}\né`)), /^5\.6\.3 .*too long/);
    assert.match(await refusal(crlf(`X: ${'y'.repeat(300_000)}\n\né`)), /^5\.6\.3 .*too long/);
  });
});

describe('a server without 8BITMIME', () => {
  async function send(content: Buffer, stream: boolean, options: SinkOptions = {}) {
    const sink = await startSink({ extensions: ['PIPELINING', 'SIZE'], ...options });
    try {
      const session = await opened(sink.port);
      const body = stream ? streamed([content.subarray(0, 50), content.subarray(50)], content.length) : undefined;
      const work = new Work(makeJob({ bytes: content, ...(body ? { body } : {}) }), makeJob());
      await session.run(work);
      await session.quit();
      assert.deepEqual(sink.violations, []);
      assert.deepEqual(work.outcomes(1), ['delivered']);
      return { outcome: work.results[0]!.outcomes[0]!, messages: sink.messages };
    } finally {
      await sink.close();
    }
  }

  it('is sent the same message in 7 bits, with its true size', async () => {
    const content = crlf(MIXED);
    for (const stream of [false, true]) {
      const { outcome, messages } = await send(content, stream);
      assert.equal(outcome.kind, 'delivered');
      assert.deepEqual(messages[0]!.bytes, await downgrade(content));
      assert.deepEqual(messages[0]!.parameters, [`SIZE=${messages[0]!.bytes.length}`]);
    }
  });

  it('is not sent what must not be altered: that fails, and nobody else suffers', async () => {
    for (const stream of [false, true]) {
      const { outcome, messages } = await send(crlf('Content-Type: multipart/signed; boundary=s\n\n--s\n\né\n--s--'), stream);
      assert.ok(outcome.kind === 'failed');
      assert.equal(outcome.trouble.status, '5.6.3');
      assert.equal(outcome.trouble.reason, 'downgrade');
      assert.equal(messages.length, 1);
    }
  });

  it('whose limit the encoded message exceeds is not asked', async () => {
    const content = crlf(`Subject: x\n\n${'é'.repeat(3000)}\n`);
    const { outcome, messages } = await send(content, false, { maxBytes: content.length + 1000 });
    assert.ok(outcome.kind === 'failed');
    assert.equal(outcome.trouble.reason, 'size');
    assert.equal(messages.length, 1);
  });
});
