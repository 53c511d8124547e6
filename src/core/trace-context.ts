/** W3C Trace Context as it comes from outside: what is none is passed over, as the standard wants (§3.2.2, §3.3). Pure. */
import type { TraceContext } from './message.js';

/** Version, trace, parent, flags; what a later version has behind them is not ours to know. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?=$|-)/;
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;

/** The fields of a request of that name; undefined where there is no context that can be believed. */
export function readTraceContext(traceparent: unknown, tracestate: unknown): TraceContext | undefined {
  const [parent] = (typeof traceparent === 'string' && TRACEPARENT.exec(traceparent.trim())) || [];
  if (parent === undefined) return undefined;
  // What is kept is of the version that we know.
  const known = { traceparent: `00${parent.slice(2)}` };
  return typeof tracestate === 'string' && TRACESTATE.test(tracestate) ? { ...known, tracestate } : known;
}
