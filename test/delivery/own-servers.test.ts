/** Lanes of servers that messages bring along: who shares one, and what can be read from it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LaneKey } from '../../src/core/lane.js';
import { isOwnLane, type OwnServer } from '../../src/core/own-server.js';
import { createOwnServers } from '../../src/delivery/own-servers.js';
import { createRouter } from '../../src/delivery/routes.js';
import { silentLog } from '../../src/platform/log.js';
import { createSeal } from '../../src/platform/seal.js';

const SERVER: OwnServer = {
  host: 'smtp.test',
  port: 587,
  tls: 'starttls',
  credentials: { username: 'ann', password: 'pass word' },
  timeoutMs: 30_000,
};

function admitting(key = Buffer.alloc(32, 1)) {
  const stored = new Map<LaneKey, string>();
  const servers = createOwnServers(
    createSeal(() => key),
    (lane) => stored.get(lane),
    silentLog,
  );
  const admit = (server: OwnServer) => {
    const { lane, about } = servers.admit(server);
    stored.set(lane, about);
    return lane;
  };
  return { stored, servers, admit, router: createRouter({ routes: [], heloName: 'riata.test' }, (lane) => servers.of(lane)) };
}

test('mail shares a lane only if it goes to the same server by the same login in the same way', () => {
  const { admit } = admitting();
  const others: OwnServer[] = [
    { ...SERVER, host: 'smtp2.test' },
    { ...SERVER, port: 25 },
    { ...SERVER, tls: 'implicit' },
    { ...SERVER, credentials: { username: 'bob', password: 'pass word' } },
    { ...SERVER, credentials: { username: 'ann', password: 'other' } },
    // Not to be taken for one another, however they are written together.
    { ...SERVER, credentials: { username: 'annpass', password: ' word' } },
    { ...SERVER, timeoutMs: 1 },
    { host: 'smtp.test', port: 587, tls: 'starttls' },
  ];
  const lanes = [SERVER, ...others].map(admit);
  assert.equal(new Set(lanes).size, lanes.length);
  assert.equal(admit({ ...SERVER }), lanes[0]);
  for (const lane of lanes) assert.ok(isOwnLane(lane));
});

test('a lane of a route is never taken for one of these', () => {
  const rule = { domain: '*', sender: '*', host: 'smtp.test', port: 587, username: 'ann', password: 'pass word', allowInsecureAuth: false };
  const router = createRouter({ routes: [rule], heloName: 'riata.test' });
  assert.ok(!isOwnLane(router.laneOf('a@b.test', '')));
  assert.ok(!isOwnLane('mx:b.test'));
});

test('neither the lane nor what is stored about it tells the login', () => {
  const { stored, admit } = admitting();
  const lane = admit(SERVER);
  const seen = lane + stored.get(lane)!;
  for (const secret of ['pass word', Buffer.from('pass word').toString('base64'), 'ann']) assert.ok(!seen.includes(secret));
});

test('the plan of a lane is the server as it was handed in', () => {
  const { admit, router } = admitting();
  assert.deepEqual(router.planOf(admit(SERVER)), {
    kind: 'host',
    host: 'smtp.test',
    port: 587,
    policy: {
      tls: 'starttls',
      allowInsecureAuth: false,
      heloName: 'riata.test',
      credentials: { username: 'ann', password: 'pass word' },
      timeoutMs: 30_000,
    },
  });
  assert.equal(router.describe(admit(SERVER)), 'smtp.test:587 as ann');
});

test('what cannot be opened is sealed, whatever the reason: never a guess, and never the ordinary way', () => {
  const { stored, admit, router } = admitting();
  const lane = admit(SERVER);
  const other = admit({ ...SERVER, port: 25 });
  const foreign = createRouter(
    { routes: [], heloName: 'riata.test' },
    createOwnServers(
      createSeal(() => Buffer.alloc(32, 2)),
      (key) => stored.get(key),
      silentLog,
    ).of,
  );
  assert.equal(foreign.planOf(lane).kind, 'sealed');
  const unreadable = createSeal(() => {
    throw new Error('no key');
  });
  assert.equal(createOwnServers(unreadable, (key) => stored.get(key), silentLog).of(lane), undefined);
  // Another lane's word in its place.
  stored.set(lane, stored.get(other)!);
  assert.equal(router.planOf(lane).kind, 'sealed');
  stored.delete(lane);
  assert.equal(router.planOf(lane).kind, 'sealed');
});
