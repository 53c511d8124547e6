/**
 * The agent's SMTP port, for users who may not open its control socket: that is for the agent's own user and root, while anybody on
 * the machine may send mail. Also what `sendmail -bs` is carried to.
 *
 * Promises: a refusal ends with the exit code that says whether trying again helps. Content is streamed. Must not: be used for any
 * server but our own agent.
 */
import type { Duplex } from 'node:stream';
import type { SubmitRequest } from '../control/types.js';
import { MtaError } from '../core/errors.js';
import { encodeXtext } from '../core/xtext.js';
import type { Cli, Globals } from './command.js';
import { CliError, EXIT } from './exit.js';
import { FALLBACK_PORT } from './listen.js';
import { connectAgent } from './reach.js';
import { settings } from './settings.js';

const CONNECT_MS = 10_000;
/** Longer than the agent itself is patient. */
const SESSION_MS = 600_000;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** A connection to the agent; `NOT_RUNNING` where none answers. */
export async function dialAgent(args: Globals, cli: Cli): Promise<Duplex> {
  const addresses = await agentAddresses(args, cli);
  for (const { host, port } of addresses) {
    try {
      return await cli.dialer.connect({ address: reachable(host), port }, AbortSignal.timeout(CONNECT_MS));
    } catch {
      // The next one; where there is none, all are named.
    }
  }
  const tried = addresses.map(({ host, port }) => `${host}:${port}`).join(', ');
  throw new MtaError('NOT_RUNNING', `no agent takes mail ${tried === '' ? 'anywhere: submission.listen is empty' : `on ${tried}`}`);
}

/** As the agent says; where it may not be asked, as the settings do. */
async function agentAddresses(args: Globals, cli: Cli): Promise<readonly Address[]> {
  try {
    const verbs = await connectAgent(args, cli);
    try {
      return (await verbs.agent()).listening;
    } finally {
      await verbs.close();
    }
  } catch (error) {
    if (!(error instanceof MtaError) || error.code !== 'NOT_RUNNING') throw error;
  }
  const { config, sources } = settings(args, cli);
  const { listen } = config.submission;
  // Where nothing was set, a refused 587 was exchanged for this.
  return sources.has('submission.listen') ? listen : [...listen, ...listen.map(({ host }) => ({ host, port: FALLBACK_PORT }))];
}

/** Who listens everywhere is reached on loopback. */
function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

/** `sendmail -bs`: whatever is said on one side is heard on the other. Ends when the agent has. */
export async function speakSmtp(args: Globals, cli: Cli): Promise<number> {
  const agent = await dialAgent(args, cli);
  const heard = (async () => {
    for await (const chunk of agent) await cli.screen.write(chunk as Buffer);
  })();
  void (async () => {
    for await (const chunk of cli.stdin) {
      if (agent.destroyed) return;
      if (!agent.write(chunk)) await new Promise<void>((resolve) => agent.once('drain', resolve).once('close', resolve));
    }
    agent.end();
  })();
  await heard;
  return EXIT.ok;
}

export interface LocalSmtp {
  /** By which the agent introduces itself. */
  readonly hostname: string;
  /** Resolves when the message is safe on disk, with what the agent says about it. Rejects with a `CliError` that says why not. */
  send(request: Pick<SubmitRequest, 'from' | 'to' | 'notify' | 'ret' | 'envid'>, content: AsyncIterable<Buffer>): Promise<string>;
  close(): void;
}

export async function openLocalSmtp(args: Globals, cli: Cli): Promise<LocalSmtp> {
  const stream = await dialAgent(args, cli);
  const ending = AbortSignal.timeout(SESSION_MS);
  ending.addEventListener('abort', () => stream.destroy(), { once: true });
  stream.on('error', () => {});
  const replies = readReplies(stream);
  const expect = async (wanted: number): Promise<string> => {
    const { done, value } = await replies.next();
    if (done) throw new CliError(EXIT.tryLater, 'the agent closed the connection');
    if (value.startsWith(String(wanted))) return value;
    throw new CliError(exitOf(value), `the agent answered ${value}`);
  };
  const say = (line: string, wanted: number): Promise<string> => {
    stream.write(`${line}\r\n`);
    return expect(wanted);
  };
  const greeting = await expect(220);
  await say('EHLO localhost', 250);
  return {
    hostname: greeting.slice(4).split(' ', 1)[0]!,
    async send({ from, to, notify, ret, envid }, content) {
      const utf8 = /[^\x20-\x7e]/.test(from + to.join(''));
      const mail = `${utf8 ? ' SMTPUTF8' : ''}${ret ? ` RET=${ret.toUpperCase()}` : ''}${envid ? ` ENVID=${encodeXtext(envid)}` : ''}`;
      const rcpt = notify ? ` NOTIFY=${notify.join(',').toUpperCase()}` : '';
      await say(`MAIL FROM:<${from}>${mail}`, 250);
      for (const recipient of to) await say(`RCPT TO:<${recipient}>${rcpt}`, 250);
      await say('DATA', 354);
      for await (const chunk of forTheWire(content)) {
        if (!stream.write(chunk)) await new Promise<void>((resolve) => stream.once('drain', resolve).once('close', resolve));
      }
      return expect(250);
    },
    close: () => void stream.end('QUIT\r\n', () => stream.destroy()),
  };
}

/** Whether it is worth the caller's while to keep the message. */
function exitOf(reply: string): number {
  if (reply.startsWith('4')) return EXIT.tryLater;
  return /^5\d\d 5\.7\./.test(reply) ? EXIT.noPermission : EXIT.data;
}

/** The last line of each reply. */
async function* readReplies(stream: Duplex): AsyncGenerator<string> {
  let text = '';
  for await (const chunk of stream) {
    text += (chunk as Buffer).toString('latin1');
    const lines = text.split('\r\n');
    text = lines.pop()!;
    for (const line of lines) if (!/^\d\d\d-/.test(line)) yield line;
  }
}

/** Lines that end in CRLF, dots stuffed, and the dot that ends it all. */
async function* forTheWire(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let last = '\n';
  for await (const chunk of content) {
    if (chunk.length === 0) continue;
    const text = last + chunk.toString('latin1');
    const clean = text.replace(/(?<!\r)\n/g, '\r\n').replace(/\n\./g, '\n..');
    // What was looked at before is not said again: it was a line end, or no part of one.
    const before = last === '\n' ? 2 : last.length;
    last = text.at(-1)!;
    yield Buffer.from(clean.slice(before), 'latin1');
  }
  yield Buffer.from(last === '\n' ? '.\r\n' : '\r\n.\r\n');
}
