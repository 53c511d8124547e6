/**
 * `riata send`: a message from standard input or a file, or composed from options, handed to the agent; answered when it is safe on
 * disk.
 */
import { createReadStream } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { ControlVerbs, HandInReport, NowReport, SubmitReport, SubmitRequest } from '../control/types.js';
import { type Cli, type Command, type Globals, STDIN } from './command.js';
import { CliError, EXIT } from './exit.js';
import { withAgent } from './reach.js';
import { span } from './selection.js';
import { composedLetter, isLetter, type Letter, type LetterArgs } from './send-composed.js';
import { readAddresses, splitHeader } from './send-header.js';
import { isMerge, type MergeArgs, mergeFault, openList, readTokens, tellMerged } from './send-merge.js';
import { asOptions, readTerms, type SendTerms, type TermArgs } from './send-terms.js';
import { statusLines } from './status.js';
import { fit, oneLine } from './visible.js';

interface SendArgs extends Globals, LetterArgs, MergeArgs, TermArgs {
  readonly recipient: readonly string[] | undefined;
  readonly merge: string | undefined;
  readonly file: string | undefined;
  readonly headers: boolean | undefined;
  readonly immediate: boolean | undefined;
  readonly wait: boolean | undefined;
  readonly timeout: string;
}

export const send: Command<SendArgs> = async (args, cli) => {
  const terms = await readTerms(args, cli);
  const timeoutMs = span('--timeout', args.timeout);
  const merge = isMerge(args);
  const letter = isLetter(args) ? await composedLetter(args, terms.notBefore, cli) : undefined;
  if (merge) return sendMerge(args, letter, terms, timeoutMs, cli);
  if (letter === undefined && (args.recipient ?? []).length === 0 && !args.headers)
    throw new CliError(EXIT.usage, 'to whom? Name recipients, take those of the headers with -t, or compose a message with --to');
  return withAgent(args, cli, async (verbs) => {
    const { request, content } = letter === undefined ? await asGiven(args, cli) : letter((await verbs.agent()).hostname);
    const options = () => ({ from: request.from, recipients: request.to, ...asOptions(terms) });
    if (args.immediate) return sentNow(await verbs.sendNow({ options: options() }, { content }), args.json, cli);
    const report =
      terms.server === undefined
        ? await verbs.submit({ ...request, ...terms.request }, content)
        : await verbs.handIn({ options: options() }, { content });
    return args.wait ? told(verbs, report, timeoutMs, args.json, cli) : accepted(report, args.json, cli);
  });
};

/** The template, and then the list, as it is read. */
async function sendMerge(
  args: SendArgs,
  letter: ((hostname: string) => Letter) | undefined,
  terms: SendTerms,
  timeoutMs: number,
  cli: Cli,
): Promise<number> {
  const { merge = STDIN } = args;
  const tokens = readTokens(args.token);
  if (letter === undefined && merge === STDIN && (args.file === undefined || args.file === STDIN))
    throw new CliError(EXIT.usage, 'the template and the list cannot both be standard input: name a --file for one of them');
  const list = await openList(merge, cli);
  return withAgent(args, cli, async (verbs) => {
    const { from, content } = letter === undefined ? await template(args, cli) : fromLetter(letter((await verbs.agent()).hostname));
    const options = { from, tokens, ...asOptions(terms) };
    let report: HandInReport;
    try {
      const body = { content, rows: list.rows };
      if (args.immediate) return sentNow(await verbs.sendNow({ options }, body), args.json, cli);
      report = await verbs.handIn({ options }, body);
    } catch (error) {
      throw mergeFault(error);
    } finally {
      list.done();
    }
    if (!args.json) tellMerged(report, cli);
    return args.wait ? told(verbs, report, timeoutMs, args.json, cli) : accepted(report, args.json, cli);
  });
}

interface Template {
  readonly from: string;
  readonly content: AsyncIterable<Buffer>;
}

function fromLetter({ request, content }: Letter): Template {
  return { from: request.from, content };
}

async function template(args: SendArgs, cli: Cli): Promise<Template> {
  const { header, content } = await splitHeader(source(args.file, cli));
  const from = args.from ?? (await readAddresses(header)).from;
  if (from === undefined) throw new CliError(EXIT.data, 'from whom? The message has no From header with an address: say --from');
  return { from: from === '<>' ? '' : from, content };
}

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

function accepted(report: SubmitReport | HandInReport, json: boolean, { screen }: Cli): number {
  if (json) screen.json(report);
  else screen.print(report.id);
  return EXIT.ok;
}

/** Zero only where everybody has it. */
function sentNow(report: NowReport, json: boolean, { screen }: Cli): number {
  const { outcomes } = report;
  const paints = { delivered: screen.paint.good, deferred: screen.paint.warn, failed: screen.paint.bad };
  if (json) screen.json(report);
  else
    for (const { address, state, text, server } of outcomes) {
      const where = server === undefined ? '' : ` (${server})`;
      screen.print(`${oneLine(address)}  ${paints[state](state)}`, screen.paint.dim(fit(`  ${oneLine(text + where)}`, screen.columns)));
    }
  if (outcomes.some(({ state }) => state === 'failed')) return EXIT.unavailable;
  return outcomes.some(({ state }) => state === 'deferred') ? EXIT.tryLater : EXIT.ok;
}

async function told(verbs: ControlVerbs, { id }: Pick<SubmitReport, 'id'>, timeoutMs: number, json: boolean, cli: Cli): Promise<number> {
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
