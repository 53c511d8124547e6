/** `riata doctor`. */
import type { Declare } from '../command.js';

export const doctorCommand: Declare = (yargs, run) =>
  yargs.command(
    'doctor [sending..]',
    'Examine what keeps mail from arriving: DNS, port 25, SPF, DKIM, disk, …',
    (command) =>
      command
        .positional('sending', {
          type: 'string',
          array: true,
          describe: 'Domains that you send from: MX, SPF, DKIM and DMARC are looked at',
        })
        .option('selector', { type: 'string', array: true, requiresArg: true, describe: 'DKIM selector; again for another' })
        .option('probe', { type: 'string', requiresArg: true, default: 'gmail.com', describe: 'Domain to try DNS and port 25 with' })
        .option('ntp', { type: 'string', requiresArg: true, default: 'pool.ntp.org', describe: 'Time server to compare the clock with' })
        .example('$0 doctor example.com --selector 2026a', 'before the first mail goes out')
        .example('$0 doctor --config /etc/riata/riata.toml', 'the machine and its way to the world')
        .epilog('Run it as the user who runs the agent. Ends with 0, also where it warns, and with 69 when something failed.'),
    run(async () => (await import('../doctor/doctor.js')).doctor),
  );
