/** What the compiler must let pass and what it must not: checked with all the rest, and never run. */
import type { MailEvent, MessageView, QueueOptions, SendOptions, Sent, SentNow, StatusWord } from '../../src/index.js';
import { type Compose, compose, createMta, MtaError } from '../../src/index.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_yes: Same<A, B>) => {};

export async function checked(): Promise<void> {
  await using mta = await createMta({ spool: './spool', retry: { expiry: '2d' }, route: [{ host: 'smtp.example.net', port: 587 }] });
  await createMta({ spool: { path: './spool', maxMessageSize: 1024 }, submission: { listen: ['127.0.0.1:0'] } });
  // @ts-expect-error: an agent within a program has no control socket
  await createMta({ control: { socket: 'x' } });
  // @ts-expect-error: there is no such setting
  await createMta({ spol: './spool' });

  const sent = await mta.send({ from: 'a@b.test', to: ['c@d.test', { name: 'E', address: 'e@f.test' }], subject: 's', body: 'b' });
  same<typeof sent, Sent>(true);
  same<Awaited<ReturnType<typeof mta.status>>, StatusWord>(true);
  same<Awaited<ReturnType<typeof mta.inspect>>, MessageView | undefined>(true);
  // @ts-expect-error: from is missing
  await mta.send({ to: 'c@d.test', subject: 's', body: 'b' });
  // @ts-expect-error: subject is missing
  await mta.send({ from: 'a@b.test', to: 'c@d.test', body: 'b' });
  // @ts-expect-error: no such priority
  await mta.send({ from: 'a@b.test', to: 'c@d.test', subject: 's', body: 'b', priority: 'urgent' });
  const now = await mta.send({ from: 'a@b.test', to: 'c@d.test', subject: 's', body: 'b', immediate: true });
  same<typeof now, SentNow>(true);
  same<(typeof now)['outcomes'][number]['state'], 'delivered' | 'deferred' | 'failed'>(true);

  const composed: Compose = compose({ from: 'a@b.test', to: 'c@d.test', subject: 's', body: 'b' });
  await mta.queue({ data: composed });
  await mta.queue({ data: Buffer.from(''), from: '', recipients: 'c@d.test', priority: 'HIGH', date: new Date(0) });
  // @ts-expect-error: what is formatted already has no envelope of its own
  await mta.queue({ data: Buffer.from('') });

  mta.on('deferred', (event) => {
    same<typeof event, Extract<MailEvent, { type: 'deferred' }>>(true);
    event.nextAttemptAt satisfies number;
  });
  // @ts-expect-error: there is no such event
  mta.on('opened', () => {});
  for await (const { message, delivery } of mta.list({ state: 'held' })) [message.id, delivery.due] satisfies [string, number];
  // @ts-expect-error: no such state
  mta.list({ state: 'lost' });
  new MtaError('INVALID_OPTIONS', 'x').issues[0]?.path satisfies string | undefined;
}

({ from: 'a@b.test', subject: 's', bcc: 'c@d.test', html: '<p>' }) satisfies SendOptions;
({ data: 'x', from: '', recipients: [] }) satisfies QueueOptions;
