import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { FIRST_PAUSE_MS } from '../../src/scheduler/backoff.js';
import { STALE_MS } from '../../src/scheduler/rest.js';
import { settle } from '../support/virtual-clock.js';
import { makeRig, PROMOTE_AFTER_MS, RETRY_MS, type Rig, refused, routeTo } from './rig.js';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const idOf = (job: ReturnType<Rig['take']>) => job?.delivery.message.id;

test('what is accepted now is asked a connection for at once, and handed to it', async () => {
  const id = await rig.accept();
  assert.deepEqual(rig.served, ['one.test']);
  const job = rig.take('one.test');
  assert.equal(idOf(job), id);
  assert.deepEqual(job?.recipients, ['user@one.test']);
  assert.equal(job?.bytes?.toString(), 'hello');
  assert.equal(rig.take('one.test'), undefined, 'it is handed out once');
});

test('a connection is asked for each delivery that no connection on its way will fetch', async () => {
  await rig.accept();
  await rig.accept();
  assert.equal(rig.served.length, 2);
  rig.take('one.test');
  rig.take('one.test');
  await rig.accept();
  assert.equal(rig.served.length, 3);
});

test('a connection takes what is due for its channel, highest priority first, across lanes and sites (G4)', async () => {
  rig.routes.set('mx:a.test', { kind: 'route', route: routeTo('site-a', ['mx1']) });
  rig.routes.set('mx:b.test', { kind: 'route', route: routeTo('site-b', ['mx1', 'mx2']) });
  const low = await rig.accept({ priority: 'low' }, ['mx:a.test']);
  const medium = await rig.accept({}, ['mx:b.test']);
  const high = await rig.accept({ priority: 'high' }, ['mx:a.test']);
  const later = await rig.accept({}, ['mx:a.test']);
  assert.equal(idOf(rig.take('mx2')), medium, 'mx2 serves only b');
  assert.deepEqual(
    [1, 2, 3].map(() => idOf(rig.take('mx1'))),
    [high, later, low],
  );
  assert.equal(rig.take('mx1'), undefined);
});

test('lanes of one level take turns', async () => {
  for (const lane of ['mx:a.test', 'mx:b.test']) rig.routes.set(lane, { kind: 'route', route: routeTo('shared') });
  const a = [await rig.accept({}, ['mx:a.test']), await rig.accept({}, ['mx:a.test'])];
  const b = [await rig.accept({}, ['mx:b.test']), await rig.accept({}, ['mx:b.test'])];
  assert.deepEqual(
    [1, 2, 3, 4].map(() => idOf(rig.take('shared'))),
    [a[0], b[0], a[1], b[1]],
  );
});

test('sites of one level that share a channel take turns, however much one of them has (G4)', async () => {
  for (const site of ['a', 'b', 'c'])
    rig.routes.set(`mx:${site}.test`, { kind: 'route', route: routeTo(site, [`only-${site}`, 'shared']) });
  const order: Record<string, string> = {};
  for (const lane of ['a', 'a', 'a', 'b', 'b', 'c']) order[await rig.accept({}, [`mx:${lane}.test`])] = lane;
  const taken = Array.from({ length: 6 }, () => order[idOf(rig.take('shared'))!]);
  assert.deepEqual(taken, ['a', 'b', 'c', 'a', 'b', 'a']);
});

test('a connection is given what there is, though the most urgent turns out to be paused', async () => {
  rig.routes.set('mx:a.test', { kind: 'route', route: routeTo('site-a', ['mx1']) });
  rig.routes.set('mx:b.test', { kind: 'route', route: routeTo('site-b', ['mx1']) });
  await rig.accept({ priority: 'high' }, ['mx:a.test']);
  const other = await rig.accept({ priority: 'low' }, ['mx:b.test']);
  await rig.spool.pauseLane('mx:a.test', { at: 0, reason: '' });
  assert.equal(idOf(rig.take('mx1')), other);
});

test('a connection that found nothing any more is not waited for by the site that asked for it', async () => {
  rig.routes.set('mx:b.test', { kind: 'route', route: routeTo('site-b', ['mx1']) });
  rig.routes.set('mx:a.test', { kind: 'route', route: routeTo('site-a', ['mx1', 'mx2']) });
  await rig.accept({}, ['mx:b.test']);
  await rig.deliver(rig.take('mx1')!);
  const removed = await rig.accept({}, ['mx:a.test']);
  await rig.spool.change(`${removed}.0`, { kind: 'remove' });
  assert.equal(rig.take('mx1'), undefined);
  rig.served.length = 0;
  await rig.accept({}, ['mx:a.test']);
  assert.deepEqual(rig.served, ['site-a']);
});

test('waiting raises a delivery, so that nothing starves', async () => {
  for (const lane of ['mx:a.test', 'mx:b.test']) rig.routes.set(lane, { kind: 'route', route: routeTo('shared') });
  const old = await rig.accept({ priority: 'low' }, ['mx:a.test']);
  await rig.clock.advance(2 * PROMOTE_AFTER_MS + 11_000);
  await rig.accept({ priority: 'high' }, ['mx:b.test']);
  assert.equal(idOf(rig.take('shared')), old);
});

test('what is to be sent later is handed out at its moment and not before (G6)', async () => {
  const id = await rig.accept({ notBefore: rig.clock.now() + 90_500 });
  await rig.clock.advance(90_499);
  assert.equal(rig.take('one.test'), undefined);
  assert.deepEqual(rig.served, []);
  await rig.clock.advance(1);
  assert.deepEqual(rig.served, ['one.test']);
  assert.equal(idOf(rig.take('one.test')), id);
});

test('a site in trouble rests; the delivery it was tried for is charged, the others wait uncharged, and one connection probes', async () => {
  const [first, second, third] = [await rig.accept(), await rig.accept(), await rig.accept()];
  rig.served.length = 0;
  rig.scheduler.siteTrouble(routeTo('one.test'), refused);
  await settle();
  assert.deepEqual(
    rig.troubled.map(({ id }) => id),
    [first],
  );
  assert.equal(rig.scheduler.resting()[0]?.trouble.text, 'connection refused');
  assert.deepEqual(rig.scheduler.resting()[0]?.lanes, ['mx:one.test']);
  await rig.clock.advance(FIRST_PAUSE_MS * 0.9 - 1_000);
  await rig.accept();
  assert.deepEqual(rig.served, [], 'nothing is asked for while it rests');
  await rig.clock.advance(FIRST_PAUSE_MS * 0.2 + 2_000);
  assert.deepEqual(rig.served, ['one.test'], 'one probe, though three wait');
  rig.scheduler.siteWell(routeTo('one.test'));
  assert.equal(rig.served.length, 3, 'then full width: two more for the three that wait');
  assert.deepEqual(rig.scheduler.resting(), []);
  assert.deepEqual(
    [1, 2].map(() => idOf(rig.take('one.test'))),
    [second, third],
  );
});

test('where nothing is left that would go there, nobody is asked, and the trouble is forgotten (G8)', async () => {
  const trouble = { lasting: 'temporary', stage: 'resolve', status: '4.4.3', text: 'SERVFAIL', reason: 'dns' } as const;
  rig.routes.set('mx:dns.test', { kind: 'trouble', trouble });
  const unknown = await rig.accept({}, ['mx:dns.test']);
  const refusedOne = await rig.accept();
  rig.scheduler.siteTrouble(routeTo('one.test'), refused);
  await settle();
  for (const id of [unknown, refusedOne]) assert.equal(await rig.spool.change(`${id}.0`, { kind: 'remove' }), 'done');
  assert.deepEqual(
    rig.scheduler.resting().map(({ place }) => place),
    ['mx:dns.test', 'one.test:25'],
  );
  rig.lookedUp.length = 0;
  rig.served.length = 0;
  await rig.clock.advance(STALE_MS - 60_000);
  assert.deepEqual([rig.lookedUp, rig.served], [[], []]);
  // Mail that waits for its next try would find it still there.
  assert.equal(rig.scheduler.resting().length, 2);
  await rig.clock.advance(20 * 60_000);
  assert.deepEqual(rig.scheduler.resting(), []);
});

test('during an outage the probe of the minute is for a site that can be tried', async () => {
  const timedOut = { ...refused, text: 'timeout', reason: 'timeout' } as const;
  const sites = ['a', 'b', 'c', 'd', 'e'];
  for (const site of sites) {
    await rig.accept({}, [`mx:${site}.test`]);
    await rig.accept({}, [`mx:${site}.test`]);
    rig.scheduler.siteTrouble(routeTo(`${site}.test`), timedOut);
  }
  rig.served.length = 0;
  rig.answer = ({ site }) => (site === 'a.test' || site === 'b.test' ? 'full' : 'served');
  await rig.clock.advance(59_000);
  assert.deepEqual(rig.served, []);
  await rig.clock.advance(2_000);
  assert.deepEqual(rig.served, ['c.test']);
});

test('a nudge ends the pause at once', async () => {
  await rig.accept();
  await rig.accept();
  rig.scheduler.siteTrouble(routeTo('one.test'), refused);
  rig.served.length = 0;
  rig.scheduler.nudge();
  assert.deepEqual(rig.served, ['one.test']);
});

test('a refused login is told as a fault', async () => {
  await rig.accept();
  rig.scheduler.siteTrouble(routeTo('one.test'), { ...refused, stage: 'auth', reason: 'auth', text: '535 5.7.8 no' });
  assert.match(JSON.stringify(rig.events), /AUTH_REFUSED.*535 5\.7\.8 no/);
});

test('where no connection may be opened, the most urgent site is the first to get one', async () => {
  rig.answer = () => 'capped';
  await rig.accept({ priority: 'low' }, ['mx:a.test']);
  await rig.accept({ priority: 'medium' }, ['mx:b.test']);
  await rig.accept({ priority: 'high' }, ['mx:c.test']);
  let places = 2;
  rig.answer = () => (places-- > 0 ? 'served' : 'capped');
  rig.scheduler.room('elsewhere');
  assert.deepEqual(rig.served, ['c.test', 'b.test']);
  places = 1;
  rig.scheduler.room('elsewhere');
  assert.deepEqual(rig.served, ['c.test', 'b.test', 'a.test']);
});

test('a site whose servers are full is not asked for again before a connection of it ends or runs dry', async () => {
  let asked = 0;
  rig.answer = () => {
    asked++;
    return 'full';
  };
  await rig.accept();
  await rig.accept();
  assert.equal(asked, 1);
  rig.answer = () => 'served';
  rig.scheduler.room('one.test');
  assert.equal(rig.served.length, 2);
});

test('a domain that does not exist fails all its mail; trouble of the DNS charges one and lets the lane rest', async () => {
  rig.routes.set('mx:none.test', {
    kind: 'trouble',
    trouble: { lasting: 'permanent', stage: 'resolve', status: '5.1.2', text: 'no such domain' },
  });
  const lost = [await rig.accept({}, ['mx:none.test']), await rig.accept({}, ['mx:none.test'])];
  assert.deepEqual(
    rig.troubled.map(({ id }) => id),
    lost,
  );
  rig.troubled.length = 0;
  const trouble = { lasting: 'temporary', stage: 'resolve', status: '4.4.3', text: 'SERVFAIL', reason: 'dns' } as const;
  rig.routes.set('mx:dns.test', { kind: 'trouble', trouble });
  const tried = await rig.accept({}, ['mx:dns.test']);
  const waits = await rig.accept({}, ['mx:dns.test']);
  assert.deepEqual(rig.troubled, [{ id: tried, trouble }]);
  assert.equal(rig.scheduler.resting()[0]?.place, 'mx:dns.test');
  rig.routes.set('mx:dns.test', { kind: 'route', route: routeTo('dns.test') });
  await rig.clock.advance(FIRST_PAUSE_MS * 1.1 + 1_000);
  assert.equal(idOf(rig.take('dns.test')), waits);
  assert.deepEqual(rig.scheduler.resting(), []);
});

test('very much mail to a domain that does not exist fails bit by bit, and what comes meanwhile fails as well (G8)', async () => {
  rig.routes.set('mx:none.test', {
    kind: 'trouble',
    trouble: { lasting: 'permanent', stage: 'resolve', status: '5.1.2', text: 'no such domain' },
  });
  await rig.spool.pauseLane('mx:none.test', { at: 0, reason: '' });
  for (let n = 0; n < 250; n++) await rig.accept({}, ['mx:none.test']);
  await rig.spool.resumeLane('mx:none.test');
  await rig.accept({}, ['mx:none.test']);
  await settle();
  assert.equal(rig.troubled.length, 251);
  assert.equal(rig.mostLeased, 100);
  assert.ok(rig.scheduler.quiet);
});

test('a lane that no route leads to any more gives its mail to the lanes there are, charged nothing', async () => {
  const trouble = { lasting: 'temporary', stage: 'resolve', status: '4.3.5', text: 'no route', reason: 'unknownLane' } as const;
  rig.routes.set('host:gone.test:25:', { kind: 'trouble', trouble });
  const id = await rig.accept({}, ['host:gone.test:25:']);
  await settle();
  assert.deepEqual(rig.rerouted, ['host:gone.test:25:']);
  assert.deepEqual(rig.troubled, []);
  assert.equal(idOf(rig.take('new.test')), id);
});

test('what was handed out and not tried is ready again, before what came later', async () => {
  const first = await rig.accept();
  const second = await rig.accept();
  const job = rig.take('one.test')!;
  rig.served.length = 0;
  rig.scheduler.untried(job);
  assert.ok(rig.served.length > 0, 'a connection is asked for it');
  assert.deepEqual(
    [1, 2].map(() => idOf(rig.take('one.test'))),
    [first, second],
  );
});

test('what cannot be read is set aside, and no connection is given it again', async () => {
  const id = await rig.accept();
  const job = rig.take('one.test')!;
  rig.scheduler.unreadable(job, Object.assign(new Error('block 3 does not match its checksum'), { code: 'SPOOL_DAMAGED' }));
  await settle();
  await rig.clock.advance(60_000);
  assert.equal(rig.take('one.test'), undefined);
  const view = await rig.spool.inspect(id);
  assert.equal(view?.deliveries[0]?.state, 'held');
  assert.match(view?.deliveries[0]?.recipients[0]?.last?.text ?? '', /checksum/);
});

test('what cannot be read though the spool is well waits as after any trouble, and is not asked for over and over', async () => {
  const id = await rig.accept();
  const job = rig.take('one.test')!;
  rig.scheduler.unreadable(job, Object.assign(new Error('EACCES: permission denied'), { code: 'SPOOL_FAILED' }));
  await settle();
  assert.equal(rig.take('one.test'), undefined);
  assert.deepEqual(
    rig.troubled.map(({ trouble: { lasting, stage } }) => [lasting, stage]),
    [['temporary', 'local']],
  );
  assert.match(rig.troubled[0]!.trouble.text, new RegExp(`EACCES.*riata queue retry ${id}`));
  await rig.clock.advance(RETRY_MS);
  assert.equal(idOf(rig.take('one.test')), id);
});

test('what expired behind a site in trouble is found by the slow sweep', async () => {
  rig.answer = () => 'full';
  const id = await rig.accept({ expiresAt: rig.clock.now() + 60_000 });
  const other = await rig.accept();
  await rig.clock.advance(60_000);
  rig.overdueFrom = rig.clock.now();
  await rig.clock.advance(300_000);
  assert.deepEqual(rig.overdue, [id]);
  assert.equal(idOf(rig.take('one.test')), other);
});

test('mail of a paused lane is not asked a connection for, expires all the same, and goes when the lane is resumed', async () => {
  await rig.spool.pauseLane('mx:one.test', { at: rig.clock.now(), reason: 'their wish' });
  const expiring = await rig.accept({ expiresAt: rig.clock.now() + 60_000 });
  const other = await rig.accept();
  rig.overdueFrom = rig.clock.now() + 60_000;
  assert.equal(rig.scheduler.quiet, true);
  await rig.clock.advance(300_000);
  assert.deepEqual(rig.served, []);
  assert.deepEqual([rig.overdue, rig.overdueFor], [[expiring], ['its lane is paused: their wish']]);
  await rig.spool.resumeLane('mx:one.test');
  await rig.clock.advance(0);
  assert.deepEqual(rig.served, ['one.test']);
  assert.equal(idOf(rig.take('one.test')), other);
});

test('a lane is explained: where it leads, and what it rests from', async () => {
  assert.deepEqual(rig.scheduler.explain('mx:one.test').servers, []);
  rig.answer = () => 'full';
  await rig.accept();
  const { full, rest, servers, coming } = rig.scheduler.explain('mx:one.test');
  assert.deepEqual([full, rest, servers, coming], [true, undefined, ['one.test[192.0.2.1]:25'], 0]);
  rig.scheduler.siteTrouble(routeTo('one.test'), refused);
  const now = rig.scheduler.explain('mx:one.test');
  assert.deepEqual([now.rest?.failures, now.rest?.trouble.text, now.rest!.until > rig.clock.now()], [1, 'connection refused', true]);
  rig.routes.set('mx:lost.test', { kind: 'trouble', trouble: { ...refused, stage: 'resolve', text: 'SERVFAIL' } });
  await rig.accept({}, ['mx:lost.test']);
  assert.equal(rig.scheduler.explain('mx:lost.test').rest?.trouble.text, 'SERVFAIL');
});

test('a lane that is paused while it is listed gives nothing more', async () => {
  const first = await rig.accept();
  await rig.accept();
  assert.equal(idOf(rig.take('one.test')), first);
  await rig.spool.pauseLane('mx:one.test', { at: rig.clock.now(), reason: '' });
  assert.equal(rig.take('one.test'), undefined);
});

test('an agent whose every wake-up was lost still finds its work', async () => {
  rig.answer = () => 'full';
  await rig.accept();
  rig.answer = () => 'served';
  assert.deepEqual(rig.served, []);
  await rig.clock.advance(11_000);
  assert.deepEqual(rig.served, ['one.test']);
});

test('a delivery that was done leaves nothing, and the agent is quiet', async () => {
  const id = await rig.accept();
  assert.equal(rig.scheduler.quiet, false);
  await rig.deliver(rig.take('one.test')!);
  assert.equal(rig.scheduler.quiet, true);
  assert.equal((await rig.spool.inspect(id))?.deliveries[0]?.state ?? 'gone', 'gone');
});

test('after stop nothing is handed out', async () => {
  await rig.accept();
  rig.scheduler.stop();
  assert.equal(rig.take('one.test'), undefined);
});
