/** Places on loopback that no other test uses, and one where nobody is. */
import { randomInt } from 'node:crypto';
import net from 'node:net';

/** One of the sixteen million: tests that run at the same time have each their own port 25. */
export function loopbackAddress(): string {
  return `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
}

/** Nobody listens there, and no system gives it away: a port that was just closed may be somebody else's by the time it is dialled. */
export const NOBODY = { host: '127.0.0.1', port: 1 } as const;

/** Where one can listen at a port that is known before. */
export async function freePlace(): Promise<{ readonly host: string; readonly port: number }> {
  if (process.platform === 'linux') return { host: loopbackAddress(), port: 2525 };
  // Elsewhere only 127.0.0.1 is there, and a port that was free a moment ago has to do.
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { host: '127.0.0.1', port };
}
