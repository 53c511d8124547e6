/** `riata sendmail` and `riata mailq`: what other mail systems' commands of these names do. */
import type { Declare } from '../command.js';

const FLAGS = `Flags as other systems have them, in any cluster: -t recipients are those of the headers; -i or -oi a line with only a dot does
not end the message; -f or -r envelope sender; -F full name; -N -R -V what a report is to say (RFC 3461); -v tell the id; -bm a message on
standard input (what it does unless told); -bs SMTP on standard input and output; -bp the queue; -q, -qI ID, -qR DOMAIN try it now. Those
that are about another system's ways (-B -C -G -h -L -n -O -o -U -X, …) are passed over. Long flags are --config, --spool, --socket.`;

/** Only for its help: what is behind the name is read by `sendmail-flags.ts`. */
export const sendmailCommand: Declare = (yargs, run) =>
  yargs.command(
    'sendmail [recipient..]',
    'Take a message from standard input, as sendmail(1) does',
    (command) =>
      command
        .positional('recipient', { type: 'string', array: true, describe: 'Addresses; a name without a domain is one of this host' })
        .example('$0 sendmail -t -i < message.eml', 'recipients from the headers')
        .example('ln -s "$(command -v riata)" /usr/sbin/sendmail', 'for programs that call it')
        .epilog(
          `${FLAGS.replace(/\s+/g, ' ')} Ends with 0 when the message is safe on disk, 75 where it is to be tried again, such as when no agent runs.`,
        ),
    run(async () => async () => 0),
  );

export const mailqCommand: Declare = (yargs, run) =>
  yargs.command(
    'mailq',
    'Show the queue, as mailq(1) does',
    (command) =>
      command
        .example('$0 mailq', '* on its way, ! held, ( ) the last error')
        .epilog('"queue list" shows more, and chooses. --json has the shape of postqueue -j.'),
    run(async () => (await import('../mailq.js')).mailq),
  );
