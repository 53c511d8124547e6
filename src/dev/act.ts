/** What the recording destination can be told to do instead of, or as, an answer; and the doing of it. */

export type ActStep =
  /** Written with CRLF behind it. Of several lines: with CRLF between them. After a 421 the connection is closed. */
  | string
  /** Written as it is; with `byByte` each octet in a packet of its own. */
  | { readonly raw: string | Buffer; readonly byByte?: boolean }
  | { readonly waitMs: number }
  /** What the command asked for happens, though no answer says so. */
  | { readonly accept: true }
  /** The connection ends, after what was to be written (`end`), or at once with a reset. */
  | { readonly drop: 'end' | 'reset' }
  /** Nothing more is read or written; the connection stays. */
  | { readonly hang: true };

/** Steps in order. What the command asked for happens with the first text that begins with 2xx or 354, or with `accept`. */
export type Act = ActStep | readonly ActStep[];

/** The connection, as far as an act needs it. */
export interface ActWire {
  readonly closed: boolean;
  /** Leaves together with the answers to other commands that came in at the same time. */
  answer(text: string): void;
  /** Leaves at once, behind those answers. */
  write(bytes: string | Buffer, written?: () => void): void;
  drop(how: 'end' | 'reset'): void;
  /** No further command is taken until `release`, which does not call if the connection has ended. */
  hold(): void;
  release(call: () => void): void;
  after(ms: number, call: () => void): void;
}

export function perform(act: Act, wire: ActWire, effect: () => void = () => {}): void {
  const steps = Array.isArray(act) ? (act as readonly ActStep[]) : [act as ActStep];
  let due = effect;
  const happen = () => {
    const now = due;
    due = () => {};
    now();
  };
  const from = (first: number): void => {
    for (let at = first; at < steps.length && !wire.closed; at++) {
      const step = steps[at]!;
      const rest = () => wire.release(() => from(at + 1));
      if (typeof step === 'string') {
        wire.answer(`${step}\r\n`);
        if (succeeds(step)) happen();
        else if (step.startsWith('421')) wire.drop('end');
      } else if ('raw' in step) {
        wire.write(step.byByte ? '' : step.raw);
        if (succeeds(step.raw)) happen();
        if (step.byByte) return dribble(Buffer.from(step.raw as string), wire, rest);
      } else if ('waitMs' in step) {
        wire.write('');
        wire.hold();
        return wire.after(step.waitMs, rest);
      } else if ('accept' in step) {
        happen();
      } else if ('drop' in step) {
        wire.drop(step.drop);
      } else {
        return wire.hold();
      }
    }
  };
  from(0);
}

/** One octet a packet. */
function dribble(bytes: Buffer, wire: ActWire, done: () => void, at = 0): void {
  wire.hold();
  if (at === bytes.length || wire.closed) return done();
  wire.write(bytes.subarray(at, at + 1), () => setImmediate(() => dribble(bytes, wire, done, at + 1)));
}

/** Text that begins with 2xx or 354. */
function succeeds(text: string | Buffer): boolean {
  return /^(?:2\d\d|354)/.test(typeof text === 'string' ? text : text.toString('latin1', 0, 3));
}
