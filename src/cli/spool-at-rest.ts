/** What the commands on a spool at rest share: which spool, what to say when it is not at rest, and how losses are told. */
import path from 'node:path';
import { mayOpen } from '../control/offline.js';
import { MtaError } from '../core/errors.js';
import type { Loss, MovedCounts } from '../spool/moving.js';
import type { Cli, Globals } from './command.js';
import { CliError, EXIT } from './exit.js';
import { count, number, size } from './format.js';
import { settings } from './settings.js';
import { wrap } from './table.js';
import { oneLine } from './visible.js';

/** Losses told on a screen; JSON has them all. */
const SHOWN = 20;
const NAMED = 5;

/** `absent`: it may be one that is still to be made. */
export async function spoolAtRest(args: Globals, cli: Cli, absent: 'refused' | 'allowed' = 'refused'): Promise<string> {
  const spoolPath = path.resolve(cli.cwd, settings(args, cli).config.spool.path);
  await mayOpen(spoolPath).catch((error: unknown) => {
    const isAbsent = error instanceof MtaError && error.cause === undefined;
    if (absent === 'refused' || !isAbsent) throw error;
  });
  return spoolPath;
}

/** `doing`: what cannot be done while an agent has it, and the way out. */
export async function whileAtRest<T>(doing: string, use: () => Promise<T>, { screen }: Cli): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof MtaError) || error.code !== 'SPOOL_LOCKED') throw error;
    throw new CliError(EXIT.tryLater, `${error.message}; ${doing}`, { cause: error });
  } finally {
    screen.progress('');
  }
}

export class Losses {
  readonly all: Loss[] = [];
  readonly add = (loss: Loss): void => void this.all.push(loss);

  lines({ screen }: Cli): string[] {
    if (this.all.length === 0) return [];
    const lines = this.all.slice(0, SHOWN).flatMap((loss) => wrap(oneLine(inWords(loss)), screen.columns));
    const more = this.all.length - SHOWN;
    return [
      screen.paint.bad(`${count(this.all.length, 'loss', 'losses')}:`),
      ...lines,
      ...(more > 0 ? [`and ${number(more)} more: --json tells of all`] : []),
    ];
  }
}

function inWords({ text, sender, recipients = [] }: Loss): string {
  const from = sender === undefined ? '' : ` from <${sender}>`;
  const named = recipients.slice(0, NAMED).join(', ');
  const more = recipients.length > NAMED ? ` and ${recipients.length - NAMED} more` : '';
  const to = recipients.length === 0 ? '' : ` to ${named}${more}`;
  return from === '' && to === '' ? text : `${text}: mail${from}${to}`;
}

export function movedPairs(counts: MovedCounts): [string, string][] {
  return [
    ['Messages', number(counts.messages)],
    ['Deliveries', number(counts.deliveries)],
    ['Content', size(counts.contentBytes)],
    ['History', count(counts.history, 'delivery', 'deliveries')],
    ...(counts.pauses > 0 ? ([['Paused lanes', number(counts.pauses)]] as [string, string][]) : []),
    ...(counts.keys > 0 ? ([['Keys', number(counts.keys)]] as [string, string][]) : []),
  ];
}

export function movedSoFar(counts: Readonly<MovedCounts>): string {
  return `${number(counts.messages)} messages, ${number(counts.history)} in the history`;
}
