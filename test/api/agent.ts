/** An agent within the test, on a temporary spool, whose mail all goes to a recording destination. */
import { createMta, type MailAgent, type MtaOptions } from '../../src/index.js';
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

/** Options of a message that lacks nothing. */
export const LETTER = { from: 'Ann <ann@example.test>', to: 'joe@dest.test', subject: 'A letter', body: 'Hello.\n' } as const;

export function ended(mta: MailAgent, id: string): Promise<'sent' | 'error' | 'unknown'> {
  return until(`${id} to be settled`, async () => {
    const status = await mta.status(id);
    return status !== 'queued' && status;
  });
}
