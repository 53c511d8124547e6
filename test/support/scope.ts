/** What a test began ends with it, in the opposite order; and waiting for what others do, with a deadline instead of a nap. */

/** A `TestContext`, or anything else that calls back when it is over. */
export interface Scope {
  after(call: () => Promise<void>): void;
}

const endings = new WeakMap<Scope, (() => unknown)[]>();

/** Calls are made when the test is over, also when it failed: the one asked for last comes first, and each is waited for. */
export function atEnd(scope: Scope, call: () => unknown): void {
  const known = endings.get(scope);
  if (known !== undefined) {
    known.push(call);
    return;
  }
  const calls = [call];
  endings.set(scope, calls);
  scope.after(async () => {
    const errors: unknown[] = [];
    for (let next = calls.pop(); next !== undefined; next = calls.pop()) {
      try {
        await next();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, errors.map(String).join('; '));
  });
}

const LOOK_MS = 10;
/** Only what hangs takes so long, even on a machine that has much else to do. */
const WITHIN_MS = 60_000;

/** Looks until there is something to see, and returns it. `what` is waited for, in words; a function is asked when it did not come. */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  withinMs = WITHIN_MS,
): Promise<Exclude<T, undefined | null | false | '' | 0>> {
  for (const end = performance.now() + withinMs; ; ) {
    const seen = await look();
    if (seen) return seen as Exclude<T, undefined | null | false | '' | 0>;
    if (performance.now() > end) throw new Error(`not within ${withinMs / 1000} s: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** What must not happen can only be watched for a while: throws if it does within `ms`. */
export async function never(what: string, look: () => boolean, ms = 300): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    if (look()) throw new Error(`that must not be: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
