/**
 * What a reply or a fault means: pure functions from (stage, what came) to a verdict, an outcome or a trouble. Nothing else in
 * delivery decides what a code means for mail, and nothing here knows of connections.
 *
 * | stage                              | as hoped   | 4xx                  | 5xx                        | anything else |
 * |------------------------------------|------------|----------------------|----------------------------|---------------|
 * | connect, greeting, ehlo, tls, auth | go on      | trouble of the site  | trouble of the site        | the same      |
 * | mail                               | 250–259    | all deferred         | all failed                 | garbage       |
 * | rcpt                               | 250–259    | this one deferred    | this one failed            | garbage       |
 * | rcpt, 452 (552 with 5.5.3)         |            | the rest goes at once, if one was accepted; else deferred  | |
 * | data                               | 354        | accepted deferred    | accepted failed            | garbage       |
 * | content                            | 250–259    | accepted deferred    | accepted failed            | garbage       |
 *
 * Trouble of the site is always temporary: a login that was changed must not bounce a queue. Garbage ends the connection and
 * defers; only the first digit counts within a class (RFC 5321 §4.2.1), but 211, 220 or 221 in answer to a final dot show
 * that the two sides have lost step, and are never taken for success. 421 ends the connection wherever it comes.
 */
import type { RecipientOutcome, Reply, Server, Stage, Trouble } from '../core/outcome.js';
import { retryAfterMs } from '../core/reply.js';
import { statusOf, withClass } from '../core/status.js';
import type { Fault, FaultReason } from './fault.js';

export type Verdict = 'ok' | 'temporary' | 'permanent' | 'garbage';

/** The codes hoped for, first and last. What has no entry is not asked by a command. */
const HOPED: Partial<Record<Stage, readonly [number, number]>> = {
  greeting: [220, 220],
  ehlo: [250, 250],
  starttls: [220, 220],
  auth: [235, 235],
  mail: [250, 259],
  rcpt: [250, 259],
  data: [354, 354],
  content: [250, 259],
};

export function verdict(stage: Stage, code: number): Verdict {
  const hoped = HOPED[stage];
  if (hoped && code >= hoped[0] && code <= hoped[1]) return 'ok';
  if (code >= 400 && code < 500) return 'temporary';
  return code >= 500 && code < 600 ? 'permanent' : 'garbage';
}

/** The server is closing the connection (RFC 5321 §3.8). */
export function isClosing(reply: Reply): boolean {
  return reply.code === 421;
}

/**
 * The server wants no more recipients in this transaction. 452 may also mean a full disk or mailbox: one more transaction finds
 * out, which costs less than a wait. 552 is what old servers said (RFC 5321 §4.5.3.1.10), but alone it is too often a full mailbox.
 */
export function isCrowded(reply: Reply): boolean {
  return reply.code === 452 || (reply.code === 552 && reply.enhanced === '5.5.3');
}

export function delivered(reply: Reply, server: Server): RecipientOutcome {
  return { kind: 'delivered', status: statusOf(reply, 'content'), text: oneLine(reply.text), server };
}

/** A refusal at MAIL, RCPT, DATA or after the dot. */
export function refused(stage: Stage, reply: Reply, server: Server): RecipientOutcome {
  return verdict(stage, reply.code) === 'permanent'
    ? { kind: 'failed', trouble: replyTrouble('permanent', stage, reply, server) }
    : { kind: 'deferred', trouble: replyTrouble('temporary', stage, reply, server) };
}

/** A refusal that only delays, whatever its class. */
export function postponed(stage: Stage, reply: Reply, server: Server): RecipientOutcome {
  return { kind: 'deferred', trouble: replyTrouble('temporary', stage, reply, server) };
}

/** A refusal that tells of the server, or of this moment, and not of the message. */
export function siteTrouble(stage: Stage, reply: Reply, server: Server, reason?: string): Trouble {
  const trouble = replyTrouble('temporary', stage, reply, server);
  return reason === undefined ? trouble : { ...trouble, reason };
}

const FAULT_STATUS: Record<FaultReason, string> = {
  refused: '4.4.1',
  noRoute: '4.4.1',
  timeout: '4.4.2',
  reset: '4.4.2',
  tls: '4.7.5',
  garbage: '4.5.0',
  stopped: '4.3.2',
};

export function faultTrouble(stage: Stage, fault: Fault, server: Server): Trouble {
  const status = stage === 'connect' && fault.reason !== 'tls' ? '4.4.1' : FAULT_STATUS[fault.reason];
  return { lasting: 'temporary', stage, status, text: fault.text, server, reason: fault.reason };
}

/** What we found ourselves before anything was sent. */
export function unsendable(status: string, text: string, reason: string): RecipientOutcome {
  return { kind: 'failed', trouble: { lasting: 'permanent', stage: 'local', status, text, reason } };
}

function replyTrouble(lasting: Trouble['lasting'], stage: Stage, reply: Reply, server: Server): Trouble {
  const wait = lasting === 'temporary' ? retryAfterMs(reply.text) : undefined;
  return {
    lasting,
    stage,
    // A 5.7.8 that only delays is told as 4.7.8: class and consequence agree.
    status: withClass(statusOf(reply, stage), lasting === 'permanent' ? 5 : 4),
    text: oneLine(reply.text),
    code: reply.code,
    server,
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  };
}

const LONGEST_TEXT = 1000;

function oneLine(text: string): string {
  const line = text.includes('\n') ? text.replaceAll('\n', ' ') : text;
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}…` : line;
}
