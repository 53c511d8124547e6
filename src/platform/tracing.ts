/**
 * Traces of what happens to mail, for programs that have OpenTelemetry on: a span while a message is taken in, one for each attempt to deliver it,
 * and one when a delivery has ended.
 *
 * Promises: where no provider of traces is registered when the agent starts, nothing is loaded, and nothing is asked again. No span holds an
 * address, a subject or the words of a remote: traces go to other places than the log.
 *
 * The context of whoever handed a message in is kept with it (W3C Trace Context), so that what is tried days later, by another process, links
 * to it. It links and is no child: a trace that ended long ago is not lengthened by retries.
 */
import type { Context, Link, Span, SpanContext, Tracer } from '@opentelemetry/api';
import type { Delivery } from '../core/delivery.js';
import type { Message, TraceContext } from '../core/message.js';
import { STAGES, type TransactionResult } from '../core/outcome.js';

export interface Accepting {
  /** To be kept with the message. */
  readonly trace: TraceContext;
  accepted(id: string, sizeBytes: number): void;
  refused(code: string): void;
}

export interface Tracing {
  /** A message begins to come in, within whatever its sender is doing now; `from`: what it is doing in another process. */
  accepting(recipients: number, from?: TraceContext): Accepting;
  /** What is being done now, in this process; undefined where no span is active. */
  current(): TraceContext | undefined;
  /** A transaction with a server has ended. */
  attempted(delivery: Delivery, result: TransactionResult): void;
  /** Every recipient of a delivery has its end, durably. */
  ended(delivery: Delivery, tally: EndTally, at: number): void;
}

export interface EndTally {
  readonly attempts: number;
  readonly delivered: number;
  readonly failed: number;
}

/** Where `@opentelemetry/api` keeps what is registered, whichever copy of it did. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');

/** Undefined where nobody traces: the library is not even loaded then. */
export async function findTracing(version: string): Promise<Tracing | undefined> {
  const registry = (globalThis as Readonly<Record<symbol, { readonly trace?: unknown } | undefined>>)[REGISTRY];
  if (registry?.trace === undefined) return undefined;
  const api = await import('@opentelemetry/api');
  return new OpenTelemetry(api, api.trace.getTracer('riata', version));
}

type Api = typeof import('@opentelemetry/api');

class OpenTelemetry implements Tracing {
  readonly #api: Api;
  readonly #tracer: Tracer;

  constructor(api: Api, tracer: Tracer) {
    this.#api = api;
    this.#tracer = tracer;
  }

  current(): TraceContext | undefined {
    const span = this.#api.trace.getSpanContext(this.#api.context.active());
    return span === undefined || !this.#api.isSpanContextValid(span) ? undefined : traceOf(span);
  }

  accepting(recipients: number, from?: TraceContext): Accepting {
    const { SpanKind, SpanStatusCode } = this.#api;
    const attributes = { 'messaging.system': 'smtp', 'messaging.operation.type': 'create', 'riata.recipients': recipients };
    const parent = this.#remote(from);
    const within = parent === undefined ? undefined : this.#api.trace.setSpanContext(this.#api.ROOT_CONTEXT, parent);
    const span = this.#tracer.startSpan('riata accept', { kind: SpanKind.PRODUCER, attributes }, within);
    return {
      trace: traceOf(span.spanContext()),
      accepted(id, sizeBytes) {
        span.setAttributes({ 'messaging.message.id': id, 'messaging.message.body.size': sizeBytes });
        span.end();
      },
      refused(code) {
        span.setAttribute('error.type', code);
        span.setStatus({ code: SpanStatusCode.ERROR });
        span.end();
      },
    };
  }

  attempted(delivery: Delivery, { startedAt, endedAt, server, tls, outcomes }: TransactionResult): void {
    const span = this.#span('riata attempt', delivery, startedAt, {
      'server.address': server.host,
      'server.port': server.port,
      'network.peer.address': server.address,
      'riata.tls': tls !== undefined,
      'riata.attempt': delivery.attempts + 1,
    });
    const counts = { delivered: 0, deferred: 0, failed: 0, again: 0 };
    let worst = '';
    let stage = 0;
    for (const outcome of outcomes) {
      counts[outcome.kind]++;
      if (outcome.kind !== 'deferred' && outcome.kind !== 'failed') continue;
      stage = Math.max(stage, STAGES.indexOf(outcome.trouble.stage));
      if (worst === '' || outcome.kind === 'failed') worst = outcome.trouble.status;
    }
    span.setAttributes({ 'riata.delivered': counts.delivered, 'riata.deferred': counts.deferred, 'riata.failed': counts.failed });
    if (worst !== '') {
      span.setAttributes({ 'error.type': worst, 'riata.stage': STAGES[stage]! });
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    }
    span.end(endedAt);
  }

  ended(delivery: Delivery, { attempts, delivered, failed }: EndTally, at: number): void {
    const { message } = delivery;
    const span = this.#span('riata delivery', delivery, Math.max(message.acceptedAt, message.notBefore), {
      'riata.attempts': attempts,
      'riata.delivered': delivered,
      'riata.failed': failed,
    });
    if (failed > 0) span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    span.end(at);
  }

  #span(
    name: string,
    { key, message }: Delivery,
    startTime: number,
    attributes: Readonly<Record<string, string | number | boolean>>,
  ): Span {
    const { SpanKind, ROOT_CONTEXT } = this.#api;
    const own = {
      'messaging.system': 'smtp',
      'messaging.operation.type': 'send',
      'messaging.message.id': message.id,
      'riata.delivery': key,
    };
    return this.#tracer.startSpan(
      name,
      { kind: SpanKind.CLIENT, startTime, attributes: { ...own, ...attributes }, links: this.#links(message) },
      ROOT_CONTEXT satisfies Context,
    );
  }

  #links({ trace }: Message): Link[] {
    const context = this.#remote(trace);
    return context === undefined ? [] : [{ context }];
  }

  #remote(trace: TraceContext | undefined): SpanContext | undefined {
    const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(trace?.traceparent ?? '') ?? [];
    if (traceId === undefined || spanId === undefined) return undefined;
    const { tracestate } = trace!;
    const state = tracestate === undefined ? {} : { traceState: this.#api.createTraceState(tracestate) };
    return { traceId, spanId, traceFlags: Number.parseInt(flags!, 16), isRemote: true, ...state };
  }
}

/** W3C Trace Context, §3.2 and §3.3. */
function traceOf({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceContext {
  const tracestate = traceState?.serialize();
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  return tracestate ? { traceparent, tracestate } : { traceparent };
}
