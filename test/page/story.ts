/** Made-up mail that tells a story: a shop's evening, with one provider that greylists, one that is down, and one address that is wrong. */
import type { Site } from './rig.js';

const LETTER = (subject: string, to: string) => `From: "Ada from Larkspur" <orders@larkspur.example>
To: ${to}
Subject: ${subject}
Date: Mon, 30 Nov 2026 18:04:00 +0000
Message-ID: <${subject.replace(/\W+/g, '-').toLowerCase()}.${to}>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: multipart/alternative; boundary="inner"

--inner
Content-Type: text/plain; charset=utf-8

Hello,

thank you for your order. Two walnut stools leave our workshop tomorrow
morning; the carrier will let you know when they are near.

The invoice is attached.

Ada
Larkspur Joinery
--inner
Content-Type: text/html; charset=utf-8

<!doctype html><body style="font:16px Georgia,serif;color:#2a2a2a;margin:24px">
<h2 style="color:#35523a">Your stools are on their way</h2>
<p>Two walnut stools leave our workshop tomorrow morning; the carrier will let you know when they are near.</p>
<p><img src="https://larkspur.example/pixel.gif" alt="" width="1" height="1">The invoice is attached.</p>
<p>Ada<br><em>Larkspur Joinery</em></p>
--inner--
--outer
Content-Type: application/pdf
Content-Disposition: attachment; filename="Invoice 2026-1187.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjQKJcOkw7zDtsOf
--outer--
`;

export const letter = (subject: string, to: string): Buffer => Buffer.from(LETTER(subject, to).replaceAll('\n', '\r\n'));

export interface Story {
  /** Deferred once or twice, with attempts to look at. */
  readonly greylisted: string;
  readonly failed: string;
  readonly sent: string;
}

const PEOPLE = ['maya.lindqvist', 'tomas.reyes', 'j.okafor', 'petra', 'hello', 'li.wen', 'noor', 'sam.whitfield', 'accounts', 'g.moretti'];

/** Resolves when all that can be settled is. */
export async function tell({ agent }: Site): Promise<Story> {
  const send = (to: string | readonly string[], subject: string, more: { from?: string; notBefore?: number } = {}) =>
    agent.submit({ from: 'orders@larkspur.example', to, content: letter(subject, [to].flat()[0]!), ...more });
  const delivered = [];
  for (const [i, name] of PEOPLE.entries()) delivered.push(await send(`${name}@${i % 3 === 0 ? 'two' : 'dev'}.test`, `Order ${1180 + i}`));
  const greylisted = await send(['defer-451+greylist@dev.test', 'ok@dev.test'], 'Order 1187');
  const failed = await send('fail-550@dev.test', 'Order 1191', { from: 'ada@dev.test' });
  await send('inbox@down.test', 'Order 1192');
  await send('frida@down.test', 'Order 1193');
  await send('carl@servfail.test', 'Order 1194');
  await send('newsletter@two.test', 'Winter letter', { notBefore: Date.now() + 11 * 3_600_000 });
  await send('press@two.test', 'Winter letter (press)', { notBefore: Date.now() + 11 * 3_600_000 });
  const held = await send('g.moretti@implicit.test', 'Refund 88', { notBefore: Date.now() + 60_000 });
  await agent.verbs.change({ action: 'hold', selector: { ids: [held] } });
  await agent.settled(delivered[0]!);
  await agent.settled(failed);
  await agent.event('deferred', ({ id }) => id === greylisted);
  await agent.event('deferred', ({ recipient }) => recipient.endsWith('@servfail.test'));
  await agent.event('deferred', ({ recipient }) => recipient.endsWith('@down.test'));
  return { greylisted, failed, sent: delivered[0]! };
}
