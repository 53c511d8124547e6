/**
 * Mail's events in the words of Postfix's log, for the many tools that read it: `pflogsumm`, log exporters, `grep`.
 * Pure. Only the forms that those tools look for; what has no such form gives no line.
 */
import type { MailEvent } from '../core/event.js';
import { printable } from '../core/printable.js';

export interface PostfixNames {
  readonly hostname: string;
  readonly pid: number;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const STATUS = { delivered: 'sent', deferred: 'deferred', bounced: 'bounced', expired: 'expired' } as const;

/** Without the last line end. An accepted message gives two lines, of the session and of the queue, and one more if its Message-ID is known. */
export function postfixLine(event: MailEvent, { hostname, pid }: PostfixNames): string | undefined {
  const line = (service: string, text: string) => `${syslogTime(event.at)} ${hostname} postfix/${service}[${pid}]: ${text}`;
  switch (event.type) {
    case 'accepted': {
      const { id, origin, sender, sizeBytes, recipients, messageId } = event;
      const lines = [line('smtpd', `${id}: client=${oneLine(origin)}`)];
      if (messageId !== '') lines.push(line('cleanup', `${id}: message-id=${oneLine(messageId)}`));
      lines.push(line('qmgr', `${id}: from=<${oneLine(sender)}>, size=${sizeBytes}, nrcpt=${recipients} (queue active)`));
      return lines.join('\n');
    }
    case 'delivered':
    case 'deferred':
    case 'bounced':
    case 'expired': {
      const { id, recipient, server, delayMs, status, text } = event;
      const delay = delayMs < 10_000 ? Number((delayMs / 1000).toFixed(2)) : Math.round(delayMs / 1000);
      return line(
        'smtp',
        `${id}: to=<${oneLine(recipient)}>, relay=${server || 'none'}, delay=${delay}, dsn=${status}, status=${STATUS[event.type]} (${oneLine(text)})`,
      );
    }
    case 'removed':
      return line('postsuper', `${event.id}: removed`);
    case 'fault':
      return line('qmgr', `warning: ${event.id === undefined ? '' : `${event.id}: `}${oneLine(event.text)}`);
    case 'changed':
    case 'paused':
    case 'resumed':
      return undefined;
  }
}

function oneLine(text: string): string {
  return printable(text.replace(/\n/g, ' '));
}

/** As syslog writes it: local time, without a year. */
function syslogTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
