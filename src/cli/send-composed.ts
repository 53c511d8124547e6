/** `riata send` with `--to` and `--subject`: a message composed here, in the process of the command, from options and files. */
import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createComposer } from '../compose/compose.js';
import type { SubmitRequest } from '../control/types.js';
import type { Issue } from '../core/errors.js';
import { systemRandom } from '../platform/random.js';
import { type Cli, STDIN } from './command.js';
import { CliError, EXIT } from './exit.js';

export interface LetterArgs {
  readonly from: string | undefined;
  readonly to: readonly string[] | undefined;
  readonly cc: readonly string[] | undefined;
  readonly bcc: readonly string[] | undefined;
  readonly subject: string | undefined;
  readonly body: string | undefined;
  readonly html: string | undefined;
  readonly attach: readonly string[] | undefined;
  readonly replyTo: string | undefined;
  readonly header: readonly string[] | undefined;
  readonly recipient: readonly string[] | undefined;
  readonly file: string | undefined;
  readonly headers: boolean | undefined;
  /** Recipients come from there. */
  readonly merge: string | undefined;
}

const COMPOSING = [
  'to',
  'cc',
  'bcc',
  'subject',
  'body',
  'html',
  'attach',
  'replyTo',
  'header',
] as const satisfies readonly (keyof LetterArgs)[];

/** Whether it is to be composed. Throws 64 where it is both that and formatted already. */
export function isLetter(args: LetterArgs): boolean {
  const asked = COMPOSING.find((name) => args[name] !== undefined);
  if (asked === undefined) return false;
  const given = args.file !== undefined ? '--file' : args.headers ? '-t' : args.recipient?.length ? 'a recipient without --to' : undefined;
  if (given === undefined) return true;
  throw new CliError(EXIT.usage, `--${FLAGS[asked] ?? asked} composes a message, and ${given} is for one that is there already: not both`);
}

export interface Letter {
  readonly request: SubmitRequest;
  readonly content: AsyncIterable<Buffer>;
}

/** Reads the texts, and checks all options: 64 names each that is wrong. Attachments are read when the content is. */
export async function composedLetter(args: LetterArgs, date: number | undefined, cli: Cli): Promise<(hostname: string) => Letter> {
  if ([args.body, args.html, args.merge].filter((file) => file === STDIN).length > 1)
    throw new CliError(EXIT.usage, '--body, --html and --merge cannot share standard input');
  const [body, html] = [await text('--body', args.body, cli), await text('--html', args.html, cli)];
  const attachments = args.attach?.map((file) => path.resolve(cli.cwd, file));
  for (const file of attachments ?? []) await access(file, constants.R_OK);
  const { from, to, cc, bcc, subject, replyTo } = args;
  const extraMIMEHeaders = args.header?.map(readHeader);
  const options = { from, to, cc, bcc, subject, replyTo, extraMIMEHeaders, body, html, attachments, date };
  const demands = { subject: true, recipients: args.merge === undefined, content: true };
  const compose = (hostname: string) => {
    const issues: Issue[] = [];
    const composed = createComposer({ now: () => cli.clock.now(), random: systemRandom, hostname }).read(options, demands, issues);
    if (composed === undefined || issues.length > 0)
      throw new CliError(EXIT.usage, issues.map((issue) => `--${flag(issue.path)}: ${issue.message}`).join('\n'));
    return composed;
  };
  // Before anybody is asked for a connection.
  compose('localhost');
  return (hostname) => {
    const composed = compose(hostname);
    const content = args.merge === undefined ? composed.stream() : composed.template();
    return { request: { from: composed.envelope().from, to: composed.recipients() }, content };
  };
}

function readHeader(line: string): [string, string] {
  const colon = line.indexOf(':');
  if (colon < 1) throw new CliError(EXIT.usage, `--header: ${JSON.stringify(line)} is not like "Name: value"`);
  return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
}

const FLAGS: Readonly<Record<string, string>> = { attachments: 'attach', replyTo: 'reply-to', extraMIMEHeaders: 'header' };

/** `attachments[0].path` is the first `--attach`. */
function flag(issuePath: string): string {
  const [name = ''] = issuePath.split(/[[.]/, 1);
  return FLAGS[name] ?? name;
}

async function text(option: string, file: string | undefined, cli: Cli): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const octets = file === STDIN ? await readAll(cli) : await readFile(path.resolve(cli.cwd, file));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    throw new CliError(EXIT.data, `${option}: ${file} is not text in UTF-8`);
  }
}

async function readAll({ stdin, screen }: Cli): Promise<Buffer> {
  if (stdin.isTTY) screen.say('Type the text. Control-D ends it.');
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Buffer | string));
  return Buffer.concat(chunks);
}
