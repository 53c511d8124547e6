/** The made-up internet of `riata dev`: domains that each show one thing that happens to mail between MX and server. */
import type { DnsZones } from '../dev/dns-server.js';

export interface DevDomain {
  readonly name: string;
  /** What mail to it shows, for people. */
  readonly shows: string;
}

export const DEV_DOMAINS: readonly DevDomain[] = [
  { name: 'dev.test', shows: 'takes mail; its recipients choose their fate' },
  { name: 'two.test', shows: 'the same servers: shares their connections' },
  { name: 'implicit.test', shows: 'has no MX, and takes mail at its own address' },
  { name: 'backup.test', shows: 'its first server is down, the second takes mail' },
  { name: 'down.test', shows: 'nobody listens there: waits, and tries again' },
  { name: 'null.test', shows: 'says that it takes no mail (null MX): comes back at once' },
  { name: 'servfail.test', shows: 'the DNS does not answer for it: waits' },
  { name: 'nowhere.test', shows: 'does not exist: comes back at once' },
];

/** Where the destination listens, and where nobody does. */
const HERE = ['127.0.0.1'];
const NOBODY = ['127.0.0.66'];

export const DEV_ZONES: DnsZones = {
  'dev.test': { mx: [[10, 'mx.dev.test']] },
  'two.test': { mx: [[10, 'mx.dev.test']] },
  'mx.dev.test': { a: HERE },
  'implicit.test': { a: HERE },
  'backup.test': {
    mx: [
      [10, 'mx.down.test'],
      [20, 'mx.dev.test'],
    ],
  },
  'down.test': { mx: [[10, 'mx.down.test']] },
  'mx.down.test': { a: NOBODY },
  'null.test': { mx: [[0, '']] },
  'servfail.test': { trouble: 'servfail' },
};
