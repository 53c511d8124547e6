import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prepareTemplate, renderedBody, renderedBytes, type Template } from '../../src/compose/merge/template.js';
import { merge, raw, type Tokens, token } from '../../src/compose/merge/tokens.js';
import type { ComposeOptions } from '../../src/compose/options.js';
import fc from '../support/properties.js';
import { collected, issuesOf, message, refusal } from './composing.js';
import { defects, type ForeignEntity, header, noPython, readByPython, shape } from './foreign-reader.js';

const TO = { to: 'one@rcpt.example' };

async function template(options: ComposeOptions, defaults: Tokens = {}): Promise<Template> {
  return prepareTemplate(await collected(message({ subject: 'Hi', ...options }).template()), defaults);
}

function read(...copies: Buffer[]): readonly ForeignEntity[] {
  const entities = readByPython(copies);
  entities.forEach((entity, i) => {
    assert.deepEqual(defects(entity), [], copies[i]!.toString());
    assert.doesNotMatch(copies[i]!.toString('latin1'), /[^\r]\n|\r[^\n]/);
    assert.ok(copies[i]!.toString('latin1').endsWith('\r\n'));
    for (const line of copies[i]!.toString('latin1').split('\r\n')) assert.ok(line.length <= 998);
  });
  return entities;
}

/** The copy for these values, as Python reads it. */
function copy(from: Template, tokens: Tokens, to: Parameters<Template['render']>[1] = TO): ForeignEntity {
  const rendered = from.render(tokens, to);
  assert.equal(rendered.sizeBytes, renderedBytes(rendered).length);
  return read(renderedBytes(rendered))[0]!;
}

test('both ways to write a token are the same, and names are as the contract has them', async () => {
  assert.equal(token('First_Name.x-1'), '#First_Name.x-1#');
  for (const bad of ['', '1a', 'a b', 'a#', '-a', 'ä']) assert.equal((await refusal(() => token(bad))).code, 'INVALID_OPTIONS');
});

test('any text is merged: unknown tokens stay, values are not merged again, names are case-sensitive', () => {
  const tokens = { a: 'A', b: '#a#', A1: 'x', '': 'never' };
  assert.equal(merge('#a# #b# #A1# #B# #unknown# ## #a', tokens), 'A #a# x #B# #unknown# ## #a');
  assert.equal(merge('#constructor# #__proto__# #toString#', {}), '#constructor# #__proto__# #toString#');
  assert.equal(merge('color: #fff; #a# #1a# # a # #a b#', tokens), 'color: #fff; A #1a# # a # #a b#');
  assert.equal(merge('#x#a#', tokens), '#xA', 'the closing mark of what is no token opens the next');
  assert.equal(merge('#a#a#', tokens), 'Aa#');
  assert.equal(merge('#a#x#b#', tokens), 'Ax#a#');
  assert.equal(merge('#a#', { a: raw('<b>') }), '<b>');
});

test('values of a merged text are encoded as asked, or refused with their characters', async () => {
  assert.equal(merge('Dear #n#,', { n: 'Jörg' }, { charset: 'iso-8859-1', transferEncoding: 'quoted-printable' }), 'Dear J=F6rg,');
  assert.equal(merge('Dear #n#,', { n: 'Jörg' }, { transferEncoding: 'base64' }), `Dear ${Buffer.from('Jörg').toString('base64')},`);
  const long = merge('=41 #n# end', { n: 'é'.repeat(60) }, { transferEncoding: 'quoted-printable' });
  for (const line of long.split('\r\n')) assert.ok(line.length <= 76 && /^(?:=[0-9A-F]{2}|[^=])*=?$/.test(line), line);
  const error = await refusal(() => merge('#n#', { n: '世' }, { charset: 'latin1' }));
  assert.equal(error.code, 'UNENCODABLE');
  assert.match(error.message, /n: iso-8859-1 has no 世 \(U\+4E16\)/);
  assert.equal((await refusal(() => merge('#n#', { n: 'é' }, { transferEncoding: '7bit' }))).code, 'UNENCODABLE');
  assert.deepEqual(issuesOf(await refusal(() => merge('x', {}, { charset: 'none', transferEncoding: 'none' }))), [
    'charset UNKNOWN_CHARSET',
    'transferEncoding INVALID_VALUE',
  ]);
  assert.deepEqual(issuesOf(await refusal(() => merge('#n#', { n: 5 as never }))), ['n WRONG_TYPE']);
});

test('a mailing as a person would make it arrives with each value in its place', { skip: noPython }, async () => {
  const from = await template(
    {
      from: '"#Company# Service" <reply+#Id#@x.example>',
      subject: 'Grüße an #First# von #Company#',
      body: 'Dear #First# #Last#,\n\nyour number is #Id#.\n',
      html: '<p title="#Last#">Dear #First#</p>#Block#<a href="https://x.example/?id=#Id#">#Nothing#</a>',
      attachments: [{ name: '#First#.txt', data: '#First#' }],
      listUnsubscribe: 'https://x.example/u/#Id#',
      extraMIMEHeaders: { 'X-Customer': 'No. #Id#, #First#' },
    },
    { Company: 'Müller & Söhne', First: 'Kunde', Last: '' },
  );
  assert.deepEqual([...from.names].sort(), ['Block', 'Company', 'First', 'Id', 'Last', 'Nothing']);
  const tokens = { First: 'Zoë', Last: '"O\'Neil" <&>', Id: '4711', Block: raw('<hr>') };
  assert.deepEqual(from.check(tokens, TO), { issues: [], unknown: ['Nothing'] });
  const entity = copy(from, tokens, { to: 'zoe@rcpt.example', name: "Zoë, O'N", messageId: '<own.1@x.example>' });
  assert.deepEqual(entity.mailboxes['to'], [{ name: "Zoë, O'N", address: 'zoe@rcpt.example' }]);
  assert.deepEqual(entity.mailboxes['from'], [{ name: 'Müller & Söhne Service', address: 'reply+4711@x.example' }]);
  assert.equal(header(entity, 'subject'), 'Grüße an Zoë von Müller & Söhne');
  assert.equal(header(entity, 'message-id'), '<own.1@x.example>');
  assert.equal(header(entity, 'list-unsubscribe'), '<https://x.example/u/4711>');
  assert.equal(header(entity, 'x-customer'), 'No. 4711, Zoë');
  const [text, page] = entity.parts[0]!.parts as [ForeignEntity, ForeignEntity];
  assert.equal(text.text, 'Dear Zoë "O\'Neil" <&>,\r\n\r\nyour number is 4711.\r\n');
  assert.equal(
    page.text,
    '<p title="&quot;O&#39;Neil&quot; &lt;&amp;&gt;">Dear Zoë</p><hr><a href="https://x.example/?id=4711">#Nothing#</a>',
  );
  assert.equal(entity.parts[1]!.filename, '#First#.txt', 'attachments are left alone');
  assert.equal(entity.parts[1]!.text, '#First#');
});

test('To shows one recipient, with the name that the message had for it; Cc and Bcc go', { skip: noPython }, () => {
  const from = prepareTemplate(
    Buffer.from(
      'From: a@x.example\nTo: One <one@x.example>,\n Two <two@x.example>\nTo: again@x.example\nCc: =?utf-8?q?Dr=C3=AF?= <three@X.example>\nBcc: secret@x.example\nSubject: s\n\n#a#\n',
    ),
  );
  const copies = ['one@x.example', 'two@x.example', 'three@x.example', 'secret@x.example', 'ü@x.example'].map((to) =>
    renderedBytes(from.render({ a: 'v' }, { to })),
  );
  const expected = ['One', 'Two', 'Drï', '', ''];
  readByPython(copies).forEach((entity, i) => {
    assert.deepEqual(
      entity.mailboxes['to']!.map(({ name }) => name),
      [expected[i]],
    );
    assert.equal(header(entity, 'cc'), undefined);
    assert.doesNotMatch(copies[i]!.toString(), /bcc|again/i);
    if (i !== 3) assert.doesNotMatch(copies[i]!.toString(), /secret/);
  });
  const last = from.render({ a: 'v' }, { to: 'ü@x.example' });
  assert.deepEqual(last.content, { eightBit: true, dotted: false, utf8Headers: true });
});

const BODY = (n: number) =>
  `Line before\r\n${'x'.repeat(n)} #a# and #b#, ..#a#\r\n\r\n.dotted #none#\r\n${'filler line\r\n'.repeat(9)}--#a#--\r\nlast #b#`;

test('values arrive in every transfer encoding and character set, at any place in the line', { skip: noPython }, async () => {
  const cases: { octets: Buffer; expected: string; name: string }[] = [];
  const sets: [string, string][] = [
    ['utf-8', 'Jörg 世界 😀'],
    ['iso-8859-1', 'Jörg ÿ'],
    ['windows-1251', 'Привет'],
    ['shift_jis', '表示ソ'],
    ['gb18030', '汉字😀'],
    ['euc-jp', '日本'],
    ['big5', '許功蓋'],
    ['utf-16', 'é😀'],
    ['utf-16le', 'é'],
    ['utf-7', 'é+'],
    ['us-ascii', 'plain'],
  ];
  for (const [characterSet, value] of sets) {
    for (const transferEncoding of [undefined, '7bit', '8bit', 'quoted-printable', 'base64']) {
      for (const n of [0, 30, 57, 73]) {
        if (/utf-(?:16|7)/.test(characterSet) && transferEncoding !== 'base64') continue;
        const from = await template({ body: BODY(n), characterSet, transferEncoding });
        const tokens = { a: value, b: `${value}\nsecond ${value}` };
        assert.deepEqual(from.check(tokens, TO).issues, []);
        const rendered = from.render(tokens, TO);
        const expected = merge(BODY(n), { a: value, b: tokens.b.replaceAll('\n', '\r\n') });
        cases.push({ octets: renderedBytes(rendered), expected, name: `${characterSet} ${transferEncoding} ${n}` });
      }
    }
  }
  read(...cases.map(({ octets }) => octets)).forEach((entity, i) => {
    const { expected, name } = cases[i]!;
    assert.equal(entity.text!.replace(/\r\n$/, ''), expected, name);
  });
});

test('text that travels as it is stays so where the values allow it, and says so where they do not', { skip: noPython }, async () => {
  const from = await template({ body: 'Hello #a#', transferEncoding: '7bit' });
  assert.equal(copy(from, { a: 'Bob' }).encoding, '7bit');
  const eight = await template({ body: 'Grüße #a#', transferEncoding: '8bit' });
  assert.equal(copy(eight, { a: 'Jörg' }).encoding, '8bit');
  assert.deepEqual(eight.render({ a: 'x' }, TO).content, { eightBit: true, dotted: false, utf8Headers: false });
  for (const [one, value] of [
    [from, 'Jörg'],
    [from, 'x'.repeat(2000)],
    [eight, 'y'.repeat(2000)],
    [from, 'nul\0'],
  ] as const) {
    const entity = copy(one, { a: value });
    assert.equal(entity.encoding, 'quoted-printable');
    assert.ok(entity.text!.includes(value));
  }
  const bare = prepareTemplate(Buffer.from('From: a@x.example\r\nSubject: s\r\n\r\nHello #a#\r\n'));
  const entity = copy(bare, { a: 'z'.repeat(1200) });
  assert.equal(entity.encoding, 'quoted-printable', 'also where no field said how it was');
});

test('no value makes a boundary, in whatever encoding the text is', { skip: noPython }, async () => {
  const mime = (boundary: string, encoding: string, text: string) =>
    Buffer.from(
      `From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n--${boundary}\r\n` +
        `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${text}\r\n--${boundary}--\r\n`,
    );
  const copies: Buffer[] = [];
  const values: string[] = [];
  for (const boundary of ['b', '=_x', 'simple boundary', 'a-b', "(')"]) {
    for (const encoding of ['7bit', '8bit', 'quoted-printable', 'base64']) {
      for (const value of [
        `\n--${boundary}\n\nevil`,
        `\r\n--${boundary}--\r\n`,
        `--${boundary}`,
        `${boundary}\n`,
        `-${boundary}--\n`,
        `x\n--${boundary}  \n`,
        `${'y'.repeat(74)}--${boundary}\n`,
      ]) {
        for (const text of ['#a#', '--#a#', '-#a#', 'before #a# after']) {
          const stored = encoding === 'base64' ? Buffer.from(text).toString('base64') : text;
          copies.push(renderedBytes(prepareTemplate(mime(boundary, encoding, stored)).render({ a: value }, TO)));
          values.push(merge(text, { a: value.replace(/\r\n|\n/g, '\r\n') }));
        }
      }
    }
  }
  read(...copies).forEach((entity, i) => {
    assert.equal(shape(entity), 'multipart/mixed(text/plain)', copies[i]!.toString());
    assert.equal(entity.parts[0]!.text, values[i], copies[i]!.toString());
  });
});

test('no value breaks a header: what a header cannot show is found at accept, and a blank when it is written', {
  skip: noPython,
}, async () => {
  const from = await template({
    from: '"#n#" <a#p#@x.example>',
    subject: 's #v#',
    body: 'b',
    listUnsubscribe: 'https://x.example/#u#',
    extraMIMEHeaders: [
      ['X-V', '#v#'],
      ['Resent-From', '#n# <r@x.example>'],
    ],
  });
  const attacks = [
    '\r\nBcc: evil@evil.example',
    '\n\nbody',
    '\0',
    '\u0085x',
    '\u2028x',
    '\r',
    '\x1b[m',
    'ok" <evil@evil.example>, "',
    '>, <evil@evil.example',
    '=?utf-8?q?=0D=0ABcc:_x?=',
    'evil@evil.example,',
    'x@evil.example> y <z',
    'ü',
  ];
  const copies: Buffer[] = [];
  for (const attack of attacks) {
    const tokens = { n: attack, v: attack, u: attack, p: attack };
    const { issues } = from.check(tokens, TO);
    const control = /[\p{Cc}\p{Zl}]/u.test(attack);
    assert.equal(
      issues.some(({ code }) => code === 'HEADER_INJECTION'),
      control,
      JSON.stringify(attack),
    );
    assert.ok(
      issues.some(({ code, path }) => path === 'p' && code === (control ? 'HEADER_INJECTION' : 'INVALID_ADDRESS')),
      JSON.stringify(attack),
    );
    copies.push(renderedBytes(from.render(tokens, TO)));
  }
  const names = read(renderedBytes(from.render({}, TO)))[0]!.headers.map(([name]) => name);
  read(...copies).forEach((entity, i) => {
    assert.deepEqual(
      entity.headers.map(([name]) => name),
      names,
      attacks[i],
    );
    assert.deepEqual(
      entity.mailboxes['from']!.map(({ address }) => address),
      ['a#p#@x.example'],
    );
    assert.equal(entity.mailboxes['to']!.length, 1);
    const shown = attacks[i]!.replace(/[\p{Cc}\p{Zl}]+/gu, ' ');
    assert.equal(entity.mailboxes['from']![0]!.name, shown);
    assert.equal(header(entity, 'subject'), `s ${shown}`);
    const url = header(entity, 'list-unsubscribe')!;
    assert.match(url, /^<https:\/\/x\.example\/[A-Za-z0-9%!'()*._~-]*>$/, url);
    assert.equal(entity.text, 'b\r\n');
  });
});

test('what cannot be told in a place is found by check, once for each token and place', async () => {
  const from = await template({ body: '#a#', html: '#a#', characterSet: 'iso-8859-1', subject: '#a#' });
  assert.deepEqual(
    from.check({ a: '世' }, TO).issues.map(({ path, code }) => `${path} ${code}`),
    ['a UNENCODABLE', 'a UNENCODABLE'],
  );
  assert.match(from.check({ a: '世' }, TO).issues[1]!.message, /iso-8859-1 of the text\/html has no 世 \(U\+4E16\)/);
  assert.deepEqual(from.check({ a: 'é' }, TO).issues, []);
  assert.equal(from.check({ a: 7 as never }, TO).issues[0]!.code, 'WRONG_TYPE');
  const header = await template({ body: 'b', subject: '#a#' });
  assert.equal(header.check({ a: '\ud800' }, TO).issues[0]!.code, 'UNENCODABLE');
});

test('a copy beyond the size limit is found by check, to the octet', async () => {
  for (const transferEncoding of ['7bit', 'quoted-printable', 'base64']) {
    const from = await template({ body: 'x #a# y', subject: '#a#', transferEncoding });
    for (const a of ['', 'abc', 'é'.repeat(500), '\n'.repeat(50), 'x'.repeat(5000)]) {
      const tokens = { a: a.includes('\n') ? a.replaceAll('\n', ' ') : a };
      const { sizeBytes } = from.render(tokens, TO);
      assert.deepEqual(from.check(tokens, TO, sizeBytes).issues, []);
      assert.deepEqual(
        from.check(tokens, TO, sizeBytes - 1).issues.map(({ path, code }) => `${path} ${code}`),
        ['size MESSAGE_TOO_LARGE'],
      );
    }
  }
});

test('a copy whose size is mostly attachment is measured as well', async () => {
  const from = await template({ body: '#a#', attachments: [{ name: 'x', data: Buffer.alloc(1_000_000) }] });
  const { sizeBytes } = from.render({ a: 'v' }, TO);
  assert.equal(from.check({ a: 'v' }, TO, sizeBytes).issues.length, 0);
  assert.equal(from.check({ a: 'v' }, TO, sizeBytes - 1).issues[0]!.code, 'MESSAGE_TOO_LARGE');
});

test('a text that ended without a line end of its own keeps that, and the message ends a line', { skip: noPython }, () => {
  const stored = 'From: a@x.example\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ';
  const copies = [
    `${stored}quoted-printable\r\n\r\nabc #a#=\r\n`,
    `${stored}base64\r\n\r\n${Buffer.from('abc #a#').toString('base64')}\r\n`,
  ].map((text) => renderedBytes(prepareTemplate(Buffer.from(text)).render({ a: 'v' }, TO)));
  for (const entity of read(...copies)) assert.equal(entity.text, 'abc v');
});

test('the bound that spares rendering is never too small', async () => {
  const from = await template({
    body: '#a#\n'.repeat(3),
    html: '<p>#a##a#',
    subject: '#a# é',
    from: '#a# <x@y.example>',
    listUnsubscribe: 'https://x.example/#a#',
  });
  const character = fc.constantFrom('"', '&', '\u2003', 'é', '世', '😀', ' ', '=', '\n', 'x', '.', '-');
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 200 }), (a) => {
      const { sizeBytes } = from.render({ a }, TO);
      const line = a.replaceAll('\n', ' ');
      assert.equal(from.check({ a: line }, TO, from.render({ a: line }, TO).sizeBytes - 1).issues.length, 1);
      assert.ok(sizeBytes > 0);
    }),
    { numRuns: 300, seed: 3 },
  );
});

test('any value at any place is read back as it was, and the same values give the same octets', { skip: noPython }, async () => {
  const unit = fc.constantFrom(
    'a',
    ' ',
    '  ',
    'é',
    '世',
    '😀',
    '#',
    '#a#',
    '=',
    '=3D',
    '--',
    '.',
    '\r\n',
    '\n',
    '\r',
    '"',
    '<',
    '>',
    '&',
    '\t',
    '-- ',
    'From ',
    'x'.repeat(80),
    '\0',
    '=?utf-8?q?x?=',
    '\u00a0',
  );
  const value = fc.array(unit, { maxLength: 12 }).map((pieces) => pieces.join(''));
  const encodings = ['7bit', '8bit', 'quoted-printable', 'base64'] as const;
  const templates = await Promise.all(
    encodings.map((transferEncoding) => template({ body: 'T:#a#|#b#\n#b#\n', html: '<i>#a#</i>#b#', subject: 'S:#a#|', transferEncoding })),
  );
  const samples = fc.sample(fc.record({ a: value, b: value }), { numRuns: 120, seed: 9 });
  const copies = samples.flatMap((tokens) =>
    templates.map((one) => {
      const octets = renderedBytes(one.render(tokens, TO));
      assert.deepEqual(renderedBytes(one.render(tokens, TO)), octets);
      return octets;
    }),
  );
  const html: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  read(...copies).forEach((entity, i) => {
    const { a, b } = samples[Math.floor(i / templates.length)]!;
    const crlf = (text: string) => text.replace(/\r\n|\r|\n/g, '\r\n');
    const escaped = (text: string) => crlf(text).replace(/[&<>"]/g, (c) => html[c]!);
    assert.equal(header(entity, 'subject'), `S:${a.replace(/\p{Cc}+/gu, ' ')}|`);
    assert.equal(entity.parts[0]!.text, `T:${crlf(a)}|${crlf(b)}\r\n${crlf(b)}\r\n`);
    assert.equal(entity.parts[1]!.text, `<i>${escaped(a)}</i>${escaped(b)}`);
  });
});

test('encoded headers of others, folded and in any character set, are merged as a whole', { skip: noPython }, () => {
  const stored = Buffer.from(
    [
      'From: =?iso-8859-1?q?Gr=FC=DFe_=23n=23?= <a@x.example>',
      'Subject: =?utf-8?B?R3LDvMOf?=\r\n =?utf-8?q?e_=23n?=\r\n\t=?utf-8?q?=23?= and #n#',
      'X-Raw: räw #n#',
      'Comments: (#n#)',
      'Date: #n#',
      'Message-ID: <#n#@x.example>',
      'References: <#n#@x.example>',
      '',
      'b',
      '',
    ].join('\r\n'),
  );
  const entity = readByPython([renderedBytes(prepareTemplate(stored).render({ n: 'é!' }, TO))])[0]!;
  assert.deepEqual(entity.mailboxes['from'], [{ name: 'Grüße é!', address: 'a@x.example' }]);
  assert.equal(header(entity, 'subject'), 'Grüße é! and é!');
  assert.equal(header(entity, 'x-raw'), 'räw é!');
  assert.equal(header(entity, 'comments'), '(é!)');
  for (const name of ['date', 'message-id', 'references']) assert.match(header(entity, name) ?? '#n#', /#n#/);
});

test('texts of others: split tokens in quoted-printable, odd base64, nested parts; what is signed, attached or unreadable is left alone', {
  skip: noPython,
}, () => {
  const part = (type: string, encoding: string, body: string, more = '') =>
    `--in\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n${more}\r\n${body}\r\n`;
  const signed =
    'Content-Type: multipart/signed; boundary=sig; protocol="x/y"; micalg=z\r\n\r\n--sig\r\n\r\n#n#\r\n--sig\r\nContent-Type: x/y\r\n\r\ns\r\n--sig--\r\n';
  const stored = Buffer.from(
    [
      'From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary="out"\r\n\r\npreamble #n#\r\n--out\r\n',
      'Content-Type: multipart/alternative; boundary=in\r\n\r\n',
      part('text/plain; charset="UTF-8" (a comment)', 'Quoted-Printable', 'a=20#n=\r\nam=\r\ne# =C3=A9   \r\n=23n=23'),
      part(
        'text/html; charset=latin1',
        'BASE64',
        Buffer.from('<b>#n# \xe9', 'latin1')
          .toString('base64')
          .replace(/(.{5})/g, '$1\r\n'),
      ),
      part('text/plain; charset=iso-2022-jp', '7bit', '#n#'),
      part('text/plain', 'x-uuencode', '#n#'),
      part('text/plain', '7bit', '#n#', 'Content-Disposition: ATTACHMENT; filename=x\r\n'),
      part('application/json', '7bit', '#n#'),
      part('message/rfc822', '7bit', 'Subject: #n#\r\n\r\n#n#'),
      part('text/calendar; charset=utf-8', '7bit', 'SUMMARY:#n#'),
      `--in\r\nContent-Type: multipart/digest; boundary=dig\r\n\r\n--dig\r\n\r\nSubject: #n#\r\n\r\n#n# digested\r\n--dig--\r\n`,
      `--in\r\n${signed}`,
      '--in--\r\n\r\n--out--\r\nepilogue #n#\r\n',
    ].join(''),
  );
  const octets = renderedBytes(prepareTemplate(stored).render({ n: 'é;\n', name: 'x' }, TO));
  const entity = readByPython([octets])[0]!;
  const texts = entity.parts[0]!.parts.slice(0, 8).map(
    (one) => one.text ?? one.parts[0]?.text ?? Buffer.from(one.body!, 'base64').toString(),
  );
  assert.equal(texts[0], 'a x é\r\né;\r\n');
  assert.equal(texts[1], '<b>é;\r\n é');
  assert.deepEqual(texts.slice(2, 7), ['#n#', '#n#', '#n#', '#n#', '#n#']);
  assert.equal(texts[7], 'SUMMARY:é\\;\\n');
  assert.ok(octets.includes('Subject: #n#\r\n\r\n#n# digested'));
  assert.ok(octets.includes(signed), 'octet for octet');
  assert.match(octets.toString(), /preamble #n#[^]*epilogue #n#/);
});

test('attachments are slices of the stored message, and a large copy is streamed in pieces', async () => {
  const stored = await collected(
    message({ body: 'Dear #n#', attachments: [{ name: 'x.bin', data: Buffer.alloc(3_000_000, 'riata') }] }).template(),
  );
  const from = prepareTemplate(stored);
  const rendered = from.render({ n: 'x' }, TO);
  const slices = rendered.pieces.filter((piece) => piece.buffer === stored.buffer);
  assert.ok(slices.reduce((sum, piece) => sum + piece.length, 0) > stored.length - 500);
  const body = renderedBody(rendered);
  assert.ok(body.kind === 'stream' && body.sizeBytes === rendered.sizeBytes);
  assert.deepEqual(await collected(body.open()), renderedBytes(rendered));
  assert.equal(renderedBody(prepareTemplate(Buffer.from('Subject: s\r\n\r\n#a#\r\n')).render({}, TO)).kind, 'bytes');
});

test('what the wire must know of a copy is told: octets above 127, dots at the beginning of lines', async () => {
  const facts = async (body: string, a: string, more: ComposeOptions = {}) => (await template({ body, ...more })).render({ a }, TO).content;
  assert.deepEqual(await facts('#a#', 'plain'), { eightBit: false, dotted: false, utf8Headers: false });
  assert.equal((await facts('#a#', '.x')).dotted, true);
  assert.equal((await facts('x\n#a#', '.x')).dotted, true);
  assert.equal((await facts('x\n.y #a#', 'x')).dotted, true);
  assert.equal((await facts('#a#', 'é', { transferEncoding: '8bit' })).eightBit, true);
  assert.equal((await facts('#a#', 'é')).eightBit, false);
});

test('whatever is handed in as a message, preparing and writing it neither fails nor takes long', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '\r\n',
      '\n',
      '\r',
      '\r\n\r\n',
      '--',
      '--b',
      '--b--',
      ':',
      'Content-Type: multipart/mixed; boundary=b\r\n',
      'Content-Type: text/plain; charset=utf-16\r\n',
      'Content-Transfer-Encoding: base64\r\n',
      'Content-Transfer-Encoding: quoted-printable\r\n',
      '#a#',
      'From: #a# <x@y.example>\r\n',
      'To: ',
      ' ',
      '\t',
      '=',
      '=?utf-8?q?',
      '?=',
      'Subject: ',
      '\xff',
      'Content-Type: message/rfc822\r\n',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.string({ unit: 'binary', maxLength: 10 }), (pieces, a) => {
      const from = prepareTemplate(Buffer.from(pieces.join(''), 'latin1'));
      const rendered = from.render({ a }, TO);
      assert.equal(renderedBytes(rendered).length, rendered.sizeBytes);
      from.check({ a }, TO, 10);
    }),
    { numRuns: 2000, seed: 21 },
  );
  const deep = Array.from({ length: 3000 }, (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`).join('');
  const many = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\n#a#\r\n'.repeat(20_000)}`;
  const marks = `Subject: s\r\n\r\n${'#a#'.repeat(200_000)}`;
  const lines = `Subject: s\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${'#a#\r\n'.repeat(50_000)}`;
  for (const [name, text] of Object.entries({ deep, many, marks, lines, hashes: `\r\n${'#a'.repeat(300_000)}` })) {
    const began = performance.now();
    renderedBytes(prepareTemplate(Buffer.from(text)).render({ a: 'v' }, TO));
    const took = performance.now() - began;
    assert.ok(took < 20_000, `${name}: ${took} ms`);
  }
});
