/** Clients that hand in mail as fast as they are answered, whatever happens to the one who answers. */
import type { Random } from '../../../src/platform/random.js';
import { type Talk, talk } from '../../support/talk.js';
import type { Accounts, Sent } from './accounts.js';

export interface ClientsOptions {
  readonly count: number;
  readonly accounts: Accounts;
  readonly random: Random;
  /** The port of the life that is, or the next one to come; undefined: there will be none. */
  readonly port: () => Promise<number | undefined>;
  /** May another message be sent now? Asked before each. */
  readonly more: () => Promise<boolean>;
  /** Half of a message's content is written; a 250 is in. */
  readonly onHalf: () => void;
  readonly onAcknowledged: () => void;
}

/** Resolves when there will be no other life, or nothing more to send. */
export async function runClients(options: ClientsOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.count }, () => runClient(options)));
}

async function runClient(options: ClientsOptions): Promise<void> {
  const { random } = options;
  for (;;) {
    const port = await options.port();
    if (port === undefined) return;
    // Some hand in one message and leave, others go on for long.
    const messages = random.unit() < 0.3 ? 1 : 40;
    try {
      const conversation = await talk(port);
      try {
        await conversation.reply();
        await conversation.say('EHLO client.test');
        for (let sent = 0; sent < messages; sent++) {
          if (!(await options.more())) return;
          await handIn(conversation, options);
        }
      } finally {
        conversation.end();
      }
    } catch {
      // It was killed. What was not acknowledged may have been accepted all the same.
    }
  }
}

async function handIn(conversation: Talk, { accounts, random, onHalf, onAcknowledged }: ClientsOptions): Promise<void> {
  const { sent, content } = compose(accounts, random);
  const recipients = sent.recipients.map((recipient) => `RCPT TO:<${recipient}>\r\n`);
  conversation.write(`MAIL FROM:<${sent.sender}>\r\n${recipients.join('')}DATA\r\n`);
  for (const expected of ['250', ...recipients.map(() => '250'), '354']) {
    const reply = await conversation.reply();
    if (!reply.startsWith(expected)) throw new Error(reply);
  }
  const half = Math.floor(content.length / 2);
  const stuffed = content.toString('latin1').replace(/^\./gm, '..');
  conversation.write(Buffer.from(stuffed.slice(0, half), 'latin1'));
  onHalf();
  conversation.write(Buffer.from(`${stuffed.slice(half)}.\r\n`, 'latin1'));
  const reply = await conversation.reply();
  const id = /^250 2\.0\.0 queued as ([0-9A-Z]{26})$/.exec(reply)?.[1];
  if (id === undefined) throw new Error(reply);
  sent.id = id;
  onAcknowledged();
}

/** All kinds: small and large, dots, 8-bit, several recipients in several lanes, some put off once, some refused, some put off for ever. */
function compose(accounts: Accounts, random: Random): { sent: Sent; content: Buffer } {
  const chance = (share: number) => random.unit() < share;
  const below = (limit: number) => Math.floor(random.unit() * limit);
  const key = `k${accounts.sent.size + 1}`;
  const recipients = Array.from({ length: chance(0.3) ? 2 + below(4) : 1 }, (_, number) => {
    const fate = chance(0.1) ? 'once-450' : chance(0.06) ? 'fail-550' : chance(0.02) ? 'defer-451' : 'ok';
    return `${fate}+${key}.${number}@${chance(0.5) ? 'one' : 'two'}.test`;
  });
  const sender = `sender+${key}@back.test`;
  const size = chance(0.15) ? 20_000 + below(300_000) : chance(0.02) ? 1_000_000 + below(1_000_000) : 100 + below(3_000);
  const lines = [
    `X-Key: ${key}`,
    'Date: Sun, 22 Nov 2026 09:00:00 +0000',
    `From: ${sender}`,
    `To: ${recipients[0]}`,
    `Message-ID: <${key}@client.test>`,
    '',
  ];
  const filler = `${chance(0.3) ? '.' : ''}${chance(0.3) ? 'Grüße ' : 'text '}${'x'.repeat(below(70))}`;
  const line = Buffer.byteLength(filler) + 2;
  for (let written = 0; written < size; written += line) lines.push(filler);
  const content = Buffer.from(`${lines.join('\r\n')}\r\n`);
  return { sent: accounts.add({ key, sender, recipients }, content), content };
}
