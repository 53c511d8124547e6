/**
 * Lines of the log on their way out. What is written within one turn of the event loop leaves in one piece; one piece
 * is on its way at a time, and what comes meanwhile waits for the next.
 *
 * Promises: never blocks the agent and never grows without bound: when the reader is too slow, whole lines are dropped, and
 * how many is told in their place. At the end of the process what still waits is written out.
 * Must not be used for anything that has to arrive: a log may lose lines, mail may not.
 */
import { write as writeFile, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';

export interface LineWriter {
  /** A line without its line end. */
  write(line: string): void;
  /** Resolves when what was written so far has left, or cannot any more. */
  flush(): Promise<void>;
  /** Writes out at once what waits, and takes no more. At the end of the process this happens by itself. */
  close(): void;
}

export interface LineWriterOptions {
  /** Characters that may wait. Default 1 MiB. */
  readonly maxWaiting?: number;
  /** The line that stands for so many dropped ones. */
  readonly dropped?: (count: number) => string;
}

type Send = (bytes: Buffer, done: (error?: Error | null) => void) => void;

/** How long a pipe that is full is left alone. */
const AGAIN_MS = 20;

/** `out` is the number of an open file (1: standard output) or a stream. */
export function createLineWriter(out: number | Writable, options: LineWriterOptions = {}): LineWriter {
  const { maxWaiting = 1 << 20, dropped = (count) => `${count} lines were dropped` } = options;
  const send = typeof out === 'number' ? toFile(out) : toStream(out);
  let waiting = '';
  let lost = 0;
  /** Broken: closed, or the reader is gone; whatever comes is dropped without a word. */
  let state: 'idle' | 'scheduled' | 'sending' | 'broken' = 'idle';
  let flushed: (() => void)[] = [];

  const take = (): Buffer => {
    const text = lost > 0 ? `${waiting}${dropped(lost)}\n` : waiting;
    waiting = '';
    lost = 0;
    return Buffer.from(text);
  };
  const rest = (to: 'idle' | 'broken') => {
    state = to;
    const done = flushed;
    flushed = [];
    for (const call of done) call();
  };
  const go = () => {
    // Closed meanwhile.
    if (state === 'broken') return;
    if (waiting === '' && lost === 0) return rest('idle');
    state = 'sending';
    send(take(), (error) => {
      if (!error) return go();
      waiting = '';
      rest('broken');
    });
  };

  const writer: LineWriter = {
    write(line) {
      if (state === 'broken') return;
      if (waiting.length + line.length + 1 > maxWaiting) {
        lost++;
        return;
      }
      waiting += `${line}\n`;
      if (state !== 'idle') return;
      state = 'scheduled';
      setImmediate(go);
    },
    flush() {
      return state === 'idle' || state === 'broken' ? Promise.resolve() : new Promise((resolve) => flushed.push(resolve));
    },
    close() {
      process.removeListener('exit', writer.close);
      if (state !== 'broken' && (waiting !== '' || lost > 0)) {
        const bytes = take();
        if (typeof out === 'number') writeOut(out, bytes);
        else out.write(bytes);
      }
      rest('broken');
    },
  };
  process.once('exit', writer.close);
  return writer;
}

function toStream(stream: Writable): Send {
  // A reader that goes away must not end the agent.
  stream.on('error', () => {});
  return (bytes, done) => void stream.write(bytes, done);
}

/** Not through `process.stdout`, whose pipes block: a reader that stands still would hold up the mail. */
function toFile(file: number): Send {
  return function send(bytes, done) {
    writeFile(file, bytes, 0, bytes.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(send, AGAIN_MS, bytes, done);
      else if (error || written === bytes.length) done(error);
      else send(bytes.subarray(written), done);
    });
  };
}

function writeOut(file: number, bytes: Buffer): void {
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
  } catch {
    // The process ends: there is nobody left to tell.
  }
}
