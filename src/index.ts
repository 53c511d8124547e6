/**
 * What the package offers to a program: the agent in its own process, composing, and the values they speak in.
 *
 *   const mta = await createMta({ spool: './spool' });
 *   const { id } = await mta.send({ from, to, subject, body });
 */
export { createMta } from './api/agent.js';
export type { EventsOptions, FailOptions, IdleOptions, InspectOptions, LaneOptions, MxLookupOptions, PauseOptions } from './api/asked.js';
export { compose } from './api/compose.js';
export { type ConnectOptions, connectMta } from './api/connect.js';
export type { QueueOptions, SendOptions, Sent } from './api/hand-in.js';
export type { MailListener } from './api/listeners.js';
export type { FollowedEvent, MailAgent, PausedLane } from './api/mail-agent.js';
export type { MergeInput } from './api/merge.js';
export type { MxLookup } from './api/mx.js';
export type { Outcome, SentNow } from './api/now.js';
export type { MtaOptions } from './api/options.js';
export type { Selection } from './api/selection.js';
export {
  SmtpClient,
  type SmtpClientOptions,
  type SmtpCommand,
  type SmtpMessage,
  type SmtpReply,
  type SmtpSent,
} from './api/smtp-client.js';
export type { DeliveryOptions, DsnOptions } from './api/terms.js';
export type { WaitOptions } from './api/waiting.js';
export type { Attachment, Attachments, Image, Images } from './compose/attachments.js';
export type { AttachmentInput, Compose, DataOptions, HtmlInput } from './compose/compose.js';
export type { AddressInput, MailboxInput } from './compose/mailboxes.js';
export { type MergeOptions, merge, type RawValue, raw, type Tokens, type TokenValue, token } from './compose/merge/tokens.js';
export type { ComposeOptions } from './compose/options.js';
export type { ConfigOptions } from './config/config.js';
export type { ChangeReport, LanesReport, QueueEntry, StatusWord, ViewPage, Wait, WhyDelivery, WhyReport } from './control/types.js';
export { type Listed, type ListFault, parseAddressList } from './core/address-list.js';
export type { Attempt, Delivery, DeliveryKey, Recipient, RecipientState } from './core/delivery.js';
export { ERROR_CODES, type ErrorCode, type Issue, MtaError } from './core/errors.js';
export type { MailEvent, MailEventType, RecipientEvent } from './core/event.js';
export type { LaneKey } from './core/lane.js';
export type { Message, MessageId, Origin, Priority } from './core/message.js';
export type { Log, LogFields, LogLevel } from './platform/log.js';
export type { DeliveryView, MessageView } from './spool/spool.js';
