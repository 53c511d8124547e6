import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeApi } from '../../src/control/openapi.js';
import { CONTROL_ROUTES } from '../../src/control/routes.js';
import { ANSWERS, COMPONENTS } from '../../src/control/schemas.js';
import { MtaError } from '../../src/core/errors.js';
import { destination, relayTo, startAgent } from '../support/agent.js';
import { fakeDelivery, fakeMessage, NOW } from './fake-agent.js';
import { serveHttp } from './http/serving.js';
import { faultsOf } from './json-schema.js';
import { serveAndConnect } from './served.js';

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: object }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Readonly<Record<string, unknown>> }>> }>
  >;
  readonly security?: readonly unknown[];
}

const api = describeApi('1.2.3') as unknown as { openapi: string; paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> };
const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
);

test('every route is described, with its parameters, what it takes and what it answers', () => {
  assert.equal(api.openapi, '3.1.0');
  for (const route of CONTROL_ROUTES) {
    const operation = api.paths[route.path.replace(/:(\w+)/g, '{$1}')]?.[route.method.toLowerCase()];
    assert.ok(operation, route.path);
    const names = operation.parameters.map(({ name }) => name);
    for (const name of [...Object.keys(route.query), ...[...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name!)])
      assert.ok(names.includes(name), name);
    if (route.takes !== undefined) assert.ok(operation.requestBody?.content[route.takes], `${route.verb} ${route.takes}`);
    if (route.gives !== undefined) assert.ok(operation.responses['200']?.content?.[route.gives], route.verb);
    else if (route.verb !== 'flush') assert.ok(ANSWERS[route.verb], `${route.verb} has no schema`);
    assert.deepEqual(operation.security, route.open ? [] : undefined, route.verb);
  }
  const verbs = new Set(CONTROL_ROUTES.map(({ verb }) => verb));
  assert.deepEqual(
    Object.keys(ANSWERS).filter((verb) => !verbs.has(verb)),
    [],
  );
  assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
});

test('a path asks for what stands in it, and names no parameter twice', () => {
  for (const { path, parameters } of operations) {
    const places = parameters.map(({ name, in: place }) => `${place} ${name}`);
    assert.equal(new Set(places).size, places.length, path);
    const inPath = parameters.filter((each) => each.in === 'path').map(({ name }) => name);
    assert.deepEqual(
      inPath,
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
    );
  }
});

test('every reference leads somewhere', () => {
  for (const [, name] of JSON.stringify(api).matchAll(/#\/components\/schemas\/(\w+)/g)) assert.ok(COMPONENTS[name!], name);
});

test('the description needs no token, and is the one that is served', async (t) => {
  const { askAs } = await serveHttp(t);
  const { status, body } = await askAs({}, 'GET', '/v1/openapi.json');
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(body), JSON.parse(JSON.stringify(api)));
});

/** Undefined fields are not sent. */
const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function check(verb: string, value: unknown): void {
  assert.deepEqual(faultsOf(sent(value), ANSWERS[verb]!, COMPONENTS), [], verb);
}

test('a schema finds what is missing, what is too much, and what is of another kind', () => {
  const good = { lanes: ['mx:a.test'] };
  check('pause', good);
  for (const bad of [{}, { lanes: 'mx:a.test' }, { lanes: [1] }, { ...good, more: 1 }])
    assert.equal(faultsOf(bad, ANSWERS['pause']!, COMPONENTS).length, 1);
});

test('a real agent answers as it is described', async (t) => {
  const sink = await destination(t);
  const { verbs, submit, mta } = await startAgent(t, { route: [relayTo(sink)] });
  const done = await submit({ to: 'user@dest.test' });
  const late = await submit({ to: 'defer-451@dest.test' });
  const failed = await submit({ to: 'fail-550@dest.test', from: 'ann@dest.test' });
  const waiting = await submit({ to: 'a@dest.test', notBefore: Date.now() + 3_600_000 });
  await mta.idle();
  check('change', await verbs.change({ action: 'hold', selector: { ids: [waiting] } }));
  const { lane } = (await verbs.show(waiting)).deliveries[0]!;
  check('pause', await verbs.pause({ lane, reason: 'test' }));
  check('agent', await verbs.agent());
  check('stats', await verbs.stats());
  check('lanes', await verbs.lanes({}, { limit: 10 }));
  for (const id of [done, late, failed, waiting]) {
    check('show', await verbs.show(id));
    check('status', await verbs.status(id));
    check('why', await verbs.why(id));
    check('news', await verbs.news(id, 0));
  }
  check('list', await verbs.list({}, { limit: 1 }));
  check('messages', await verbs.messages({}, { limit: 10 }));
  check('history', await verbs.history({ since: 0, limit: 10 }));
  check('shape', await verbs.shape({ by: 'recipient', now: Date.now() }));
  check('recent', await verbs.recent(0));
  check('mx', await verbs.mx('dest.test'));
  check('alive', await verbs.alive());
  check('ready', await verbs.ready());
  check('idle', { idle: await verbs.idle(0) });
  check('compact', await verbs.compact());
  check('resume', await verbs.resume({ all: true }));
  const { items } = await verbs.messages({}, { limit: 10 });
  assert.deepEqual(new Set(items.map(({ status }) => status)), new Set(['sent', 'queued', 'error']), 'all kinds of mail were looked at');
});

test('problems are as they are described', async (t) => {
  const { ask } = await serveHttp(t);
  for (const [method, target] of [
    ['GET', '/v1/messages/x'],
    ['POST', '/v1/queue/remove'],
    ['GET', '/nowhere'],
  ] as const) {
    const { body } = await ask(method, target);
    assert.deepEqual(faultsOf(JSON.parse(body), COMPONENTS['Problem']!, COMPONENTS), [], target);
  }
});

test('the client is given the same, also of what waits for nobody', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['a@x.test'], { state: 'waiting', due: NOW + 5 })]);
  check('why', await client.why(message.id));
  check('openapi', await client.openapi());
  await assert.rejects(client.why(fakeMessage().id), (error) => error instanceof MtaError && error.code === 'NOT_FOUND');
});
