/** How long things took, or how large they were, in a handful of numbers. Constant memory, some nanoseconds for each value. */

export interface HistogramView {
  /** Upper bounds, rising; what is above the last is in `count` alone. */
  readonly bounds: readonly number[];
  /** How many values are at or below each bound. */
  readonly upTo: readonly number[];
  readonly count: number;
  readonly sum: number;
}

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  /** `bounds`: rising. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at++;
    this.#counts[at]!++;
    this.#sum += value;
  }

  view(): HistogramView {
    let count = 0;
    const upTo = this.#bounds.map((_, at) => (count += this.#counts[at]!));
    return { bounds: this.#bounds, upTo, count: count + this.#counts[this.#bounds.length]!, sum: this.#sum };
  }
}
