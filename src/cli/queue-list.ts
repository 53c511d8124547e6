/** `riata queue list`: what waits to be delivered, a page at a time. */
import type { QueueEntry, ReadingVerbs } from '../control/types.js';
import type { Query } from '../spool/spool.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { age, count, size, until } from './format.js';
import { withQueue } from './reach.js';
import type { Screen } from './screen.js';
import { type SelectionArgs, selection, wholeNumber } from './selection.js';
import { type Column, type Row, table } from './table.js';

const PAGE = 500;
const SHOWN = '100';

export const queueList: Command<Globals & SelectionArgs & { readonly limit?: string | undefined }> = async (args, cli) => {
  // Whoever reads it with a program wants all of it, and sees no note that there is more.
  const limit = wholeNumber('--limit', args.limit ?? (args.json ? '0' : SHOWN)) || Number.POSITIVE_INFINITY;
  const query = await selection(args, cli);
  return withQueue(args, cli, (verbs) => list(verbs, query, limit, args.json, cli));
};

async function list(verbs: ReadingVerbs, query: Query, limit: number, json: boolean, cli: Cli): Promise<number> {
  const { screen } = cli;
  const tally = { deliveries: 0, messages: 0, octets: 0, last: '' };
  let after: string | undefined;
  do {
    const page = await verbs.list(query, { limit: Math.min(PAGE, limit - tally.deliveries), ...(after === undefined ? {} : { after }) });
    if (json) for (const entry of page.items) screen.json(postqueueLine(entry));
    else if (page.items.length > 0) screen.print(...rows(page.items, screen, cli.clock.now(), tally.deliveries === 0));
    for (const { message } of page.items) {
      tally.deliveries++;
      if (message.id === tally.last) continue;
      tally.messages++;
      tally.octets += message.sizeBytes;
      tally.last = message.id;
    }
    after = page.next;
  } while (after !== undefined && tally.deliveries < limit);
  if (json) return EXIT.ok;
  const filtered = Object.keys(query).length > 0;
  if (tally.deliveries === 0) screen.print(filtered ? 'Nothing in the queue matches.' : 'The queue is empty.');
  else screen.print(screen.paint.dim(total(tally, await rest(verbs, query, after), limit)));
  return EXIT.ok;
}

/** A page that is full has a next one, which may be empty: looked at once, not to the end of the queue. */
async function rest(verbs: ReadingVerbs, query: Query, after: string | undefined): Promise<'none' | 'some' | 'perhaps'> {
  if (after === undefined) return 'none';
  const page = await verbs.list(query, { limit: 1, after });
  if (page.items.length > 0) return 'some';
  return page.next === undefined ? 'none' : 'perhaps';
}

function total(
  tally: { readonly deliveries: number; readonly messages: number; readonly octets: number },
  more: 'none' | 'some' | 'perhaps',
  limit: number,
): string {
  const sum = `${count(tally.deliveries, 'delivery', 'deliveries')} of ${count(tally.messages, 'message')}, ${size(tally.octets)}`;
  return more === 'none'
    ? `${sum}.`
    : `The first ${sum}; there ${more === 'some' ? 'are' : 'may be'} more than ${limit}: --limit 0 shows all.`;
}

/** Every column but the last has a fixed width, so that pages stand under each other. */
const COLUMNS: readonly Column[] = [
  { title: 'ID', least: 26 },
  { title: 'AGE', align: 'right', least: 4 },
  { title: 'SIZE', align: 'right', least: 5 },
  { title: 'STATE', least: 7 },
  { title: 'NEXT', align: 'right', least: 4 },
  { title: 'SENDER', shrink: 10 },
];

function rows(entries: readonly QueueEntry[], screen: Screen, now: number, head: boolean): string[] {
  const lines = table(
    COLUMNS,
    entries.map((entry) => row(entry, screen, now)),
    screen.columns,
    screen.paint.bold,
  );
  return head ? lines : lines.slice(1);
}

function row({ message, delivery }: QueueEntry, screen: Screen, now: number): Row {
  const { paint } = screen;
  const open = delivery.recipients.filter((recipient) => recipient.state === 'queued');
  const first = open[0] ?? delivery.recipients[0];
  const others = open.length > 1 ? ` +${open.length - 1}` : '';
  const last = open.find((recipient) => recipient.last !== undefined)?.last;
  const paints = { ready: paint.good, sending: paint.good, waiting: paint.warn, held: paint.bad, done: paint.dim };
  return {
    cells: [
      message.id,
      age(now - message.acceptedAt),
      size(message.sizeBytes),
      { text: delivery.state, paint: paints[delivery.state] },
      delivery.state === 'waiting' ? until(delivery.due, now) : '',
      message.sender === '' ? '<>' : message.sender,
    ],
    below: [
      { text: `→ ${first?.address ?? ''}${others}`, indent: 4 },
      ...(last === undefined ? [] : [{ text: withStatus(last), indent: 6, paint: paint.dim }]),
    ],
  };
}

/** The remote's words begin with the status more often than not: then it is not said twice. */
export function withStatus({ status, text }: { readonly status: string; readonly text: string }): string {
  return text.includes(status) ? text : `${status} ${text}`;
}

const QUEUE_NAMES = { ready: 'active', sending: 'active', waiting: 'deferred', held: 'hold', done: 'done' } as const;

/** A delivery in the shape of `postqueue -j`, which other tools read, with more fields of ours. Moments are epoch seconds there. */
export function postqueueLine({ message, delivery }: QueueEntry): object {
  return {
    queue_name: QUEUE_NAMES[delivery.state],
    queue_id: message.id,
    arrival_time: Math.floor(message.acceptedAt / 1000),
    message_size: message.sizeBytes,
    forced_expire: false,
    sender: message.sender,
    recipients: delivery.recipients
      .filter((recipient) => recipient.state === 'queued')
      .map(({ address, last }) => ({
        address,
        ...(last === undefined ? {} : { delay_reason: withStatus(last), status: last.status, server: last.server }),
      })),
    delivery: delivery.key,
    lane: delivery.lane,
    state: delivery.state,
    priority: delivery.priority,
    attempts: delivery.attempts,
    next_attempt: Math.ceil(delivery.due / 1000),
    expires: Math.floor(message.expiresAt / 1000),
    message_id: message.messageId,
  };
}
