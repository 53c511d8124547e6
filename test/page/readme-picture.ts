/**
 * Makes `docs/page.png`, the picture of the page in the README: the page as it is, before an agent of made-up figures.
 *
 *   node --import tsx test/page/readme-picture.ts
 */
import { fileURLToPath } from 'node:url';
import type { RecentReport, Sample, StatsReport, TroubleReport } from '../../src/control/types.js';
import type { Scope } from '../support/scope.js';
import { closeBrowser, serveSite } from './rig.js';

const PICTURE = fileURLToPath(new URL('../../docs/page.png', import.meta.url));
const MINUTE = 60_000;

/** An hour of a shop's evening: a newsletter at half past, and a provider that slows it down. */
function samples(now: number): Sample[] {
  const all: Sample[] = [];
  for (let at = now - 60 * MINUTE; at < now; at += 10_000) {
    const t = (at - (now - 60 * MINUTE)) / (60 * MINUTE);
    const ripple = Math.sin(t * 61) * 3 + Math.sin(t * 173) * 2;
    const letters = t < 0.48 ? 0 : 2_100 * Math.exp(-(t - 0.48) * 7) * Math.min(1, (t - 0.48) * 60);
    const waiting = Math.round(180 + 40 * Math.sin(t * 5) + letters + ripple * 4);
    const delivered = Math.max(0, Math.round(9 + ripple + (t > 0.48 ? 95 * Math.exp(-(t - 0.48) * 5) : 0)));
    all.push({ at, ready: 0, waiting, held: 2, sending: 3, connections: 12, accepted: delivered, delivered, deferred: 1, failed: 0 });
  }
  return all;
}

function troubles(now: number): TroubleReport[] {
  const about = (minutes: number, recipient: string, text: string, type: 'deferred' | 'bounced', status: string): TroubleReport => {
    const lane = `mx:${recipient.split('@')[1]}`;
    return { type, at: now - minutes * MINUTE, id: '01KB3M8D7R0000000000000000', lane, recipient, status, text, server: '' };
  };
  return [
    about(19, 'frida.holm@fjord.example', 'could not connect: connect ETIMEDOUT 192.0.2.41:25', 'deferred', '4.4.1'),
    about(8, 'm.okafor@brightmail.example', '550 5.1.1 <m.okafor@brightmail.example>: no such mailbox here', 'bounced', '5.1.1'),
    about(3, 'press@quillhouse.example', '451 4.7.1 Greylisted, please try again in 300 seconds', 'deferred', '4.7.1'),
  ];
}

function stats(now: number): StatsReport {
  return {
    counts: { messages: 241, ready: 6, waiting: 233, held: 2, sending: 3, lanes: 38, freeBytes: 80 * 2 ** 30 },
    lanes: [],
    connections: [
      { server: 'mx1.brightmail.example[192.0.2.17]:25', open: 5, busy: 2 },
      { server: 'in.quillhouse.example[198.51.100.8]:25', open: 2, busy: 1 },
    ],
    sites: [
      {
        site: 'mx.fjord.example:25',
        lanes: ['mx:fjord.example', 'mx:nordhavn.example'],
        laneCount: 2,
        backingOffUntil: now + 7 * MINUTE,
        trouble: 'could not connect: connect ETIMEDOUT 192.0.2.41:25',
      },
    ],
    metrics: { acceptedPerMinute: 62, deliveredPerMinute: 71, deferredPerMinute: 4 },
    uptimeMs: 12 * 24 * 60 * MINUTE + 5 * 60 * MINUTE,
  };
}

const ends: (() => Promise<void>)[] = [];
const scope: Scope = { after: (call) => void ends.push(call) };
try {
  const site = await serveSite(scope, { http: { token: '', trustLoopback: true } });
  const { context } = await site.visit({ loggedIn: false, width: 1260, height: 940 });
  const now = Date.now();
  const recent = (since: number): RecentReport => ({
    everyMs: 10_000,
    samples: samples(now).filter(({ at }) => at > since),
    troubles: troubles(now),
  });
  const oldest = { message: { acceptedAt: now - 47 * MINUTE } };
  const paused = {
    lane: 'mx:quillhouse.example',
    ready: 0,
    waiting: 31,
    held: 0,
    paused: { at: now - 26 * MINUTE, reason: 'they move their servers until 21:00' },
  };
  const answers: Readonly<Record<string, unknown>> = {
    '/v1/agent': {
      hostname: 'mail.larkspur.example',
      version: '0.2.0',
      pid: 1,
      startedAt: 0,
      driver: 'level',
      listening: [{ host: '127.0.0.1', port: 587 }],
    },
    '/v1/stats': stats(now),
    '/v1/queue': { items: [oldest] },
    '/v1/lanes': { items: [paused] },
  };
  const page = await context.newPage();
  for (const [path, body] of Object.entries(answers))
    await page.route(
      (url) => url.pathname === path,
      (route) => route.fulfill({ json: body }),
    );
  await page.route(
    (url) => url.pathname === '/v1/recent',
    (route) => route.fulfill({ json: recent(Number(new URL(route.request().url()).searchParams.get('since'))) }),
  );
  await page.goto(site.url);
  await page.getByText('Backing off').waitFor();
  await page.screenshot({ path: PICTURE });
} finally {
  for (const end of ends.reverse()) await end();
  await closeBrowser();
}
