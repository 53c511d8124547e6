/** What becomes of each recipient, alone and among others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type SinkScript, startSink } from '../../src/dev/sink.js';
import { makeJob, opened, Work } from './session-rig.js';

const MODES = { pipelined: undefined, 'one command at a time': ['8BITMIME', 'SIZE'] } as const;

for (const [name, extensions] of Object.entries(MODES)) {
  describe(`recipients of a transaction, ${name}`, () => {
    async function send(to: readonly string[], script?: SinkScript, maxRecipients = 100) {
      const sink = await startSink({ ...(extensions ? { extensions } : {}), ...(script ? { script } : {}) });
      try {
        const session = await opened(sink.port, { maxRecipients });
        const work = new Work(makeJob({ to: to.map((local) => `${local}@sink.test`) }), makeJob());
        const end = await session.run(work);
        if (end.kind === 'idle') await session.quit();
        assert.deepEqual(sink.violations, []);
        return { outcomes: work.outcomes(0), second: work.outcomes(1), messages: sink.messages, work, end };
      } finally {
        await sink.close();
      }
    }

    it('each has the outcome of its own answer', async () => {
      const { outcomes, second, messages } = await send(['ok', 'fail-550', 'defer-450', 'ok-too', 'fail-553']);
      assert.deepEqual(outcomes, ['delivered', 'failed rcpt 550', 'deferred rcpt 450', 'delivered', 'failed rcpt 553']);
      assert.deepEqual(messages[0]!.recipients, ['ok@sink.test', 'ok-too@sink.test']);
      assert.deepEqual(second, ['delivered']);
    });

    it('a refused message fails those who were accepted, and nobody else', async () => {
      const { outcomes, second } = await send(['ok', 'defer-450', 'fail-at-dot']);
      assert.deepEqual(outcomes, ['failed content 554', 'deferred rcpt 450', 'failed content 554']);
      assert.deepEqual(second, ['delivered']);
    });

    it('a refused DATA is for those who were accepted, and the server is reset', async () => {
      const refused = await send(['ok', 'fail-550', 'reject-at-data']);
      assert.deepEqual(refused.outcomes, ['failed data 554', 'failed rcpt 550', 'failed data 554']);
      assert.deepEqual(refused.second, ['delivered']);
      const deferred = await send(['ok', 'fail-550', 'defer-at-data']);
      assert.deepEqual(deferred.outcomes, ['deferred data 451', 'failed rcpt 550', 'deferred data 451']);
    });

    it('nobody accepted means no content', async () => {
      const { outcomes, second, messages } = await send(['fail-550', 'defer-450']);
      assert.deepEqual(outcomes, ['failed rcpt 550', 'deferred rcpt 450']);
      assert.deepEqual(second, ['delivered']);
      assert.equal(messages.length, 1);
    });

    it('a refused MAIL is for all of them', async () => {
      const script: SinkScript = ({ verb }, { messages: _ }) => (verb === 'MAIL' ? '550 5.7.1 not you' : undefined);
      const { outcomes } = await send(['a', 'b', 'fail-551'], script, 2);
      assert.deepEqual(outcomes, ['failed mail 550', 'failed mail 550', 'failed mail 550']);
    });

    it('who is one too many goes at once in the next transaction', async () => {
      const { outcomes, second } = await send(['ok', 'too-many', 'fail-550', 'too-many+1']);
      assert.deepEqual(outcomes, ['delivered', 'again', 'failed rcpt 550', 'again']);
      assert.deepEqual(second, ['delivered']);
    });

    it('too many already for the first one is no reason to try again at once', async () => {
      const script: SinkScript = ({ verb }, { sender }) => (verb === 'RCPT' && sender !== '' ? '452 4.5.3 too many recipients' : undefined);
      const { outcomes } = await send(['a', 'b'], script);
      assert.deepEqual(outcomes, ['deferred rcpt 452', 'deferred rcpt 452']);
    });

    it('552 with 5.5.3 is what old servers say for too many, and 552 alone is a failure', async () => {
      let answers = ['250 fine', '552 5.5.3 too many recipients', '552 5.2.2 mailbox full', '552 no'];
      const script: SinkScript = ({ verb }) => (verb === 'RCPT' ? answers.shift() : undefined);
      const { outcomes } = await send(['a', 'b', 'c', 'd'], script);
      assert.deepEqual(outcomes, ['delivered', 'again', 'failed rcpt 552', 'failed rcpt 552']);
      answers = ['552 5.5.3 too many recipients', '550 no'];
      const nobody = await send(['a', 'b'], script);
      assert.deepEqual(nobody.outcomes, ['deferred rcpt 552', 'failed rcpt 550']);
      const [trouble] = nobody.work.results[0]!.outcomes;
      assert.ok(trouble?.kind === 'deferred');
      assert.equal(trouble.trouble.status, '4.5.3');
      assert.equal(trouble.trouble.lasting, 'temporary');
    });

    it('of more than a hundred, the others go at once in the next transaction', async () => {
      const { outcomes, messages } = await send(Array.from({ length: 130 }, (_, index) => `r${index}`));
      assert.equal(messages[0]!.recipients.length, 100);
      assert.deepEqual(new Set(outcomes.slice(0, 100)), new Set(['delivered']));
      assert.deepEqual(outcomes.slice(100), new Array(30).fill('again'));
    });

    it('of more than fit, the others wait too when the connection breaks', async () => {
      const { outcomes } = await send(['a', 'drop-at-rcpt', 'c'], undefined, 2);
      assert.deepEqual(outcomes, ['deferred rcpt reset', 'deferred rcpt reset', 'deferred rcpt reset']);
    });

    it('those answered before a 421 keep their answers, the others are deferred', async () => {
      const answers = ['550 5.1.1 who?', '250 fine', '421 4.3.2 closing', '250 fine'];
      const script: SinkScript = ({ verb }) => (verb === 'RCPT' ? answers.shift() : undefined);
      const { outcomes, work, end } = await send(['a', 'b', 'c', 'd'], script);
      assert.deepEqual(outcomes, ['failed rcpt 550', 'deferred rcpt 421', 'deferred rcpt 421', 'deferred rcpt 421']);
      assert.equal(end.kind, 'broken');
      assert.ok(!work.events.includes('next 1'));
    });

    it('an address that cannot stand in a command fails alone, and never gets there', async () => {
      const commands: string[] = [];
      const script: SinkScript = ({ verb, argument }) => void commands.push(`${verb} ${argument}`);
      const sink = await startSink({ ...(extensions ? { extensions } : {}), script });
      try {
        const session = await opened(sink.port);
        const to = ['a@sink.test', 'b@sink.test>\r\nRCPT TO:<evil@sink.test', 'c d@sink.test', '"c d"@sink.test', '', 'ü@sink.test'];
        const work = new Work(makeJob({ to }), makeJob({ sender: 'a@b>\r\nRSET' }), makeJob({ to: ['a\0@sink.test'] }));
        await session.run(work);
        const utf8 = extensions ? 'failed local smtpUtf8' : 'delivered';
        assert.deepEqual(work.outcomes(0), [
          'delivered',
          'failed local badAddress',
          'failed local badAddress',
          'delivered',
          'failed local badAddress',
          utf8,
        ]);
        assert.deepEqual(work.outcomes(1), ['failed local badAddress']);
        assert.deepEqual(work.outcomes(2), ['failed local badAddress']);
        assert.deepEqual(
          commands.filter((command) => command.startsWith('RCPT')),
          ['RCPT TO:<a@sink.test>', 'RCPT TO:<"c d"@sink.test>', ...(extensions ? [] : ['RCPT TO:<ü@sink.test>'])],
        );
        assert.equal(session.messages, 1);
        await session.quit();
      } finally {
        await sink.close();
      }
    });
  });
}

describe('a server that answers 354 although it accepted nobody', () => {
  it('gets no dot, so it cannot deliver an empty message to anybody', async () => {
    const sink = await startSink({
      script: ({ verb }) => (verb === 'RCPT' ? '550 5.1.1 who?' : verb === 'DATA' ? [{ raw: '354 go on\r\n' }] : undefined),
    });
    try {
      const session = await opened(sink.port);
      const work = new Work(makeJob(), makeJob());
      const end = await session.run(work);
      assert.deepEqual(work.outcomes(0), ['failed rcpt 550']);
      assert.equal(end.kind, 'worn');
      assert.ok(!work.events.includes('mayFinish'));
      await sink.idle();
      assert.equal(sink.counts.messages, 0);
    } finally {
      await sink.close();
    }
  });

  it('nor when it refused MAIL and accepted recipients all the same', async () => {
    const sink = await startSink({
      script: ({ verb }) =>
        verb === 'MAIL'
          ? '550 5.7.1 no'
          : verb === 'RCPT'
            ? [{ raw: '250 fine\r\n' }]
            : verb === 'DATA'
              ? [{ raw: '354 go on\r\n' }]
              : undefined,
    });
    try {
      const session = await opened(sink.port);
      const work = new Work(makeJob());
      await session.run(work);
      assert.deepEqual(work.outcomes(0), ['failed mail 550']);
      assert.ok(!work.events.includes('mayFinish'));
    } finally {
      await sink.close();
    }
  });
});
