/**
 * Servers that mean no good, or know no measure: octets without an end, answers without a question, ends that are none. Each must cost
 * us the connection and nothing else: no mail counted as delivered that was not, no memory, no waiting.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { listening, makeJob, open, opened, streamed, Work } from './session-rig.js';

type Verb = 'CONNECT' | 'EHLO' | 'MAIL' | 'RCPT' | 'DATA' | 'DOT';
const VERBS: readonly Verb[] = ['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'DOT'];
const STAGES = { CONNECT: 'greeting', EHLO: 'ehlo', MAIL: 'mail', RCPT: 'rcpt', DATA: 'data', DOT: 'content' } as const;
const GOOD: Readonly<Record<Verb, string>> = {
  CONNECT: '220 hostile\r\n',
  EHLO: '250-hostile\r\n250 PIPELINING\r\n',
  MAIL: '250 fine\r\n',
  RCPT: '250 fine\r\n',
  DATA: '354 go on\r\n',
  DOT: '250 fine\r\n',
};

type Answer = (socket: net.Socket) => void;

/** Says what is good, but for what is given; hears what is said to it line by line. `heard` resolves with all of it when its client has gone. */
async function startServer(t: TestContext, answers: Partial<Record<Verb, Answer>>): Promise<{ port: number; heard: Promise<string> }> {
  let told: (text: string) => void;
  const heard = new Promise<string>((resolve) => (told = resolve));
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    let text = '';
    let read = 0;
    let inContent = false;
    const answer = (verb: Verb) => (answers[verb] ? answers[verb](socket) : socket.write(GOOD[verb]));
    socket.on('error', () => {});
    socket.on('close', () => told(text));
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (;;) {
        const end = text.indexOf(inContent ? '\r\n.\r\n' : '\r\n', read);
        if (end === -1) return;
        const verb = inContent ? 'DOT' : (text.slice(read, read + 4) as Verb);
        read = end + (inContent ? 5 : 2);
        inContent = verb === 'DATA';
        if (verb in STAGES) answer(verb);
        else socket.end();
      }
    });
    answer('CONNECT');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  return { port: (server.address() as net.AddressInfo).port, heard };
}

/** The same octets again and again, as fast as they are taken, until the connection is gone. */
function without(end: string, first = ''): Answer {
  const many = Buffer.from(end.repeat(Math.ceil(65_536 / end.length)), 'latin1');
  return (socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(many));
      if (!socket.destroyed) socket.once('drain', more);
    };
    socket.write(first);
    more();
  };
}

/** What came of one message: its outcome, or the trouble before it. Whether it was counted as delivered is the point. */
async function deliver(port: number, job = makeJob()): Promise<string> {
  const answer = await open(port);
  if (answer.kind === 'trouble') return `trouble ${answer.trouble.stage} ${answer.trouble.code ?? answer.trouble.reason}`;
  const work = new Work(job);
  const end = await answer.session.run(work);
  if (end.kind === 'idle') await answer.session.quit();
  return `${work.outcomes(0).join()}, ${end.kind}`;
}

const limit = { timeout: 120_000 };

const ENDLESS: readonly (readonly [string, (good: string) => Answer])[] = [
  ['a line without an end', (good) => without('x', good.slice(0, 4))],
  ['a reply without an end', (good) => without(`${good.slice(0, 3)}-and another line\r\n`)],
  ['line ends without an end', () => without('\r\n')],
  ['NUL without an end', () => without('\0')],
];

describe('octets without an end', () => {
  for (const [what, answer] of ENDLESS) {
    for (const verb of VERBS) {
      it(`${what} in answer to ${verb} ends the connection, and delivers nothing`, limit, async (t) => {
        const { port, heard } = await startServer(t, { [verb]: answer(GOOD[verb]) });
        const stage = STAGES[verb];
        const expected = verb === 'CONNECT' || verb === 'EHLO' ? `trouble ${stage} garbage` : `deferred ${stage} garbage, broken`;
        assert.equal(await deliver(port), expected);
        await heard;
      });
    }
  }

  it('an answer to EHLO of ten thousand lines is none', limit, async (t) => {
    const { port } = await startServer(t, { EHLO: (socket) => socket.write(`${'250-X\r\n'.repeat(10_000)}250 PIPELINING\r\n`) });
    assert.equal(await deliver(port), 'trouble ehlo garbage');
  });
});

describe('answers without a question', () => {
  for (const [verb, next, expected] of [
    ['CONNECT', 'EHLO', 'trouble ehlo garbage'],
    // It is lost before there is a message to blame.
    ['EHLO', 'MAIL', ', broken'],
  ] as const) {
    it(`the answer to ${next} along with the one to ${verb} is not taken for it, whole or begun`, limit, async (t) => {
      for (const ahead of [GOOD[next], GOOD[next].slice(0, 2)]) {
        const { port, heard } = await startServer(t, { [verb]: (socket: net.Socket) => socket.write(GOOD[verb] + ahead) });
        assert.equal(await deliver(port), expected, ahead);
        assert.doesNotMatch(await heard, /MAIL/);
      }
    });
  }

  it('an answer in the middle of the content is not the one to the dot, and there is no dot', limit, async (t) => {
    for (const early of ['250 2.0.0 queued\r\n', '354 go on\r\n', '250-2.0.0 queued\r\n']) {
      let say = () => {};
      const { port, heard } = await startServer(t, {
        DATA: (socket) => {
          socket.write(GOOD.DATA);
          say = () => socket.write(early);
        },
      });
      const { writes, dialer } = listening();
      const session = await opened(port, { dialer });
      let release = () => {};
      const gone = new Promise<void>((resolve) => (release = resolve));
      const work = new Work(makeJob({ body: streamed([Buffer.from('Subject: x\r\n\r\n'), () => (say(), gone), Buffer.from('end\r\n')]) }));
      const end = await session.run(work);
      release();
      assert.equal(end.kind, 'broken', early);
      assert.deepEqual(work.outcomes(0), ['deferred content garbage'], early);
      assert.doesNotMatch(writes.join(''), /\r\n\.\r\n/, early);
      await heard;
    }
  });

  it('one too many after a dot: what was delivered stays so, and the connection is used no more', limit, async (t) => {
    const { port } = await startServer(t, { DOT: (socket) => socket.write('250 fine\r\n250 fine again\r\n') });
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob());
    const end = await session.run(work);
    assert.equal(end.kind, 'broken');
    assert.deepEqual(work.outcomes(0), ['delivered']);
    assert.notDeepEqual(work.outcomes(1), ['delivered']);
  });
});

describe('ends that are none', () => {
  for (const verb of VERBS) {
    it(`a server that says no more from ${verb} on, but would go on listening, has ended the connection`, limit, async (t) => {
      const { port, heard } = await startServer(t, { [verb]: (socket: net.Socket) => socket.end() });
      const stage = STAGES[verb];
      const expected = verb === 'CONNECT' || verb === 'EHLO' ? `trouble ${stage} reset` : `deferred ${stage} reset, broken`;
      assert.equal(await deliver(port), expected);
      assert.equal(/\r\n\.\r\n/.test(await heard), verb === 'DOT');
    });
  }
});
