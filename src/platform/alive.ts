/**
 * The clock's timers let the process end. Whoever waits for nothing but time, in a process that is to go on after it, waits
 * here: this one holds the process.
 */
export function waitAlive(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
