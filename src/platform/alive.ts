/**
 * The clock's timers let the process end. Whoever waits for nothing but time, in a process that is to go on after it, waits
 * here: this one holds the process.
 */
export function waitAlive(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

const LONGEST_MS = 2 ** 31 - 1;

/** Holds the process until `work` is over, whichever way. */
export async function aliveUntil<T>(work: Promise<T>): Promise<T> {
  const hold = setInterval(() => {}, LONGEST_MS);
  try {
    return await work;
  } finally {
    clearInterval(hold);
  }
}
