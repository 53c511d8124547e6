/** Every command, by name, in the order of the help, and the options that all of them have. */
import type { Argv } from 'yargs';
import type { Declare, Globals } from '../command.js';
import type { CommandLine } from '../outline.js';
import { completionCommand } from './completion.js';
import { configCommands } from './config.js';
import { devCommand } from './dev.js';
import { doctorCommand } from './doctor.js';
import { healthCommand } from './health.js';
import { mxCommand } from './mx.js';
import { queueCommands } from './queue.js';
import { sendCommand } from './send.js';
import { mailqCommand, sendmailCommand } from './sendmail.js';
import { serveCommand } from './serve.js';
import { spoolCommands } from './spool.js';
import { statusCommand } from './status.js';
import { topCommand } from './top.js';
import { userCommands } from './user.js';
import { whyCommand } from './why.js';

export const COMMANDS: Readonly<Record<string, Declare>> = {
  serve: serveCommand,
  dev: devCommand,
  queue: queueCommands,
  status: statusCommand,
  why: whyCommand,
  top: topCommand,
  health: healthCommand,
  doctor: doctorCommand,
  send: sendCommand,
  mx: mxCommand,
  config: configCommands,
  spool: spoolCommands,
  user: userCommands,
  sendmail: sendmailCommand,
  mailq: mailqCommand,
  completion: completionCommand(() => COMMAND_LINE),
};

const ABOUT = 'A self-contained mail transfer agent.';

const EPILOG = `Settings come from flags, then the environment (RIATA_SPOOL_PATH for spool.path), then the file of --config, RIATA_CONFIG,
./riata.toml or /etc/riata/riata.toml, then defaults. Exit codes are those of sysexits.`.replace(/\s+/g, ' ');

function globalOptions(yargs: Argv<object>): Argv<Globals> {
  return yargs
    .option('config', { type: 'string', requiresArg: true, global: true, describe: 'Configuration file' })
    .option('spool', { type: 'string', requiresArg: true, global: true, describe: 'Folder of the spool' })
    .option('socket', { type: 'string', requiresArg: true, global: true, describe: "The running agent's control socket" })
    .option('json', { type: 'boolean', default: false, global: true, describe: 'JSON lines instead of tables' })
    .option('color', {
      type: 'boolean',
      default: true,
      global: true,
      describe: 'Colours on a terminal; --no-color, or NO_COLOR set, for none',
    });
}

/** All of it, to be declared to yargs. */
export const COMMAND_LINE: CommandLine = {
  about: ABOUT,
  epilog: EPILOG,
  globals: globalOptions,
  commands: (yargs, run) => Object.values(COMMANDS).reduce((so, command) => command(so, run), yargs),
};
