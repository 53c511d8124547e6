import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../../src/platform/log.js';
import { silentLog } from '../../src/platform/log.js';
import { givenSockets, serviceManager } from '../../src/platform/service-manager.js';
import { until } from '../support/scope.js';
import { createVirtualClock } from '../support/virtual-clock.js';

const NOTIFY = { NOTIFY_SOCKET: '/run/notify' };

test('without a service manager nothing is said', () => {
  const said: string[] = [];
  const manager = serviceManager({ WATCHDOG_USEC: '1000' }, createVirtualClock(), silentLog, async ([what]) => void said.push(what!));
  manager.ready('');
  manager.reloading();
  void manager.stopping();
  assert.deepEqual(said, []);
});

test('what is said keeps its order, however long each word takes', async () => {
  const said: string[] = [];
  const waits: (() => void)[] = [];
  const manager = serviceManager(NOTIFY, createVirtualClock(), silentLog, async ([what]) => {
    await new Promise<void>((resolve) => waits.push(resolve));
    said.push(what!);
  });
  manager.ready('here');
  manager.reloading();
  manager.ready('there');
  let over = false;
  const stopped = manager.stopping().then(() => (over = true));
  for (let count = 1; count <= 4; count++) {
    await until('the next word', () => waits.length === count);
    assert.equal(over, false, 'the process does not end before its last word is said');
    waits.at(-1)!();
  }
  await stopped;
  assert.deepEqual(said, ['READY=1', 'RELOADING=1', 'READY=1', 'STOPPING=1']);
});

test('where nobody can say it, that is told once and changes nothing', async () => {
  const warned: string[] = [];
  const log: Log = { ...silentLog, warn: (event) => void warned.push(event) };
  const manager = serviceManager(NOTIFY, createVirtualClock(), log, () => Promise.reject(new Error('no such program')));
  manager.ready('');
  await manager.stopping();
  assert.deepEqual(warned, ['systemd.notTold']);
});

test('the watchdog hears twice in its time, until the end, and only if it is ours', async () => {
  const clock = createVirtualClock();
  let alive = 0;
  const say = async ([what]: readonly string[]) => void (what === 'WATCHDOG=1' && alive++);
  const manager = serviceManager({ ...NOTIFY, WATCHDOG_USEC: '2000000', WATCHDOG_PID: String(process.pid) }, clock, silentLog, say);
  serviceManager({ ...NOTIFY, WATCHDOG_USEC: '2000000', WATCHDOG_PID: '1' }, clock, silentLog, say);
  await clock.advance(5_000);
  assert.equal(alive, 5);
  void manager.stopping();
  await clock.advance(5_000);
  assert.equal(alive, 5);
});

test('a watchdog whose words are slow to leave does not heap them up', async () => {
  const clock = createVirtualClock();
  let begun = 0;
  let leave = () => {};
  const say = () => {
    begun++;
    return new Promise<void>((resolve) => (leave = resolve));
  };
  const manager = serviceManager({ ...NOTIFY, WATCHDOG_USEC: '2000000' }, clock, silentLog, say);
  await clock.advance(100_000);
  leave();
  await clock.advance(10_000);
  assert.equal(begun, 2, 'the first, and the next after it had left');
  void manager.stopping();
});

test('sockets are ours only where they were meant for this process, each with its name', () => {
  const env = { LISTEN_FDS: '2', LISTEN_PID: '42', LISTEN_FDNAMES: 'submission:submissions' };
  assert.deepEqual(givenSockets(env, 42), [
    { fd: 3, name: 'submission' },
    { fd: 4, name: 'submissions' },
  ]);
  assert.deepEqual(givenSockets(env, 43), []);
  assert.deepEqual(givenSockets({ ...env, LISTEN_FDS: 'x' }, 42), []);
  assert.deepEqual(givenSockets({ LISTEN_FDS: '1', LISTEN_PID: '42' }, 42), [{ fd: 3, name: '' }]);
});
