/** Which deliveries an operator means: one reading of `Query` for all drivers. Pure. */
import type { Message } from '../core/message.js';
import type { DeliveryView, Query } from './spool.js';

export function matches(query: Query, message: Message, delivery: DeliveryView): boolean {
  if (query.ids !== undefined && !query.ids.includes(message.id)) return false;
  if (query.lane !== undefined && query.lane !== delivery.lane) return false;
  if (query.state !== undefined && query.state !== delivery.state) return false;
  if (query.sender !== undefined && query.sender !== message.sender) return false;
  if (query.recipient !== undefined && !delivery.recipients.some((one) => one.address === query.recipient)) return false;
  if (
    query.domain !== undefined &&
    !delivery.recipients.some((one) => one.address.slice(one.address.lastIndexOf('@') + 1) === query.domain)
  )
    return false;
  if (query.tag !== undefined && !message.tags?.includes(query.tag)) return false;
  if (query.acceptedBefore !== undefined && message.acceptedAt >= query.acceptedBefore) return false;
  if (query.error === undefined) return true;
  const wanted = query.error.toLowerCase();
  return troubles(delivery).some((text) => text.toLowerCase().includes(wanted));
}

/** What an operator sees and searches for: what stands with the recipients that are still queued, and the newest attempt that had any. */
function troubles(delivery: DeliveryView): string[] {
  const texts = delivery.recipients.flatMap((one) => (one.state === 'queued' && one.last !== undefined ? [one.last.text] : []));
  const newest = delivery.log.findLast((attempt) => attempt.trouble !== undefined);
  return newest?.trouble === undefined ? texts : [...texts, newest.trouble.text];
}
