/** Addresses of loopback that nobody else uses. */
import { randomInt } from 'node:crypto';

/** One of the sixteen million: tests that run at the same time have each their own port 25. */
export function loopbackAddress(): string {
  return `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
}
