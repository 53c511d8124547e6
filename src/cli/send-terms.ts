/** Options of `riata send` that are about delivery and not about content, as the agent is asked for them. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { SubmitRequest } from '../control/types.js';
import type { Priority } from '../core/message.js';
import type { Cli } from './command.js';
import { CliError, EXIT } from './exit.js';
import { span, wholeNumber } from './selection.js';
import { when } from './when.js';

export interface TermArgs {
  readonly priority: Priority | undefined;
  readonly date: string | undefined;
  readonly delay: string | undefined;
  readonly expires: string | undefined;
  readonly tag: readonly string[] | undefined;
  readonly requireTls: boolean | undefined;
  readonly bounces: 'mail' | 'none' | undefined;
  readonly idempotencyKey: string | undefined;
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly ssl: 'implicit' | 'starttls' | 'opportunistic' | undefined;
  readonly username: string | undefined;
  readonly passwordFile: string | undefined;
}

export interface SendTerms {
  readonly notBefore?: number;
  /** As `submit` takes them, without the envelope. */
  readonly request: Omit<Partial<SubmitRequest>, 'from' | 'to'>;
  /** A server of its own, as options of the API. */
  readonly server?: Readonly<Record<string, unknown>>;
}

/** Throws 64. */
export async function readTerms(args: TermArgs, cli: Cli): Promise<SendTerms> {
  const now = cli.clock.now();
  const notBefore =
    args.date !== undefined ? when('--date', args.date, now) : args.delay === undefined ? undefined : now + span('--delay', args.delay);
  const expiresAt = args.expires === undefined ? undefined : when('--expires', args.expires, now);
  const { priority, tag, requireTls, bounces, idempotencyKey } = args;
  const server = await readServer(args, cli);
  return {
    ...(notBefore === undefined ? {} : { notBefore }),
    request: {
      ...(priority && { priority }),
      ...(notBefore === undefined ? {} : { notBefore }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(tag && { tags: tag }),
      ...(requireTls && { requireTls }),
      ...(bounces && { bounces }),
      ...(idempotencyKey && { idempotencyKey }),
    },
    ...(server && { server }),
  };
}

/** The same terms as options of the API, which knows more of them. */
export function asOptions({ request, server }: SendTerms): Readonly<Record<string, unknown>> {
  const { notBefore, expiresAt, ...same } = request;
  return {
    ...same,
    ...(notBefore === undefined ? {} : { date: notBefore }),
    ...(expiresAt === undefined ? {} : { expires: expiresAt }),
    ...server,
  };
}

const SSL = { implicit: true, starttls: 'starttls', opportunistic: false } as const;

async function readServer({ host, port, ssl, username, passwordFile }: TermArgs, cli: Cli): Promise<SendTerms['server']> {
  if (host === undefined) {
    const alone = [port && '--port', ssl && '--ssl', username && '--username', passwordFile && '--password-file'].find(Boolean);
    if (alone) throw new CliError(EXIT.usage, `${alone} is about the server of --host, which is missing`);
    return undefined;
  }
  if ((username === undefined) !== (passwordFile === undefined))
    throw new CliError(EXIT.usage, '--username and --password-file stand together: a password on the command line could be seen by others');
  const password =
    passwordFile === undefined ? undefined : (await readFile(path.resolve(cli.cwd, passwordFile), 'utf8')).split(/\r?\n/, 1)[0];
  return {
    host,
    ...(port === undefined ? {} : { port: wholeNumber('--port', port, 65_535) }),
    ...(ssl === undefined ? {} : { ssl: SSL[ssl] }),
    ...(username === undefined ? {} : { username, password }),
  };
}
