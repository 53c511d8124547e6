/** Other people's collections of awkward mail, and awkward mail of our own: everything passes as it is. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Sink, SinkOptions } from '../../src/dev/sink.js';
import { destination, relayTo, startAgent, temporaryFolder } from '../support/agent.js';
import { assertArrived } from '../support/arrival.js';
import { succeed } from '../support/commands.js';
import { lacks, skipOrFail } from '../support/programs.js';
import type { Scope } from '../support/scope.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { talk } from '../support/talk.js';
import { tapInto } from '../support/tap.js';

const SENDER = 'ann@example.test';

interface Sample {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Where Debian's libpython3-testsuite keeps messages that broke mail readers. */
function pythonCorpus(): Sample[] {
  const libraries = '/usr/lib';
  for (const name of readdirSync(libraries).filter((each) => /^python3\.\d+$/.test(each))) {
    const folder = join(libraries, name, 'test/test_email/data');
    try {
      return readdirSync(folder)
        .sort()
        .map((file) => ({ name: file, bytes: readFileSync(join(folder, file)) }));
    } catch {
      // Another version may have it.
    }
  }
  return [];
}

const corpus = pythonCorpus();
const noCorpus =
  corpus.length > 0 ? false : skipOrFail('not installed: libpython3-testsuite (scripts/test-all installs it as root on Debian)');
const mails = corpus.filter(({ name }) => name.endsWith('.txt'));

async function rig(scope: Scope, options: SinkOptions = {}): Promise<{ port: number; sink: Sink; idle: () => Promise<void> }> {
  const sink = await destination(scope, options);
  const agent = await startAgent(scope, { route: [relayTo(sink)], submission: { bareNewlines: 'normalise' } });
  return { port: agent.port, sink, idle: () => agent.mta.idle(AbortSignal.timeout(60_000)) };
}

/** As a client that knows no more than the rules of the transport: dots are stuffed where a line begins behind CRLF. Returns the reply. */
async function sendRaw(port: number, samples: readonly Sample[], chunk = Number.POSITIVE_INFINITY): Promise<string[]> {
  const line = await talk(port);
  await line.reply();
  await line.say('EHLO client.test');
  const replies: string[] = [];
  for (const { bytes } of samples) {
    line.write(`MAIL FROM:<${SENDER}>\r\nRCPT TO:<bob@dest.test>\r\nDATA\r\n`);
    for (const code of ['250', '250', '354']) assert.equal((await line.reply()).slice(0, 3), code);
    const octets = wire(bytes);
    for (let at = 0; at < octets.length; at += chunk) {
      line.write(octets.subarray(at, at + chunk));
      if (chunk < octets.length) await new Promise((resolve) => setImmediate(resolve));
    }
    replies.push(await line.reply());
  }
  line.end();
  return replies;
}

/** What stands between DATA and the next command. */
function wire(bytes: Buffer): Buffer {
  return Buffer.from(
    `${asSent(bytes)
      .toString('latin1')
      .replace(/(^|\r\n)\./g, '$1..')}.\r\n`,
    'latin1',
  );
}

/** SMTP can end content only behind a CRLF. */
function asSent(bytes: Buffer): Buffer {
  return bytes.length === 0 || bytes.toString('latin1', bytes.length - 2) === '\r\n' ? bytes : Buffer.concat([bytes, Buffer.from('\r\n')]);
}

/** Each reply's id is in the trace of what arrived for it. */
function assertArrivedById(sink: Sink, samples: readonly Sample[], replies: readonly string[]): void {
  const byId = new Map(sink.messages.map(({ bytes }) => [/^Received: [^;]*\bid (\w+);/.exec(bytes.toString('latin1'))?.[1], bytes]));
  samples.forEach(({ name, bytes }, at) => {
    const id = /^250 2\.0\.0 queued as (\w{26})$/.exec(replies[at]!)?.[1];
    assert.ok(id, `${name}: ${replies[at]}`);
    const arrived = byId.get(id);
    assert.ok(arrived, `${name} did not arrive`);
    try {
      assertArrived(arrived, asSent(bytes), { sender: SENDER });
    } catch (error) {
      throw new Error(`${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  });
  assert.equal(sink.counts.messages, samples.length);
  assert.deepEqual(sink.violations, []);
}

test("messages of Python's test suite pass as they are, bare line ends and all", { skip: noCorpus }, async (t) => {
  const { port, sink, idle } = await rig(t);
  const replies = await sendRaw(port, mails);
  await idle();
  assert.ok(mails.length >= 40);
  assertArrivedById(sink, mails, replies);
});

test('files that are no mail pass as well, but for those with NUL, which are refused', { skip: noCorpus }, async (t) => {
  const { port, sink, idle } = await rig(t);
  const files = corpus.filter(({ name }) => !name.endsWith('.txt'));
  const replies = await sendRaw(port, files, 1000);
  await idle();
  const withNul = files.filter(({ bytes }) => bytes.includes(0));
  assert.ok(withNul.length > 5 && withNul.length < files.length);
  files.forEach(({ name, bytes }, at) =>
    assert.equal(replies[at]!.slice(0, 4), bytes.includes(0) ? '554 ' : '250 ', `${name}: ${replies[at]}`),
  );
  const taken = files.filter(({ bytes }) => !bytes.includes(0));
  assertArrivedById(
    sink,
    taken,
    replies.filter((reply) => reply.startsWith('250')),
  );
});

const SMTPLIB = `
import os, smtplib, sys
port, folder = int(sys.argv[1]), sys.argv[2]
with smtplib.SMTP('127.0.0.1', port, local_hostname='client.test') as client:
    for name in sorted(os.listdir(folder)):
        content = open(os.path.join(folder, name), 'rb').read()
        client.sendmail('${SENDER}', ['bob@dest.test'], content.replace(b'\\r\\n', b'\\n').replace(b'\\n', b'\\r\\n'))
`;

test("messages of Python's test suite pass as smtplib sends them", { skip: noCorpus || lacks('python3') }, async (t) => {
  const { port, sink, idle } = await rig(t);
  const tap = await tapInto(t, port);
  const folder = await temporaryFolder(t);
  for (const { name, bytes } of mails) writeFileSync(join(folder, name), bytes);
  await succeed('python3', ['-I', '-c', SMTPLIB, String(tap.port), folder]);
  await idle();
  assert.equal(tap.contents.length, mails.length);
  // On one connection in, over several out: told apart by content alone.
  const left = [...sink.messages];
  for (const [at, sent] of tap.contents.entries()) {
    const found = left.findIndex(({ bytes }) => doesNotThrow(() => assertArrived(bytes, sent, { sender: SENDER })));
    assert.ok(found >= 0, `nothing like ${mails[at]!.name} arrived`);
    left.splice(found, 1);
  }
  assert.deepEqual(left, []);
});

/** Each leaf of a message with its type and decoded content, by a reader that shares nothing with ours. */
const LEAVES = `
import base64, email, email.policy, json, sys
def leaves(raw):
    message = email.message_from_bytes(base64.b64decode(raw), policy=email.policy.compat32)
    out = []
    for part in message.walk():
        payload = None if part.is_multipart() else part.get_payload(decode=True)
        out.append([part.get_content_type(), part.get_filename(), part.get_content_charset(), None if payload is None else base64.b64encode(payload.replace(b'\\r\\n', b'\\n').rstrip(b'\\n')).decode()])
    return out
json.dump([leaves(raw) for raw in json.load(sys.stdin)], sys.stdout)
`;

test("to a server without 8BITMIME everything goes in 7 bits, and Python's reader finds the same in it", {
  skip: noCorpus || lacks('python3'),
}, async (t) => {
  const { port, sink, idle } = await rig(t, { extensions: ['PIPELINING', 'SIZE', 'ENHANCEDSTATUSCODES'] });
  // An 8-bit header cannot be said in 7 bits: such mail fails, see below.
  const samples = [...mails.filter(({ bytes }) => !/[\x80-\xff][^]*?\n\r?\n/.test(header(bytes))), ...EIGHT_BIT];
  const replies = await sendRaw(port, samples);
  await idle();
  assert.equal(sink.counts.messages, samples.length);
  const byId = new Map(sink.messages.map(({ bytes }) => [/\bid (\w{26});/.exec(bytes.toString('latin1'))![1]!, bytes]));
  const arrived = replies.map((reply) => byId.get(reply.slice(-26))!);
  for (const bytes of arrived) assert.ok(bytes.every((octet) => octet < 128));
  const read = async (messages: readonly Buffer[]) =>
    JSON.parse(
      await succeed('python3', ['-I', '-c', LEAVES], JSON.stringify(messages.map((bytes) => bytes.toString('base64')))),
    ) as unknown[];
  const normal = samples.map(({ bytes }) => Buffer.from(bytes.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n'), 'latin1'));
  const [before, after] = [await read(normal), await read(arrived)];
  samples.forEach(({ name }, at) =>
    assert.ok(isDeepStrictEqual(after[at], before[at]), `${name}:\n${JSON.stringify(before[at])}\n${JSON.stringify(after[at])}`),
  );
  assert.deepEqual(sink.violations, []);
});

function header(bytes: Buffer): string {
  return /^[^]*?\n\r?\n/.exec(bytes.toString('latin1'))?.[0] ?? bytes.toString('latin1');
}

function doesNotThrow(call: () => void): boolean {
  try {
    call();
    return true;
  } catch {
    return false;
  }
}

const HEADER = 'From: ann@example.test\r\nTo: bob@dest.test\r\nSubject: awkward\r\nMIME-Version: 1.0\r\n';
const random = createSeededRandom(20261122);
const octets = (count: number, from = 1): Buffer => {
  const bytes = new Uint8Array(count);
  random.fill(bytes);
  return Buffer.from(bytes.map((octet) => (octet < from ? octet + from : octet)));
};
const sample = (name: string, text: string | Buffer): Sample => ({ name, bytes: typeof text === 'string' ? Buffer.from(text) : text });

const EIGHT_BIT: readonly Sample[] = [
  sample(
    'text in UTF-8',
    `${HEADER}Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße 東京 🎉\r\n.dot\r\n`,
  ),
  sample(
    'text in Latin-1, undeclared',
    Buffer.from(`${HEADER}Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\nFrom here\r\n=3D\r\n`, 'latin1'),
  ),
  sample(
    'two parts, one of 8 bits, nested',
    `${HEADER}Content-Type: multipart/mixed; boundary=outer\r\n\r\npreamble\r\n--outer\r\nContent-Type: multipart/alternative; boundary="in ner"\r\n\r\n` +
      '--in ner\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nü\r\n--in ner\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--in ner--\r\n' +
      '--outer\r\nContent-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n--outer--\r\n',
  ),
];

function awkward(): Sample[] {
  const dots = ['.', '..', '...', '.a', '. ', ' .', '.\t', 'a.'].join('\r\n');
  const parts = Array.from({ length: 200 }, (_, at) => `--b\r\nContent-Type: text/plain; name="${at}"\r\n\r\npart ${at}\r\n`).join('');
  const deep = Array.from({ length: 60 }, (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`).join('');
  return [
    sample('a line of 998', `${HEADER}\r\n${'x'.repeat(998)}\r\n`),
    sample('a line of 5000', `${HEADER}\r\n${'y'.repeat(5000)}\r\n`),
    sample('a line of 300 kB', `${HEADER}\r\n${'z'.repeat(300_000)}\r\n`),
    sample('a field of 10 kB in one line', `${HEADER}X-Long: ${'f'.repeat(10_000)}\r\n\r\nbody\r\n`),
    sample('a field of 2000 lines', `${HEADER}X-Folded:\r\n${' line\r\n'.repeat(2000)}\r\nbody\r\n`),
    sample('dots', `${HEADER}\r\n${dots}\r\n${dots}\r\n`),
    sample('nothing but dots', '.\r\n.\r\n..\r\n'),
    sample('dots to the end of every block', `${HEADER}\r\n${'.\r\n'.repeat(50_000)}`),
    sample('no final line end', `${HEADER}\r\nthe end`),
    sample('a final CR', `${HEADER}\r\nthe end\r`),
    sample('an empty body', `${HEADER}\r\n`),
    sample('a header alone', HEADER),
    sample('a header without line end', 'Subject: x'),
    sample('nothing', ''),
    sample('a line end', '\r\n'),
    sample('empty lines', '\r\n\r\n\r\n'),
    sample('a body alone', 'Hello,\r\nthis has no header.\r\n'),
    sample('bare LF', `${HEADER.replaceAll('\r\n', '\n')}\nbody\n.\n..\nmore\n`),
    sample('bare CR', `${HEADER}\r\na\rb\r\r\n\rc\n\rd\r\n`),
    sample('LF and CR at odds', `${HEADER}\r\na\n\r\n.\r\r\n\n.\n\r.\r\nend`),
    sample('Bcc everywhere', `Bcc: a@x\r\n\tb@x\r\n${HEADER}bcc : c@x\r\nResent-Bcc: d@x\r\nBccx: kept\r\n\r\nBcc: body\r\n`),
    sample('Bcc with bare line ends', `Bcc: a@x\n b@x\r c@x\n${HEADER}\nBcc: kept\n`),
    sample('a mailbox line', `From ann Sun Nov 22 09:00:00 2026\r\n${HEADER}\r\n>From the mailbox\r\nFrom here\r\n`),
    sample('all octets but NUL', Buffer.concat([Buffer.from(`${HEADER}\r\n`), octets(100_000)])),
    sample('octets above 127', Buffer.concat([Buffer.from(`${HEADER}\r\n`), octets(50_000, 128)])),
    sample('8-bit header', Buffer.from(`Subject: Gr\xfc\xdfe\r\nFrom: \xc4nn <ann@example.test>\r\n\r\nbody\r\n`, 'latin1')),
    sample('two hundred parts', `${HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts}--b--\r\n`),
    sample('sixty parts within each other, none closed', `${HEADER}${deep}Content-Type: text/plain\r\n\r\nso deep\r\n`),
    sample('just below what is stored with its envelope', `${HEADER}\r\n${'inline 12\r\n'.repeat(1400)}`),
    sample(
      'a megabyte',
      Buffer.concat([
        Buffer.from(`${HEADER}\r\n`),
        Buffer.from(
          octets(1 << 20, 10)
            .toString('base64')
            .replace(/.{76}/g, '$&\r\n'),
        ),
        Buffer.from('\r\n'),
      ]),
    ),
    ...EIGHT_BIT,
  ];
}

test('awkward messages pass as they are, however they are cut into packets', async (t) => {
  const { port, sink, idle } = await rig(t);
  const samples = awkward();
  const small = samples.filter(({ bytes }) => bytes.length < 12_000);
  const replies = await sendRaw(port, samples);
  replies.push(...(await sendRaw(port, small, 7)));
  await idle();
  assertArrivedById(sink, [...samples, ...small], replies);
});

test('awkward messages pass a server that does not pipeline', async (t) => {
  const { port, sink, idle } = await rig(t, { extensions: ['8BITMIME', 'SMTPUTF8'] });
  const samples = awkward();
  const replies = await sendRaw(port, samples);
  await idle();
  assertArrivedById(sink, samples, replies);
});

test('a message as large as is allowed passes, one octet more is refused while it comes in', async (t) => {
  const sink = await destination(t);
  const limit = 3 << 20;
  const agent = await startAgent(t, { route: [relayTo(sink)], spool: { maxMessageSize: limit } });
  const line = `${'m'.repeat(1022)}\r\n`;
  const full = Buffer.from(HEADER + '\r\n' + line.repeat(limit / 1024));
  const fits = sample('fits', Buffer.concat([full.subarray(0, limit - 2), Buffer.from('\r\n')]));
  const [accepted, refused] = await sendRaw(agent.port, [fits, sample('too large', Buffer.concat([fits.bytes, Buffer.from('x')]))]);
  assert.match(refused!, /^552 5\.3\.4 /);
  await agent.mta.idle(AbortSignal.timeout(60_000));
  assertArrivedById(sink, [fits], [accepted!]);
});
