/** What a program is called by tells what is asked of it: `sendmail`, `mailq` and `newaliases` may be links to `riata`. */
import path from 'node:path';

/** Words to stand before those of the command line. */
export function calledAs(program: string): readonly string[] {
  switch (path.basename(program)) {
    case 'sendmail':
      return ['sendmail'];
    case 'mailq':
      return ['mailq'];
    case 'newaliases':
      return ['sendmail', '-bi'];
    default:
      return [];
  }
}
