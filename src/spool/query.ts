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
  if (query.acceptedBefore !== undefined && message.acceptedAt >= query.acceptedBefore) return false;
  return query.error === undefined || lastTrouble(delivery).toLowerCase().includes(query.error.toLowerCase());
}

/** Of the newest attempt that had any; else what stands with a recipient that is still queued. */
function lastTrouble(delivery: DeliveryView): string {
  for (let at = delivery.log.length - 1; at >= 0; at--) {
    const trouble = delivery.log[at]!.trouble;
    if (trouble !== undefined) return trouble.text;
  }
  return delivery.recipients.find((one) => one.state === 'queued' && one.last !== undefined)?.last?.text ?? '';
}
