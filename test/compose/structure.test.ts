import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { collected, compose, composer, issuesOf, message, NOW, refusal } from './composing.js';
import { defects, type ForeignEntity, header, noPython, readByPython, shape } from './foreign-reader.js';

const folder = mkdtempSync(join(tmpdir(), 'riata-compose-'));
const file = (name: string, content: string | Buffer) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
after(() => rmSync(folder, { recursive: true }));

type Composed = { data(): Promise<Buffer>; size(): Promise<number | undefined> };

/** Composed, read by Python, and without a defect. */
async function read(...composed: Composed[]): Promise<ForeignEntity[]> {
  const messages: Buffer[] = [];
  for (const one of composed) {
    const octets = await one.data();
    const text = octets.toString('latin1');
    assert.doesNotMatch(text, /[^\r]\n|\r[^\n]/, 'every line end is CRLF');
    assert.ok(text.endsWith('\r\n'));
    for (const line of text.split('\r\n')) assert.ok(line.length <= 998);
    const size = await one.size();
    if (size !== undefined) assert.equal(size, octets.length);
    messages.push(octets);
  }
  const entities = readByPython(messages);
  for (const entity of entities) assert.deepEqual(defects(entity), []);
  return [...entities];
}

async function readOne(composed: Composed): Promise<ForeignEntity> {
  return (await read(composed))[0]!;
}

const decoded = (entity: ForeignEntity) => Buffer.from(entity.body!, 'base64');

test('a body alone is a single text/plain part, html alone a single text/html part', { skip: noPython }, async () => {
  const [plain, page] = (await read(message({ body: 'hello\nworld' }), message({ html: '<p>hé' }))) as [ForeignEntity, ForeignEntity];
  assert.equal(shape(plain), 'text/plain');
  assert.equal(plain.text, 'hello\r\nworld\r\n');
  assert.equal(plain.charset, 'utf-8');
  assert.equal(header(plain, 'mime-version'), '1.0');
  assert.equal(shape(page), 'text/html');
  assert.match(page.text!, /^<p>hé/);
  for (const one of [plain, page]) assert.equal(one.parameters['boundary'], undefined);
});

test('body and html are alternatives, plain first, in whichever order they were given', { skip: noPython }, async () => {
  const entities = await read(
    message({ html: '<p>h', body: 'b' }),
    message({ html: '<p>h' }).addTextPart({ data: 'b' }),
    message({ body: 'b' }).addHTMLPart({ data: '<p>h' }),
  );
  for (const entity of entities) {
    assert.equal(shape(entity), 'multipart/alternative(text/plain, text/html)');
    assert.deepEqual(
      entity.parts.map((part) => part.text),
      ['b', '<p>h'],
    );
  }
});

test('images make the page a multipart/related with inline parts, and attachments a multipart/mixed around all', {
  skip: noPython,
}, async () => {
  const gif = Buffer.from('GIF89a\0\xff', 'latin1');
  const entity = await readOne(
    message({
      body: 'b',
      html: '<img src="/img/a.gif"><img src="cid:a.gif">',
      htmlImages: [{ name: '/img/a.gif', data: gif }],
      attachments: [{ name: 'one.pdf', data: 'PDF' }],
    }),
  );
  assert.equal(
    shape(entity),
    'multipart/mixed(multipart/alternative(text/plain, multipart/related(text/html, image/gif)), application/pdf)',
  );
  const related = entity.parts[0]!.parts[1]!;
  assert.equal(related.parameters['type'], 'text/html');
  assert.equal(related.parts[0]!.text, '<img src="cid:a.gif"><img src="cid:a.gif">');
  const image = related.parts[1]!;
  assert.deepEqual([image.cid, image.disposition, image.filename], ['<a.gif>', 'inline', 'a.gif']);
  assert.deepEqual(decoded(image), gif);
  assert.deepEqual(
    [entity.parts[1]!.disposition, entity.parts[1]!.filename, entity.parts[1]!.encoding],
    ['attachment', 'one.pdf', 'base64'],
  );
});

test('each other combination has the structure that the contract names', { skip: noPython }, async () => {
  const image = { name: 'i.png', data: 'x' };
  const attachment = { name: 'a.txt', data: 'x' };
  const cases = [
    [message({ html: 'h', htmlImages: [image] }), 'multipart/related(text/html, image/png)'],
    [message({ body: 'b', attachment }), 'multipart/mixed(text/plain, text/plain)'],
    [message({ html: 'h', attachments: [attachment] }), 'multipart/mixed(text/html, text/plain)'],
    [message({ html: 'h', htmlImages: [image], attachment }), 'multipart/mixed(multipart/related(text/html, image/png), text/plain)'],
    [message({ html: 'h', body: 'b', attachment }), 'multipart/mixed(multipart/alternative(text/plain, text/html), text/plain)'],
    [message({ body: 'b', calendar: 'BEGIN:VCALENDAR\nMETHOD:REQUEST\n' }), 'multipart/alternative(text/plain, text/calendar)'],
    [message({ body: 'b', headerType: 'parallel', attachment }), 'multipart/parallel(text/plain, text/plain)'],
    [message({ body: 'b', contentType: 'multipart/signed; micalg=pgp-sha256', attachment }), 'multipart/signed(text/plain, text/plain)'],
    [message({ body: 'b', headerType: 'multipart/related' }), 'multipart/related(text/plain)'],
    [compose({ from: 'a@x.example', to: 'b@x.example' }).addAttachment({ data: 'x', name: 'a.zip' }), 'multipart/mixed(application/zip)'],
    [
      message({ body: 'b' }).addTextPart({ data: 'c' }).addHTMLPart({ data: 'd' }),
      'multipart/mixed(multipart/alternative(text/plain, text/html), text/plain)',
    ],
  ] as const;
  const shapes = (await read(...cases.map(([composed]) => composed))).map(shape);
  assert.deepEqual(
    shapes,
    cases.map(([, expected]) => expected),
  );
});

test('an invitation names its method and stays UTF-8 with CRLF', { skip: noPython }, async () => {
  const entity = await readOne(
    message({
      body: 'b',
      characterSet: 'us-ascii',
      transferEncoding: '7bit',
      calendar: { data: 'BEGIN:VCALENDAR\nSUMMARY:Bücher\nMETHOD:REQUEST\n' },
    }),
  );
  assert.equal(entity.parts[1]!.parameters['method'], 'REQUEST');
  assert.match(entity.parts[1]!.text!, /^BEGIN:VCALENDAR\r\nSUMMARY:Bücher\r\n/);
});

test('simpleForm is a header and an empty line', { skip: noPython }, async () => {
  const composed = message({ simpleForm: true });
  const octets = await composed.data();
  assert.ok(octets.toString().endsWith('\r\n\r\n'));
  assert.doesNotMatch(octets.toString(), /content-type|mime-version/i);
  assert.equal(await composed.size(), octets.length);
  assert.equal((await composed.data({ prefix: false })).length, 0);
  assert.deepEqual(issuesOf(await refusal(() => message({ simpleForm: true, body: 'b' }))), ['body CONFLICT']);
});

test('files, maps, single paths and data of every kind are attached octet for octet', { skip: noPython }, async () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const path = file('all octets.bin', all);
  const cases = [
    message({ body: 'b', attachments: path }),
    message({ body: 'b', attachments: [path] }),
    message({ body: 'b', attachment: { path, name: 'all octets.bin' } }),
    message({ body: 'b', attachments: { 'all octets.bin': all } }),
    message({ body: 'b', attachments: new Map([['all octets.bin', new Uint8Array(all)]]) }),
    message({ body: 'b', attachments: [{ name: 'dir\\all octets.bin', data: Readable.from([all.subarray(0, 100), all.subarray(100)]) }] }),
    message({ body: 'b' }).addAttachment({ path }),
    message({ body: 'b' }).addAttachment({ data: all, name: '/tmp/all octets.bin', type: 'application/octet-stream' }),
  ];
  const octets = await Promise.all(cases.map((composed) => composed.data()));
  for (const entity of readByPython(octets)) {
    assert.deepEqual(defects(entity), []);
    assert.deepEqual(decoded(entity.parts[1]!), all);
    assert.equal(entity.parts[1]!.filename, 'all octets.bin');
    assert.equal(entity.parts[1]!.type, 'application/octet-stream');
  }
});

test('types follow from the extension unless they are given, and text given as a string is UTF-8', { skip: noPython }, async () => {
  const attachments = ['a.html', 'b.PDF', 'c.tar.gz', 'noextension', 'png', 'd.docx', 'e.csv'].map((name) => ({ name, data: 'ä' }));
  const entity = await readOne(
    message({
      body: 'b',
      attachments: [...attachments, { name: 'f.txt', data: Buffer.from('x'), contentType: 'text/x-log; charset=latin1' }],
    }),
  );
  assert.deepEqual(
    entity.parts.slice(1).map((part) => [part.type, part.charset]),
    [
      ['text/html', 'utf-8'],
      ['application/pdf', null],
      ['application/gzip', null],
      ['application/octet-stream', null],
      ['application/octet-stream', null],
      ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', null],
      ['text/csv', 'utf-8'],
      ['text/x-log', 'latin1'],
    ],
  );
  assert.equal(entity.parts[1]!.text, 'ä');
});

test('file names beyond ASCII, with quotes, or long ones arrive as they are', { skip: noPython }, async () => {
  const names = [
    'Füße.txt',
    'a "b" \\c.txt'.replace('\\c', 'c'),
    '文件'.repeat(40) + '.txt',
    'x'.repeat(200) + '.txt',
    "it's 100%; really=.txt",
    '😀.txt',
    ' a .txt',
  ];
  const entity = await readOne(message({ body: 'b', attachments: names.map((name) => ({ name, data: 'x' })) }));
  assert.deepEqual(
    entity.parts.slice(1).map((part) => part.filename),
    // Python takes the blanks off the ends.
    names.map((name) => name.trim()),
  );
  assert.deepEqual(
    entity.parts.slice(1).map((part) => part.parameters['name']),
    names,
  );
});

test('images: any Content-ID that a name cannot be is made up, and the page finds it', { skip: noPython }, async () => {
  const html = '<img src="/i/mein bild.png"><img src="cid:mein bild.png"><img src=\'b.png\'><img src="c.png">';
  const entity = await readOne(
    message({
      html,
      htmlImages: [
        { path: file('mein bild.png', 'A'), name: '/i/mein bild.png' },
        { name: 'b.png', data: 'B', cid: 'logo@example.com' },
        compose({ body: 'a part', contentType: 'image/svg+xml', contentDisposition: 'inline', extraMIMEHeaders: { 'Content-ID': '<c>' } }),
      ],
    }),
  );
  assert.equal(shape(entity), 'multipart/related(text/html, image/png, image/png, image/svg+xml)');
  assert.equal(
    entity.parts[0]!.text,
    '<img src="cid:mein=20bild.png"><img src="cid:mein=20bild.png"><img src=\'cid:logo@example.com\'><img src="c.png">',
  );
  assert.deepEqual(
    entity.parts.slice(1).map((part) => [part.cid, part.filename]),
    [
      ['<mein=20bild.png>', 'mein bild.png'],
      ['<logo@example.com>', 'b.png'],
      ['<c>', null],
    ],
  );
});

test('two images with one file name are refused, in one page and in several', async () => {
  const images = [
    { name: '/a/x.gif', data: '1' },
    { name: '/b/x.gif', data: '2' },
  ];
  assert.deepEqual(issuesOf(await refusal(() => message({ html: 'h', htmlImages: images }))), ['htmlImages[1] DUPLICATE']);
  const one = message({ html: 'h', htmlImages: [images[0]!] });
  assert.deepEqual(issuesOf(await refusal(() => one.addHTMLPart({ data: 'h', images: [images[1]!] }))), ['html.images[0] DUPLICATE']);
  assert.ok(message({ html: 'h', htmlImages: [images[0]!, { ...images[1]!, cid: 'other' }] }));
});

test('a composed part stands in attachments, images and parts as it is; a composed message is enclosed', { skip: noPython }, async () => {
  const part = compose({
    body: 'x,y\n',
    contentType: 'text/csv; header=present',
    contentDisposition: 'attachment; filename="t.csv"',
    transferEncoding: 'base64',
  });
  const inner = message({ subject: 'Inner é', body: 'inner' });
  const entity = await readOne(message({ body: 'b', attachments: [part, inner], parts: [compose({ body: 'p', html: 'q' })] }));
  assert.equal(
    shape(entity),
    'multipart/mixed(text/plain, text/csv, message/rfc822(text/plain), multipart/alternative(text/plain, text/html))',
  );
  assert.deepEqual([entity.parts[1]!.filename, entity.parts[1]!.encoding, entity.parts[1]!.text], ['t.csv', 'base64', 'x,y\r\n']);
  assert.equal(header(entity.parts[2]!.parts[0]!, 'subject'), 'Inner é');
});

test('a part is its content alone, with the fields that a part may have', async () => {
  const part = compose({
    body: 'hé, readable',
    contentDisposition: 'inline',
    extraMIMEHeaders: [['Content-Description', 'a description']],
  });
  assert.equal(
    (await part.data()).toString(),
    'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Disposition: inline\r\n' +
      'Content-Description: a description\r\n\r\nh=C3=A9, readable\r\n',
  );
  assert.equal((await part.data({ prefix: false })).toString(), 'h=C3=A9, readable\r\n');
  assert.deepEqual([part.from(), part.recipients(), part.messageId], ['', [], '']);
  const error = await refusal(() => compose({ body: 'b', cc: 'a@x.example', date: 0 }));
  assert.deepEqual(issuesOf(error), ['cc CONFLICT', 'date CONFLICT']);
});

test('addPart takes MIME as it is, and refuses what is none', { skip: noPython }, async () => {
  const raw = 'Content-Type: text/x-raw\nX-Own: 1\n\nas it is =20\n';
  const entity = await readOne(
    message({ body: 'b' })
      .addPart({ data: raw })
      .addPart({ data: Buffer.from('\r\nno header') }),
  );
  assert.equal(shape(entity), 'multipart/mixed(text/plain, text/x-raw, text/plain)');
  assert.equal(entity.parts[1]!.text, 'as it is =20\r\n');
  for (const data of ['just text', 'Content-Type: text/plain', 'a: b\0\n\nc']) {
    assert.deepEqual(issuesOf(await refusal(() => message({ body: 'b' }).addPart({ data }))), ['part.data INVALID_VALUE']);
  }
});

test('content that holds the boundary that was drawn moves it', { skip: noPython }, async () => {
  const options = { from: 'a@x.example', to: 'b@x.example', subject: 's', body: 'b', html: 'h' };
  const first = (await composer(7).compose(options).data()).toString();
  const boundary = /boundary="([^"]+)"/.exec(first)![1]!;
  const composed = composer(7).compose({ ...options, body: `before\r\n--${boundary}\r\nafter` });
  const entity = await readOne(composed);
  assert.equal(shape(entity), 'multipart/alternative(text/plain, text/html)');
  assert.equal(entity.parts[0]!.text, `before\r\n--${boundary}\r\nafter`);
  assert.notEqual(entity.parameters['boundary'], boundary);
  // The same world draws the same boundaries for both: the enclosed one must not end the outer.
  const nested = composer(7).compose({ ...options, parts: [composer(7).compose(options)] });
  assert.equal(
    shape(await readOne(nested)),
    'multipart/mixed(multipart/alternative(text/plain, text/html), message/rfc822(multipart/alternative(text/plain, text/html)))',
  );
  const formatted = composer(7).compose(options).addPart({ data: first });
  assert.equal((await readOne(formatted)).parts.length, 2);
});

test('an attached message keeps its octets where no encoding may stand around it, else it is a file like others', {
  skip: noPython,
}, async () => {
  const mail = 'Subject: inner\r\n\r\n8 bit: é\r\n';
  const entity = await readOne(
    message({
      body: 'b',
      attachments: [
        { name: 'a.eml', data: mail },
        { name: 'b.eml', data: `Subject: x\r\n\r\n${'y'.repeat(1200)}\r\n` },
        { name: 'c.eml', data: 'no mail' },
        file('d.eml', mail),
      ],
    }),
  );
  assert.equal(
    shape(entity),
    'multipart/mixed(text/plain, message/rfc822(text/plain), application/octet-stream, application/octet-stream, message/rfc822(text/plain))',
  );
  assert.equal(entity.parts[1]!.encoding, '8bit');
  assert.equal(entity.encoding, '8bit', 'what holds 8-bit parts says so');
  const error = await refusal(() =>
    message({ body: 'b', attachments: [{ name: 'x', data: 'no mail', contentType: 'message/rfc822' }] }).data(),
  );
  assert.equal(error.code, 'UNENCODABLE');
});

test('the same object gives the same octets, by data and by stream, and additions change them', async () => {
  const composed = message({ body: 'b', html: 'ü', attachments: [file('x.bin', Buffer.alloc(200_000, 'abc'))] });
  const first = await composed.data();
  assert.deepEqual(await composed.data(), first);
  assert.deepEqual(await collected(composed.stream()), first);
  assert.deepEqual(await composed.data({ force: true }), first);
  const head = first.indexOf('\r\n\r\n') + 4;
  assert.deepEqual(await composed.data({ prefix: false }), first.subarray(head));
  assert.deepEqual(await collected(composed.stream({ prefix: false })), first.subarray(head));
  composed.addTextPart({ data: 'more' });
  const second = await composed.data();
  assert.notDeepEqual(second, first);
  assert.equal(/Message-ID: .*/.exec(second.toString())![0], /Message-ID: .*/.exec(first.toString())![0]);
});

test('a change in a part that stands within is seen', async () => {
  const part = compose({ body: 'one' });
  const composed = message({ body: 'b', parts: [part] });
  const first = await composed.data();
  part.addAttachment({ name: 'n', data: 'd' });
  assert.notDeepEqual(await composed.data(), first);
});

test('a stream in chunks of any size gives the octets of the whole', async () => {
  const all = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i * i));
  const composed = (data: Buffer | Readable) => message({ body: 'b', attachments: [{ name: 'a', data }] }).data();
  for (const sizes of [[1], [56], [57], [58], [3, 0, 54, 200], [50, 51], [100_000], [64 * 1024, 1], [200_000]]) {
    const data = all.subarray(0, Math.max(...sizes) < 100 ? 5000 : all.length);
    const chunks: Buffer[] = [];
    for (let at = 0; at < data.length; at += chunks.at(-1)!.length)
      chunks.push(data.subarray(at, at + sizes[chunks.length % sizes.length]!));
    assert.deepEqual(await composed(Readable.from(chunks)), await composed(data), String(sizes));
  }
});

test('a stream is used up by its first use', async () => {
  const make = () => message({ body: 'b', attachments: [{ name: 'a', data: Readable.from([Buffer.from('x')]) }] });
  const composed = make();
  await composed.data();
  for (const again of [() => composed.data(), () => composed.data({ force: true }), () => collected(composed.stream())])
    assert.equal((await refusal(again)).code, 'STREAM_CONSUMED');
  const streamed = make();
  await collected(streamed.stream());
  assert.equal((await refusal(() => streamed.data())).code, 'STREAM_CONSUMED');
  const read = Readable.from([Buffer.from('x')]);
  await collected(read);
  assert.equal((await refusal(() => message({ body: 'b', attachments: [{ name: 'a', data: read }] }).data())).code, 'STREAM_CONSUMED');
  const part = compose({ body: 'p', attachments: [{ name: 'a', data: Readable.from(['x']) }] });
  assert.equal((await refusal(() => message({ body: 'b', parts: [part, part] }).data())).code, 'STREAM_CONSUMED', 'placed twice');
});

test('a file that changes between two readings is refused, and force takes it as it is', async () => {
  const path = file('changing.txt', 'one');
  const composed = message({ body: 'b', attachments: [path] });
  await composed.data();
  writeFileSync(path, 'longer');
  assert.deepEqual(issuesOf(await refusal(() => collected(composed.stream()))), ['attachments[0] UNREADABLE']);
  writeFileSync(path, 'two');
  utimesSync(path, 1, 1);
  assert.deepEqual(issuesOf(await refusal(() => collected(composed.stream()))), ['attachments[0] UNREADABLE'], 'of the same size');
  writeFileSync(path, 'longer');
  assert.match((await composed.data({ force: true })).toString(), new RegExp(Buffer.from('longer').toString('base64')));
  assert.ok(await collected(composed.stream()));
});

test('every file that cannot be read is named in one error, before a stream is begun', async () => {
  const stream = Readable.from(['x']);
  const error = await refusal(() =>
    message({
      html: 'h',
      htmlImages: [join(folder, 'none.gif')],
      attachments: [{ name: 's', data: stream }, join(folder, 'nothing'), folder],
    })
      .addTextPart({ path: join(folder, 'no text') })
      .data(),
  );
  assert.equal(error.code, 'INVALID_OPTIONS');
  assert.deepEqual(issuesOf(error).sort(), [
    'attachments[1] UNREADABLE',
    'attachments[2] UNREADABLE',
    'htmlImages[0] UNREADABLE',
    'text UNREADABLE',
  ]);
  assert.equal(stream.readableDidRead, false);
  assert.deepEqual(issuesOf(await refusal(() => message({ body: 'b', attachments: ['/dev/zero'] }).data())), ['attachments[0] UNREADABLE']);
});

test('texts and pages are read from files in UTF-8', { skip: noPython }, async () => {
  const composed = message({})
    .addTextPart({ path: file('t.txt', 'tü\n') })
    .addHTMLPart({ path: file('t.html', '<img src="i.gif">é'), images: file('i.gif', 'G') });
  const entity = await readOne(composed);
  assert.equal(shape(entity), 'multipart/alternative(text/plain, multipart/related(text/html, image/gif))');
  assert.equal(entity.parts[0]!.text, 'tü\r\n');
  const latin = message({ body: 'b' }).addTextPart({ path: file('latin.txt', Buffer.from([0xe9])) });
  assert.deepEqual(issuesOf(await refusal(() => latin.data())), ['text UNREADABLE']);
});

test('a part cannot contain itself, nor be nested without end', async () => {
  const part = compose({ body: 'p' });
  const composed = message({ body: 'b', parts: [part] });
  part.addPart({ data: composed });
  assert.deepEqual(issuesOf(await refusal(() => composed.data())), ['parts[0].part.data CONFLICT']);
  let deep = compose({ body: 'p' });
  for (let i = 0; i < 100; i++) deep = compose({ body: 'p', parts: [deep] });
  assert.match(issuesOf(await refusal(() => deep.data())).join(), /OUT_OF_RANGE/);
});

test('Message-ID, date, trace of the conversation and unsubscribing are as given', { skip: noPython }, async () => {
  const entity = await readOne(
    message({
      body: 'b',
      date: '2030-01-31T09:00:00+01:00',
      messageId: 'own@example.com',
      inReplyTo: '<a@x.example>',
      references: '<a@x.example> <b@x.example>',
      listUnsubscribe: { url: 'https://x.example/u?a=1,2', mailto: 'leave@x.example' },
      sender: 'Secretary <s@x.example>',
      replyTo: ['r1@x.example', { name: 'R, Two', address: 'r2@x.example' }],
    }),
  );
  assert.equal(header(entity, 'date'), 'Thu, 31 Jan 2030 08:00:00 +0000');
  assert.equal(header(entity, 'message-id'), '<own@example.com>');
  assert.equal(header(entity, 'in-reply-to'), '<a@x.example>');
  assert.equal(header(entity, 'references'), '<a@x.example> <b@x.example>');
  assert.equal(header(entity, 'list-unsubscribe'), '<https://x.example/u?a=1,2>, <mailto:leave@x.example>');
  assert.equal(header(entity, 'list-unsubscribe-post'), 'List-Unsubscribe=One-Click');
  assert.deepEqual(entity.mailboxes['sender'], [{ name: 'Secretary', address: 's@x.example' }]);
  assert.deepEqual(entity.mailboxes['reply-to'], [
    { name: '', address: 'r1@x.example' },
    { name: 'R, Two', address: 'r2@x.example' },
  ]);
});

test('without a date it is now; a delay counts from now; Message-IDs are unlike each other and name the host', async () => {
  const lines = async (composed: { data(): Promise<Buffer> }) => (await composed.data()).toString().split('\r\n');
  assert.ok((await lines(message({ body: 'b' }))).includes('Date: Sun, 22 Nov 2026 12:00:00 +0000'));
  const later = message({ body: 'b', delay: 90 });
  assert.ok((await lines(later)).includes('Date: Sun, 22 Nov 2026 12:01:30 +0000'));
  assert.equal(later.date, NOW + 90_000);
  const one = composer();
  const options = { from: 'üser@x.example', body: 'b' };
  const ids = [one.compose(options).messageId, one.compose(options).messageId];
  assert.notEqual(ids[0], ids[1]);
  for (const id of ids) assert.match(id, /^<[0-9a-f]{32}@mail\.example\.com>$/);
});

test('the envelope: sender before from, returnPath before both, envelope before all; each recipient once', async () => {
  const base = {
    from: 'A <a@x.example>, b@x.example',
    sender: 's@x.example',
    to: 'c@x.example, C@x.example',
    cc: '"c"@X.example',
    bcc: 'D <d@x.example>',
    body: 'b',
  };
  const composed = compose(base);
  assert.equal(composed.from(), 'a@x.example');
  assert.deepEqual(composed.recipients(), ['c@x.example', 'C@x.example', 'd@x.example']);
  assert.equal(composed.envelope().from, 's@x.example');
  assert.equal(compose({ ...base, returnPath: 'r@x.example' }).envelope().from, 'r@x.example');
  assert.equal(compose({ ...base, returnPath: '' }).envelope().from, '');
  const own = compose({ ...base, envelope: { from: 'e@x.example', to: ['f@x.example'] } });
  assert.deepEqual([own.envelope().from, own.recipients()], ['e@x.example', ['f@x.example']]);
  assert.deepEqual(compose({ ...base, envelope: { cc: 'g@x.example', bcc: 'h@x.example' } }).recipients(), ['g@x.example', 'h@x.example']);
  assert.equal(compose({ ...base, to: 'ü@x.example' }).envelope().smtpUtf8, true);
});

test('Bcc is nowhere in what is composed', async () => {
  const composed = message({ body: 'b', bcc: 'Hidden Name <hidden@secret.example>' });
  const whole = (await composed.data()).toString();
  assert.doesNotMatch(whole, /bcc|hidden|secret/i);
  assert.ok(composed.recipients().includes('hidden@secret.example'));
  for (const name of ['Bcc', 'BCC', 'Resent-Bcc']) {
    assert.deepEqual(issuesOf(await refusal(() => message({ body: 'b', extraMIMEHeaders: [[name, 'x@y.example']] }))), [
      'extraMIMEHeaders[0][0] CONFLICT',
    ]);
  }
});

test('extra headers keep order and repeats, from arrays and maps', { skip: noPython }, async () => {
  const given: [string, string][] = [
    ['X-One', 'b'],
    ['X-Two', 'grün'],
    ['X-One', 'a'],
    ['Resent-To', '"Jö, x" <j@x.example>, k@x.example'],
    ['X-Empty', ''],
  ];
  const entity = await readOne(message({ body: 'b', extraMIMEHeaders: given }));
  const extra = entity.headers.filter(([name]) => /^(?:x-|resent)/i.test(name));
  assert.deepEqual(
    extra.map(([name, value]) => [name, value.replaceAll('"', '')]),
    given.map(([name, value]) => [name, value.replaceAll('"', '')]),
  );
  for (const map of [
    { 'X-A': '1', 'X-B': '2' },
    new Map([
      ['X-A', '1'],
      ['X-B', '2'],
    ]),
  ]) {
    assert.match((await message({ body: 'b', extraMIMEHeaders: map }).data()).toString(), /X-A: 1\r\nX-B: 2\r\n/);
  }
});
