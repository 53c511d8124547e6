/** What went wrong, told on standard error. */
import type { Cli } from './command.js';
import { EXIT, exitCode } from './exit.js';
import { visibleLines } from './visible.js';

export function tell(cli: Pick<Cli, 'screen'>, error: unknown, name = 'riata:'): void {
  const message = error instanceof Error ? error.message : String(error);
  cli.screen.say(`${cli.screen.paint.bad(name)} ${visibleLines(message)}`);
  // A fault of our own: whoever reports it needs to know where.
  if (exitCode(error) === EXIT.software && error instanceof Error && error.stack) cli.screen.say(visibleLines(error.stack));
}
