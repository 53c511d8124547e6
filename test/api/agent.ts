/** An agent within the test, on a temporary spool, whose mail all goes to a recording destination. */
import { type TestContext, test } from 'node:test';
import { connectMta, createMta, type MailAgent, type MtaOptions } from '../../src/index.js';
import { HOSTNAME, relayTo, temporaryFolder } from '../support/agent.js';
import { atEnd, type Scope, until } from '../support/scope.js';

export interface Destination {
  readonly port: number;
}

export async function agentTo(scope: Scope, sink: Destination, options: MtaOptions = {}): Promise<MailAgent> {
  const spool = typeof options.spool === 'string' ? { path: options.spool } : options.spool;
  const mta = await createMta({
    hostname: HOSTNAME,
    route: [relayTo(sink)],
    ...options,
    spool: { ...spool, path: spool?.path ?? (await temporaryFolder(scope)) },
  });
  atEnd(scope, () => mta.close());
  return mta;
}

/** The same through the control socket of an agent that is started first; it ends when the one before it is closed. */
export async function farAgentTo(scope: Scope, sink: Destination, options: MtaOptions = {}): Promise<MailAgent> {
  const spool = typeof options.spool === 'string' ? { path: options.spool } : options.spool;
  const path = spool?.path ?? (await temporaryFolder(scope));
  const owner = await agentTo(scope, sink, { ...options, spool: { ...spool, path }, shared: true });
  const mta = await connectMta({ spool: path });
  const close = mta.close.bind(mta);
  mta.close = async () => {
    await close();
    await owner.close();
  };
  atEnd(scope, () => mta.close());
  return mta;
}

/** A test of the API in the process of the agent, and once more over its socket: it must not make a difference. */
export function everywhere(name: string, run: (t: TestContext, open: typeof agentTo) => Promise<void>): void {
  test(name, (t) => run(t, agentTo));
  test(`${name} (over a socket)`, (t) => run(t, farAgentTo));
}

/** Options of a message that lacks nothing. */
export const LETTER = { from: 'Ann <ann@example.test>', to: 'joe@dest.test', subject: 'A letter', body: 'Hello.\n' } as const;

export function ended(mta: MailAgent, id: string): Promise<'sent' | 'error' | 'unknown'> {
  return until(`${id} to be settled`, async () => {
    const status = await mta.status(id);
    return status !== 'queued' && status;
  });
}
