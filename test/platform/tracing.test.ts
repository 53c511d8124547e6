import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import { type Context, context, type Link, ROOT_CONTEXT, type Span, type SpanOptions, SpanStatusCode, trace } from '@opentelemetry/api';
import { connectMta, createMta } from '../../src/index.js';
import { findTracing } from '../../src/platform/tracing.js';
import { destination, relayTo, temporaryFolder } from '../support/agent.js';
import { until } from '../support/scope.js';

interface Recorded {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parent: string | undefined;
  readonly links: readonly Link[];
  readonly startTime: unknown;
  readonly attributes: Record<string, unknown>;
  status: SpanStatusCode;
  end: unknown;
}

const spans: Recorded[] = [];
let made = 0;

/** As much of an SDK as is needed to see what one would be given. */
const provider = {
  getTracer: () => ({
    startSpan(name: string, options: SpanOptions = {}, within: Context = context.active()): Span {
      const parent = trace.getSpanContext(within);
      const spanId = (++made).toString(16).padStart(16, '0');
      const traceId = parent?.traceId ?? made.toString(16).padStart(32, 'a');
      const { attributes = {}, links = [], startTime } = options;
      const recorded: Recorded = {
        name,
        traceId,
        spanId,
        parent: parent?.spanId,
        links,
        startTime,
        attributes: { ...attributes },
        status: SpanStatusCode.UNSET,
        end: undefined,
      };
      spans.push(recorded);
      return {
        spanContext: () => ({ traceId, spanId, traceFlags: 1 }),
        setAttribute: (key: string, value: unknown) => void (recorded.attributes[key] = value),
        setAttributes: (more: object) => void Object.assign(recorded.attributes, more),
        setStatus: ({ code }: { code: SpanStatusCode }) => void (recorded.status = code),
        end: (at?: unknown) => void (recorded.end = at ?? 'now'),
      } as unknown as Span;
    },
    startActiveSpan: () => assert.fail('not used'),
  }),
};

const storage = new AsyncLocalStorage<Context>();
const manager = {
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (within: Context, call: (...args: unknown[]) => unknown, self: unknown, ...args: unknown[]) =>
    storage.run(within, () => call.apply(self, args)),
  bind: (_: Context, target: unknown) => target,
  enable: () => manager,
  disable: () => manager,
};

test('where nobody traces there is no tracing', async () => {
  assert.equal(await findTracing('1'), undefined);
});

test('an agent that is traced', async (t) => {
  trace.setGlobalTracerProvider(provider as never);
  context.setGlobalContextManager(manager as never);
  t.after(() => {
    trace.disable();
    context.disable();
  });
  t.beforeEach(() => void (spans.length = 0));

  const rig = async (scope: typeof t) => {
    const sink = await destination(scope);
    const mta = await createMta({ spool: await temporaryFolder(scope), hostname: 'riata.test', route: [relayTo(sink)] });
    scope.after(() => mta.close());
    return { sink, mta };
  };
  const letter = { from: 'ann@example.test', subject: 'A letter', body: 'Hello.' };
  const named = (name: string) => spans.filter((span) => span.name === name);

  await t.test('accepts within what its caller does, and links to that what it does later', async (u) => {
    const { mta } = await rig(u as never);
    const request = provider.getTracer().startSpan('request');
    const { id } = await context.with(trace.setSpan(ROOT_CONTEXT, request), () =>
      mta.send({ ...letter, to: ['a@dest.test', 'fail-550@dest.test'] }),
    );
    // The report of the failure is traced as well.
    const about = (name: string) => named(name).find(({ attributes }) => attributes['messaging.message.id'] === id);
    await until('the delivery to be traced', () => about('riata delivery') !== undefined);
    const [accept] = named('riata accept');
    assert.equal(accept!.parent, request.spanContext().spanId);
    assert.deepEqual([accept!.attributes['messaging.message.id'], accept!.attributes['riata.recipients'], accept!.end], [id, 2, 'now']);
    const message = (await mta.inspect(id))!.message;
    assert.equal(message.trace?.traceparent, `00-${accept!.traceId}-${accept!.spanId}-01`);
    for (const span of [about('riata attempt')!, about('riata delivery')!]) {
      assert.equal(span.parent, undefined);
      const { traceId, spanId, isRemote } = span.links[0]!.context;
      assert.deepEqual([traceId, spanId, isRemote], [accept!.traceId, accept!.spanId, true]);
      assert.equal(span.status, SpanStatusCode.ERROR);
      assert.deepEqual([span.attributes['riata.delivered'], span.attributes['riata.failed']], [1, 1]);
      assert.ok(typeof span.startTime === 'number' && (span.end as number) >= span.startTime);
    }
    assert.equal(about('riata attempt')!.attributes['error.type'], '5.1.1');
    assert.doesNotMatch(JSON.stringify(spans), /dest\.test|ann@|A letter|no such luck/);
  });

  await t.test('ends the span of what it refuses', async (u) => {
    const { mta } = await rig(u as never);
    await assert.rejects(mta.queue({ data: 'Subject: \0\r\n\r\nx', from: 'a@x.test', recipients: 'b@dest.test' }));
    const [accept] = named('riata accept');
    assert.deepEqual([accept!.status, accept!.attributes['error.type'], accept!.end], [SpanStatusCode.ERROR, 'MESSAGE_REFUSED', 'now']);
  });

  await t.test('takes in what comes over its socket within what its sender does in another process', async (u) => {
    const spool = await temporaryFolder(u as never);
    const sink = await destination(u as never);
    const mta = await createMta({ spool, shared: true, hostname: 'riata.test', route: [relayTo(sink)] });
    u.after(() => mta.close());
    const far = await connectMta({ spool });
    u.after(() => far.close());
    const request = provider.getTracer().startSpan('request');
    await context.with(trace.setSpan(ROOT_CONTEXT, request), () => far.send({ ...letter, to: 'a@dest.test' }));
    const [accept] = named('riata accept');
    assert.deepEqual([accept!.parent, accept!.traceId], [request.spanContext().spanId, request.spanContext().traceId]);
    await far.send({ ...letter, to: 'a@dest.test' });
    assert.equal(named('riata accept')[1]!.parent, undefined, 'nothing is carried where nothing is being done');
  });
});
