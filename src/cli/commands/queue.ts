/** `riata queue …`: what is declared of these commands. */
import type { Argv } from 'yargs';
import { ACTIONS, type Action } from '../../control/types.js';
import type { Declare, Globals, Run } from '../command.js';

export interface FilterArgs {
  readonly state: 'ready' | 'waiting' | 'held' | 'sending' | undefined;
  readonly domain: string | undefined;
  readonly sender: string | undefined;
  readonly recipient: string | undefined;
  readonly older: string | undefined;
  readonly error: string | undefined;
  readonly lane: string | undefined;
  readonly tag: string | undefined;
}

const STATES = ['ready', 'waiting', 'held', 'sending'] as const;

/** Which deliveries; the same for looking and for changing. */
function filters<A>(yargs: Argv<A>) {
  return yargs
    .option('state', {
      choices: STATES,
      requiresArg: true,
      describe: 'What the delivery does now',
    })
    .option('domain', { type: 'string', requiresArg: true, describe: "Recipient's domain" })
    .option('sender', { type: 'string', requiresArg: true, describe: 'Envelope sender; "<>" for reports' })
    .option('recipient', { type: 'string', requiresArg: true, describe: "Recipient's address" })
    .option('older', { type: 'string', requiresArg: true, describe: 'In the queue for longer than this: 2h, 3d' })
    .option('error', { type: 'string', requiresArg: true, describe: 'Part of the last error' })
    .option('tag', { type: 'string', requiresArg: true, describe: 'One of the tags it was given' })
    .option('lane', { type: 'string', requiresArg: true, describe: 'Lane, as "queue stats" names it' });
}

const WORDS: Readonly<Record<Action, { readonly does: string; readonly example: string; readonly about: string }>> = {
  remove: {
    does: 'Take deliveries out of the queue for good',
    example: '--sender old@example.com --older 2d --dry-run',
    about: 'what one sender left for two days: count first',
  },
  retry: { does: 'Try deliveries now, whatever they wait for', example: '--domain example.net', about: 'their server is back' },
  hold: { does: 'Keep deliveries from being sent until released', example: '--domain example.net', about: 'keep mail to a domain back' },
  release: { does: 'Let held deliveries go', example: '--all', about: 'everything that is held' },
  reschedule: {
    does: 'Have deliveries tried next at another moment',
    example: '--tag newsletter --in 2h',
    about: 'not now: --in or --at',
  },
  fail: {
    does: 'Give deliveries up, and tell their senders',
    example: '--recipient joe@old.example --reason "The company has moved"',
    about: 'an address that is gone: no use to try for days',
  },
};

/** What an action needs besides a selection. */
function terms<A>(yargs: Argv<A>, action: Action) {
  if (action === 'fail') return yargs.option('reason', { type: 'string', requiresArg: true, describe: 'Why, in the report to the sender' });
  if (action !== 'reschedule') return yargs;
  return yargs
    .option('at', { type: 'string', requiresArg: true, describe: 'Moment, with its offset: 2026-12-01T09:00+01:00, or +2h' })
    .option('in', { type: 'string', requiresArg: true, describe: 'From now: 30m, 2h, 1d' })
    .conflicts('at', 'in');
}

function change<A extends Globals>(yargs: Argv<A>, run: Run, action: Action): Argv<A> {
  const { does, example, about } = WORDS[action];
  return yargs.command(
    `${action} [id..]`,
    does,
    (command) =>
      terms(
        filters(command.positional('id', { type: 'string', array: true, describe: 'Ids of messages; - reads them from standard input' })),
        action,
      )
        .option('all', { type: 'boolean', describe: 'Every delivery in the queue' })
        .option('dry-run', { type: 'boolean', describe: 'Count, and change nothing' })
        .option('yes', { alias: 'y', type: 'boolean', describe: 'Do not ask' })
        .example(`$0 queue ${action} 01JD4Z6N3T5R8W0XQ2M7VKB9CE`, 'one message')
        .example(`$0 queue ${action} ${example}`, about)
        .example(`$0 queue list --error greylist --json | $0 queue ${action} -`, 'what another command found'),
    run(async () => (await import('../queue-change.js')).queueChange(action)),
  );
}

export const queueCommands: Declare = (yargs, run) =>
  yargs.command('queue <command>', 'Look at the queue and change it', (queue) => {
    const looking = queue
      .command(
        'list [id..]',
        'List what waits to be delivered',
        (command) =>
          filters(command.positional('id', { type: 'string', array: true, describe: 'Ids of messages; - reads them from standard input' }))
            .option('limit', {
              type: 'string',
              requiresArg: true,
              describe: 'At most so many; 0 for all. Unless told 100 in the table, all with --json',
            })
            .example('$0 queue list', 'the oldest hundred')
            .example('$0 queue list --domain example.net --older 1h', 'stuck for one domain')
            .example('$0 queue list --state held --json', 'all that is held, as JSON lines (the shape of postqueue -j)'),
        run(async () => (await import('../queue-list.js')).queueList),
      )
      .command(
        'show <id>',
        'Show a message: envelope, state, attempts, headers, structure',
        (command) =>
          command
            .positional('id', { type: 'string', demandOption: true, describe: 'Id of the message' })
            .option('raw', { type: 'boolean', describe: 'Its content instead, octet for octet' })
            .option('recipient', { type: 'string', requiresArg: true, describe: 'Of a merge: the copy for this address' })
            .option('transcript', { type: 'boolean', describe: 'Also what was said in each attempt, with milliseconds' })
            .example('$0 queue show 01JD4Z6N3T5R8W0XQ2M7VKB9CE', 'why is it still here?')
            .example('$0 queue show 01JD4Z6N3T5R8W0XQ2M7VKB9CE --raw > message.eml', 'save it'),
        run(async () => (await import('../queue-show.js')).queueShow),
      );
    return ACTIONS.reduce((so, action) => change(so, run, action), looking)
      .command(
        'stats',
        'Depth of the queue, lanes, connections, sites in trouble',
        (command) =>
          command
            .option('lanes', { type: 'string', requiresArg: true, default: '20', describe: 'So many of the deepest lanes' })
            .example('$0 queue stats', 'what is it doing?'),
        run(async () => (await import('../queue-stats.js')).queueStats),
      )
      .command(
        'shape',
        'How old what waits is, by domain',
        (command) =>
          command
            .option('senders', { alias: 's', type: 'boolean', describe: 'By domain of the sender, each message once' })
            .option('state', { choices: STATES, requiresArg: true, describe: 'Only what does this now' })
            .option('domains', { type: 'string', requiresArg: true, default: '20', describe: 'So many of the domains that have most' })
            .example('$0 queue shape', 'one domain stuck, or all of them?')
            .example('$0 queue shape --senders --state waiting', 'whose mail is put off')
            .epilog('Columns are ages in minutes, as in qshape: under 5, 5 to 10, 10 to 20, …'),
        run(async () => (await import('../queue-shape.js')).queueShape),
      )
      .command(
        'pause <lane>',
        'Send nothing of a lane, until it is resumed',
        (command) =>
          command
            .positional('lane', { type: 'string', demandOption: true, describe: 'A domain, or a lane as "queue stats" names it' })
            .option('reason', { type: 'string', requiresArg: true, describe: 'Shown wherever the lane is' })
            .example('$0 queue pause example.net --reason "they asked us to wait"', 'also over a restart')
            .epilog('What is on its way is finished. New mail is taken and waits; what expires meanwhile is returned to its sender.'),
        run(async () => (await import('../queue-pause.js')).queuePause),
      )
      .command(
        'resume [lane]',
        'Send again what was paused',
        (command) =>
          command
            .positional('lane', { type: 'string', describe: 'A domain, or a lane as "queue stats" names it' })
            .option('all', { type: 'boolean', describe: 'Every lane that is paused' })
            .example('$0 queue resume example.net', 'what waits goes at once'),
        run(async () => (await import('../queue-pause.js')).queueResume),
      )
      .command(
        'flush',
        'Try now what was put off; what waits for its date, or is held, is left alone',
        (command) => command.example('$0 queue flush', 'the network is back'),
        run(async () => (await import('../queue-flush.js')).queueFlush),
      )
      .demandCommand(1, 1, 'Which command?', 'Which command?');
  });
