/** `riata user …`. */
import type { Argv } from 'yargs';
import type { Declare } from '../command.js';

function withFile<A>(yargs: Argv<A>) {
  return yargs.option('file', { type: 'string', requiresArg: true, describe: 'File of users. Default: submission.usersFile' });
}

export const userCommands: Declare = (yargs, run) =>
  yargs.command('user <command>', 'Say who may log in to hand in mail', (user) =>
    user
      .command(
        'add <name>',
        'Let somebody log in, or give them another password',
        (command) =>
          withFile(command.positional('name', { type: 'string', demandOption: true, describe: 'Name to log in with' }))
            .option('as', {
              type: 'string',
              array: true,
              requiresArg: true,
              describe: 'May send as this only: an address, or @example.com for a domain; again for another',
            })
            .option('generate', { type: 'boolean', describe: 'Make a password, and print it' })
            .option('password-file', { type: 'string', requiresArg: true, describe: 'Take the first line of this file' })
            .conflicts('generate', 'password-file')
            .example('$0 user add shop --generate --as @shop.example', 'a program of yours')
            .example('$0 user add ann < password.txt', 'from standard input; on a terminal it asks')
            .epilog('Passwords are stored as scrypt hashes. They are taken over TLS, and in the clear from this machine only.'),
        run(async () => (await import('../user.js')).userAdd),
      )
      .command(
        'remove <name>',
        'Let somebody log in no more',
        (command) =>
          withFile(command.positional('name', { type: 'string', demandOption: true, describe: 'Name to log in with' })).example(
            '$0 user remove shop',
            'from the next login on',
          ),
        run(async () => (await import('../user.js')).userRemove),
      )
      .command(
        'list',
        'List who may log in, and as whom they may send',
        (command) => withFile(command).example('$0 user list', 'names, and senders allowed'),
        run(async () => (await import('../user.js')).userList),
      )
      .demandCommand(1, 1, 'Which command?', 'Which command?'),
  );
