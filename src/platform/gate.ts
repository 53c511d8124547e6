/** So many at a time, the others in the order in which they came: for what takes files, names or memory while it lasts. */

/** Runs what it is given, at once or in its turn, and hands on what comes of it. */
export type Gate = <T>(run: () => Promise<T>) => Promise<T>;

export function createGate(width: number): Gate {
  let inside = 0;
  const waiting: (() => void)[] = [];
  return async (run) => {
    // Whoever goes leaves his place to the next.
    if (inside < width) inside++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      if (next === undefined) inside--;
      else next();
    }
  };
}
