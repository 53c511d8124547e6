/**
 * `riata sendmail`, and whatever calls it by the name `sendmail`: the way in for programs that know no other. A message on standard
 * input, SMTP on standard input and output (`-bs`), the queue (`-bp`), and trying it now (`-q`).
 *
 * Promises: 0 means that the message is safe on disk. Whatever may pass (no agent runs, a full disk) ends with 75, so that the caller
 * keeps the message and tries again. Bcc is taken out; a Bcc recipient is one all the same.
 */
import { readId } from '../control/reading.js';
import { readDomain } from '../control/route.js';
import type { SubmitRequest } from '../control/types.js';
import { MtaError } from '../core/errors.js';
import type { Cli, Globals } from './command.js';
import { CliError, EXIT, exitCode } from './exit.js';
import { openLocalSmtp, speakSmtp } from './local-smtp.js';
import { mailq } from './mailq.js';
import { flushQueue } from './queue-flush.js';
import { connectAgent, withAgent } from './reach.js';
import { readAddressList, splitHeader } from './send-header.js';
import { addressFields, hasFrom, untilLoneDot, withFields } from './sendmail-content.js';
import { parseSendmail, type SendmailCall } from './sendmail-flags.js';

export async function sendmail(argv: readonly string[], cli: Cli): Promise<number> {
  const call = parseSendmail(argv);
  switch (call.mode) {
    case 'message':
      return patiently(() => handIn(call, cli));
    case 'smtp':
      return patiently(() => speakSmtp(call.globals, cli));
    case 'list':
      return mailq(call.globals, cli);
    case 'flush':
      return patiently(() => flush(call, cli));
    case 'nothing':
      return EXIT.ok;
  }
}

/** Callers take "unavailable" for "never". That no agent runs at this moment is no reason to lose a message. */
async function patiently(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MtaError && exitCode(error) === EXIT.unavailable)
      throw new CliError(EXIT.tryLater, error.message, { cause: error });
    throw error;
  }
}

async function handIn(call: SendmailCall, cli: Cli): Promise<number> {
  if (call.recipients.length === 0 && !call.fromHeaders)
    throw new CliError(EXIT.usage, 'to whom? Name recipients, or take those of the headers with -t');
  const door = await openDoor(call.globals, cli);
  try {
    if (cli.stdin.isTTY) cli.screen.say(`Type the message; Control-D${call.dotsAreContent ? '' : ', or a line with only a dot,'} ends it.`);
    const bytes = octets(cli.stdin);
    const { header, content } = await splitHeader(call.dotsAreContent ? bytes : untilLoneDot(bytes));
    const from = await senderOf(call, door.hostname, cli);
    const to = await recipientsOf(call, header, door.hostname);
    const said = await door.submit({ from, to, ...requestOf(call) }, withFields(missingFrom(call, header, from), content));
    if (call.verbose) cli.screen.say(said);
    return EXIT.ok;
  } finally {
    await door.close();
  }
}

/** Where a message is handed in. */
interface Door {
  readonly hostname: string;
  submit(request: SubmitRequest, content: AsyncIterable<Buffer>): Promise<string>;
  close(): Promise<void>;
}

/** The control socket; for those who may not open it, the port where the agent takes mail from everybody. */
async function openDoor(args: Globals, cli: Cli): Promise<Door> {
  let shut: MtaError;
  try {
    const verbs = await connectAgent(args, cli);
    const { hostname } = await verbs.agent();
    const submit: Door['submit'] = async (request, content) => `queued as ${(await verbs.submit(request, content)).id}`;
    return { hostname, submit, close: () => verbs.close() };
  } catch (error) {
    if (!(error instanceof MtaError) || error.code !== 'NOT_RUNNING' || args.socket !== undefined) throw error;
    shut = error;
  }
  try {
    const smtp = await openLocalSmtp(args, cli);
    return { hostname: smtp.hostname, submit: (request, content) => smtp.send(request, content), close: async () => smtp.close() };
  } catch (error) {
    if (!(error instanceof MtaError)) throw error;
    throw new CliError(EXIT.tryLater, `${shut.message}; and ${error.message}`, { cause: error });
  }
}

function requestOf({ notify, ret, envid }: SendmailCall): Partial<SubmitRequest> {
  return { ...(notify && { notify }), ...(ret && { ret }), ...(envid !== undefined && { envid }) };
}

async function* octets(input: Cli['stdin']): AsyncGenerator<Buffer> {
  for await (const chunk of input) yield Buffer.from(chunk as Buffer | string);
}

/** A bare name is one of this host. */
async function senderOf(call: SendmailCall, hostname: string, cli: Cli): Promise<string> {
  if (call.sender === undefined) return `${cli.user()}@${hostname}`;
  if (/^\s*(?:<\s*>)?\s*$/.test(call.sender)) return '';
  const found = await readAddressList(call.sender, hostname);
  if (found.length !== 1) throw new CliError(EXIT.data, `${JSON.stringify(call.sender)} is not the address of a sender`);
  return found[0]!;
}

async function recipientsOf(call: SendmailCall, header: Buffer, hostname: string): Promise<readonly string[]> {
  const named: string[] = [];
  for (const word of call.recipients) {
    const found = await readAddressList(word, hostname);
    if (found.length === 0) throw new CliError(EXIT.data, `${JSON.stringify(word)} is not the address of a recipient`);
    named.push(...found);
  }
  if (call.fromHeaders) {
    for (const field of addressFields(header)
      .toString('latin1')
      .split(/\r\n(?![ \t])/)) {
      named.push(...(await readAddressList(Buffer.from(field.slice(field.indexOf(':') + 1), 'latin1').toString(), hostname)));
    }
  }
  if (named.length === 0) throw new CliError(EXIT.data, 'the To, Cc and Bcc headers name nobody');
  return [...new Set(named)];
}

/** What `-F` asks for: the author, where the message names none. Without it the agent writes the address alone. */
function missingFrom({ fullName }: SendmailCall, header: Buffer, from: string): string {
  if (fullName === undefined || from === '' || hasFrom(header)) return '';
  const name = fullName.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return `From: "${name.replace(/["\\]/g, '\\$&')}" <${from}>\r\n`;
}

async function flush(call: SendmailCall, cli: Cli): Promise<number> {
  return withAgent(call.globals, cli, async (verbs) => {
    const { only } = call;
    if (only === undefined) await flushQueue(verbs);
    else if ('id' in only) await verbs.change({ action: 'retry', selector: { ids: [readId(only.id)] } });
    else await verbs.change({ action: 'retry', selector: { domain: readDomain(only.domain) } });
    return EXIT.ok;
  });
}
