/** Signs, drawn by hand on a grid of 16. Each state has a shape of its own, so that nobody needs to see its colour. */
import { h, s } from './dom.js';
import type { Standing, Tone } from './words.js';

const SIGNS: Readonly<Record<Tone, readonly string[]>> = {
  good: ['M3.5 8.5 6.5 11.5 12.5 4.5'],
  busy: ['M8 13V3', 'M4 7 8 3 12 7'],
  idle: ['M8 4.5V8l2.5 1.5', 'M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2'],
  wait: ['M13 8a5 5 0 1 1-1.5-3.5', 'M13 2.5V5h-2.5'],
  held: ['M5.5 3.5v9', 'M10.5 3.5v9'],
  bad: ['M4 4 12 12', 'M12 4 4 12'],
  gone: ['M4 8h8'],
};

const OTHERS = {
  overview: ['M2 12.5 6 7.5 9 10 14 3.5'],
  messages: ['M2 4h12v8.5H2z', 'M2 4.5 8 9l6-4.5'],
  lanes: ['M2 4h7', 'M2 8h12', 'M2 12h9'],
  search: ['M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 1 0 0-9', 'M10.5 10.5 14 14'],
  back: ['M10 3 5 8l5 5'],
  save: ['M8 2v8', 'M4.5 7 8 10.5 11.5 7', 'M2.5 13.5h11'],
  key: ['M5.5 6.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 1 0 0-5', 'M7.5 7.5 13 2.5', 'M11 4.5l2 2'],
} as const;

export type Icon = keyof typeof OTHERS;

function drawing(paths: readonly string[]): SVGElement {
  return s('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true', class: 'icon' }, ...paths.map((d) => s('path', { d })));
}

export function icon(name: Icon): SVGElement {
  return drawing(OTHERS[name]);
}

/** A state: its sign and its word. */
export function standing({ tone, word }: Standing): HTMLElement {
  return h('span', { class: `standing ${tone}` }, drawing(SIGNS[tone]), h('span', {}, word));
}
