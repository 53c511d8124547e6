/** `riata status ID`: what became of a message, in one word, and of each of its recipients. */
import { readId } from '../control/reading.js';
import type { RecipientStatus, StatusReport, StatusWord } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { relative, tallyText } from './format.js';
import { withStatus } from './queue-list.js';
import { withQueue } from './reach.js';
import { fit, oneLine, width } from './visible.js';

const CODES: Readonly<Record<StatusWord, number>> = { queued: EXIT.ok, sent: EXIT.ok, error: EXIT.unavailable, unknown: EXIT.noInput };

export const status: Command<Globals & { readonly id: string }> = async (args, cli) => {
  const id = readId(args.id);
  return withQueue(args, cli, async (verbs) => {
    const report = await verbs.status(id);
    if (args.json) cli.screen.json(report);
    else cli.screen.print(...statusLines(report, cli));
    return CODES[report.status];
  });
};

/** Recipients of a merge on one screen. */
const MOST_SHOWN = 20;

export function statusLines(report: StatusReport, { screen, clock }: Cli): string[] {
  const { paint } = screen;
  const paints = { queued: paint.warn, sent: paint.good, error: paint.bad, unknown: paint.bad };
  const { tally } = report;
  const recipients = tally === undefined ? report.recipients : report.recipients.slice(0, MOST_SHOWN);
  const more = recipients.length < report.recipients.length || report.next !== undefined;
  const widest = Math.min(
    recipients.reduce((most, { address }) => Math.max(most, width(oneLine(address))), 0),
    Math.floor(screen.columns / 2),
  );
  const now = clock.now();
  return [
    `${report.id}: ${paints[report.status](report.status)}${tally === undefined ? '' : `, of its copies ${tallyText(tally)}`}`,
    ...recipients.flatMap((recipient) => {
      const address = fit(oneLine(recipient.address), widest);
      const line = `  ${address}${' '.repeat(widest - width(address))}  ${fit(stateText(recipient, now), screen.columns - widest - 4)}`;
      const { last } = recipient;
      if (last === undefined) return [line];
      const server = last.server === undefined ? '' : ` (${last.server})`;
      return [line, `    ${paint.dim(fit(oneLine(withStatus(last) + server), screen.columns - 4))}`];
    }),
    ...(more ? [paint.dim(`  … and more: "riata queue list ${report.id}" lists those in the queue`)] : []),
  ];
}

function stateText({ state, last, due, held, attempts }: RecipientStatus, now: number): string {
  if (state !== 'queued') return last === undefined ? state : `${state} ${relative(last.at, now)}`;
  if (held) return 'held';
  const when = due <= now ? 'due now' : `${attempts === 0 ? 'first' : 'next'} attempt ${relative(due, now)}`;
  return `queued, ${when}`;
}
