/** Places on loopback that no other test uses, and one where nobody is. */
import { randomInt } from 'node:crypto';

/** One of the sixteen million: tests that run at the same time have each their own port 25. */
export function loopbackAddress(): string {
  return `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
}

/** Nobody listens there, and no system gives it away: a port that was just closed may be somebody else's by the time it is dialled. */
export const NOBODY = { host: '127.0.0.1', port: 1 } as const;

/** A port of 127.0.0.1 that stays free until it is listened on, and between two listeners: systems give away higher ones only. */
export function ownPort(): number {
  return randomInt(20_000, 32_000);
}

/** Where one can listen at a port that is known before. */
export function freePlace(): { readonly host: string; readonly port: number } {
  // Elsewhere only 127.0.0.1 is there.
  return process.platform === 'linux' ? { host: loopbackAddress(), port: 2525 } : { host: '127.0.0.1', port: ownPort() };
}
