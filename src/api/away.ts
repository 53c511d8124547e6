/**
 * The door to an agent in another process, through its control socket.
 *
 * Promises
 *  - What is asked for is asked once: where the agent goes away meanwhile, that is `NOT_RUNNING`, and whether it was done is not known.
 *  - Events are followed for as long as the door is open, also from an agent that is started anew; what happens between is not heard.
 *  - Waiting for events does not keep the process.
 */
import { connectControl } from '../control/client.js';
import type { ControlVerbs, HandInBody } from '../control/types.js';
import { MtaError } from '../core/errors.js';
import type { Emit } from '../core/event.js';
import { createBroadAbort } from '../platform/abort.js';
import { aliveUntil } from '../platform/alive.js';
import type { Clock } from '../platform/clock.js';
import { findTracing, type Tracing } from '../platform/tracing.js';
import { version } from '../version.js';
import { chunksOf } from './content.js';
import type { Door } from './door.js';
import type { Handed, Sent } from './hand-in.js';
import type { SentNow } from './now.js';
import { toHead, toRows } from './taking-over.js';
import { unlessAborted } from './waiting.js';

export interface Away extends Door {
  /** Resolves when the agent has gone, or is about to. */
  readonly lost: Promise<void>;
}

/** Rejects with `NOT_RUNNING`, or `ABORTED` with `signal`. */
export async function openAway(socketPath: string, clock: Clock, signal?: AbortSignal): Promise<Away> {
  const verbs = await connectControl(socketPath, { holds: false, signal });
  let door: FarDoor | undefined;
  try {
    const { hostname, limits, listening } = await verbs.agent(signal);
    const about = { hostname, maxRecipients: limits.maxRecipients, connectMs: limits.connectMs, patienceMs: PATIENCE_MS };
    const far = new FarDoor(verbs, clock, about, listening, await findTracing(version()));
    door = far;
    await aliveUntil(unlessAborted(signal, () => far.followed));
    return far;
  } catch (error) {
    await (door ?? verbs).close();
    throw error;
  }
}

/** How long closing waits for what is being handed in. */
const PATIENCE_MS = 30_000;
/** One question whether all is idle is open for so long. */
const IDLE_ASKED_MS = 30_000;
const FOLLOW_AGAIN_MS = 250;
const FOLLOW_AGAIN_MOST_MS = 5_000;

class FarDoor implements Away {
  readonly about: Door['about'];
  readonly verbs: ControlVerbs;
  readonly lost: Promise<void>;
  /** Resolves when nothing that happens is missed any more, or it is lost. */
  readonly followed: Promise<void>;
  readonly #clock: Clock;
  readonly #listening: ReturnType<Door['listening']>;
  readonly #tracing: Tracing | undefined;
  readonly #over = createBroadAbort();
  #goes: () => void = () => {};
  #emit: Emit = () => {};

  constructor(verbs: ControlVerbs, clock: Clock, about: Door['about'], listening: ReturnType<Door['listening']>, tracing?: Tracing) {
    this.verbs = verbs;
    this.about = about;
    this.#clock = clock;
    this.#listening = listening;
    this.#tracing = tracing;
    this.lost = new Promise((resolve) => {
      this.#goes = resolve;
    });
    this.followed = new Promise((resolve) => void this.#follow(resolve));
  }

  take(handed: Handed): Promise<Sent> {
    const head = { ...toHead(handed), trace: this.#tracing?.current() };
    return this.#uploaded(handed, (body) => this.verbs.handIn(head, body, handed.signal));
  }

  now(handed: Handed): Promise<SentNow> {
    return this.#uploaded(handed, (body) => this.verbs.sendNow(toHead(handed, true), body, handed.signal));
  }

  async #uploaded<T>(handed: Handed, upload: (body: HandInBody) => Promise<T>): Promise<T> {
    const { content, signal } = handed;
    try {
      return await aliveUntil(upload({ content: buffersOf(chunksOf(content, signal)), rows: toRows(handed) }));
    } catch (error) {
      content.stop();
      throw error;
    }
  }

  listen(emit: Emit): void {
    this.#emit = emit;
  }

  async #follow(opened: () => void): Promise<void> {
    const { signal } = this.#over;
    for (let pause = FOLLOW_AGAIN_MS; !signal.aborted; pause = Math.min(pause * 2, FOLLOW_AGAIN_MOST_MS)) {
      try {
        for await (const { event } of this.verbs.events(undefined, signal, opened)) {
          pause = FOLLOW_AGAIN_MS;
          this.#emit(event);
        }
      } catch {
        // It has gone, or is not there yet: whoever asks for something is told.
      }
      this.#goes();
      opened();
      if (!signal.aborted) await new Promise<void>((resolve) => this.#clock.after(pause, resolve));
    }
  }

  listening(): ReturnType<Door['listening']> {
    return this.#listening;
  }

  async idle(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted) throw new MtaError('ABORTED', 'gave up waiting for the queue to be idle', { cause: signal.reason });
      if (await this.verbs.idle(IDLE_ASKED_MS, signal)) return;
    }
  }

  async close(): Promise<void> {
    this.#over.abort();
    await this.verbs.close();
  }
}

async function* buffersOf(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks;
}
