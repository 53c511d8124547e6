/**
 * The shape of the queue: how old what waits is, by domain, in the ages that qshape(1) made common. One look at the whole queue, page
 * by page; memory is bounded by the number of domains told apart.
 */
import { domainOf } from '../core/address.js';
import { MtaError } from '../core/errors.js';
import type { QueueEntry, ShapeReport, ShapeRequest, ShapeRow } from './types.js';

/** Upper bounds of the ages, in minutes; what is older has a column of its own. */
export const AGES_MINUTES = [5, 10, 20, 40, 80, 160, 320, 640, 1280] as const;
/** Domains told apart; further ones are counted together. */
const MOST_DOMAINS = 50_000;
const PAGE = 1000;
export const DOMAINS_SHOWN = 20;

type Listing = (page: { readonly limit: number; readonly after?: string }) => Promise<{ items: readonly QueueEntry[]; next?: string }>;

export async function shapeOf(
  list: Listing,
  request: Required<Pick<ShapeRequest, 'by' | 'now'>> & ShapeRequest,
  signal?: AbortSignal,
): Promise<ShapeReport> {
  const counts = new Map<string, number[]>();
  const all = ages();
  const others = ages();
  let last = '';
  let after: string | undefined;
  do {
    if (signal?.aborted) throw new MtaError('ABORTED', 'given up while the queue was counted', { cause: signal.reason });
    const page = await list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    for (const { message, delivery } of page.items) {
      const age = ageOf(request.now - message.acceptedAt);
      // A message has one sender, in however many deliveries; of recipients each one counts.
      const names = request.by === 'recipient' ? openDomains(delivery) : message.id === last ? [] : [senderDomain(message.sender)];
      last = message.id;
      for (const name of names) {
        let of = counts.get(name);
        if (of === undefined && counts.size < MOST_DOMAINS) counts.set(name, (of = ages()));
        (of ?? others)[age]!++;
        all[age]!++;
      }
    }
    after = page.next;
  } while (after !== undefined);
  const rows = [...counts].map(([domain, byAge]) => row(domain, byAge)).sort((a, b) => b.total - a.total || (a.domain < b.domain ? -1 : 1));
  const shown = rows.slice(0, request.domains ?? DOMAINS_SHOWN);
  for (const { byAge } of rows.slice(shown.length)) byAge.forEach((count, at) => (others[at]! += count));
  return {
    by: request.by,
    agesMinutes: AGES_MINUTES,
    all: row('', all),
    domains: shown,
    others: { ...row('', others), domains: rows.length - shown.length },
  };
}

function ages(): number[] {
  return new Array<number>(AGES_MINUTES.length + 1).fill(0);
}

function ageOf(ms: number): number {
  const found = AGES_MINUTES.findIndex((minutes) => ms < minutes * 60_000);
  return found < 0 ? AGES_MINUTES.length : found;
}

function row(domain: string, byAge: readonly number[]): ShapeRow {
  return { domain, total: byAge.reduce((sum, count) => sum + count, 0), byAge };
}

function openDomains({ recipients }: QueueEntry['delivery']): string[] {
  return recipients.filter(({ state }) => state === 'queued').map(({ address }) => domainOf(address));
}

/** Reports have none. */
function senderDomain(sender: string): string {
  return sender === '' ? '<>' : domainOf(sender);
}
