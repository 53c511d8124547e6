/** `riata queue flush`: what was put off is tried now. What waits for its date, or is held, is left alone. */
import type { ChangeReport, ControlVerbs } from '../control/types.js';
import type { Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { count } from './format.js';
import { withAgent } from './reach.js';

/** Deliveries that wait because of trouble (with `error: ''` there was some), and those who wait for a site in trouble. */
export async function flushQueue(verbs: ControlVerbs): Promise<ChangeReport> {
  const report = await verbs.change({ action: 'retry', selector: { state: 'waiting', error: '' } });
  await verbs.flush();
  return report;
}

export const queueFlush: Command<Globals> = async (args, cli) =>
  withAgent(args, cli, async (verbs) => {
    const report = await flushQueue(verbs);
    if (args.json) cli.screen.json(report);
    else if (report.changed === 0) cli.screen.print('Nothing was put off. Sites in trouble may be tried now.');
    else cli.screen.print(`Will try now: ${count(report.changed, 'delivery', 'deliveries')} of ${count(report.messages, 'message')}.`);
    return EXIT.ok;
  });
