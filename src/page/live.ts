/**
 * When to look again: soon after something happened to mail, and every few seconds anyway. Events come as a stream; where it is not
 * to be had, looking more often stands in for it. Nobody who is not looking is served: a hidden page holds no connection.
 */
import { type Api, Refusal } from './api.js';

const SOON_MS = 700;
const CALM_MS = 10_000;
const WITHOUT_STREAM_MS = 3_000;
const AGAIN_MS = 2_000;

export class Live {
  readonly #api: Api;
  readonly #look: () => void;
  #streaming = false;
  #stream: AbortController | undefined;
  #soon: number | undefined;
  #lookedAt = 0;

  constructor(api: Api, look: () => void) {
    this.#api = api;
    this.#look = look;
    document.addEventListener('visibilitychange', () => this.#follow());
    setInterval(() => this.#tick(), 1_000);
  }

  /** To be called when the agent has been reached, or reached again. */
  start(): void {
    this.#follow();
  }

  /** Something was changed here. */
  now(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#lookedAt = Date.now();
    this.#look();
  }

  #follow(): void {
    if (document.visibilityState === 'hidden') {
      this.#stream?.abort();
      this.#stream = undefined;
      return;
    }
    if (this.#api.standing === 'online') this.now();
    if (this.#stream !== undefined || this.#api.standing === 'locked') return;
    const stream = new AbortController();
    this.#stream = stream;
    void this.#listen(stream.signal).finally(() => {
      if (this.#stream === stream) this.#stream = undefined;
    });
  }

  async #listen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const chunk of this.#api.stream('/v1/events', signal)) {
          this.#streaming = true;
          if (/^data:/m.test(chunk)) this.#shortly();
        }
      } catch (error) {
        // It has no such stream, or wants the token first.
        if (error instanceof Refusal) return;
      } finally {
        this.#streaming = false;
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** A burst of events is one look. */
  #shortly(): void {
    this.#soon ??= setTimeout(() => this.now(), SOON_MS) as unknown as number;
  }

  #tick(): void {
    if (document.visibilityState === 'hidden') return;
    const { standing } = this.#api;
    const every = standing === 'online' ? (this.#streaming ? CALM_MS : WITHOUT_STREAM_MS) : AGAIN_MS;
    if (standing !== 'locked' && Date.now() - this.#lookedAt >= every) this.now();
  }
}
