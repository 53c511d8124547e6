/**
 * What the package offers to a program: the agent in its own process, its configuration, and the values they speak in.
 *
 *   const { config } = configFromOptions({ spool: './spool', route: [{ host: 'smtp.example.net' }] });
 *   const mta = await startMta(config);
 */
export type { Config, ConfigOptions, LoadedConfig, Source } from './config/config.js';
export { configFromOptions, loadConfig } from './config/load.js';
export type { Attempt, Delivery, DeliveryKey, Recipient, RecipientState } from './core/delivery.js';
export { ERROR_CODES, type ErrorCode, type Issue, MtaError } from './core/errors.js';
export type { MailEvent, MailEventType } from './core/event.js';
export type { LaneKey } from './core/lane.js';
export type { Body, Message, MessageId, Origin, Priority } from './core/message.js';
export type { MxView } from './delivery/carrier.js';
export type { Submission, SubmissionEnvelope, Submitted } from './intake/submission.js';
export { type Mta, type StartOptions, startMta, type World } from './mta.js';
export type { Clock } from './platform/clock.js';
export type { Log, LogFields, LogLevel } from './platform/log.js';
export type { ChangeResult, DeliveryView, MessageView, Page, Query, SpoolCounts } from './spool/spool.js';
