/** `riata mailq`: the queue as mailq(1) has always shown it, for eyes and scripts that know that. */
import type { QueueEntry } from '../control/types.js';
import type { Cli, Globals } from './command.js';
import { EXIT } from './exit.js';
import { postqueueLine, withStatus } from './queue-list.js';
import { withQueue } from './reach.js';
import { oneLine } from './visible.js';

const PAGE = 500;
const HEAD = '-Queue ID-                   --Size-- ----Arrival Time---- -Sender/Recipient-------';
const INDENT = ' '.repeat(HEAD.indexOf('-Sender'));

export async function mailq(args: Globals, cli: Cli): Promise<number> {
  const { screen } = cli;
  return withQueue(args, cli, async (verbs) => {
    const tally = { messages: 0, octets: 0 };
    let message: QueueEntry[] = [];
    const finish = () => {
      const [first] = message;
      if (first === undefined) return;
      if (tally.messages === 0) screen.print(HEAD);
      tally.messages++;
      tally.octets += first.message.sizeBytes;
      screen.print(...lines(message), '');
    };
    for (let after: string | undefined, more = true; more; more = after !== undefined) {
      const page = await verbs.list({}, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const entry of page.items) {
        if (args.json) screen.json(postqueueLine(entry));
        // Deliveries of a message follow each other, and are shown as one.
        if (entry.message.id !== message[0]?.message.id) {
          if (!args.json) finish();
          message = [];
        }
        message.push(entry);
      }
      after = page.next;
    }
    if (args.json) return EXIT.ok;
    finish();
    if (tally.messages === 0) screen.print('Mail queue is empty');
    else screen.print(`-- ${Math.ceil(tally.octets / 1024)} Kbytes in ${tally.messages} Request${tally.messages === 1 ? '' : 's'}.`);
    return EXIT.ok;
  });
}

/** `*` is on its way or about to be, `!` is held. */
function mark(entries: readonly QueueEntry[]): string {
  const states = entries.map(({ delivery }) => delivery.state);
  if (states.some((state) => state === 'ready' || state === 'sending')) return '*';
  return states.every((state) => state === 'held') ? '!' : ' ';
}

function lines(entries: readonly QueueEntry[]): string[] {
  const { message } = entries[0]!;
  const head = `${message.id}${mark(entries)} ${String(message.sizeBytes).padStart(9)} ${arrival(message.acceptedAt)}  ${message.sender === '' ? 'MAILER-DAEMON' : oneLine(message.sender)}`;
  const open = entries.flatMap(({ delivery }) => delivery.recipients.filter(({ state }) => state === 'queued'));
  let said: string | undefined;
  return [
    head,
    ...open.flatMap(({ address, last }) => {
      const why = last === undefined ? undefined : oneLine(withStatus(last));
      // What several have in common is said once.
      const reason = why === undefined || why === said ? [] : [`${' '.repeat(Math.max(INDENT.length - why.length - 2, 0))}(${why})`];
      said = why;
      return [...reason, `${INDENT}${oneLine(address)}`];
    }),
  ];
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** As ctime(3), without the year: `Sun Nov 22 09:05:07`. */
function arrival(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${DAYS[date.getDay()]} ${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
