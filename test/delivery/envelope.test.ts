import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Recipient } from '../../src/core/delivery.js';
import type { Message } from '../../src/core/message.js';
import { type Envelope, isWritable, makeEnvelope, type Peer } from '../../src/delivery/envelope.js';
import { type Extensions, NO_EXTENSIONS } from '../../src/delivery/extensions.js';
import fc from '../support/properties.js';
import { brief, type JobOptions, makeJob } from './session-rig.js';

const ALL: Extensions = {
  pipelining: true,
  eightBitMime: true,
  smtpUtf8: true,
  dsn: true,
  startTls: false,
  requireTls: true,
  size: 0,
  auth: [],
};
const peer = (extensions: Partial<Extensions> = {}, verifiedTls = false): Peer => ({ extensions: { ...ALL, ...extensions }, verifiedTls });
const BARE: Peer = { extensions: NO_EXTENSIONS, verifiedTls: false };

function made(job: JobOptions, to: Peer): Envelope {
  const envelope = makeEnvelope(makeJob(job), to, 100);
  assert.ok(envelope.kind === 'envelope', JSON.stringify(envelope));
  return envelope;
}

function refusal(job: JobOptions, to: Peer): { brief: string; status: string } {
  const envelope = makeEnvelope(makeJob(job), to, 100);
  assert.ok(envelope.kind === 'unsendable', 'it could be sent');
  const [outcome] = envelope.outcomes;
  assert.ok(outcome?.kind === 'failed');
  assert.equal(outcome.trouble.lasting, 'permanent');
  return { brief: brief(outcome), status: outcome.trouble.status };
}

const facts = (more: Partial<Message['content']>): Partial<Message> => ({
  content: { eightBit: false, dotted: false, utf8Headers: false, ...more },
});

describe('MAIL', () => {
  it('has no parameter that was not offered', () => {
    const message: Partial<Message> = { dsn: { ret: 'full', envid: 'x' } };
    assert.equal(made({ message }, BARE).mail, 'MAIL FROM:<from@client.test>\r\n');
    assert.equal(made({ message, sender: '' }, BARE).mail, 'MAIL FROM:<>\r\n');
  });

  it('names the size where SIZE is offered, and fails at once what is larger than the limit', () => {
    const bytes = Buffer.alloc(1000, 'x');
    for (const size of [0, 1000, 5000]) assert.equal(made({ bytes }, peer({ size })).mail, 'MAIL FROM:<from@client.test> SIZE=1000\r\n');
    assert.deepEqual(refusal({ bytes }, peer({ size: 999 })), { brief: 'failed local size', status: '5.3.4' });
  });

  it('says BODY=8BITMIME exactly for 8-bit content, and asks for a downgrade where it is not offered', () => {
    assert.match(made({ message: facts({ eightBit: true }) }, peer()).mail, / BODY=8BITMIME\r\n$/);
    assert.equal(made({ message: facts({ eightBit: true }) }, peer()).downgrade, false);
    assert.doesNotMatch(made({}, peer()).mail, /BODY/);
    const downgraded = made({ message: facts({ eightBit: true }) }, peer({ eightBitMime: false }));
    assert.equal(downgraded.downgrade, true);
    assert.doesNotMatch(downgraded.mail, /BODY/);
    assert.equal(made({}, peer({ eightBitMime: false })).downgrade, false);
  });

  it('says SMTPUTF8 where anything wants it', () => {
    const without = peer({ smtpUtf8: false });
    const wanting: JobOptions[] = [
      { sender: 'jörg@client.test' },
      { to: ['jörg@sink.test'] },
      { message: { smtpUtf8: true } },
      { message: facts({ eightBit: true, utf8Headers: true }) },
    ];
    for (const job of wanting) assert.match(made(job, peer()).mail, / SMTPUTF8\r\n$/);
    assert.doesNotMatch(made({ message: facts({ eightBit: true }) }, peer()).mail, /SMTPUTF8/);
    const needing: JobOptions[] = [
      { sender: 'jörg@client.test' },
      { to: ['jörg@sink.test'] },
      { message: { smtpUtf8: true, ...facts({ eightBit: true, utf8Headers: true }) } },
      { message: { smtpUtf8: true, ...facts({ eightBit: true }) } },
    ];
    for (const job of needing) assert.deepEqual(refusal(job, without), { brief: 'failed local smtpUtf8', status: '5.6.7' });
    // All of it is ASCII: nothing is lost without the extension.
    assert.doesNotMatch(made({ message: { smtpUtf8: true } }, without).mail, /SMTPUTF8/);
  });

  it('lets raw headers that were handed in without SMTPUTF8 pass as they are, but not be re-coded', () => {
    const message = facts({ eightBit: true, utf8Headers: true });
    assert.match(made({ message }, peer({ smtpUtf8: false })).mail, / BODY=8BITMIME\r\n$/);
    assert.deepEqual(refusal({ message }, peer({ smtpUtf8: false, eightBitMime: false })), {
      brief: 'failed local smtpUtf8',
      status: '5.6.7',
    });
  });

  it('fails only the recipients that need SMTPUTF8', () => {
    const envelope = made({ to: ['jörg@sink.test', 'ann@sink.test'] }, peer({ smtpUtf8: false }));
    assert.deepEqual(envelope.rcpts, ['RCPT TO:<ann@sink.test>\r\n']);
    assert.deepEqual(envelope.indexes, [1]);
    assert.equal(brief(envelope.settled!.get(0)!), 'failed local smtpUtf8');
  });

  it('says REQUIRETLS over verified TLS where it is offered, and fails otherwise', () => {
    const message: Partial<Message> = { requireTls: true };
    assert.match(made({ message }, peer({}, true)).mail, / REQUIRETLS\r\n$/);
    assert.doesNotMatch(made({}, peer({}, true)).mail, /REQUIRETLS/);
    for (const to of [peer({}, false), peer({ requireTls: false }, true)]) {
      assert.deepEqual(refusal({ message }, to), { brief: 'failed local requireTls', status: '5.7.30' });
    }
  });
});

describe('delivery status notifications', () => {
  const recipients: Recipient[] = [
    { address: 'a@sink.test', state: 'queued', notify: ['success', 'failure'], orcpt: 'rfc822;A+b=c d@sink.test' },
    { address: 'b@sink.test', state: 'queued' },
    { address: 'c@sink.test', state: 'queued', notify: ['never'], orcpt: 'nonsense' },
  ];
  const message: Partial<Message> = { dsn: { ret: 'hdrs', envid: 'Q+1 =' } };

  it('are asked for as they were asked of us', () => {
    const envelope = made({ recipients, message }, peer());
    assert.equal(envelope.mail, 'MAIL FROM:<from@client.test> SIZE=26 RET=HDRS ENVID=Q+2B1+20+3D\r\n');
    assert.deepEqual(envelope.rcpts, [
      'RCPT TO:<a@sink.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;A+2Bb+3Dc+20d@sink.test\r\n',
      'RCPT TO:<b@sink.test>\r\n',
      'RCPT TO:<c@sink.test> NOTIFY=NEVER\r\n',
    ]);
    assert.equal(envelope.dsnPassedOn, true, 'whoever asked hears of success from that server');
  });

  it('are not asked of a server that does not offer them', () => {
    const envelope = made({ recipients, message }, peer({ dsn: false }));
    assert.equal(envelope.mail, 'MAIL FROM:<from@client.test> SIZE=26\r\n');
    assert.equal(envelope.rcpts[0], 'RCPT TO:<a@sink.test>\r\n');
    assert.equal(envelope.dsnPassedOn, false, 'whoever asked hears of success from us');
  });

  it('cannot smuggle anything into a command', () => {
    const evil: Recipient[] = [{ address: 'a@sink.test', state: 'queued', orcpt: 'rfc822;x\r\nRSET\0' }];
    const envelope = made({ recipients: evil, message: { dsn: { envid: 'x\r\nDATA\r\n' } } }, peer());
    assert.equal(envelope.rcpts[0], 'RCPT TO:<a@sink.test> ORCPT=rfc822;x+0D+0ARSET+00\r\n');
    assert.match(envelope.mail, / ENVID=x\+0D\+0ADATA\+0D\+0A\r\n$/);
  });
});

describe('an address in a command', () => {
  it('may be anything that real addresses are', () => {
    for (const address of [
      'a@b',
      'a.b+c@d-e.f',
      'postmaster',
      '"a b"@c',
      '"a\\"b<>"@c',
      'a@[192.0.2.1]',
      'a@[IPv6:2001:db8::1]',
      'ü@b',
      '"ü b"@c',
      "!#$%&'*+/=?^_`{|}~-@b",
      '',
    ]) {
      assert.ok(isWritable(address), address);
    }
  });

  it('may never end the path or the line it stands in', () => {
    for (const address of [
      'a b@c',
      'a<b@c',
      'a>b@c',
      'a@b>',
      'a\r@b',
      'a\n@b',
      'a\0@b',
      'a\x7f@b',
      'a\t@b',
      '"a@b',
      '"a\r"@b',
      '"a"b c@d',
      '"a" @b',
      'ü\x85@b',
      'a\u2028@b',
      'a@b "c d"',
      'ü @b',
      '\ud800@b',
      '"\\\n"@b',
    ]) {
      assert.ok(!isWritable(address), JSON.stringify(address));
    }
  });

  it('whatever is let through stays one argument of one line', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', '@', '"', '\\', '<', '>', ' ', '\r', '\n', '\t', 'ü', '\u2028', '\x85', '.'), { maxLength: 12 }),
        (parts) => {
          const address = parts.join('');
          if (!isWritable(address)) return;
          assert.doesNotMatch(address, /[\r\n\0\u0085\u2028]/);
          // By the letter: outside of quotes, no blank and no bracket.
          const outside = address.replace(/^"(?:[^"\\]|\\.)*"(?=@)/s, '');
          assert.doesNotMatch(outside, /[\s<>"]/);
        },
      ),
      { numRuns: 3000, examples: [[['"', '\u2028', '"', '@']], [['"', '\\', '\u2028', '"', '@']]] },
    );
  });
});
