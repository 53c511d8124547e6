/** What can be done to mail and to lanes: each verb with its words, its question where one is due, and what came of it. */
import type { ChangeReport, LanesReport } from '../control/types.js';
import type { Api, Query } from './api.js';
import { ask } from './ask.js';
import { h } from './dom.js';
import { counted, laneName } from './words.js';

export interface Chosen {
  /** As the API selects: ids, or filters. */
  readonly query: Query;
  /** `3 messages`, `all mail to x.example`. */
  readonly what: string;
}

export type Action = 'release' | 'hold' | 'retry' | 'reschedule' | 'fail' | 'remove';

interface Verb {
  readonly word: string;
  readonly done: string;
  readonly danger?: boolean;
  /** More of the request, or undefined where the answer was no. */
  readonly prepare: (what: string) => Promise<Query | undefined>;
}

const nothing = async (): Promise<Query> => ({});

export const VERBS: Readonly<Record<Action, Verb>> = {
  retry: { word: 'Retry now', done: 'to be tried now', prepare: nothing },
  hold: { word: 'Hold', done: 'held', prepare: nothing },
  release: { word: 'Release', done: 'released', prepare: nothing },
  reschedule: { word: 'Reschedule…', done: 'rescheduled', prepare: whenNext },
  fail: { word: 'Return to sender…', done: 'returned to sender', danger: true, prepare: whyFail },
  remove: { word: 'Remove…', done: 'removed', danger: true, prepare: sureRemove },
};

async function whenNext(what: string): Promise<Query | undefined> {
  const input = h('input', { type: 'datetime-local', required: true, step: 60, min: localTime(Date.now()) });
  input.value = localTime(Date.now() + 3_600_000);
  const given = await ask({
    title: `Reschedule ${what}`,
    text: 'It is tried next at that moment, not before.',
    yes: 'Reschedule',
    input,
    label: 'Next attempt',
  });
  return given === undefined ? undefined : { at: new Date(given).getTime() };
}

/** As an input of that type has it: local, without a zone. */
function localTime(at: number): string {
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

async function whyFail(what: string): Promise<Query | undefined> {
  const input = h('input', { type: 'text', maxlength: 500, autocomplete: 'off' });
  const reason = await ask({
    title: `Return ${what} to the sender`,
    text: 'Delivery is given up now. The sender gets a report with the reason and with what the server said last.',
    yes: 'Return to sender',
    danger: true,
    input,
    label: 'Reason (optional)',
    hint: 'The sender reads it.',
  });
  return reason === undefined ? undefined : { ...(reason.trim() === '' ? {} : { reason }) };
}

async function sureRemove(what: string): Promise<Query | undefined> {
  const text = 'It is taken out of the queue for good, and nobody is told. To let the sender know, return it instead.';
  return (await ask({ title: `Remove ${what}?`, text, yes: 'Remove', danger: true })) === undefined ? undefined : {};
}

/** Undefined where the answer was no. */
export async function act(api: Api, action: Action, { query, what }: Chosen): Promise<string | undefined> {
  const more = await VERBS[action].prepare(what);
  if (more === undefined) return undefined;
  const { messages, changed, inFlight, gone, unknown } = await api.post<ChangeReport>(`/v1/queue/${action}`, { ...query, ...more });
  const rest = [
    inFlight > 0 ? `${counted(inFlight, 'delivery', 'deliveries')} being sent just now: left alone` : '',
    gone > 0 ? `${counted(gone, 'delivery', 'deliveries')} had ended` : '',
    unknown.length > 0 ? `${counted(unknown.length, 'message')} not in the queue any more` : '',
  ].filter((each) => each !== '');
  const done =
    changed > 0 ? [`${counted(messages, 'message')} ${VERBS[action].done}`] : rest.length === 0 ? ['Nothing was there to change'] : [];
  return `${[...done, ...rest].join('; ')}.`;
}

export async function pauseLane(api: Api, lane: string): Promise<string | undefined> {
  const input = h('input', { type: 'text', maxlength: 500, autocomplete: 'off' });
  const reason = await ask({
    title: `Pause ${laneName(lane)}`,
    text: 'Nothing more is sent there until it is resumed, also after a restart. Mail goes on waiting, and still expires.',
    yes: 'Pause',
    input,
    label: 'Reason (optional)',
    hint: 'Shown here, and wherever the lane is.',
  });
  if (reason === undefined) return undefined;
  await api.post<LanesReport>('/v1/lanes/pause', { lane, ...(reason.trim() === '' ? {} : { reason }) });
  return `${laneName(lane)} is paused.`;
}

export async function resumeLane(api: Api, lane: string): Promise<string> {
  await api.post<LanesReport>('/v1/lanes/resume', { lane });
  return `${laneName(lane)} goes on.`;
}
