/** `riata queue show ID`: everything about one message, or its content. */
import { type ContentView, type PartView, readContent } from '../control/content.js';
import { readId, statusOf } from '../control/reading.js';
import type { ReadingVerbs } from '../control/types.js';
import type { Attempt, Recipient } from '../core/delivery.js';
import { MtaError } from '../core/errors.js';
import type { Origin } from '../core/message.js';
import type { DeliveryView, MessageView } from '../spool/spool.js';
import type { Cli, Command, Globals } from './command.js';
import { CliError, EXIT } from './exit.js';
import { count, duration, moment, relative, size, tallyText } from './format.js';
import { withStatus } from './queue-list.js';
import { withQueue } from './reach.js';
import type { Screen } from './screen.js';
import { pairs } from './table.js';
import { fit, oneLine, visibleLines } from './visible.js';

interface ShowArgs extends Globals {
  readonly id: string;
  readonly raw: boolean | undefined;
  readonly transcript: boolean | undefined;
  readonly recipient: string | undefined;
}

/** Deliveries of a merge on one screen. */
const MOST_SHOWN = 20;

export const queueShow: Command<ShowArgs> = async (args, cli) => {
  const id = readId(args.id);
  if (Array.isArray(args.recipient)) throw new CliError(EXIT.usage, '--recipient: one copy at a time');
  return withQueue(args, cli, async (verbs) => {
    if (args.raw) await showRaw(verbs, id, args.recipient, cli.screen);
    else await show(verbs, id, args, cli);
    return EXIT.ok;
  });
};

/** Octet for octet into a file or a pipe; on a terminal nothing of it may steer the terminal. */
async function showRaw(verbs: ReadingVerbs, id: string, recipient: string | undefined, screen: Screen): Promise<void> {
  const { chunks } = await verbs.raw(id, recipient);
  const decoder = new TextDecoder();
  for await (const chunk of chunks) await screen.write(screen.terminal ? visibleLines(decoder.decode(chunk, { stream: true })) : chunk);
}

async function show(verbs: ReadingVerbs, id: string, { json, transcript, recipient }: ShowArgs, cli: Cli): Promise<void> {
  const view = await verbs.show(id);
  const content = await contentOf(verbs, id, recipient);
  const { status } = statusOf(view);
  if (json) return cli.screen.json({ ...view, status, ...content });
  const now = cli.clock.now();
  const { screen } = cli;
  screen.print(`${screen.paint.bold(view.message.id)}  ${status}`, ...envelope(view, screen, now));
  const shown = view.tally === undefined ? view.deliveries : view.deliveries.slice(0, MOST_SHOWN);
  for (const delivery of shown) screen.print('', ...deliveryLines(delivery, transcript === true, screen, now));
  if (shown.length < view.deliveries.length || view.next !== undefined)
    screen.print('', screen.paint.dim(`These are the first ${shown.length} copies: "riata queue list ${id}" lists those in the queue.`));
  if (content === undefined) screen.print('', screen.paint.dim('Its content is gone: that goes when the last delivery is done.'));
  else screen.print('', ...contentLines(content, screen));
}

/** Undefined for a message that is in the history only. */
async function contentOf(verbs: ReadingVerbs, id: string, recipient: string | undefined): Promise<ContentView | undefined> {
  try {
    return await readContent(await verbs.raw(id, recipient));
  } catch (error) {
    if (error instanceof MtaError && error.code === 'NOT_FOUND') return undefined;
    if (error instanceof MtaError) return { headers: [], incomplete: error.message };
    throw error;
  }
}

function envelope({ message, tally }: MessageView, screen: Screen, now: number): string[] {
  const special = [
    message.smtpUtf8 ? 'SMTPUTF8' : '',
    message.requireTls ? 'REQUIRETLS' : '',
    message.content.eightBit ? '8BITMIME' : '',
    message.bounces === 'none' ? 'no bounces' : '',
  ].filter((word) => word !== '');
  return pairs(
    [
      ['From', message.sender === '' ? '<> (nobody: a report)' : message.sender],
      ['Accepted', `${moment(message.acceptedAt)}, ${relative(message.acceptedAt, now)}, ${originText(message.origin)}`],
      ...(message.notBefore > message.acceptedAt
        ? ([['Not before', `${moment(message.notBefore)}, ${relative(message.notBefore, now)}`]] as const)
        : []),
      ['Expires', `${moment(message.expiresAt)}, ${relative(message.expiresAt, now)}`],
      [
        'Size',
        message.sizeBytes < 1024 ? count(message.sizeBytes, 'octet') : `${size(message.sizeBytes)} (${count(message.sizeBytes, 'octet')})`,
      ],
      ['Priority', message.priority],
      ['Message-ID', message.messageId],
      ...(tally === undefined ? [] : ([['Copies', tallyText(tally)]] as const)),
      ...(special.length > 0 ? ([['Needs', special.join(', ')]] as const) : []),
    ],
    screen.columns,
    2,
  );
}

function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'smtp':
      return `by SMTP from ${origin.client} (${origin.helo})${origin.user === undefined ? '' : ` as ${origin.user}`}`;
    case 'api':
      return origin.user === undefined ? 'by the API' : `by the API as ${origin.user}`;
    case 'report':
      return `a report about ${origin.of}`;
  }
}

function deliveryLines(delivery: DeliveryView, transcript: boolean, screen: Screen, now: number): string[] {
  const { paint } = screen;
  const states: Readonly<Record<DeliveryView['state'], string>> = {
    ready: 'ready to be sent',
    sending: 'being sent now',
    waiting: `waiting, next attempt ${relative(delivery.due, now)}`,
    held: 'held',
    done: `done ${relative(delivery.settledAt, now)}`,
  };
  return [
    `${paint.bold(oneLine(delivery.lane))}  ${states[delivery.state]}, ${count(delivery.attempts, 'attempt')}`,
    ...delivery.recipients.flatMap((recipient) => recipientLines(recipient, screen, now)),
    ...(delivery.log.length === 0 ? [] : ['  Attempts:']),
    ...delivery.log.flatMap((attempt) => [...attemptLines(attempt, screen, now), ...(transcript ? transcriptLines(attempt, screen) : [])]),
  ];
}

function recipientLines({ address, state, last }: Recipient, screen: Screen, now: number): string[] {
  const { paint } = screen;
  const paints = { queued: paint.warn, delivered: paint.good, bounced: paint.bad, expired: paint.bad, removed: paint.dim };
  const line = `  ${fit(oneLine(address), screen.columns - 14)}  ${paints[state](state)}`;
  if (last === undefined) return [line];
  const where = last.server === undefined ? '' : `, by ${last.server}`;
  return [line, paint.dim(`    ${fit(oneLine(`${withStatus(last)} (${relative(last.at, now)}${where})`), screen.columns - 4)}`)];
}

function attemptLines(attempt: Attempt, screen: Screen, now: number): string[] {
  const results = [
    attempt.delivered > 0 ? `${attempt.delivered} delivered` : '',
    attempt.deferred > 0 ? `${attempt.deferred} deferred` : '',
    attempt.failed > 0 ? `${attempt.failed} failed` : '',
  ].filter((word) => word !== '');
  const { trouble } = attempt;
  const head = `${moment(attempt.at)} (${relative(attempt.at, now)}), ${duration(attempt.durationMs)}: ${results.join(', ') || 'nothing'}`;
  const reached = attempt.stage !== 'resolve' && attempt.stage !== 'connect';
  const security = attempt.tls ?? (reached ? 'in the clear' : '');
  const server = attempt.server === undefined ? [] : [security === '' ? attempt.server : `${attempt.server}, ${security}`];
  const why = trouble === undefined ? [] : [`${trouble.stage}: ${withStatus(withCode(trouble))}`];
  return [
    fit(`    ${head}`, screen.columns),
    ...[...server, ...why].map((text) => `      ${screen.paint.dim(fit(oneLine(text), screen.columns - 6))}`),
  ];
}

/** The milliseconds in a column of their own; nothing is cut: who asks for it wants the whole. */
function transcriptLines({ transcript }: Attempt, { paint }: Screen): string[] {
  if (transcript === undefined) return [paint.dim('        (what was said was not kept)')];
  return transcript.split('\n').map((line) => {
    const [, ms = '', text = line] = /^(\d+) (.*)$/.exec(line) ?? [];
    return `      ${paint.dim(ms.padStart(7))} ${oneLine(text)}`;
  });
}

function withCode({ code, status, text }: { readonly code?: number; readonly status: string; readonly text: string }): {
  status: string;
  text: string;
} {
  return {
    status,
    text: code === undefined || text.startsWith(String(code)) ? text : `${code} ${text.includes(status) ? text : `${status} ${text}`}`,
  };
}

function contentLines({ headers, structure, incomplete }: ContentView, screen: Screen): string[] {
  return [
    ...(headers.length > 0
      ? [
          screen.paint.bold('Headers'),
          ...pairs(
            headers.map(({ name, value }) => [`${name}:`, value] as const),
            screen.columns,
            2,
          ),
        ]
      : []),
    ...(structure === undefined ? [] : ['', screen.paint.bold('Structure'), ...partLines(structure, screen.columns)]),
    ...(incomplete === undefined ? [] : ['', screen.paint.warn(fit(oneLine(`Incomplete: ${incomplete}`), screen.columns))]),
  ];
}

/** Embedded messages and multiparts as a tree. The depth is bounded: what nests deeper is an attack, not a letter. */
function partLines(part: PartView, columns: number, before = '  ', under = '  ', depth = 0): string[] {
  const about = [
    part.type,
    part.charset ?? '',
    part.encoding ?? '',
    part.disposition ?? '',
    part.filename === undefined ? '' : JSON.stringify(part.filename),
    part.sizeBytes === undefined ? '' : size(part.sizeBytes),
  ].filter((word) => word !== '');
  const line = before + fit(oneLine(about.join('  ')), columns - before.length);
  if (depth >= 20 && part.parts.length > 0) return [line, `${under}└─ …`];
  return [
    line,
    ...part.parts.flatMap((child, i) => {
      const last = i === part.parts.length - 1;
      return partLines(child, columns, `${under}${last ? '└─ ' : '├─ '}`, `${under}${last ? '   ' : '│  '}`, depth + 1);
    }),
  ];
}
