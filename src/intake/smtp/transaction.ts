/** What MAIL and RCPT have said so far, and the envelope that comes of it when DATA does. Pure. */
import type { Origin } from '../../core/message.js';
import type { SubmissionEnvelope } from '../submission.js';
import type { TraceLines } from '../trace.js';
import type { MailCommand, RcptCommand } from './commands.js';
import type { User } from './users.js';

export interface Transaction {
  readonly sender: string;
  readonly smtpUtf8: boolean;
  readonly dsn: SubmissionEnvelope['dsn'];
  readonly recipients: SubmissionEnvelope['recipients'][number][];
}

export function transactionFrom({ sender, smtpUtf8, dsn }: MailCommand): Transaction {
  return { sender, smtpUtf8, dsn, recipients: [] };
}

export function recipientOf({ recipient: address, notify, orcpt }: RcptCommand): Transaction['recipients'][number] {
  return notify === undefined && orcpt === undefined ? { address } : { address, ...(notify && { notify }), ...(orcpt && { orcpt }) };
}

export function originOf(client: string, helo: string, user: User | undefined): Origin {
  const origin = { kind: 'smtp', client, helo } as const;
  return user === undefined ? origin : { ...origin, user: user.name };
}

export function envelopeOf(
  { sender, recipients, smtpUtf8, dsn }: Transaction,
  origin: Origin,
  trace: Pick<TraceLines, 'ascii' | 'utf8'>,
): SubmissionEnvelope {
  return {
    sender,
    recipients,
    smtpUtf8,
    requireTls: false,
    ...(dsn && { dsn }),
    origin,
    priority: 'medium',
    notBefore: 0,
    bounces: 'mail',
    received: smtpUtf8 ? trace.utf8 : trace.ascii,
  };
}
