/** Two small charts over one axis of time: how deep the queue was, and what was delivered. Drawn as SVG, read out as a sentence. */
import type { Sample } from '../control/types.js';
import { h, replace, s } from './dom.js';
import { clockTime, count, counted } from './words.js';

const WIDTH = 720;
const DEPTH = 132;
const FLOW = 44;
const GAP = 10;

export interface ChartOptions {
  readonly samples: readonly Sample[];
  readonly everyMs: number;
  readonly overMs: number;
  readonly now: number;
  /** In the queue at this moment. */
  readonly depth: number;
  /** Delivered in the last minute. */
  readonly perMinute: number;
}

const depthOf = ({ ready, waiting, held }: Sample) => ready + waiting + held;

export class Chart {
  readonly element: HTMLElement;
  readonly #svg = h('div', { class: 'chart-drawing' });
  readonly #reading = h('p', { class: 'chart-reading' });
  #options: ChartOptions | undefined;

  constructor() {
    this.element = h('figure', { class: 'chart' }, this.#reading, this.#svg);
    this.#svg.addEventListener('pointermove', (event) => this.#point(event));
    this.#svg.addEventListener('pointerleave', () => this.#point(undefined));
  }

  draw(options: ChartOptions): void {
    this.#options = options;
    const from = options.now - options.overMs;
    const shown = options.samples.filter(({ at }) => at >= from);
    const depths = [...shown.map((sample) => ({ at: sample.at, depth: depthOf(sample) })), { at: options.now, depth: options.depth }];
    const x = (at: number) => ((at - from) / options.overMs) * WIDTH;
    const deepest = niceTop(Math.max(1, ...depths.map(({ depth }) => depth)));
    const most = Math.max(1, ...shown.map(({ delivered }) => delivered));
    const y = (value: number) => DEPTH - (value / deepest) * (DEPTH - 8);
    const line = depths.map(({ at, depth }, i) => `${i === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(depth).toFixed(1)}`).join('');
    const area = `${line}V${DEPTH}H${x(depths[0]!.at).toFixed(1)}Z`;
    const bar = (options.everyMs / options.overMs) * WIDTH;
    const flow = shown
      .filter(({ delivered }) => delivered > 0)
      .map(({ at, delivered }) => {
        const height = (delivered / most) * FLOW;
        const left = x(at) - bar;
        return `M${left.toFixed(1)} ${DEPTH + GAP + FLOW}v${-height.toFixed(1)}h${Math.max(bar - 0.6, 0.6).toFixed(2)}v${height.toFixed(1)}z`;
      });
    replace(
      this.#svg,
      s(
        'svg',
        {
          viewBox: `0 0 ${WIDTH} ${DEPTH + GAP + FLOW}`,
          preserveAspectRatio: 'none',
          role: 'img',
          'aria-label': summary(shown, options),
        },
        s('path', { d: `M0 ${y(deepest)}H${WIDTH}M0 ${y(deepest / 2)}H${WIDTH}`, class: 'grid' }),
        s('path', { d: `M0 ${DEPTH}H${WIDTH}M0 ${DEPTH + GAP + FLOW}H${WIDTH}`, class: 'axis' }),
        s('path', { d: area, class: 'area' }),
        s('path', { d: line, class: 'line' }),
        s('path', { d: flow.join(''), class: 'flow' }),
        s('path', { d: '', class: 'pointer' }),
      ),
      h('span', { class: 'chart-top', 'aria-hidden': 'true' }, count(deepest)),
      h('span', { class: 'chart-from', 'aria-hidden': 'true' }, clockTime(from)),
      h('span', { class: 'chart-to', 'aria-hidden': 'true' }, 'now'),
    );
    this.#point(undefined);
  }

  /** What the sample under the pointer says; without one, how it is now. */
  #point(event: PointerEvent | undefined): void {
    if (this.#options === undefined) return;
    const { samples, overMs, now, depth, perMinute } = this.#options;
    const pointer = this.#svg.querySelector('.pointer');
    pointer?.setAttribute('d', '');
    const read = (when: string, deep: number, delivered: number, failed: number) =>
      replace(
        this.#reading,
        h('b', {}, when),
        h('span', { class: 'key depth' }, `${count(deep)} in the queue`),
        h('span', { class: 'key flow' }, `${count(delivered)} delivered a minute`),
        failed > 0 && h('span', { class: 'key bad' }, counted(failed, 'failure')),
      );
    if (event === undefined) return read('Now', depth, perMinute, 0);
    const box = this.#svg.getBoundingClientRect();
    const at = now - overMs * (1 - (event.clientX - box.left) / box.width);
    const [first, ...others] = samples;
    if (first === undefined) return;
    const nearest = others.reduce((best, sample) => (Math.abs(sample.at - at) < Math.abs(best.at - at) ? sample : best), first);
    const x = ((nearest.at - now + overMs) / overMs) * WIDTH;
    pointer?.setAttribute('d', `M${x} 0V${DEPTH + GAP + FLOW}`);
    read(clockTime(nearest.at), depthOf(nearest), nearest.delivered * 6, nearest.failed);
  }
}

/** A round number: the least at or above. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8, 10].map((each) => each * power).find((each) => each >= value) ?? value;
}

function summary(samples: readonly Sample[], { overMs, depth }: ChartOptions): string {
  const deepest = Math.max(depth, ...samples.map(depthOf));
  const delivered = samples.reduce((sum, sample) => sum + sample.delivered, 0);
  return `Over ${Math.round(overMs / 60_000)} minutes: ${count(depth)} in the queue now, ${count(deepest)} at most, ${count(delivered)} delivered.`;
}
