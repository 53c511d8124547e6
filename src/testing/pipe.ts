/** Two ends of a connection without a socket: what is written to one is read from the other, in order, some turns of the event loop later. */
import { Duplex } from 'node:stream';

export interface Pipe {
  readonly near: Duplex;
  readonly far: Duplex;
}

/** `moved` is called for everything that happens on it. */
export function createPipe(moved: () => void): Pipe {
  const near = new End(moved);
  const far = new End(moved);
  near.peer = far;
  far.peer = near;
  return { near, far };
}

class End extends Duplex {
  peer!: End;
  readonly #moved: () => void;

  constructor(moved: () => void) {
    super({ allowHalfOpen: true });
    this.#moved = moved;
  }

  override _read(): void {
    this.#moved();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#moved();
    if (!this.peer.destroyed) this.peer.push(chunk);
    done();
  }

  override _final(done: () => void): void {
    this.#moved();
    if (!this.peer.destroyed) this.peer.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#moved();
    // Gone without a word: the other end is told as the system would.
    if (!this.peer.destroyed && !this.writableFinished)
      this.peer.destroy(Object.assign(new Error('the other end is gone'), { code: 'ECONNRESET' }));
    done(error);
  }
}
