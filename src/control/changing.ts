/**
 * Changing what is queued: one action on every delivery that a selector finds, page by page.
 *
 * Promises: what is done is durable when it is counted; what is being sent at that moment is left alone and counted as such; what came
 * into the queue after the request is not meant by it, so a request ends however much mail comes in.
 */
import { type Issue, MtaError } from '../core/errors.js';
import type { MessageId } from '../core/message.js';
import { printable } from '../core/printable.js';
import type { Log } from '../platform/log.js';
import type { Change, ChangeResult, GiveUp, Query } from '../spool/spool.js';
import type { ChangeReport, ChangeRequest, Selector } from './types.js';
import type { ControlledAgent } from './verbs.js';

/** Deliveries changed at once: enough to share a commit, few enough to hold in memory. */
const CHANGES_AT_ONCE = 256;
/** Longest word of an operator that is kept with a delivery. */
export const LONGEST_REASON = 500;

/** The query a selector stands for. An empty one is an error: `all` must be said. */
export function selected(selector: Selector): Query {
  const { all, ...query } = selector;
  const given = Object.values(query).some((value) => value !== undefined);
  if (given === (all === true)) {
    const message = given ? 'either all, or which ones: not both' : 'nothing is selected: give ids or filters, or all';
    throw new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'selector', code: 'MISSING_FIELD', message }] });
  }
  return query;
}

/** Rejects with `INVALID_OPTIONS`, or `ABORTED` where the caller has gone. */
export async function changeDeliveries(
  agent: Pick<ControlledAgent, 'spool' | 'operate' | 'flush'>,
  log: Log,
  request: ChangeRequest,
  signal?: AbortSignal,
): Promise<ChangeReport> {
  const query = selected(request.selector);
  const change = changeOf(request);
  const lastId = agent.spool.lastId();
  const found = new Set<MessageId>();
  const tally: Record<ChangeResult, number> = { done: 0, inFlight: 0, gone: 0 };
  let messages = 0;
  let matched = 0;
  let lastMessage = '';
  let after: string | undefined;
  do {
    const page = await agent.spool.list(query, { limit: CHANGES_AT_ONCE, ...(after === undefined ? {} : { after }) });
    // Ids grow: what is above came later, such as the reports on what was given up just now.
    const items = page.items.filter(({ message }) => lastId === undefined || message.id <= lastId);
    matched += items.length;
    for (const { message } of items) {
      // Deliveries of a message follow each other.
      if (message.id !== lastMessage) messages++;
      lastMessage = message.id;
      if (query.ids) found.add(message.id);
    }
    if (!request.dryRun) {
      const results = await Promise.all(items.map((listed) => agent.operate(listed, change)));
      for (const result of results) tally[result]++;
    }
    after = items.length < page.items.length ? undefined : page.next;
    if (signal?.aborted) throw new MtaError('ABORTED', `given up after ${tally.done} deliveries`, { cause: signal.reason });
  } while (after !== undefined);
  if (!request.dryRun) tellLog(log, request, matched, tally.done);
  // Now means now, also where the site's next probe is still some minutes off.
  if (request.action === 'retry' && tally.done > 0) agent.flush();
  return {
    action: request.action,
    messages,
    matched,
    changed: tally.done,
    inFlight: tally.inFlight,
    gone: tally.gone,
    unknown: (query.ids ?? []).filter((id) => !found.has(id)),
  };
}

/** Throws `INVALID_OPTIONS` where a time or a reason is missing, or means nothing for the action. */
function changeOf({ action, at, reason }: ChangeRequest): Change | GiveUp {
  const issues: Issue[] = [];
  if (action === 'reschedule' && at === undefined)
    issues.push({ path: 'at', code: 'MISSING_FIELD', message: 'reschedule needs at: when it is tried next' });
  if (action !== 'reschedule' && at !== undefined) issues.push({ path: 'at', code: 'CONFLICT', message: `${action} takes no at` });
  if (action !== 'fail' && reason !== undefined) issues.push({ path: 'reason', code: 'CONFLICT', message: `${action} takes no reason` });
  if (issues.length > 0) throw new MtaError('INVALID_OPTIONS', issues.map((issue) => issue.message).join('; '), { issues });
  switch (action) {
    case 'remove':
    case 'hold':
    case 'release':
      return { kind: action };
    case 'retry':
      return { kind: 'retryNow' };
    case 'reschedule':
      return { kind: 'reschedule', due: at! };
    case 'fail':
      return { kind: 'fail', reason: oneLine(reason ?? '') };
  }
}

/** It goes into reports: nothing in it may begin a line there. */
export function oneLine(reason: string): string {
  return printable(reason.trim().replace(/\s+/g, ' ')).slice(0, LONGEST_REASON);
}

function tellLog(log: Log, { action, selector, at, reason }: ChangeRequest, matched: number, changed: number): void {
  log.info('control.change', {
    action,
    selector: JSON.stringify(selector).slice(0, 500),
    ...(at === undefined ? {} : { at }),
    ...(reason === undefined ? {} : { reason: oneLine(reason) }),
    matched,
    changed,
  });
}
