/**
 * `riata dev`: the agent, a DNS server for made-up domains and a destination that records what arrives, all on
 * loopback, so that real MX delivery can be watched without the internet. Nothing here leaves the machine.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type HostPort, showHostPort } from '../config/addresses.js';
import type { ConfigOptions } from '../config/config.js';
import { configFromOptions } from '../config/load.js';
import type { MailEvent } from '../core/event.js';
import { startDnsServer } from '../dev/dns-server.js';
import { FATES } from '../dev/fates.js';
import { type SinkMessage, startSink } from '../dev/sink.js';
import { createLog } from '../platform/log-lines.js';
import { whyRefused } from '../platform/port.js';
import type { Cli, Command, Globals } from './command.js';
import { DEV_DOMAINS, DEV_ZONES } from './dev-domains.js';
import { CliError, EXIT } from './exit.js';
import { relative, size } from './format.js';

import { startAgent, untilSignal } from './running.js';
import type { Screen } from './screen.js';
import { wholeNumber } from './selection.js';
import { readSubject } from './send-header.js';
import { pairs } from './table.js';
import { oneLine } from './visible.js';

const PORT = 2587;
const PAGE_PORT = 8587;
const SHUTDOWN_MS = 3_000;

interface DevArgs extends Globals {
  readonly port: string | undefined;
  readonly keep: boolean | undefined;
}

export const dev: Command<DevArgs> = async (args, cli) => {
  if (args.config !== undefined) throw new CliError(EXIT.usage, 'dev has its own settings: for a configuration of yours, run serve');
  const port = args.port === undefined ? await freePort(PORT) : wholeNumber('--port', args.port, 65_535);
  // What was begun is ended in the opposite order, also when something after it does not begin.
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const spool = args.keep || args.spool !== undefined ? path.resolve(cli.cwd, args.spool ?? 'dev-spool') : await temporarySpool(undo);
    const tell = args.json ? arrivedJson : arrived;
    const sink = await startSink({ hostname: 'mx.dev.test', onMessage: (message) => tell(message, cli.screen) });
    undo.push(() => sink.close());
    const dns = await startDnsServer({ zones: DEV_ZONES });
    undo.push(() => dns.close());
    const { config } = configFromOptions(
      settingsOf(spool, port, dns.address, {
        ...(args.socket === undefined ? {} : { socket: path.resolve(cli.cwd, args.socket) }),
        // Everything here is made up, so there is nothing to keep from other users of this machine.
        http: [`127.0.0.1:${await freePort(PAGE_PORT)}`],
        trustLoopback: true,
      }),
      { machineName: 'riata.dev.test' },
    );
    const log = createLog({
      format: args.json ? 'json' : 'text',
      level: 'warn',
      clock: cli.clock,
      write: (line) => cli.screen.say(line),
      color: cli.screen.colour,
    });
    const onEvent = (event: MailEvent) => (args.json ? cli.screen.json(event) : happened(event, cli));
    const { mta, socket, pages, close } = await startAgent(config, { log, mxPort: sink.port, onEvent }, cli);
    const listening = mta.listening()[0]!;
    const page = pages()[0]!;
    if (args.json) cli.screen.json({ type: 'started', listening, page, spool, socket, dns: dns.address, destinationPort: sink.port });
    else welcome(cli, listening, page, spool);
    return await untilSignal(close, () => SHUTDOWN_MS, log, cli);
  } finally {
    for (const end of undo.reverse()) await end();
  }
};

/** The port of the examples, or any where somebody has that. */
async function freePort(usual: number): Promise<number> {
  return (await whyRefused('127.0.0.1', usual)) === undefined ? usual : 0;
}

async function temporarySpool(undo: (() => Promise<unknown>)[]): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'riata-dev-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Waits are short, so that somebody who watches sees a second attempt, a notice, an end. */
function settingsOf(spool: string, port: number, dns: string, control: NonNullable<ConfigOptions['control']>): ConfigOptions {
  return {
    spool,
    submission: { listen: [`127.0.0.1:${port}`] },
    dns: { servers: [dns] },
    delivery: { allowPrivateAddresses: true },
    retry: { firstDelay: '10s', maxDelay: '1m', expiry: '10m', delayNotice: '2m' },
    shutdown: { timeout: SHUTDOWN_MS },
    control,
  };
}

function welcome({ screen, env }: Cli, listening: HostPort, page: string, spool: string): void {
  const { paint, columns } = screen;
  const server = showHostPort(listening);
  // In a checkout the command is not on anybody's path.
  const riata = env['npm_lifecycle_event'] === undefined ? 'riata' : 'npx riata';
  screen.print(
    paint.bold(`Riata takes mail on ${server}, for made-up domains that live on this machine.`),
    '',
    'Send some:',
    `  swaks --server ${server} --from me@dev.test --to ok@dev.test`,
    `  printf 'Subject: Hello\\n\\nIt works.\\n' | curl -sS smtp://${server} --mail-from me@dev.test --mail-rcpt ok@dev.test -T -`,
    `  printf 'Subject: Hello\\n\\nIt works.\\n' | ${riata} send --spool ${spool} -f me@dev.test ok@dev.test`,
    'and look after it:',
    `  ${riata} status ID --spool ${spool}`,
    `  ${riata} queue list --spool ${spool}`,
    `  ${page} in a browser`,
    '',
    paint.bold('Mail to'),
    ...pairs(
      [
        ...FATES.map(({ name, does }) => [`${name}@dev.test`, does] as const),
        ...DEV_DOMAINS.slice(1).map(({ name, shows }) => [`anybody@${name}`, shows] as const),
      ],
      columns,
      2,
    ),
    '',
    paint.dim('Control-C ends it.'),
    '',
  );
}

/** Lines are not cut: what a server said is what one wants to read here. */
function happened(event: MailEvent, { screen, clock }: Cli): void {
  const { paint } = screen;
  const line = (word: string, text: string, colour = paint.dim) =>
    screen.print(`${time(event.at)} ${colour(word.padEnd(9))} ${oneLine(text)}`);
  switch (event.type) {
    case 'accepted':
      return line('accepted', `${event.id} from ${event.sender || '<>'}, ${size(event.sizeBytes)}`);
    case 'delivered':
      return line('delivered', `${event.recipient}: ${event.text}`, paint.good);
    case 'deferred':
      return line('deferred', `${event.recipient}: ${event.text}; again ${relative(event.nextAttemptAt, clock.now())}`, paint.warn);
    case 'bounced':
    case 'expired':
    case 'removed':
      return line(event.type, `${event.recipient}: ${event.text}`, paint.bad);
    case 'changed':
      return line(event.change, event.id);
    case 'paused':
    case 'resumed':
      return line(event.type, event.lane, paint.warn);
    case 'fault':
      return line('fault', event.text, paint.bad);
  }
}

function arrived(message: SinkMessage, { print, paint }: Screen): void {
  const subject = readSubject(message.bytes);
  const about = `${message.sender || '<>'} → ${message.recipients.join(', ')}${subject === '' ? '' : ` “${subject}”`}, ${size(message.bytes.length)}`;
  print(`${time(message.at)} ${paint.bold('arrived'.padEnd(9))} ${oneLine(about)}`);
}

function arrivedJson(message: SinkMessage, screen: Screen): void {
  const { at, sender, recipients, sizeBytes, connection, helo } = message;
  screen.json({ type: 'arrived', at, sender, recipients, subject: readSubject(message.bytes), sizeBytes, connection, helo });
}

function time(at: number): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}
