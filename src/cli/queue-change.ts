/** `riata queue remove|retry|hold|release`: one verb on the deliveries selected. */
import type { Action, ChangeReport, ControlVerbs, Selector } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { CliError, EXIT } from './exit.js';
import { count } from './format.js';
import { withAgent } from './reach.js';
import { isBroad, type SelectionArgs, selection } from './selection.js';

/** Those that need nothing but a selection. */
export type PlainAction = Exclude<Action, 'reschedule' | 'fail'>;

interface ChangeArgs extends Globals, SelectionArgs {
  readonly all: boolean | undefined;
  readonly dryRun: boolean | undefined;
  readonly yes: boolean | undefined;
}

export function queueChange(action: PlainAction): Command<ChangeArgs> {
  return async (args, cli) => {
    const selector = await select(action, args, cli);
    return withAgent(args, cli, async (verbs) => {
      if (action === 'remove' && isBroad(selector) && !args.dryRun && !args.yes && !(await agreed(verbs, selector, cli))) return EXIT.ok;
      const report = await verbs.change({ action, selector, dryRun: args.dryRun ?? false });
      if (args.json) cli.screen.json(report);
      else tell(action, report, args.dryRun ?? false, cli);
      return exit(report, args.dryRun ?? false);
    });
  };
}

async function select(action: PlainAction, args: ChangeArgs, cli: Cli): Promise<Selector> {
  const query = await selection(args, cli);
  const empty = Object.keys(query).length === 0;
  if (empty && !args.all) throw new CliError(EXIT.usage, `say which: ids, filters, or --all (see "riata queue ${action} --help")`);
  if (!empty && args.all) throw new CliError(EXIT.usage, '--all and a selection contradict each other');
  return args.all ? { all: true } : query;
}

/** What cannot be undone is counted and asked first. */
async function agreed(verbs: ControlVerbs, selector: Selector, cli: Cli): Promise<boolean> {
  const { messages, matched } = await verbs.change({ action: 'remove', selector, dryRun: true });
  const what = `${count(matched, 'delivery', 'deliveries')} of ${count(messages, 'message')}`;
  if (matched === 0) return true;
  if (cli.ask === undefined) throw new CliError(EXIT.usage, `this removes ${what} for good: say --yes to do it, or --dry-run to look`);
  return /^y(es)?$/i.test((await cli.ask(`Remove ${what} for good, without a bounce? [y/N] `)).trim());
}

const DONE: Readonly<Record<PlainAction, string>> = { remove: 'Removed', retry: 'Will try now:', hold: 'Held', release: 'Released' };
const WOULD: Readonly<Record<PlainAction, string>> = {
  remove: 'Would remove',
  retry: 'Would try now:',
  hold: 'Would hold',
  release: 'Would release',
};

function tell(action: PlainAction, report: ChangeReport, dryRun: boolean, { screen }: Cli): void {
  const { messages, matched, changed, inFlight, gone, unknown } = report;
  if (matched === 0 && unknown.length === 0) screen.print('Nothing in the queue matches.');
  else if (dryRun) screen.print(`${WOULD[action]} ${count(matched, 'delivery', 'deliveries')} of ${count(messages, 'message')}.`);
  else if (matched > 0)
    screen.print(
      `${DONE[action]} ${count(changed, 'delivery', 'deliveries')}${changed === matched ? ` of ${count(messages, 'message')}` : ''}.`,
    );
  if (inFlight > 0)
    screen.say(`${count(inFlight, 'delivery', 'deliveries')} being sent at this moment: left alone. Try again in a moment.`);
  if (gone > 0) screen.say(`${count(gone, 'delivery', 'deliveries')} ended meanwhile.`);
  for (const id of unknown) screen.say(`${id}: not in the queue`);
}

function exit({ inFlight, unknown }: ChangeReport, dryRun: boolean): number {
  if (unknown.length > 0) return EXIT.noInput;
  return inFlight > 0 && !dryRun ? EXIT.tryLater : EXIT.ok;
}
