/** Any sequence of commands, cut anywhere: every reply must be the one that a model of the session gives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../support/properties.js';
import { Client, HEADER, openListener } from '../support.js';

type Step = 'EHLO' | 'MAIL' | 'mail' | 'badMail' | 'RCPT' | 'rcpt' | 'badRcpt' | 'message' | 'RSET' | 'NOOP' | 'unknown';

const LINES: Readonly<Record<Step, string>> = {
  EHLO: 'EHLO c',
  MAIL: 'MAIL FROM:<a@b.test>',
  mail: 'Mail From: <a@b.test> SIZE=5',
  badMail: 'MAIL FROM:<a@b.test> WHAT',
  RCPT: 'RCPT TO:<c@d.test>',
  rcpt: 'rcpt to:<c@d.test>',
  badRcpt: 'RCPT TO:<c@d.test',
  message: 'DATA',
  RSET: 'RSET',
  NOOP: 'NOOP',
  unknown: 'HOLA',
};

/** What is sent for the steps, what must come back, and how many recipients each accepted message has. `turnedAway`: nothing more is heard. */
function run(steps: readonly Step[]) {
  let greeted = false;
  let recipients: number | undefined;
  const sent: string[] = [];
  const codes: string[] = [];
  const accepted: number[] = [];
  const answer = (step: Step): string => {
    if (!greeted && !['EHLO', 'RSET', 'NOOP', 'unknown'].includes(step)) return '503';
    switch (step) {
      case 'EHLO':
        greeted = true;
        recipients = undefined;
        return '250';
      case 'RSET':
        recipients = undefined;
        return '250';
      case 'NOOP':
        return '250';
      case 'unknown':
        return greeted ? '500' : '421';
      case 'badMail':
        return recipients === undefined ? '555' : '503';
      case 'MAIL':
      case 'mail':
        if (recipients !== undefined) return '503';
        recipients = 0;
        return '250';
      case 'badRcpt':
        return recipients === undefined ? '503' : '501';
      case 'RCPT':
      case 'rcpt':
        if (recipients === undefined) return '503';
        recipients++;
        return '250';
      case 'message':
        return recipients === undefined ? '503' : recipients === 0 ? '554' : '354';
    }
  };
  for (const step of steps) {
    sent.push(LINES[step]);
    const code = answer(step);
    codes.push(code);
    if (code === '421') break;
    if (code !== '354') continue;
    accepted.push(Math.min(recipients!, 1));
    recipients = undefined;
    sent.push(`${HEADER}\r\nMAIL FROM:<x@y.test>\r\n..\r\n.`);
    codes.push('250');
  }
  return { text: sent.map((line) => `${line}\r\n`).join(''), codes, accepted, turnedAway: codes.at(-1) === '421' };
}

test('every reply is that of the model, whatever is sent and however it is cut', { timeout: 120_000 }, async (t) => {
  const { port, spool } = await openListener(t, { maxErrors: 1_000 });
  const step = fc.constantFrom(...(Object.keys(LINES) as Step[]), 'RCPT', 'message', 'MAIL', 'RCPT', 'message');
  await fc.assert(
    fc.asyncProperty(
      fc.array(step as fc.Arbitrary<Step>, { maxLength: 25 }),
      fc.boolean(),
      fc.array(fc.nat(400), { maxLength: 5 }),
      async (steps, greet, cuts) => {
        const { text, codes, accepted, turnedAway } = run(greet ? ['EHLO', ...steps] : steps);
        spool.stored.length = 0;
        const client = await Client.dial(port);
        await client.reply();
        let from = 0;
        for (const cut of [...cuts.map((n) => n % (text.length + 1)).sort((a, b) => a - b), text.length]) {
          client.send(text.slice(from, cut));
          from = Math.max(from, cut);
          await new Promise((resolve) => setImmediate(resolve));
        }
        const replies = await client.replies(codes.length);
        assert.deepEqual(
          replies.map((reply) => reply.slice(0, 3)),
          codes,
        );
        if (!turnedAway) assert.equal(await client.ask('QUIT'), '221 2.0.0 Bye');
        assert.equal(await client.rest(), '');
        assert.deepEqual(
          spool.stored.map(({ entry }) => entry.deliveries.flatMap(({ recipients }) => recipients).length),
          accepted,
        );
        client.close();
      },
    ),
    { numRuns: 200 },
  );
});
