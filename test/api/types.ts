/** What the compiler must let pass and what it must not: checked with all the rest, and never run. */
import { expectTypeOf } from 'expect-type';
import nodemailer from 'nodemailer';
import type {
  MailAgent,
  MailEvent,
  MessageView,
  QueueOptions,
  SendOptions,
  Sent,
  SentNow,
  StatusWord,
  Wait,
  WhyReport,
} from '../../src/index.js';
import { type Compose, compose, createMta, MtaError } from '../../src/index.js';
import { riataTransport } from '../../src/nodemailer.js';
import { createTestMta, type OutboxMail } from '../../src/testing/index.js';

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

export async function checkedWaiting(mta: MailAgent, signal: AbortSignal): Promise<void> {
  await using opened = await createMta({ spool: './spool', signal });
  expectTypeOf(opened.why('x', { signal })).resolves.toEqualTypeOf<WhyReport | undefined>();
  mta.list({}, { signal });
  await mta.reschedule({ all: true }, 0, { signal });
  await mta.fail({ id: 'x' }, { reason: 'no', signal });
  await mta.pause({ domain: 'x.test', reason: 'no', signal });
  await mta.inspect('x', { limit: 3, after: '3', signal });
  await mta.close({ signal });
  // @ts-expect-error: a signal is no selection
  await mta.hold({ all: true, signal });
  // @ts-expect-error: seconds are not a signal
  await mta.status('x', { signal: 30 });
  const why = await mta.why('x');
  expectTypeOf(why!.deliveries[0]!.waits).toEqualTypeOf<readonly Wait[]>();
}

export async function checkedDoors(mta: MailAgent): Promise<void> {
  expectTypeOf(mta.batch(() => 7)).resolves.toEqualTypeOf<number>();
  expectTypeOf(mta.batch(async () => mta.queue({ data: 'x', from: '', recipients: [] }))).resolves.toEqualTypeOf<Sent>();
  // @ts-expect-error: a batch is a function
  await mta.batch(mta.status('x'));
  for await (const event of mta.events({ after: new Date(0) })) {
    expectTypeOf(event.cursor).toEqualTypeOf<number>();
    expectTypeOf(event).toMatchTypeOf<MailEvent>();
    if (event.type === 'delivered') expectTypeOf(event.recipient).toEqualTypeOf<string>();
    // @ts-expect-error: not every event is about a recipient
    event.recipient;
  }
  expectTypeOf<SendOptions>().toHaveProperty('idempotencyKey').toEqualTypeOf<string | undefined>();
  expectTypeOf<SendOptions>().toHaveProperty('tags').toEqualTypeOf<string | readonly string[] | undefined>();
  // @ts-expect-error: a key is text
  await mta.send({ from: 'a@b.test', to: 'c@d.test', subject: 's', body: 'b', idempotencyKey: 7 });
  // @ts-expect-error: one tag is searched for
  mta.list({ tag: ['a'] });
  // @ts-expect-error: all is said, or not
  await mta.remove({ all: false });

  const test = await createTestMta({
    start: '2030-01-01T00:00:00Z',
    fates: { '@x.test': ['refuse', 'accept'], 'a@y.test': '450 4.2.1 later' },
  });
  expectTypeOf(test).toMatchTypeOf<MailAgent>();
  expectTypeOf(test.outbox).toEqualTypeOf<readonly OutboxMail[]>();
  test.fate('a@x.test', { at: 'dot', reply: '554 no' }, 'accept').reset();
  // @ts-expect-error: success is no such reply
  test.fate('a@x.test', '250 2.0.0 Ok');
  // @ts-expect-error: there is no network to listen on
  await createTestMta({ submission: { listen: ['127.0.0.1:0'] } });

  const info = await nodemailer.createTransport(riataTransport(test, { tags: 'x' })).sendMail({ from: 'a@b.test', to: 'c@d.test' });
  expectTypeOf(info.id).toEqualTypeOf<string>();
  // @ts-expect-error: what comes from nodemailer has its own envelope
  riataTransport(test, { recipients: 'a@b.test' });
}

({ from: 'a@b.test', subject: 's', bcc: 'c@d.test', html: '<p>' }) satisfies SendOptions;
({ data: 'x', from: '', recipients: [] }) satisfies QueueOptions;
