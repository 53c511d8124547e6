/**
 * `riata send`: a message from standard input or a file, or composed from options, handed to the agent; answered when it is safe on
 * disk.
 */
import { createReadStream } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { ControlVerbs, SubmitReport, SubmitRequest } from '../control/types.js';
import type { Priority } from '../core/message.js';
import { type Cli, type Command, type Globals, STDIN } from './command.js';
import { CliError, EXIT } from './exit.js';
import { withAgent } from './reach.js';
import { span } from './selection.js';
import { composedLetter, isLetter, type LetterArgs } from './send-composed.js';
import { readAddresses, splitHeader } from './send-header.js';
import { statusLines } from './status.js';
import { when } from './when.js';

interface SendArgs extends Globals, LetterArgs {
  readonly recipient: readonly string[] | undefined;
  readonly file: string | undefined;
  readonly headers: boolean | undefined;
  readonly priority: Priority | undefined;
  readonly date: string | undefined;
  readonly wait: boolean | undefined;
  readonly timeout: string;
}

export const send: Command<SendArgs> = async (args, cli) => {
  const notBefore = args.date === undefined ? undefined : when('--date', args.date, cli.clock.now());
  const timeoutMs = span('--timeout', args.timeout);
  const letter = isLetter(args) ? await composedLetter(args, notBefore, cli) : undefined;
  if (letter === undefined && (args.recipient ?? []).length === 0 && !args.headers)
    throw new CliError(EXIT.usage, 'to whom? Name recipients, take those of the headers with -t, or compose a message with --to');
  return withAgent(args, cli, async (verbs) => {
    const { request, content } = letter === undefined ? await asGiven(args, cli) : letter((await verbs.agent()).hostname);
    const report = await verbs.submit(
      {
        ...request,
        ...(args.priority === undefined ? {} : { priority: args.priority }),
        ...(notBefore === undefined ? {} : { notBefore }),
      },
      content,
    );
    return args.wait ? told(verbs, report, timeoutMs, args.json, cli) : accepted(report, args.json, cli);
  });
};

/** A message that is formatted already. */
async function asGiven(args: SendArgs, cli: Cli): Promise<{ readonly request: SubmitRequest; readonly content: AsyncIterable<Buffer> }> {
  const { header, content } = await splitHeader(source(args.file, cli));
  const named = args.from === undefined || args.headers ? await readAddresses(header) : undefined;
  const from = args.from ?? named?.from;
  if (from === undefined) throw new CliError(EXIT.data, 'from whom? The message has no From header with an address: say --from');
  const to = [...(args.recipient ?? []), ...(args.headers ? (named?.to ?? []) : [])];
  if (to.length === 0) throw new CliError(EXIT.data, 'the To, Cc and Bcc headers name nobody');
  return { request: { from, to }, content };
}

function source(file: string | undefined, cli: Cli): Readable {
  if (file !== undefined && file !== STDIN) return createReadStream(path.resolve(cli.cwd, file));
  if (cli.stdin.isTTY) cli.screen.say('Type the message: headers, an empty line, text. Control-D ends it.');
  return cli.stdin;
}

function accepted(report: SubmitReport, json: boolean, { screen }: Cli): number {
  if (json) screen.json(report);
  else screen.print(report.id);
  return EXIT.ok;
}

async function told(verbs: ControlVerbs, { id }: SubmitReport, timeoutMs: number, json: boolean, cli: Cli): Promise<number> {
  const report = await verbs.news(id, timeoutMs);
  if (json) cli.screen.json(report);
  else cli.screen.print(...statusLines(report, cli));
  switch (report.status) {
    case 'sent':
      return EXIT.ok;
    case 'queued':
      return EXIT.tryLater;
    case 'error':
    case 'unknown':
      return EXIT.unavailable;
  }
}
