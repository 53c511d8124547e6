/** Deliveries of a lane as the list of messages shows them. Pure. */
import type { MessageSummary, QueueEntry } from '../control/types.js';

/** Deliveries of one message follow each other. Counts are of those that were given. */
export function summariesOf(entries: readonly QueueEntry[]): MessageSummary[] {
  const groups = new Map<string, QueueEntry[]>();
  for (const entry of entries) groups.set(entry.message.id, [...(groups.get(entry.message.id) ?? []), entry]);
  return [...groups.values()].map(summaryOf);
}

function summaryOf(entries: readonly QueueEntry[]): MessageSummary {
  const deliveries = { ready: 0, waiting: 0, held: 0, sending: 0, done: 0 };
  for (const { delivery } of entries) deliveries[delivery.state]++;
  const all = entries.flatMap(({ delivery }) => delivery.recipients);
  const queued = all.filter(({ state }) => state === 'queued').length;
  const delivered = all.filter(({ state }) => state === 'delivered').length;
  const dues = entries
    .filter(({ delivery }) => delivery.state === 'waiting' || delivery.state === 'ready')
    .map(({ delivery }) => delivery.due);
  const heard = all.filter(({ state, last }) => state !== 'delivered' && last !== undefined).sort((a, b) => b.last!.at - a.last!.at)[0];
  return {
    message: entries[0]!.message,
    status: 'queued',
    deliveries,
    recipients: { queued, delivered, failed: all.length - queued - delivered },
    named: all,
    ...(dues.length === 0 ? {} : { due: Math.min(...dues) }),
    ...(heard === undefined ? {} : { trouble: { ...heard.last!, recipient: heard.address } }),
  };
}
