/** Connections outward: the only place of the agent that opens them. */

import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';

export interface DialTarget {
  readonly address: string;
  readonly port: number;
  /** Local address to bind, if not the system's choice. */
  readonly localAddress?: string;
}

export interface TlsOptions {
  /** Name to send as SNI and to verify. */
  readonly host: string;
  /** `verified`: chain and name must hold, or it rejects. `opportunistic`: encrypts to whoever is there. */
  readonly verify: 'verified' | 'opportunistic';
  /** Additional trusted roots, PEM. */
  readonly ca?: string;
}

export interface Dialer {
  /** Resolves with a connected stream, no delay set; rejects with the system's error or when `signal` aborts. */
  connect(target: DialTarget, signal: AbortSignal): Promise<Duplex>;
  /** TLS over a connected stream. Rejects if the handshake or the verification asked for fails. */
  secure(stream: Duplex, options: TlsOptions, signal: AbortSignal): Promise<{ stream: Duplex; description: string; verified: boolean }>;
}

export const systemDialer: Dialer = {
  connect(target, signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const socket = net.connect({
        host: target.address,
        port: target.port,
        noDelay: true,
        ...(target.localAddress ? { localAddress: target.localAddress } : {}),
      });
      const give = (settle: () => void) => {
        socket.removeListener('connect', connected);
        socket.removeListener('error', failed);
        signal.removeEventListener('abort', aborted);
        settle();
      };
      const connected = () => give(() => resolve(socket));
      const failed = (error: Error) => give(() => reject(error));
      const aborted = () => {
        socket.on('error', () => {});
        socket.destroy();
        give(() => reject(signal.reason));
      };
      socket.once('connect', connected);
      socket.once('error', failed);
      signal.addEventListener('abort', aborted, { once: true });
    });
  },

  secure(stream, options, signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const secured = tls.connect({
        socket: stream,
        minVersion: 'TLSv1.2',
        // A mail server without a usable certificate is still better reached encrypted than not (RFC 7435).
        rejectUnauthorized: options.verify === 'verified',
        ...(net.isIP(options.host) ? {} : { servername: options.host }),
        ...(options.ca ? { ca: [...tls.rootCertificates, options.ca] } : {}),
      });
      const give = (settle: () => void) => {
        secured.removeListener('secureConnect', connected);
        secured.removeListener('error', failed);
        signal.removeEventListener('abort', aborted);
        settle();
      };
      const connected = () =>
        give(() => {
          const cipher = secured.getCipher();
          resolve({
            stream: secured,
            description: `${secured.getProtocol()} ${cipher.standardName ?? cipher.name}`,
            verified: secured.authorized,
          });
        });
      const failed = (error: Error) => give(() => reject(error));
      const aborted = () => {
        secured.on('error', () => {});
        secured.destroy();
        give(() => reject(signal.reason));
      };
      secured.once('secureConnect', connected);
      secured.once('error', failed);
      signal.addEventListener('abort', aborted, { once: true });
    });
  },
};
