/** `riata send`. */
import { PRIORITIES } from '../../core/message.js';
import type { Declare } from '../command.js';

export const sendCommand: Declare = (yargs, run) =>
  yargs.command(
    'send [recipient..]',
    'Hand in a message: from standard input or a file, or composed from options',
    (command) =>
      command
        .positional('recipient', { type: 'string', array: true, describe: 'Addresses it goes to' })
        .option('from', {
          alias: 'f',
          type: 'string',
          requiresArg: true,
          describe: 'Envelope sender; "<>" for none. Default: the From header. Of a composed message: its author',
        })
        .option('file', { type: 'string', requiresArg: true, describe: 'Read the message from this file' })
        .option('headers', { alias: 't', type: 'boolean', describe: 'Recipients are those of the To, Cc and Bcc headers' })
        .option('to', { type: 'string', array: true, requiresArg: true, describe: 'Compose: recipients, "Joe <joe@example.com>, …"' })
        .option('cc', { type: 'string', array: true, requiresArg: true, describe: 'Compose: recipients of a copy' })
        .option('bcc', { type: 'string', array: true, requiresArg: true, describe: 'Compose: recipients that nobody sees' })
        .option('subject', { alias: 's', type: 'string', requiresArg: true, describe: 'Compose: the subject' })
        .option('body', { type: 'string', requiresArg: true, describe: 'Compose: the text, from this file or "-"' })
        .option('html', { type: 'string', requiresArg: true, describe: 'Compose: the page, from this file or "-"' })
        .option('attach', { type: 'string', array: true, requiresArg: true, describe: 'Compose: attach this file; again for another' })
        .option('merge', {
          type: 'string',
          requiresArg: true,
          describe: 'A copy for each line of this CSV file: its column "address", or the first; the others are values for #column#',
        })
        .option('token', { type: 'string', array: true, requiresArg: true, describe: 'With --merge: name=value, for those without one' })
        .option('reply-to', { type: 'string', requiresArg: true, describe: 'Compose: where answers go' })
        .option('header', { type: 'string', array: true, requiresArg: true, describe: 'Compose: "Name: value"; again for another' })
        .option('priority', { choices: PRIORITIES, requiresArg: true, describe: 'Order in the queue; medium unless told' })
        .option('date', { type: 'string', requiresArg: true, describe: 'Not before: 2026-12-01T09:00+01:00, or +2h' })
        .option('delay', { type: 'string', requiresArg: true, describe: 'The same, from now: 30m, 2h' })
        .conflicts('date', 'delay')
        .option('expires', { type: 'string', requiresArg: true, describe: 'Given up then: a moment as for --date. Default: retry.expiry' })
        .option('tag', { type: 'string', array: true, requiresArg: true, describe: 'Word to find it again by; again for another' })
        .option('require-tls', { type: 'boolean', describe: 'Only over verified TLS, the whole way (RFC 8689)' })
        .option('bounces', { choices: ['mail', 'none'] as const, requiresArg: true, describe: 'Whether a failure is reported by mail' })
        .option('idempotency-key', { type: 'string', requiresArg: true, describe: 'With the same one within a day nothing is sent again' })
        .option('host', { type: 'string', requiresArg: true, describe: 'Through this server, whatever the routes say' })
        .option('port', { type: 'string', requiresArg: true, describe: 'With --host: its port. Default: 25, or 465' })
        .option('ssl', {
          choices: ['implicit', 'starttls', 'opportunistic'] as const,
          requiresArg: true,
          describe: 'With --host: TLS from the first octet, demanded, or as offered',
        })
        .option('username', { type: 'string', requiresArg: true, describe: 'With --host: name to log in with' })
        .option('password-file', { type: 'string', requiresArg: true, describe: 'With --host: file whose first line is the password' })
        .option('immediate', { type: 'boolean', describe: 'Now, ahead of the queue and stored nowhere; says what became of it' })
        .conflicts('immediate', 'wait')
        .option('wait', { type: 'boolean', describe: 'Wait for what becomes of it, and say so' })
        .option('timeout', { type: 'string', requiresArg: true, default: '60s', describe: 'With --wait: at most so long' })
        .example('$0 send -t < message.eml', 'recipients from the headers')
        .example("printf 'Subject: Hi\\n\\nHello.\\n' | $0 send --from me@example.com you@example.net", 'a first mail')
        .example('$0 send -f me@example.com --to joe@example.net -s Invoice --body note.txt --attach invoice.pdf', 'composed here')
        .example('$0 send -f me@example.com -s "Dear #name#" --html news.html --merge list.csv', 'to everybody in a list')
        .example('$0 send --immediate -t < message.eml', 'now, and see whether it was taken')
        .example('$0 send --file news.eml --date +2h --priority low list@example.net', 'later, and not in a hurry')
        .example(
          '$0 send -t --host smtp.example.net --port 587 --username me --password-file secret < message.eml',
          'by a server of its own',
        )
        .epilog(
          'Prints the id when the message is safe on disk. With --wait it ends with 0 when all were delivered, 69 when one failed, 75 while one waits.',
        ),
    run(async () => (await import('../send.js')).send),
  );
