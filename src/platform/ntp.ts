/** What a time server says the time is (SNTP, RFC 4330): one question, for a look at our own clock. Sets nothing. */
import { createSocket } from 'node:dgram';
import net from 'node:net';
import type { Clock } from './clock.js';

const PORT = 123;
const LENGTH = 48;
/** Version 4, mode 3: a client. */
const CLIENT = 0x23;
/** From 1900 to 1970, in seconds. */
const EPOCH = 2_208_988_800;

/** How far our clock is ahead of the server's, in milliseconds, as far as the way there and back lets it be known. Rejects where nobody answers. */
export function clockOffset(
  server: { readonly address: string; readonly port?: number },
  clock: Clock,
  timeoutMs: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(net.isIPv6(server.address) ? 'udp6' : 'udp4');
    const end = (settle: () => void) => {
      timer.cancel();
      socket.close();
      settle();
    };
    const timer = clock.after(timeoutMs, () => end(() => reject(new Error(`no answer within ${timeoutMs} ms`))));
    const asked = clock.now();
    socket.once('error', (error) => end(() => reject(error)));
    socket.once('message', (answer) => {
      if (answer.length < LENGTH) return end(() => reject(new Error('an answer that is none')));
      const middle = asked + (clock.now() - asked) / 2;
      end(() => resolve(middle - (answer.readUInt32BE(40) - EPOCH + answer.readUInt32BE(44) / 2 ** 32) * 1000));
    });
    socket.send(Buffer.concat([Buffer.from([CLIENT]), Buffer.alloc(LENGTH - 1)]), server.port ?? PORT, server.address);
  });
}
