/** `riata queue remove|retry|hold|release|reschedule|fail`: one verb on the deliveries selected. */
import type { Action, ChangeReport, ChangeRequest, ControlVerbs, Selector } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { CliError, EXIT } from './exit.js';
import { count, moment } from './format.js';
import { withAgent } from './reach.js';
import { isBroad, type SelectionArgs, selection, span } from './selection.js';
import { when } from './when.js';

interface ChangeArgs extends Globals, SelectionArgs {
  readonly all: boolean | undefined;
  readonly dryRun: boolean | undefined;
  readonly yes: boolean | undefined;
  /** Of `reschedule`. */
  readonly at?: string | undefined;
  readonly in?: string | undefined;
  /** Of `fail`. */
  readonly reason?: string | undefined;
}

type Terms = Omit<ChangeRequest, 'selector' | 'dryRun'>;

export function queueChange(action: Action): Command<ChangeArgs> {
  return async (args, cli) => {
    const terms = termsOf(action, args, cli);
    const selector = await select(action, args, cli);
    return withAgent(args, cli, async (verbs) => {
      const final = action === 'remove' || action === 'fail';
      if (final && isBroad(selector) && !args.dryRun && !args.yes && !(await agreed(action, verbs, selector, cli))) {
        cli.screen.say('Nothing was changed.');
        return EXIT.ok;
      }
      const report = await verbs.change({ ...terms, selector, dryRun: args.dryRun ?? false });
      if (args.json) cli.screen.json(report);
      else tell(terms, report, args.dryRun ?? false, cli);
      return exit(report, args.dryRun ?? false);
    });
  };
}

function termsOf(action: Action, args: ChangeArgs, cli: Cli): Terms {
  if (action === 'fail') return { action, ...(args.reason === undefined ? {} : { reason: args.reason }) };
  if (action !== 'reschedule') return { action };
  const now = cli.clock.now();
  if (args.at !== undefined) return { action, at: when('--at', args.at, now) };
  if (args.in !== undefined) return { action, at: now + span('--in', args.in) };
  throw new CliError(EXIT.usage, 'until when? Say --in 2h, or --at 2026-12-01T09:00+01:00');
}

async function select(action: Action, args: ChangeArgs, cli: Cli): Promise<Selector> {
  const query = await selection(args, cli);
  const empty = Object.keys(query).length === 0;
  if (empty && !args.all) throw new CliError(EXIT.usage, `say which: ids, filters, or --all (see "riata queue ${action} --help")`);
  if (!empty && args.all) throw new CliError(EXIT.usage, '--all and a selection contradict each other');
  // What is not held has nothing to be released from, and is not to be counted.
  if (action === 'release' && query.ids === undefined) return { state: 'held', ...query };
  return args.all ? { all: true } : query;
}

/** What cannot be undone is counted and asked first. */
async function agreed(action: 'remove' | 'fail', verbs: ControlVerbs, selector: Selector, cli: Cli): Promise<boolean> {
  const { messages, matched } = await verbs.change({ action, selector, dryRun: true });
  const what = `${count(matched, 'delivery', 'deliveries')} of ${count(messages, 'message')}`;
  if (matched === 0) return true;
  const does = action === 'remove' ? 'removes' : 'fails';
  if (cli.ask === undefined) throw new CliError(EXIT.usage, `this ${does} ${what} for good: say --yes to do it, or --dry-run to look`);
  const question = action === 'remove' ? `Remove ${what} for good, without a bounce` : `Fail ${what} for good, and tell the senders`;
  return /^y(es)?$/i.test((await cli.ask(`${question}? [y/N] `)).trim());
}

const DONE: Readonly<Record<Action, string>> = {
  remove: 'Removed',
  retry: 'Will try now:',
  hold: 'Held',
  release: 'Released',
  reschedule: 'Rescheduled',
  fail: 'Failed',
};
const WOULD: Readonly<Record<Action, string>> = {
  remove: 'Would remove',
  retry: 'Would try now:',
  hold: 'Would hold',
  release: 'Would release',
  reschedule: 'Would reschedule',
  fail: 'Would fail',
};

function tell({ action, at }: Terms, report: ChangeReport, dryRun: boolean, { screen }: Cli): void {
  const { messages, matched, changed, inFlight, gone, unknown } = report;
  const until = at === undefined ? '' : `, to ${moment(at)}`;
  if (matched === 0 && unknown.length === 0) screen.print('Nothing in the queue matches.');
  else if (dryRun) screen.print(`${WOULD[action]} ${count(matched, 'delivery', 'deliveries')} of ${count(messages, 'message')}${until}.`);
  else if (matched > 0)
    screen.print(
      `${DONE[action]} ${count(changed, 'delivery', 'deliveries')}${changed === matched ? ` of ${count(messages, 'message')}` : ''}${until}.`,
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
