/**
 * Mail as people hand it in: to one or several, now or later, with dots and octets that need care, sometimes nobody's; or a template, of
 * which each gets a copy with his own name.
 */
import type { Random } from '../../src/platform/random.js';
import { pick } from './weather.js';
import type { Mail } from './witness.js';

const LATEST_MS = 30 * 60_000;

export interface MailOptions {
  /** By the wall clock. */
  readonly now: number;
  readonly domains: readonly string[];
  readonly expiryMs: number;
}

/** `nobody-…` and `later-…` are never there (`server.ts`). No two mails have a recipient in common. */
export function drawMail(random: Random, key: string, { now, domains, expiryMs }: MailOptions): Mail {
  const chance = (share: number) => random.unit() < share;
  const notBefore = chance(0.15) ? now + Math.floor(random.unit() * LATEST_MS) : 0;
  const merged = chance(0.12);
  const count = merged ? 2 + Math.floor(random.unit() * 10) : chance(0.4) ? 2 + Math.floor(random.unit() * 4) : 1;
  const recipients = Array.from({ length: count }, (_, number) => {
    const kind = chance(0.06) ? 'nobody' : chance(0.05) ? 'later' : 'ok';
    const notify = chance(0.1) && !merged ? ([pick(random, ['never', 'success', 'failure', 'delay'] as const)] as const) : undefined;
    return { address: `${kind}-${key}-${number}@${pick(random, domains)}`, ...(notify ? { notify } : {}) };
  });
  const eightBit = chance(0.1) && !merged;
  const lines = Array.from(
    { length: chance(0.15) ? 60 + Math.floor(random.unit() * 100) : 3 },
    (_, at) => `${chance(0.1) ? '.' : ''}line ${at} of ${key} ${eightBit ? 'gr\xfc\xdfe' : ''}`,
  );
  const header = `Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nFrom: a@home.test\r\nMessage-ID: <${key}@home.test>\r\nSubject: ${key}\r\n`;
  const content = `${header}${merged ? 'To: all@home.test\r\n' : ''}\r\n${merged ? 'Hello #name#,\r\n' : ''}${lines.join('\r\n')}\r\n`;
  const nameOf = (address: string) => `.${address.slice(0, address.indexOf('@'))}`;
  return {
    key,
    merged,
    underKey: chance(0.3),
    nameOf,
    sender: chance(0.05) ? '' : `s-${key}@home.test`,
    recipients,
    bounces: chance(0.1) ? 'none' : 'mail',
    submittedAt: Math.max(now, notBefore),
    notBefore,
    expiresAt: Math.max(now, notBefore) + expiryMs,
    content,
    contentFor(address) {
      if (!merged) return content;
      const n = recipients.findIndex((one) => one.address === address);
      return content
        .replace(`<${key}@home.test>`, `<${this.id}.${n}@home.test>`)
        .replace('all@home.test', address)
        .replace('#name#', nameOf(address));
    },
    eightBit,
    id: '',
    acknowledged: false,
  };
}
