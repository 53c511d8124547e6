/** What is written down of a conversation, and what never is. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { grouped, joined, MAX_TRANSCRIPT, Transcript } from '../../src/delivery/transcript.js';
import { type SinkOptions, startSink } from '../../src/dev/sink.js';
import { createCertificate, type TestCertificate } from '../support/certificate.js';
import { NOBODY } from '../support/loopback.js';
import { atEnd, type Scope } from '../support/scope.js';
import { createVirtualClock } from '../support/virtual-clock.js';
import { makeJob, open, opened, POLICY, streamed, Work } from './session-rig.js';

let certificate: TestCertificate;
before(() => {
  certificate = createCertificate(['localhost']);
});

async function start(scope: Scope, options: SinkOptions = {}) {
  const sink = await startSink(options);
  atEnd(scope, () => sink.close());
  return sink;
}

/** Without the milliseconds, which must be whole and never go back. */
function said(transcript: string | undefined): string[] {
  let last = 0;
  return transcript!.split('\n').map((line) => {
    if (line.startsWith('…')) return line;
    const [, ms, text] = /^(\d+) (.*)$/.exec(line) ?? assert.fail(`no milliseconds: ${line}`);
    assert.ok(Number(ms) >= last, `goes back at ${line}`);
    last = Number(ms);
    return text!;
  });
}

describe('a transcript', () => {
  it('counts milliseconds from its beginning, a line for each command and each line of a reply', async () => {
    const clock = createVirtualClock();
    await clock.advance(1234);
    const transcript = new Transcript(clock);
    transcript.note('connecting');
    await clock.advance(31);
    transcript.heard({ code: 250, text: 'one\ntwo' });
    transcript.said('MAIL FROM:<a@b.test>\r\nDATA\r\n');
    await clock.advance(1500);
    transcript.sent(12_345);
    transcript.heard({ code: 250, enhanced: '2.0.0', text: '2.0.0 Ok' });
    assert.equal(
      transcript.text(),
      [
        '0 connecting',
        '31 S: 250-one',
        '31 S: 250 two',
        '31 C: MAIL FROM:<a@b.test>',
        '31 C: DATA',
        '1531 C: … 12,345 octets of content',
        '1531 S: 250 2.0.0 Ok',
      ].join('\n'),
    );
  });

  it('stays within its bound, keeps beginning and end, and says that something is missing', () => {
    const clock = createVirtualClock();
    for (const [replies, text] of [
      [10, 'x'.repeat(4096)],
      [128, 'é'.repeat(300)],
      [5000, 'ok'],
    ] as const) {
      const transcript = new Transcript(clock);
      transcript.note('the beginning');
      for (let i = 0; i < replies; i++) transcript.heard({ code: 250, text });
      transcript.note('the end');
      const lines = transcript.text().split('\n');
      assert.ok(Buffer.byteLength(transcript.text()) <= MAX_TRANSCRIPT);
      assert.equal(lines[0], '0 the beginning');
      assert.equal(lines.at(-1), '0 the end');
      assert.ok(
        lines.some((line) => /^… \d+ .*left out …$/.test(line)),
        transcript.text(),
      );
    }
  });

  it('one line that alone is too long does not carry it over the bound', () => {
    const transcript = new Transcript(createVirtualClock());
    transcript.said(`${'x'.repeat(20_000)}\r\n`);
    assert.ok(Buffer.byteLength(transcript.text()) <= MAX_TRANSCRIPT);
    assert.ok(Buffer.byteLength(joined(['a'.repeat(4000), 'b'.repeat(4000), 'c'])) <= MAX_TRANSCRIPT);
  });

  it('a note cannot break its line', () => {
    const transcript = new Transcript(createVirtualClock());
    transcript.note('one\r\n0 S: 250 forged');
    assert.equal(transcript.text().split('\n').length, 1);
  });

  it('groups digits', () => {
    assert.deepEqual([0, 999, 1000, 12_345, 1_234_567].map(grouped), ['0', '999', '1,000', '12,345', '1,234,567']);
  });
});

describe('the transcript of a delivery', () => {
  it('begins with the opening on the first message, and says which message it is on later ones', async (t) => {
    const { port } = await start(t);
    const session = await opened(port);
    const work = new Work(
      makeJob({ bytes: Buffer.from('Subject: s\r\n\r\nsecret words\r\n') }),
      makeJob({ to: ['a@sink.test', 'b@sink.test'] }),
    );
    await session.run(work);
    const [first, second] = work.results.map((result) => said(result!.transcript));
    assert.equal(first![0], `connecting to sink.test[127.0.0.1]:${port}, connection 1`);
    assert.match(first![1]!, /^S: 220 /);
    assert.equal(first![2], 'C: EHLO client.test');
    assert.match(first![3]!, /^S: 250-/);
    assert.deepEqual(first!.slice(-8), [
      'C: MAIL FROM:<from@client.test> SIZE=28',
      'C: RCPT TO:<to@sink.test>',
      'C: DATA',
      ...first!.slice(-5, -2),
      'C: … 28 octets of content',
      first!.at(-1)!,
    ]);
    assert.match(first!.at(-1)!, /^S: 250 /);
    assert.deepEqual(second!.slice(0, 5), [
      `connection 1 to sink.test[127.0.0.1]:${port}, message 2`,
      'C: MAIL FROM:<from@client.test> SIZE=26',
      'C: RCPT TO:<a@sink.test>',
      'C: RCPT TO:<b@sink.test>',
      'C: DATA',
    ]);
    assert.equal(second!.length, 5 + 4 + 2);
    assert.ok(!/secret words/.test(work.results[0]!.transcript!));
    await session.quit();
  });

  it('without pipelining has each reply behind its command', async (t) => {
    const { port } = await start(t, { extensions: [], script: ({ verb }) => (verb === 'RCPT' ? '550 5.1.1 no' : undefined) });
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob());
    await session.run(work);
    assert.deepEqual(
      said(work.results[1]!.transcript).map((line) => line.slice(0, 10)),
      ['connection', 'C: RSET', 'S: 250 2.0', 'C: MAIL FR', 'S: 250 2.1', 'C: RCPT TO', 'S: 550 5.1'],
    );
    await session.quit();
  });

  it('ends with why the connection ended, and how much of the content was out by then', async (t) => {
    const { port } = await start(t, { script: ({ verb }) => (verb === 'MAIL' ? { drop: 'end' } : undefined) });
    const work = new Work(makeJob());
    await (await opened(port)).run(work);
    assert.equal(said(work.results[0]!.transcript).at(-1), 'the server closed the connection');

    const other = await start(t);
    const session = await opened(other.port);
    const cut = new Work(makeJob({ body: streamed([Buffer.alloc(1000, 'x'), () => other.close(), Buffer.alloc(10)]) }));
    await session.run(cut);
    const lines = said(cut.results[0]!.transcript);
    assert.match(lines.at(-2)!, /^C: … 1,0[01]0 octets of content$/);
    assert.match(lines.at(-1)!, /connection/);
  });

  it('has a 421 as the server said it, once', async (t) => {
    const { port } = await start(t, { script: ({ verb }) => (verb === 'DOT' ? '421 4.3.2 going down' : undefined) });
    const work = new Work(makeJob());
    await (await opened(port)).run(work);
    const lines = said(work.results[0]!.transcript);
    assert.equal(lines.filter((line) => line.includes('going down')).length, 1);
    assert.equal(lines.at(-1), 'S: 421 4.3.2 going down');
  });

  it('tells of TLS and login, and never a password, whatever the server says back', async (t) => {
    const password = 'päss word';
    const plain = Buffer.from(`\0ann\0${password}`).toString('base64');
    for (const [mechanisms, reply] of [
      [['PLAIN'], undefined],
      [['LOGIN'], undefined],
      [['PLAIN'], `535 5.7.8 not ${plain} nor ${password}`],
    ] as const) {
      const sink = await start(t, {
        tls: certificate,
        users: { ann: password },
        script: ({ verb }, { tls }) => {
          if (verb === 'EHLO' && tls) return `250-sink.test\r\n250 AUTH ${mechanisms[0]}`;
          return verb === 'AUTH' ? reply : undefined;
        },
      });
      const policy = { ...POLICY, tls: 'starttls', ca: certificate.ca, credentials: { username: 'ann', password } } as const;
      const answer = await open(sink.port, { policy });
      let transcript: string | undefined;
      if (answer.kind === 'trouble') {
        transcript = answer.transcript;
        assert.ok(!answer.trouble.text.includes(password) && !answer.trouble.text.includes(plain), answer.trouble.text);
        assert.match(said(transcript).at(-1)!, /^S: 535 5\.7\.8 not … nor …$/);
      } else {
        const work = new Work(makeJob());
        await answer.session.run(work);
        await answer.session.quit();
        transcript = work.results[0]!.transcript;
      }
      const lines = said(transcript);
      assert.ok(
        lines.some((line) => /^TLS: TLSv1\.[23] \w+, certificate verified$/.test(line)),
        transcript,
      );
      assert.ok(
        lines.some((line) => line.startsWith(`C: AUTH ${mechanisms[0]}`)),
        transcript,
      );
      for (const secret of [password, plain, Buffer.from(password).toString('base64')])
        assert.ok(!transcript!.includes(secret), transcript);
    }
  });

  it('of a connection that was never made says why', async () => {
    const answer = await open(NOBODY.port);
    assert.ok(answer.kind === 'trouble');
    const lines = said(answer.transcript);
    assert.equal(lines[0], `connecting to sink.test[127.0.0.1]:${NOBODY.port}, connection 1`);
    assert.match(lines[1]!, /ECONNREFUSED/);
    assert.equal(lines.length, 2);
  });

  it('has both ways where TLS failed and the clear was taken', async (t) => {
    const { port } = await start(t, {
      extensions: ['STARTTLS'],
      script: ({ verb }) => (verb === 'STARTTLS' ? { drop: 'end' } : undefined),
    });
    const work = new Work(makeJob());
    await (await opened(port, { policy: { ...POLICY, tls: 'opportunistic' } })).run(work);
    const lines = said(work.results[0]!.transcript);
    assert.equal(lines.filter((line) => line.startsWith('connecting')).length, 2);
    assert.ok(lines.includes('once more, without TLS'));
  });

  it('is kept as the setting says: of trouble only, or never', async (t) => {
    for (const [transcripts, kept] of [
      ['trouble', [false, true]],
      ['off', [false, false]],
    ] as const) {
      const { port } = await start(t);
      const session = await opened(port, { transcripts });
      const work = new Work(makeJob(), makeJob({ to: ['fail-550@sink.test', 'ok@sink.test'] }));
      await session.run(work);
      await session.quit();
      assert.deepEqual(
        work.results.map((result) => result!.transcript !== undefined),
        kept,
        transcripts,
      );
    }
  });
});
