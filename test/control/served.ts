/** A control server over a `FakeAgent` on a real socket in a folder of its own, and clients for it, gone after the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import { type ControlServer, startControlServer } from '../../src/control/server.js';
import type { ControlVerbs } from '../../src/control/types.js';
import { controlVerbs } from '../../src/control/verbs.js';
import { systemClock } from '../../src/platform/clock.js';
import { type Log, silentLog } from '../../src/platform/log.js';
import { FakeAgent, NOW, UNUSED } from './fake-agent.js';

export const LIMIT = 4 * 1024 * 1024;

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'riata-control-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface Served {
  readonly agent: FakeAgent;
  readonly verbs: ControlVerbs;
  readonly server: ControlServer;
  readonly socketPath: string;
}

export async function serveControl(t: TestContext, log: Log = silentLog): Promise<Served> {
  const socketPath = path.join(await temporaryFolder(t), 'control.sock');
  const agent = new FakeAgent();
  const verbs = controlVerbs(agent, {
    clock: { ...systemClock, now: () => NOW },
    version: '1.2.3',
    pid: 4321,
    maxMessageSize: LIMIT,
    maxRecipients: 1000,
    ...UNUSED,
    log,
  });
  const server = await startControlServer({ verbs, path: socketPath, log });
  t.after(() => server.close(0));
  return { agent, verbs, server, socketPath };
}

export async function serveAndConnect(t: TestContext): Promise<Served & { readonly client: ControlVerbs }> {
  const served = await serveControl(t);
  const client = await connectControl(served.socketPath);
  t.after(() => client.close());
  return { ...served, client };
}

export async function* from(...chunks: readonly (Buffer | string)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}
