/**
 * A whole agent inside a test: real spool on a temporary folder, real sockets on free ports of loopback, and whatever stands
 * in for the internet: a made-up DNS, recording destinations. Everything ends with the test.
 *
 *   const sink = await destination(t);
 *   const agent = await startAgent(t, { route: [relayTo(sink)] });
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mta, StartOptions } from '../../src/agent.js';
import { verbsOf } from '../../src/api/home.js';
import type { ConfigOptions } from '../../src/config/config.js';
import { configFromOptions } from '../../src/config/load.js';
import type { ControlVerbs, StatusReport } from '../../src/control/types.js';
import type { MailEvent, MailEventType } from '../../src/core/event.js';
import type { MessageId } from '../../src/core/message.js';
import { type DevDnsServer, type DnsZones, startDnsServer } from '../../src/dev/dns-server.js';
import { type Sink, type SinkOptions, startSink } from '../../src/dev/sink.js';
import { startMta } from '../../src/mta.js';
import { systemClock } from '../../src/platform/clock.js';
import { atEnd, type Scope, until } from './scope.js';

/** How agents in tests name themselves, unless told otherwise. */
export const HOSTNAME = 'riata.test';

export interface Agent {
  readonly mta: Mta;
  /** Where it takes mail, on 127.0.0.1. */
  readonly port: number;
  readonly verbs: ControlVerbs;
  /** All since the start. */
  readonly events: readonly MailEvent[];
  /** The first event of this kind of which `about` holds, as soon as there is one. */
  event<T extends MailEventType>(
    type: T,
    about?: (event: Extract<MailEvent, { type: T }>) => boolean,
  ): Promise<Extract<MailEvent, { type: T }>>;
  /** Hands in a message, and resolves with its id. */
  submit(mail: Mail): Promise<MessageId>;
  /** Once no recipient is open any more. */
  settled(id: MessageId): Promise<StatusReport>;
  close(): Promise<void>;
}

export interface Mail {
  /** Default: somebody. `''` is the null sender. */
  readonly from?: string;
  readonly to: string | readonly string[];
  /** Default: a small one that lacks nothing. */
  readonly content?: string | Buffer;
  readonly priority?: 'high' | 'medium' | 'low';
  /** Epoch ms. */
  readonly notBefore?: number;
}

/** Settings are added to those that every test wants: a temporary spool, a free port, a made-up internet on loopback. */
export async function startAgent(scope: Scope, settings: ConfigOptions = {}, options: StartOptions = {}): Promise<Agent> {
  const spool = typeof settings.spool === 'string' ? { path: settings.spool } : settings.spool;
  const { config } = configFromOptions(
    {
      hostname: HOSTNAME,
      ...settings,
      spool: { ...spool, path: spool?.path ?? (await temporaryFolder(scope)) },
      submission: { listen: ['127.0.0.1:0'], ...settings.submission },
      delivery: { allowPrivateAddresses: true, ...settings.delivery },
    },
    { machineName: HOSTNAME },
  );
  const events: MailEvent[] = [];
  const onEvent = (event: MailEvent) => {
    events.push(event);
    options.onEvent?.(event);
  };
  const mta = await startMta(config, { ...options, onEvent });
  atEnd(scope, () => mta.close());
  const verbs = verbsOf(mta, { clock: systemClock, ...(options.log ? { log: options.log } : {}) });
  const told = () => events.map(describeEvent).join('\n  ');
  return {
    mta,
    port: mta.listening()[0]?.port ?? 0,
    verbs,
    events,
    event: <T extends MailEventType>(type: T, about: (event: Extract<MailEvent, { type: T }>) => boolean = () => true) =>
      until(
        () => `an event "${type}" as wanted, among\n  ${told()}`,
        () =>
          events.find(
            (event): event is Extract<MailEvent, { type: T }> => event.type === type && about(event as Extract<MailEvent, { type: T }>),
          ),
      ),
    submit: (mail) => submit(verbs, mail),
    settled: (id) => settled(verbs, id, () => `${id} to be settled; there were\n  ${told()}`),
    close: () => mta.close(),
  };
}

export async function submit(verbs: Pick<ControlVerbs, 'submit'>, mail: Mail): Promise<MessageId> {
  const { from = 'sender@example.test', to, content = message(), priority, notBefore } = mail;
  const request = {
    from,
    to: [to].flat(),
    ...(priority === undefined ? {} : { priority }),
    ...(notBefore === undefined ? {} : { notBefore }),
  };
  const { id } = await verbs.submit(request, once(typeof content === 'string' ? Buffer.from(content) : content));
  return id;
}

export function settled(
  verbs: Pick<ControlVerbs, 'status'>,
  id: MessageId,
  what: string | (() => string) = `${id} to be settled`,
): Promise<StatusReport> {
  return until(what, async () => {
    const report = await verbs.status(id);
    return report.recipients.length > 0 && report.recipients.every(({ state }) => state !== 'queued') && report;
  });
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function describeEvent(event: MailEvent): string {
  switch (event.type) {
    case 'accepted':
      return `accepted ${event.id}`;
    case 'fault':
      return `fault ${event.code}: ${event.text}`;
    case 'changed':
      return `${event.change} ${event.id}`;
    case 'paused':
    case 'resumed':
      return `${event.type} ${event.lane}`;
    default:
      return `${event.type} ${event.id} ${event.recipient}: ${event.text}`;
  }
}

let messages = 0;

/** A message that lacks nothing, told apart by its subject. */
export function message(subject = `test ${++messages}`, body = 'Hello.\r\n'): string {
  return `Date: Sun, 22 Nov 2026 09:00:00 +0000\r\nFrom: sender@example.test\r\nTo: you@dest.test\r\nMessage-ID: <${++messages}.${process.pid}@example.test>\r\nSubject: ${subject}\r\n\r\n${body}`;
}

export function subjectOf(bytes: Buffer): string {
  return /^Subject: (.*)\r$/m.exec(bytes.toString('latin1'))?.[1] ?? '';
}

/** A recording destination that ends with the test. */
export async function destination(scope: Scope, options: SinkOptions = {}): Promise<Sink> {
  const sink = await startSink(options);
  atEnd(scope, () => sink.close());
  return sink;
}

export async function madeUpDns(scope: Scope, zones: DnsZones): Promise<DevDnsServer> {
  const dns = await startDnsServer({ zones });
  atEnd(scope, () => dns.close());
  return dns;
}

/** A `[[route]]` for all mail to there, or for what `more` says. */
export function relayTo({ port }: Pick<Sink, 'port'>, more: Partial<NonNullable<ConfigOptions['route']>[number]> = {}) {
  return { domain: '*', host: '127.0.0.1', port, ...more };
}

export async function temporaryFolder(scope: Scope, prefix = 'riata-test-'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  atEnd(scope, () => rm(folder, { recursive: true, force: true }));
  return folder;
}
