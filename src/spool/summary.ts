/** A message with all its deliveries in a few words, and which messages somebody looks for: one reading for all drivers. Pure. */
import type { Message } from '../core/message.js';
import type { MessageQuery, MessageState, MessageSummary, MessageView } from './spool.js';

/** Recipients named one by one. */
const NAMED = 5;

export function summaryOf({ message, deliveries, next, tally }: MessageView): MessageSummary {
  const counts = { ready: 0, waiting: 0, held: 0, sending: 0, done: 0 };
  const recipients = { queued: 0, delivered: 0, failed: 0 };
  const named: { address: string; state: MessageSummary['named'][number]['state'] }[] = [];
  let due = Number.POSITIVE_INFINITY;
  let endedAt = 0;
  let trouble: MessageSummary['trouble'];
  for (const delivery of deliveries) {
    counts[delivery.state]++;
    if (delivery.state === 'ready' || delivery.state === 'waiting') due = Math.min(due, delivery.due);
    endedAt = Math.max(endedAt, delivery.settledAt);
    for (const { address, state, last } of delivery.recipients) {
      recipients[state === 'queued' || state === 'delivered' ? state : 'failed']++;
      if (named.length < NAMED) named.push({ address, state });
      if (last !== undefined && state !== 'delivered' && last.at >= (trouble?.at ?? 0)) trouble = { ...last, recipient: address };
    }
  }
  if (tally !== undefined) {
    const { queued, delivered, bounced, expired, removed } = tally;
    Object.assign(recipients, { queued, delivered, failed: bounced + expired + removed });
  }
  const status = recipients.queued > 0 ? 'queued' : recipients.failed > 0 ? 'error' : 'sent';
  return {
    message,
    status,
    deliveries: counts,
    recipients,
    named,
    ...(status === 'queued' && due !== Number.POSITIVE_INFINITY ? { due } : {}),
    ...(status === 'queued' ? {} : { endedAt }),
    ...(trouble === undefined ? {} : { trouble }),
    ...(next === undefined ? {} : { more: true as const }),
  };
}

export function isInState({ status, deliveries, trouble }: MessageSummary, state: MessageState | undefined): boolean {
  switch (state) {
    case undefined:
      return true;
    case 'queued':
    case 'sent':
    case 'error':
      return status === state;
    case 'sending':
      return deliveries.sending > 0;
    case 'held':
      return deliveries.held > 0;
    case 'deferred':
      return status === 'queued' && trouble !== undefined;
  }
}

/** Whether a text is in what names a message: id, sender, recipients, Message-ID, tags. `needle` in lower case. */
export function isFoundIn(message: Message, recipients: readonly { readonly address: string }[], needle: string): boolean {
  const has = (text: string) => text.toLowerCase().includes(needle);
  return (
    has(message.sender) ||
    has(message.id) ||
    has(message.messageId) ||
    message.tags?.some(has) === true ||
    recipients.some(({ address }) => has(address))
  );
}

export function isFound(view: MessageView, { search }: MessageQuery): boolean {
  if (search === undefined) return true;
  const needle = search.toLowerCase();
  return isFoundIn(
    view.message,
    view.deliveries.flatMap(({ recipients }) => recipients),
    needle,
  );
}
