/** What an examination found: one line for people, and what to do about it. */

import type { Clock } from '../../platform/clock.js';
import type { Dialer } from '../../platform/dialer.js';
import type { DnsRecords } from '../../platform/dns-records.js';
import type { Mounts } from '../../platform/mounts.js';
import type { Resolver } from '../../platform/resolver.js';

export interface Finding {
  /** `dns`, `spf`, `disk` … */
  readonly check: string;
  /** `fail`: mail will not get through, or be lost. `warn`: some of it, or some day. */
  readonly level: 'ok' | 'warn' | 'fail';
  readonly text: string;
  /** What to do. */
  readonly todo?: string;
}

/** What is examined, and with what. */
export interface Patient {
  readonly resolver: Resolver;
  readonly records: DnsRecords;
  readonly dialer: Dialer;
  readonly clock: Clock;
  /** Port of mail exchangers: 25. */
  readonly mxPort: number;
  readonly mounts: Mounts;
}

export function ok(check: string, text: string): Finding {
  return { check, level: 'ok', text };
}

export function warn(check: string, text: string, todo: string): Finding {
  return { check, level: 'warn', text, todo };
}

export function fail(check: string, text: string, todo: string): Finding {
  return { check, level: 'fail', text, todo };
}
