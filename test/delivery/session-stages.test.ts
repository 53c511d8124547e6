/** Every stage of a transaction against everything that can go wrong there, with and without pipelining. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Act } from '../../src/dev/act.js';
import { type SinkOptions, startSink } from '../../src/dev/sink.js';
import { NOBODY } from '../support/loopback.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';
import { makeJob, open, opened, POLICY, TIMEOUTS, Work } from './session-rig.js';

type Verb = 'MAIL' | 'RCPT' | 'DATA' | 'DOT';
const STAGES = { MAIL: 'mail', RCPT: 'rcpt', DATA: 'data', DOT: 'content' } as const;
const VERBS = Object.keys(STAGES) as Verb[];
const MODES: readonly (readonly [string, Partial<SinkOptions>])[] = [
  ['pipelined', {}],
  ['one command at a time', { extensions: ['8BITMIME', 'SIZE'] }],
];
const GOOD: Record<Verb, string> = { MAIL: '250 fine', RCPT: '250 fine', DATA: '354 go on', DOT: '250 fine' };

/** One message through a sink that does this at this verb. */
async function send(verb: Verb, act: Act, mode: Partial<SinkOptions>) {
  const sink = await startSink({ ...mode, script: (command) => (command.verb === verb ? act : undefined) });
  try {
    const session = await opened(sink.port);
    const work = new Work(makeJob());
    const end = await session.run(work);
    if (end.kind === 'idle') await session.quit();
    await sink.idle();
    return { work, end, sink };
  } finally {
    await sink.close();
  }
}

for (const [name, mode] of MODES) {
  describe(`a transaction, ${name}`, () => {
    for (const verb of VERBS) {
      const stage = STAGES[verb];

      it(`a 4xx to ${verb} defers, and the connection goes on`, async () => {
        const { work, end } = await send(verb, '451-4.3.0 not now\r\n451 4.3.0 try again in 10 minutes', mode);
        assert.deepEqual(work.outcomes(0), [`deferred ${stage} 451`]);
        const [outcome] = work.results[0]!.outcomes;
        assert.ok(outcome?.kind === 'deferred');
        assert.equal(outcome.trouble.retryAfterMs, 600_000);
        assert.equal(outcome.trouble.text, '4.3.0 not now 4.3.0 try again in 10 minutes');
        assert.equal(end.kind, 'idle');
      });

      it(`a 5xx to ${verb} fails, with the status of the server`, async () => {
        const { work, end } = await send(verb, '550 5.7.1 no', mode);
        assert.deepEqual(work.outcomes(0), [`failed ${stage} 550`]);
        const [outcome] = work.results[0]!.outcomes;
        assert.ok(outcome?.kind === 'failed');
        assert.equal(outcome.trouble.status, '5.7.1');
        assert.equal(outcome.trouble.lasting, 'permanent');
        assert.equal(end.kind, 'idle');
      });

      it(`a 421 to ${verb} defers and ends the connection`, async () => {
        const { work, end } = await send(verb, '421 4.3.2 closing', mode);
        assert.deepEqual(work.outcomes(0), [`deferred ${stage} 421`]);
        assert.ok(end.kind === 'broken');
        assert.equal(end.trouble.code, 421);
        assert.equal(end.reachedMail, verb !== 'MAIL');
      });

      for (const drop of ['end', 'reset'] as const) {
        it(`a connection that ends (${drop}) at ${verb} defers`, async () => {
          const { work, end } = await send(verb, { drop }, mode);
          const [outcome] = work.results[0]!.outcomes;
          assert.ok(outcome?.kind === 'deferred');
          assert.equal(outcome.trouble.reason, 'reset');
          // What the server had answered before, but not sent, is lost with the connection.
          if (name !== 'pipelined' || drop === 'end') assert.equal(outcome.trouble.stage, stage);
          assert.equal(end.kind, 'broken');
        });
      }

      for (const garbage of [
        'hello there',
        '25',
        '999 what',
        '1250 fine',
        '250-fine\r\n251 fine',
        '250_fine',
        '\x00\x00',
        GOOD[verb].replace(/^\d/, '1'),
      ]) {
        it(`${JSON.stringify(garbage)} in answer to ${verb} is never a yes`, async () => {
          const { work, end } = await send(verb, garbage, mode);
          assert.deepEqual(work.outcomes(0), [`deferred ${stage} garbage`]);
          assert.equal(end.kind, 'broken');
        });
      }

      for (const code of verb === 'DATA' ? ['250', '220', '334', '235'] : ['354', '220', '221', '211', '334', '235']) {
        it(`${code} in answer to ${verb} means that the two have lost step`, async () => {
          const { work, end, sink } = await send(verb, [{ raw: `${code} odd\r\n` }], mode);
          assert.deepEqual(work.outcomes(0), [`deferred ${stage} garbage`]);
          assert.equal(end.kind, 'broken');
          if (verb !== 'DOT') assert.equal(sink.messages.length, 0);
        });
      }

      it(`a good answer to ${verb} may have many lines and come octet by octet`, async () => {
        const good = GOOD[verb];
        const raw = `${good.slice(0, 3)}-one\r\n${good.slice(0, 3)}-2.0.0 two\r\n${good.slice(0, 3)}\r\n`;
        const { work, end, sink } = await send(verb, { raw, byByte: true }, mode);
        assert.deepEqual(work.outcomes(0), ['delivered']);
        assert.equal(end.kind, 'idle');
        assert.equal(sink.messages.length, 1);
        assert.deepEqual(sink.violations, []);
      });

      it(`silence after ${verb} ends with its timeout and not before, and defers`, async () => {
        const clock = createVirtualClock();
        let hung = () => {};
        const reached = new Promise<void>((resolve) => (hung = resolve));
        const sink = await startSink({
          ...mode,
          script: (command) => {
            if (command.verb !== verb) return undefined;
            hung();
            return { hang: true };
          },
        });
        try {
          const session = await opened(sink.port, { clock });
          const work = new Work(makeJob());
          const running = session.run(work);
          await reached;
          await settle(20);
          const limit = verb === 'DOT' ? TIMEOUTS.finalDot : TIMEOUTS.command;
          await clock.advance(limit - 1);
          assert.equal(work.results[0], undefined);
          await clock.advance(1);
          assert.deepEqual(work.outcomes(0), [`deferred ${stage} timeout`]);
          assert.equal((await running).kind, 'broken');
          await sink.idle();
          assert.equal(clock.pending, 0);
        } finally {
          await sink.close();
        }
      });
    }

    it('an answer in the same breath as the 354 is not the answer to the dot', async () => {
      const { work, end, sink } = await send('DATA', { raw: '354 go on\r\n250 2.0.0 queued\r\n' }, mode);
      assert.deepEqual(work.outcomes(0), ['deferred content garbage']);
      assert.equal(end.kind, 'broken');
      assert.equal(sink.messages.length, 0);
    });

    it('the beginning of an answer in the same breath as the 354 is not one to the dot either', async () => {
      const { work, end } = await send('DATA', [{ raw: '354 go on\r\n250 2.0.' }, { waitMs: 5 }, { raw: '0 queued\r\n' }], mode);
      assert.deepEqual(work.outcomes(0), ['deferred content garbage']);
      assert.equal(end.kind, 'broken');
    });
  });
}

describe('before MAIL', () => {
  for (const [verb, stage] of [
    ['CONNECT', 'greeting'],
    ['EHLO', 'ehlo'],
  ] as const) {
    for (const [act, expected] of [
      ['450 4.3.2 busy', { code: 450, status: '4.3.2' }],
      ['554 5.7.1 go away', { code: 554, status: '4.7.1' }],
      ['421 4.3.2 closing', { code: 421, status: '4.3.2' }],
      ['354 go on', { reason: 'garbage', status: '4.5.0' }],
      ['SSH-2.0-OpenSSH_9', { reason: 'garbage', status: '4.5.0' }],
      [{ drop: 'end' }, { reason: 'reset', status: '4.4.2' }],
      [{ drop: 'reset' }, { reason: 'reset' }],
    ] as const) {
      it(`${JSON.stringify(act)} at ${verb} is trouble of the site, and temporary`, async () => {
        const sink = await startSink({
          script: (command) => (command.verb === verb || (verb === 'EHLO' && command.verb === 'HELO') ? act : undefined),
        });
        try {
          const answer = await open(sink.port);
          assert.ok(answer.kind === 'trouble');
          const { stage: at, lasting, ...trouble } = answer.trouble;
          // A reset may come before the connection is known to stand.
          if (!(verb === 'CONNECT' && at === 'connect' && trouble.reason === 'reset')) assert.equal(at, stage);
          assert.equal(lasting, 'temporary');
          for (const [key, value] of Object.entries(expected)) assert.equal(trouble[key as 'code'], value);
          await sink.idle();
        } finally {
          await sink.close();
        }
      });
    }

    it(`silence at ${verb} ends with its timeout`, async () => {
      const clock = createVirtualClock();
      let hung = () => {};
      const reached = new Promise<void>((resolve) => (hung = resolve));
      const script = (command: { verb: string }) => {
        if (command.verb !== verb) return undefined;
        hung();
        return { hang: true } as const;
      };
      const sink = await startSink({ script });
      try {
        let over = false;
        const opening = open(sink.port, { clock }).finally(() => (over = true));
        await reached;
        await settle(20);
        await clock.advance((verb === 'CONNECT' ? TIMEOUTS.greeting : TIMEOUTS.command) - 1);
        assert.equal(over, false);
        await clock.advance(1);
        const answer = await opening;
        assert.ok(answer.kind === 'trouble');
        assert.equal(answer.trouble.reason, 'timeout');
        assert.equal(answer.trouble.stage, stage);
      } finally {
        await sink.close();
      }
    });
  }

  it('a refused connection says so', async () => {
    const answer = await open(NOBODY.port);
    assert.ok(answer.kind === 'trouble');
    assert.deepEqual(
      { ...answer.trouble, text: '' },
      {
        lasting: 'temporary',
        stage: 'connect',
        status: '4.4.1',
        text: '',
        server: { host: 'sink.test', address: '127.0.0.1', port: NOBODY.port },
        reason: 'refused',
      },
    );
  });

  it('a connection that does not come about in time says so', async () => {
    const clock = createVirtualClock();
    const dialer = {
      connect: (_: unknown, signal: AbortSignal) =>
        new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      secure: () => Promise.reject(new Error('not reached')),
    };
    const opening = open(1, { clock, dialer });
    await clock.advance(TIMEOUTS.connect);
    const answer = await opening;
    assert.ok(answer.kind === 'trouble');
    assert.equal(answer.trouble.reason, 'timeout');
    assert.equal(answer.trouble.stage, 'connect');
    assert.equal(clock.pending, 0);
  });

  it('an abort while it opens gives a trouble that says so, and leaves no connection', async () => {
    const giveUp = new AbortController();
    const sink = await startSink({ script: (command) => (command.verb === 'EHLO' ? (giveUp.abort(), { hang: true }) : undefined) });
    try {
      const answer = await open(sink.port, {}, giveUp.signal);
      assert.ok(answer.kind === 'trouble');
      assert.equal(answer.trouble.reason, 'stopped');
      await sink.idle();
    } finally {
      await sink.close();
    }
  });

  it('a server that knows no EHLO is greeted with HELO, and taken to offer nothing', async () => {
    const sink = await startSink({ heloOnly: true });
    try {
      const session = await opened(sink.port);
      const work = new Work(makeJob(), makeJob());
      assert.equal((await session.run(work)).kind, 'idle');
      await session.quit();
      assert.deepEqual(work.outcomes(0), ['delivered']);
      assert.deepEqual(work.outcomes(1), ['delivered']);
      assert.deepEqual(sink.messages[0]!.parameters, []);
      assert.equal(sink.messages[0]!.helo, POLICY.heloName);
      assert.deepEqual(sink.violations, []);
    } finally {
      await sink.close();
    }
  });
});
