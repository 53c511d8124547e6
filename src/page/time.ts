/** Moments that are shown as `4 min ago` and grow older by themselves. */
import { type Child, h } from './dom.js';
import { moment, relative, span } from './words.js';

const TICK_MS = 1_000;
type Form = 'relative' | 'since';

/** `relative`: `in 4 min`, `2 h ago`; `since`: `2 h`. The exact moment is told to whoever points at it. */
export function time(at: number, form: Form = 'relative'): HTMLElement {
  const element = h('time', { 'data-at': at, 'data-form': form, datetime: new Date(at).toISOString(), title: moment(at) });
  show(element);
  return element;
}

/** When something at rest is tried again; it may have been told to, or be due already. */
export function triedAgain(at: number): Child {
  return at > Date.now() ? ['Tried again ', time(at)] : 'Being tried now';
}

function show(element: HTMLElement): void {
  const at = Number(element.dataset['at']);
  const now = Date.now();
  const text = element.dataset['form'] === 'since' ? span(now - at) : relative(at, now);
  if (element.textContent !== text) element.textContent = text;
}

export function keepTime(): void {
  setInterval(() => {
    if (document.visibilityState === 'visible')
      for (const element of document.querySelectorAll<HTMLElement>('time[data-at]')) show(element);
  }, TICK_MS);
}
