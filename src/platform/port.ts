/** Whether the system lets this process listen on a port: asked before a choice is made, not a promise for later. */
import net from 'node:net';

/** The system's code (`EACCES`, `EADDRINUSE`) for why it does not; undefined where it does. */
export function whyRefused(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
    probe.listen({ host, port }, () => probe.close(() => resolve(undefined)));
  });
}
