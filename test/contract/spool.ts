/**
 * The contract of the spool: one suite that every driver must pass. A driver's own test calls `spoolContract` with a way to
 * open it; opening again after `close` must find what was durable.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { idTime } from '../../src/core/id.js';
import type { LaneKey } from '../../src/core/lane.js';
import type { Body } from '../../src/core/message.js';
import { type Lease, type Spool, SWEPT_AT_ONCE } from '../../src/spool/spool.js';
import { acceptance, deferred, delivered, idOf, message, nextId, recipient } from '../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../support/virtual-clock.js';

export const PROMOTE_AFTER_MS = 15 * 60_000;
export const INLINE_LIMIT = 16 * 1024;

/** A place where spools can be opened, one after the other. */
export interface SpoolPlace {
  open(clock: VirtualClock): Promise<Spool>;
  remove(): Promise<void>;
}

interface Heard {
  readonly ready: LaneKey[];
  readonly waiting: number[];
  readonly faults: string[];
}

export function spoolContract(driver: string, makePlace: () => Promise<SpoolPlace>): void {
  describe(`the spool's contract: ${driver}`, () => {
    let place: SpoolPlace;
    let clock: VirtualClock;
    let spool: Spool;
    let heard: Heard;

    const listen = () => {
      const ears: Heard = { ready: [], waiting: [], faults: [] };
      heard = ears;
      spool.listen({
        onReady: (lane) => ears.ready.push(lane),
        onWaiting: (due) => ears.waiting.push(due),
        onFault: (fault) => ears.faults.push(fault.text),
      });
    };
    const reopen = async () => {
      await spool.close();
      spool = await place.open(clock);
      listen();
    };
    /** As a scheduler does: asks for the lane until it gives something, or is no longer among those that have anything. */
    const pullSoon = async (lane: LaneKey): Promise<Lease | undefined> => {
      for (;;) {
        const lease = spool.pull(lane);
        if (lease || ![...spool.lanes()].includes(lane)) return lease;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const take = async (lane: LaneKey): Promise<Lease> => {
      const lease = await pullSoon(lane);
      assert.ok(lease, `nothing to pull from ${lane}`);
      return lease;
    };
    const drain = async (lane: LaneKey): Promise<(string | undefined)[]> => {
      const ids: (string | undefined)[] = [];
      for (let lease = await pullSoon(lane); lease; lease = await pullSoon(lane)) ids.push(idOf(lease));
      return ids;
    };
    const now = () => clock.now();

    beforeEach(async () => {
      clock = createVirtualClock();
      place = await makePlace();
      spool = await place.open(clock);
      listen();
    });
    afterEach(async () => {
      await spool.close();
      await place.remove();
    });

    test('a message that was accepted is ready in its lane, with its bytes', async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      assert.deepEqual(heard.ready, ['mx:one.test']);
      assert.deepEqual([...spool.lanes()], ['mx:one.test']);
      assert.equal(spool.readyNow('mx:one.test'), 1);
      assert.deepEqual(spool.head('mx:one.test'), { level: 'medium', since: now() });
      const lease = spool.pull('mx:one.test');
      assert.ok(lease);
      assert.deepEqual(lease.delivery.message, mail.message);
      assert.deepEqual(lease.delivery.recipients, mail.deliveries[0]!.recipients);
      assert.equal(lease.delivery.key, `${mail.message.id}.0`);
      assert.equal(lease.bytes?.toString(), 'hello');
      assert.deepEqual(await spool.body(lease), { kind: 'bytes', bytes: Buffer.from('hello') });
      assert.equal(spool.pull('mx:one.test'), undefined);
    });

    test('an acceptance without deliveries is refused', async () => {
      await assert.rejects(spool.accept({ message: message({ acceptedAt: now() }), deliveries: [], body: Buffer.alloc(0) }), RangeError);
      assert.equal(spool.counts().messages, 0);
    });

    test('what was accepted is there after reopening, octet for octet', async () => {
      const body = Buffer.from([0, 13, 10, 255, 128, 46, 13, 10]);
      const mail = acceptance(
        { acceptedAt: now(), sender: 'jürgen@exämple.com', dsn: { ret: 'hdrs', envid: 'a b' } },
        ['mx:one.test'],
        body,
      );
      await spool.accept(mail);
      await reopen();
      const lease = await take('mx:one.test');
      assert.deepEqual(lease.delivery.message, mail.message);
      const read = await spool.body(lease);
      assert.equal(read.kind, 'bytes');
      assert.deepEqual(await bytesOf(read), body);
    });

    test('a lease does not survive, its delivery does', async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const before = spool.pull('mx:one.test')!;
      await reopen();
      const again = await take('mx:one.test');
      assert.equal(again.delivery.key, before.delivery.key);
    });

    test('deliveries are pulled by priority, then in the order of their acceptance', async () => {
      const ids: Record<string, string> = {};
      for (const [name, priority] of [
        ['low1', 'low'],
        ['medium1', 'medium'],
        ['high1', 'high'],
        ['low2', 'low'],
        ['high2', 'high'],
        ['medium2', 'medium'],
      ] as const) {
        const mail = acceptance({ acceptedAt: now(), priority });
        ids[name] = mail.message.id;
        await spool.accept(mail);
      }
      const order = ['high1', 'high2', 'medium1', 'medium2', 'low1', 'low2'].map((name) => ids[name]);
      assert.deepEqual(await drain('mx:one.test'), order);
      await reopen();
      assert.deepEqual(await drain('mx:one.test'), order);
    });

    test('the place of what is ready is told, by level and then by order; what is not ready has none', async () => {
      const mails = [];
      for (const priority of ['low', 'medium', 'high', 'medium'] as const) {
        const mail = acceptance({ acceptedAt: now(), priority });
        await spool.accept(mail);
        mails.push(`${mail.message.id}.0`);
      }
      assert.deepEqual(
        mails.map((key) => spool.place(key)),
        [
          { level: 'low', before: 3, exactly: true },
          { level: 'medium', before: 1, exactly: true },
          { level: 'high', before: 0, exactly: true },
          { level: 'medium', before: 2, exactly: true },
        ],
      );
      await clock.advance(PROMOTE_AFTER_MS);
      assert.deepEqual(spool.place(mails[0]!), { level: 'medium', before: 3, exactly: true });
      assert.deepEqual(spool.place(mails[1]!), { level: 'high', before: 0, exactly: true });
      const lease = await take('mx:one.test');
      assert.equal(spool.place(lease.delivery.key), undefined);
      await spool.change(mails[0]!, { kind: 'hold' });
      assert.equal(spool.place(mails[0]!), undefined);
      assert.equal(spool.place('nothing.0'), undefined);
    });

    test('waiting raises a delivery one level, and one level only until twice as long', async () => {
      const low = acceptance({ acceptedAt: now(), priority: 'low' });
      await spool.accept(low);
      await clock.advance(PROMOTE_AFTER_MS - 1);
      assert.equal(spool.head('mx:one.test')?.level, 'low');
      const medium = acceptance({ acceptedAt: now(), priority: 'medium' });
      await spool.accept(medium);
      assert.equal(spool.head('mx:one.test')?.level, 'medium');
      await clock.advance(1);
      assert.deepEqual(spool.head('mx:one.test'), { level: 'medium', since: low.message.acceptedAt });
      await spool.accept(acceptance({ acceptedAt: now(), priority: 'high' }));
      assert.equal(spool.head('mx:one.test')?.level, 'high');
      const high = spool.pull('mx:one.test');
      assert.equal(high?.delivery.priority, 'high');
      // Raised, it goes before what is younger.
      assert.equal(idOf(spool.pull('mx:one.test')), low.message.id);
      assert.equal(idOf(spool.pull('mx:one.test')), medium.message.id);
    });

    test('two levels of waiting bring a low one to the top', async () => {
      const low = acceptance({ acceptedAt: now(), priority: 'low' });
      await spool.accept(low);
      await clock.advance(2 * PROMOTE_AFTER_MS);
      await spool.accept(acceptance({ acceptedAt: now(), priority: 'high' }));
      assert.equal(idOf(spool.pull('mx:one.test')), low.message.id);
    });

    test('what is given back goes to its place again, in whatever order it comes', async () => {
      const mails = Array.from({ length: 5 }, () => acceptance({ acceptedAt: now() }));
      for (const mail of mails) await spool.accept(mail);
      const leases = mails.slice(0, 4).map(() => spool.pull('mx:one.test')!);
      for (const at of [2, 0, 3, 1]) spool.giveBack(leases[at]!);
      const expected = mails.map((mail) => mail.message.id);
      assert.deepEqual(await drain('mx:one.test'), expected);
    });

    test('a lease that was given back changes nothing any more', async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const lease = spool.pull('mx:one.test')!;
      spool.giveBack(lease);
      spool.giveBack(lease);
      assert.equal(await spool.settle(lease, delivered(lease.delivery, now())), false);
      await spool.setAside(lease, 'no');
      assert.equal(spool.readyNow('mx:one.test'), 1);
      const again = spool.pull('mx:one.test')!;
      assert.notEqual(again.token, lease.token);
      assert.equal(await spool.settle(lease, delivered(lease.delivery, now())), false);
      assert.equal(await spool.settle(again, delivered(again.delivery, now())), true);
      assert.equal(await spool.settle(again, delivered(again.delivery, now())), false);
    });

    test('what is done is in the history, gone from the queue, and stays gone', async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      const lease = spool.pull('mx:one.test')!;
      await clock.advance(1000);
      const settlement = delivered(lease.delivery, now());
      assert.equal(await spool.settle(lease, settlement), true);
      for (const _ of ['before', 'after reopening']) {
        assert.deepEqual([...spool.lanes()], []);
        assert.equal(await spool.readBody(mail.message.id), undefined);
        assert.deepEqual((await spool.list({}, { limit: 10 })).items, []);
        const counts = spool.counts();
        assert.deepEqual([counts.messages, counts.ready, counts.waiting, counts.held, counts.sending, counts.lanes], [0, 0, 0, 0, 0, 0]);
        const seen = await spool.inspect(mail.message.id);
        assert.deepEqual(seen?.message, mail.message);
        const [view] = seen!.deliveries;
        assert.equal(view?.state, 'done');
        assert.deepEqual(view?.recipients, settlement.recipients);
        assert.deepEqual(view?.log, settlement.log);
        assert.equal(view?.settledAt, now());
        const { items } = await spool.history({ since: 0, limit: 10 });
        assert.deepEqual(
          items.map((one) => one.delivery.key),
          [`${mail.message.id}.0`],
        );
        await reopen();
      }
    });

    test('a settlement that contradicts itself is refused, and the lease is kept', async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const lease = spool.pull('mx:one.test')!;
      await assert.rejects(spool.settle(lease, { ...delivered(lease.delivery, now()), next: { kind: 'ready' } }), RangeError);
      await assert.rejects(spool.settle(lease, { ...deferred(lease.delivery, now()), next: { kind: 'done' } }), RangeError);
      await assert.rejects(spool.settle(lease, { ...deferred(lease.delivery, now()), recipients: [] }), RangeError);
      assert.equal(await spool.settle(lease, delivered(lease.delivery, now())), true);
    });

    test('a retry waits until its time, with all that is known of it, also after reopening', async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      const lease = spool.pull('mx:one.test')!;
      const due = now() + 300_000;
      const settlement = { ...deferred(lease.delivery, now(), due), delayNoticed: true };
      await spool.settle(lease, settlement);
      assert.deepEqual(heard.waiting, [due]);
      assert.equal(spool.pull('mx:one.test'), undefined);
      assert.equal(await spool.promote(), due);
      await reopen();
      assert.equal(await spool.promote(), due);
      await clock.advance(299_999);
      assert.equal(await spool.promote(), due);
      assert.equal(spool.pull('mx:one.test'), undefined);
      assert.deepEqual([...spool.laneCounts()], [{ lane: 'mx:one.test', ready: 0, waiting: 1, held: 0 }]);
      await clock.advance(1);
      heard.ready.length = 0;
      assert.equal(await spool.promote(), undefined);
      assert.deepEqual(heard.ready, ['mx:one.test']);
      assert.deepEqual([...spool.laneCounts()], [{ lane: 'mx:one.test', ready: 1, waiting: 0, held: 0 }]);
      const again = await take('mx:one.test');
      assert.equal(again.delivery.attempts, 1);
      assert.equal(again.delivery.delayNoticed, true);
      assert.deepEqual(again.delivery.log, settlement.log);
      assert.equal(await bytesOf(await spool.body(again)).then(String), 'hello');
      await spool.settle(again, delivered(again.delivery, now()));
      assert.equal(await spool.promote(), undefined);
      assert.equal(spool.counts().messages, 0);
    });

    test('promoting again and again hands nothing out twice', async () => {
      await spool.accept(acceptance({ acceptedAt: now(), notBefore: now() + 10 }));
      await clock.advance(10);
      await spool.promote();
      await spool.promote();
      const lease = await take('mx:one.test');
      await spool.promote();
      assert.equal(spool.pull('mx:one.test'), undefined);
      await spool.settle(lease, deferred(lease.delivery, now(), now() + 10));
      await clock.advance(10);
      await spool.promote();
      await spool.promote();
      assert.ok(await pullSoon('mx:one.test'));
      assert.equal(spool.pull('mx:one.test'), undefined);
    });

    test('mail for later waits; mail whose time has passed does not', async () => {
      await spool.accept(acceptance({ acceptedAt: now(), notBefore: now() + 60_000 }));
      assert.equal(spool.pull('mx:one.test'), undefined);
      assert.deepEqual(heard.waiting, [now() + 60_000]);
      await spool.accept(acceptance({ acceptedAt: now(), notBefore: now() }, ['mx:two.test']));
      assert.ok(spool.pull('mx:two.test'));
      await clock.advance(60_000);
      await spool.promote();
      assert.ok(await pullSoon('mx:one.test'));
    });

    test('a clock that is set back takes back what is not due any more, and nothing else', async () => {
      const later = acceptance({ acceptedAt: now(), notBefore: now() + 60_000 });
      const at = acceptance({ acceptedAt: now() }, ['mx:two.test']);
      await spool.accept(later);
      await spool.accept(at);
      await clock.advance(60_000);
      await spool.promote();
      assert.equal(spool.readyNow('mx:one.test'), 1);
      clock.step(-30_000);
      assert.equal(spool.pull('mx:one.test'), undefined);
      assert.equal(spool.head('mx:one.test'), undefined);
      assert.ok(spool.pull('mx:two.test'));
      assert.equal(await spool.promote(), later.message.notBefore);
      await clock.advance(30_000);
      await spool.promote();
      assert.equal(idOf(await take('mx:one.test')), later.message.id);
    });

    test('a clock that is set back does not lose a timer that comes to lie behind what was promoted', async () => {
      await spool.accept(acceptance({ acceptedAt: now(), notBefore: now() + 100_000 }));
      await clock.advance(100_000);
      await spool.promote();
      clock.step(-90_000);
      const early = acceptance({ acceptedAt: now(), notBefore: now() + 5 }, ['mx:two.test']);
      await spool.accept(early);
      await clock.advance(5);
      await spool.promote();
      assert.equal(idOf(await take('mx:two.test')), early.message.id);
    });

    test('the rest of a delivery goes at once, with its age and its attempts', async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept({
        ...mail,
        deliveries: [{ lane: 'mx:one.test', recipients: [recipient('a@one.test'), recipient('b@one.test')] }],
      });
      const lease = spool.pull('mx:one.test')!;
      await clock.advance(1000);
      const [a, b] = delivered(lease.delivery, now()).recipients;
      await spool.settle(lease, { ...deferred(lease.delivery, now()), recipients: [a!, lease.delivery.recipients[1]!] });
      const rest = spool.pull('mx:one.test')!;
      assert.deepEqual(
        rest.delivery.recipients.map((one) => one.state),
        ['delivered', 'queued'],
      );
      assert.equal(rest.delivery.due, mail.message.acceptedAt);
      assert.equal(rest.bytes?.toString(), 'hello');
      await spool.settle(rest, { ...delivered(rest.delivery, now()), recipients: [a!, b!] });
      assert.equal(spool.counts().messages, 0);
    });

    test('a message with several deliveries keeps its body until the last one has ended', async () => {
      const lanes = ['mx:one.test', 'mx:two.test', 'mx:three.test'];
      const mail = acceptance({ acceptedAt: now() }, lanes);
      await spool.accept(mail);
      assert.equal(spool.counts().messages, 1);
      assert.equal(spool.counts().ready, 3);
      const first = spool.pull('mx:one.test')!;
      const third = spool.pull('mx:three.test')!;
      await Promise.all([first, third].map((lease) => spool.settle(lease, delivered(lease.delivery, now()))));
      await reopen();
      assert.equal(await bytesOf((await spool.readBody(mail.message.id))!).then(String), 'hello');
      assert.deepEqual(
        (await spool.inspect(mail.message.id))!.deliveries.map((one) => one.state),
        ['done', 'ready', 'done'],
      );
      const second = await take('mx:two.test');
      assert.deepEqual(second.delivery.message, mail.message);
      await spool.settle(second, delivered(second.delivery, now()));
      assert.equal(await spool.readBody(mail.message.id), undefined);
      assert.equal(spool.counts().messages, 0);
      assert.equal((await spool.history({ since: 0, limit: 10 })).items.length, 3);
    });

    test('a report is accepted with the settlement that causes it', async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const lease = spool.pull('mx:one.test')!;
      const report = acceptance(
        { acceptedAt: now(), sender: '', origin: { kind: 'report', of: lease.delivery.message.id } },
        ['mx:example.com'],
        Buffer.from('sorry'),
      );
      await spool.settle(lease, {
        ...delivered(lease.delivery, now()),
        recipients: [{ ...lease.delivery.recipients[0]!, state: 'bounced' }],
        reports: [report],
      });
      assert.ok(heard.ready.includes('mx:example.com'));
      const [hot] = [spool.pull('mx:example.com')];
      assert.equal(hot?.bytes?.toString(), 'sorry');
      await reopen();
      const again = await take('mx:example.com');
      assert.deepEqual(again.delivery.message, report.message);
      assert.equal(spool.counts().messages, 1);
    });

    test('what the journal knows to be delivered is not sent again after a death', async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept({
        ...mail,
        deliveries: [{ lane: 'mx:one.test', recipients: [recipient('a@one.test'), recipient('b@one.test'), recipient('c@one.test')] }],
      });
      const whole = acceptance({ acceptedAt: now() }, ['mx:two.test']);
      await spool.accept(whole);
      const one = spool.pull('mx:one.test')!;
      const two = spool.pull('mx:two.test')!;
      const server = { host: 'mx.test', address: '192.0.2.1', port: 25 };
      const good = { kind: 'delivered', status: '2.0.0', text: 'Ok: "quoted"\nsecond line', server } as const;
      const bad = { kind: 'deferred', trouble: { lasting: 'temporary', stage: 'rcpt', status: '4.2.0', text: 'later' } } as const;
      spool.note(one, [good, bad, good]);
      spool.note(two, [good]);
      assert.equal(spool.mayFinish(), true);
      await reopen();
      const rest = await take('mx:one.test');
      assert.deepEqual(
        rest.delivery.recipients.map((each) => each.state),
        ['delivered', 'queued', 'delivered'],
      );
      assert.equal(rest.delivery.recipients[0]!.last?.text, good.text);
      assert.equal(rest.delivery.recipients[0]!.last?.server, 'mx.test[192.0.2.1]:25');
      assert.equal(rest.delivery.attempts, 1);
      assert.equal(await pullSoon('mx:two.test'), undefined);
      assert.equal((await spool.inspect(whole.message.id))!.deliveries[0]!.recipients[0]!.state, 'delivered');
      await reopen();
      assert.equal((await take('mx:one.test')).delivery.attempts, 1);
    });

    test('a note about what was settled since says nothing', async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const lease = spool.pull('mx:one.test')!;
      const server = { host: 'mx.test', address: '192.0.2.1', port: 25 };
      spool.note(lease, [{ kind: 'delivered', status: '2.0.0', text: 'Ok', server }]);
      assert.equal(spool.mayFinish(), true);
      // The settlement has the last word: here it says otherwise, as no settler would.
      await spool.settle(lease, deferred(lease.delivery, now()));
      await reopen();
      assert.deepEqual(
        (await take('mx:one.test')).delivery.recipients.map((one) => one.state),
        ['queued'],
      );
    });

    test('what is set aside is held, says why, and comes back when it is released', async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      await spool.setAside(spool.pull('mx:one.test')!, 'the body does not match its checksum');
      assert.deepEqual([...spool.lanes()], []);
      await reopen();
      assert.equal(await pullSoon('mx:one.test'), undefined);
      const view = (await spool.inspect(mail.message.id))!.deliveries[0]!;
      assert.equal(view.state, 'held');
      assert.equal(view.log.at(-1)?.trouble?.text, 'the body does not match its checksum');
      assert.deepEqual([...spool.laneCounts()], [{ lane: 'mx:one.test', ready: 0, waiting: 0, held: 1 }]);
      assert.equal(await spool.change(view.key, { kind: 'release' }), 'done');
      assert.equal(idOf(await take('mx:one.test')), mail.message.id);
    });

    test('hold, release, reschedule, retryNow and remove, of what is ready, waiting and held', async () => {
      const key = (mail: ReturnType<typeof acceptance>) => `${mail.message.id}.0`;
      const state = async (mail: ReturnType<typeof acceptance>) => (await spool.inspect(mail.message.id))?.deliveries[0]?.state;
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      assert.equal(await spool.change(key(mail), { kind: 'hold' }), 'done');
      assert.equal(spool.pull('mx:one.test'), undefined);
      assert.equal(await state(mail), 'held');
      assert.equal(await spool.change(key(mail), { kind: 'hold' }), 'done');
      assert.equal(await spool.change(key(mail), { kind: 'release' }), 'done');
      assert.equal(await state(mail), 'ready');
      const due = now() + 10_000;
      assert.equal(await spool.change(key(mail), { kind: 'reschedule', due }), 'done');
      assert.equal(await state(mail), 'waiting');
      assert.equal(spool.pull('mx:one.test'), undefined);
      assert.equal(await spool.promote(), due);
      await spool.change(key(mail), { kind: 'hold' });
      await spool.promote();
      assert.equal(await state(mail), 'held');
      await spool.change(key(mail), { kind: 'release' });
      assert.equal(await state(mail), 'waiting');
      await reopen();
      assert.equal(await state(mail), 'waiting');
      assert.equal(await spool.change(key(mail), { kind: 'retryNow' }), 'done');
      assert.equal(await state(mail), 'ready');
      const lease = await take('mx:one.test');
      assert.equal(await state(mail), 'sending');
      for (const kind of ['hold', 'release', 'retryNow', 'remove'] as const)
        assert.equal(await spool.change(key(mail), { kind }), 'inFlight');
      spool.giveBack(lease);
      assert.equal(await spool.change(key(mail), { kind: 'remove' }), 'done');
      assert.equal(await state(mail), 'done');
      assert.equal((await spool.inspect(mail.message.id))!.deliveries[0]!.recipients[0]!.state, 'removed');
      assert.equal(await spool.change(key(mail), { kind: 'remove' }), 'gone');
      assert.equal(await spool.change('nothing.0', { kind: 'hold' }), 'gone');
      const counts = spool.counts();
      assert.deepEqual([counts.messages, counts.ready, counts.waiting, counts.held], [0, 0, 0, 0]);
      await reopen();
      assert.equal(await pullSoon('mx:one.test'), undefined);
      assert.equal(await spool.readBody(mail.message.id), undefined);
    });

    test('a delivery is taken whatever it waits for, and is where it was when it is given back', async () => {
      const [ready, waiting, held] = [
        acceptance({ acceptedAt: now() }),
        acceptance({ acceptedAt: now(), notBefore: now() + 60_000 }),
        acceptance({ acceptedAt: now() }),
      ];
      for (const mail of [ready, waiting, held]) await spool.accept(mail);
      const key = (mail: ReturnType<typeof acceptance>) => `${mail.message.id}.0`;
      await spool.change(key(held), { kind: 'hold' });
      await reopen();
      const states = async () => (await spool.list({}, { limit: 10 })).items.map((item) => item.delivery.state);
      const leases: Lease[] = [];
      for (const mail of [ready, waiting, held]) {
        const lease = await spool.take(key(mail));
        assert.ok(typeof lease === 'object', `${lease}`);
        assert.deepEqual(lease.delivery.message, mail.message);
        leases.push(lease);
      }
      assert.deepEqual(await states(), ['sending', 'sending', 'sending']);
      assert.equal(await pullSoon('mx:one.test'), undefined);
      assert.equal(await spool.take(key(held)), 'inFlight');
      assert.equal(await spool.change(key(waiting), { kind: 'remove' }), 'inFlight');
      // What comes due while it is taken comes when it is given back.
      await clock.advance(60_000);
      await spool.promote();
      for (const lease of leases) spool.giveBack(lease);
      for (const lease of leases) spool.giveBack(lease);
      await spool.promote();
      assert.deepEqual(await states(), ['ready', 'ready', 'held']);
      assert.deepEqual(await drain('mx:one.test'), [ready.message.id, waiting.message.id]);
      const counts = spool.counts();
      assert.deepEqual([counts.ready, counts.waiting, counts.held, counts.sending], [2, 0, 1, 2]);
      assert.equal(await spool.take('nothing.0'), 'gone');
    });

    test('what was taken is settled, with the report that follows, from wherever it was', async () => {
      const mails = [
        acceptance({ acceptedAt: now(), notBefore: now() + 60_000 }),
        acceptance({ acceptedAt: now() }),
        acceptance({ acceptedAt: now() }),
      ];
      for (const mail of mails) await spool.accept(mail);
      await spool.change(`${mails[1]!.message.id}.0`, { kind: 'hold' });
      await reopen();
      for (const { message: of } of mails) {
        const lease = await spool.take(`${of.id}.0`);
        assert.ok(typeof lease === 'object', `${lease}`);
        assert.equal((await bytesOf(await spool.body(lease))).toString(), 'hello');
        const report = acceptance({ acceptedAt: now(), sender: '' }, ['mx:back.test']);
        assert.equal(await spool.settle(lease, { ...delivered(lease.delivery, now()), reports: [report] }), true);
        assert.equal(await spool.settle(lease, delivered(lease.delivery, now())), false);
      }
      const counts = spool.counts();
      assert.deepEqual([counts.messages, counts.ready, counts.waiting, counts.held, counts.sending], [3, 3, 0, 0, 0]);
      assert.equal((await drain('mx:back.test')).length, 3);
      await clock.advance(60_000);
      await reopen();
      await spool.promote();
      assert.equal(await pullSoon('mx:one.test'), undefined);
    });

    test('a paused lane gives nothing until it is resumed, also after reopening; others go on', async () => {
      const mail = acceptance({ acceptedAt: now() }, ['mx:one.test', 'mx:two.test']);
      await spool.pauseLane('mx:one.test', { at: now(), reason: 'they asked for it' });
      await spool.accept(mail);
      assert.deepEqual(heard.ready, ['mx:two.test']);
      const stopped = () => {
        assert.deepEqual([...spool.lanes()], ['mx:two.test']);
        assert.equal(spool.head('mx:one.test'), undefined);
        assert.equal(spool.readyNow('mx:one.test'), 0);
        assert.equal(spool.pull('mx:one.test'), undefined);
      };
      stopped();
      const pause = { at: now(), reason: 'they asked for it' };
      assert.deepEqual([...spool.pauses()], [['mx:one.test', pause]]);
      const lane = [...spool.laneCounts()].find((one) => one.lane === 'mx:one.test');
      assert.deepEqual(lane, { lane: 'mx:one.test', ready: 1, waiting: 0, held: 0, paused: pause });
      await reopen();
      stopped();
      assert.deepEqual([...spool.pauses()], [['mx:one.test', pause]]);
      // Whatever is done to it otherwise goes on.
      const swept: Lease[] = [];
      await spool.sweepReady(
        () => true,
        (lease) => void swept.push(lease),
      );
      assert.equal(swept.length, 2);
      for (const lease of swept) spool.giveBack(lease);
      await spool.change(`${mail.message.id}.0`, { kind: 'hold' });
      await spool.change(`${mail.message.id}.0`, { kind: 'release' });
      stopped();
      heard.ready.length = 0;
      assert.equal(await spool.resumeLane('mx:one.test'), true);
      assert.deepEqual(heard.ready, ['mx:one.test']);
      assert.equal(idOf(await take('mx:one.test')), mail.message.id);
      assert.equal(await spool.resumeLane('mx:one.test'), false);
      await reopen();
      assert.equal(spool.pauses().size, 0);
    });

    test('what was on its way when its lane was paused is settled, and what comes of it waits there', async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const lease = await take('mx:one.test');
      await spool.pauseLane('mx:one.test', { at: now(), reason: '' });
      assert.equal(await spool.settle(lease, deferred(lease.delivery, now())), true);
      assert.equal(spool.pull('mx:one.test'), undefined);
      await spool.resumeLane('mx:one.test');
      assert.equal((await take('mx:one.test')).delivery.attempts, 1);
    });

    test('what a message brought along about its server is known as long as its lane has mail, also after reopening', async () => {
      const lane = 'host:smtp.test:587:o1f';
      const about = 'a sealed word, kept as it is: "ü"';
      assert.equal(spool.server(lane), undefined);
      await spool.accept({ ...acceptance({ acceptedAt: now() }, [lane]), server: { lane, about } });
      await spool.accept({ ...acceptance({ acceptedAt: now() }, [lane, lane]), server: { lane, about } });
      await spool.accept(acceptance({ acceptedAt: now() }));
      assert.equal(spool.server(lane), about);
      assert.equal(spool.server('mx:one.test'), undefined);
      await reopen();
      assert.equal(spool.server(lane), about);
      const first = await take(lane);
      await spool.settle(first, deferred(first.delivery, now(), now() + 60_000));
      for (const lease of [await take(lane), await take(lane)]) await spool.settle(lease, delivered(lease.delivery, now()));
      await spool.tidy();
      assert.equal(spool.server(lane), about, 'one waits for its next try');
      await spool.change(first.delivery.key, { kind: 'remove' });
      await spool.tidy();
      assert.equal(spool.server(lane), undefined);
      // What comes later brings it along again.
      await spool.accept({ ...acceptance({ acceptedAt: now() }, [lane]), server: { lane, about: 'another word' } });
      await reopen();
      assert.equal(spool.server(lane), 'another word');
    });

    test('a server that came with very many deliveries is kept from the start, whatever is tidied meanwhile', async () => {
      const lane = 'host:smtp.test:587:o2f';
      const many = Array.from({ length: 1200 }, () => lane);
      const accepted = spool.accept({ ...acceptance({ acceptedAt: now() }, many), server: { lane, about: 'about' } });
      await Promise.all([accepted, spool.tidy(), accepted.then(() => spool.tidy())]);
      assert.equal(spool.server(lane), 'about');
      await reopen();
      assert.equal(spool.server(lane), 'about');
      // They come part by part.
      let pulled = 0;
      await until(async () => {
        pulled += (await drain(lane)).length;
        return pulled >= 1200;
      });
      assert.equal(pulled, 1200);
    });

    test('changes made at once are each done, one after the other', async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      const key = `${mail.message.id}.0`;
      const due = now() + 5000;
      const results = await Promise.all([
        spool.change(key, { kind: 'hold' }),
        spool.change(key, { kind: 'release' }),
        spool.change(key, { kind: 'reschedule', due }),
        spool.change(key, { kind: 'hold' }),
      ]);
      assert.deepEqual(results, ['done', 'done', 'done', 'done']);
      const counts = spool.counts();
      assert.deepEqual([counts.messages, counts.ready, counts.waiting, counts.held], [1, 0, 0, 1]);
      assert.equal(spool.pull('mx:one.test'), undefined);
      assert.equal(await spool.promote(), undefined);
    });

    test('a lane that leads nowhere any more gives its mail away: whole, or in parts where its recipients part', async () => {
      const old = 'host:relay.test:25:';
      const to = (...names: string[]) => names.map(recipient);
      const laneOf = (address: string) => `mx:${address.split('@')[1]}`;
      const mail = {
        parted: {
          ...acceptance({ acceptedAt: now() }),
          deliveries: [{ lane: old, recipients: to('a@one.test', 'b@two.test', 'c@one.test') }],
        },
        waiting: {
          ...acceptance({ acceptedAt: now(), notBefore: now() + 60_000 }),
          deliveries: [{ lane: old, recipients: to('w@one.test') }],
        },
        held: { ...acceptance({ acceptedAt: now() }), deliveries: [{ lane: old, recipients: to('w@one.test') }] },
        several: {
          ...acceptance({ acceptedAt: now() }),
          deliveries: [
            { lane: old, recipients: to('x@one.test', 'y@three.test') },
            { lane: 'mx:two.test', recipients: to('user@two.test') },
          ],
        },
      };
      for (const each of Object.values(mail)) await spool.accept(each);
      await spool.change(`${mail.held.message.id}.0`, { kind: 'hold' });
      // One recipient has its end already: it stays with the first part.
      const lease = await take(old);
      assert.equal(idOf(lease), mail.parted.message.id);
      assert.equal(await spool.change(lease.delivery.key, { kind: 'reroute', laneOf }), 'inFlight');
      const [first, ...others] = delivered(lease.delivery, now()).recipients;
      await spool.settle(lease, {
        ...deferred(lease.delivery, now()),
        recipients: [first!, ...others.map((one) => recipient(one.address))],
      });

      const listed = (await spool.list({ lane: old }, { limit: 100 })).items;
      assert.equal(listed.length, 4);
      const results = await Promise.all(listed.map(({ delivery }) => spool.change(delivery.key, { kind: 'reroute', laneOf })));
      assert.deepEqual(results, ['done', 'done', 'done', 'done']);

      const shape = async (each: { message: { id: string } }) =>
        (await spool.inspect(each.message.id))!.deliveries
          .map(({ lane, state, recipients }) => `${lane} ${state} ${recipients.map((one) => `${one.address}:${one.state}`).join(' ')}`)
          .sort();
      const check = async () => {
        assert.deepEqual(await shape(mail.parted), [
          'mx:one.test ready c@one.test:queued',
          'mx:two.test ready a@one.test:delivered b@two.test:queued',
        ]);
        assert.deepEqual(await shape(mail.waiting), ['mx:one.test waiting w@one.test:queued']);
        assert.deepEqual(await shape(mail.held), ['mx:one.test held w@one.test:queued']);
        assert.deepEqual(await shape(mail.several), [
          'mx:one.test ready x@one.test:queued',
          'mx:three.test ready y@three.test:queued',
          'mx:two.test ready user@two.test:queued',
        ]);
        assert.ok(![...spool.laneCounts()].some(({ lane }) => lane === old));
        const { ready, waiting, held, messages } = spool.counts();
        assert.deepEqual({ ready, waiting, held, messages }, { ready: 5, waiting: 1, held: 1, messages: 4 });
      };
      await check();
      await reopen();
      await check();
      assert.equal(await spool.change(listed[0]!.delivery.key, { kind: 'reroute', laneOf }), 'done', 'in its right lane already');
      await check();

      // Each part ends by itself, and the message with the last one.
      for (const lane of ['mx:two.test', 'mx:one.test', 'mx:three.test']) {
        for (let part = await pullSoon(lane); part; part = await pullSoon(lane)) {
          const body = await spool.body(part);
          assert.equal(body.kind === 'bytes' && body.bytes.toString(), 'hello');
          await spool.settle(part, delivered(part.delivery, now()));
        }
      }
      assert.equal(spool.counts().messages, 2, 'what waits and what is held');
      assert.equal(await spool.readBody(mail.parted.message.id), undefined);
      const ended = (await spool.inspect(mail.several.message.id))!.deliveries;
      assert.deepEqual(new Set(ended.map(({ key }) => key)).size, 3);
    });

    test('removing one delivery of several leaves the others and the body', async () => {
      const mail = acceptance({ acceptedAt: now() }, ['mx:one.test', 'mx:two.test']);
      await spool.accept(mail);
      await reopen();
      assert.equal(await spool.change(`${mail.message.id}.0`, { kind: 'remove' }), 'done');
      assert.equal(await pullSoon('mx:one.test'), undefined);
      const lease = await take('mx:two.test');
      assert.equal(await bytesOf(await spool.body(lease)).then(String), 'hello');
      spool.giveBack(lease);
      assert.equal(await spool.change(`${mail.message.id}.1`, { kind: 'remove' }), 'done');
      assert.equal(await spool.readBody(mail.message.id), undefined);
      assert.equal(spool.counts().messages, 0);
    });

    test('list shows what is queued, oldest message first, page by page', async () => {
      const mails = [];
      for (let i = 0; i < 5; i++) {
        const mail = acceptance({ acceptedAt: now() }, ['mx:one.test', 'mx:two.test']);
        mails.push(mail);
        await spool.accept(mail);
      }
      const expected = mails.flatMap((mail) => [`${mail.message.id}.0`, `${mail.message.id}.1`]);
      const seen: string[] = [];
      let after: string | undefined;
      for (let pages = 0; pages < 10; pages++) {
        const page = await spool.list({}, { limit: 3, ...(after === undefined ? {} : { after }) });
        assert.ok(page.items.length <= 3);
        for (const item of page.items) {
          assert.equal(item.message.id, item.delivery.key.slice(0, -2));
          seen.push(item.delivery.key);
        }
        after = page.next;
        if (after === undefined) break;
      }
      assert.deepEqual(seen, expected);
    });

    test('list finds by id, lane, state, domain, sender, recipient, tag, age and trouble', async () => {
      const early = acceptance({ acceptedAt: now(), sender: 'early@example.com', tags: ['newsletter', 'may'] });
      await spool.accept(early);
      await clock.advance(1000);
      const late = acceptance({ acceptedAt: now(), sender: 'late@example.com' }, ['mx:two.test', 'host:relay.test:25:0']);
      await spool.accept(late);
      const lease = spool.pull('mx:two.test')!;
      await spool.settle(lease, deferred(lease.delivery, now(), now() + 1000, '451 Greylisted, come back'));
      const held = acceptance({ acceptedAt: now() }, ['mx:three.test']);
      await spool.accept(held);
      await spool.change(`${held.message.id}.0`, { kind: 'hold' });
      const find = async (query: Parameters<Spool['list']>[0]) =>
        (await spool.list(query, { limit: 10 })).items.map((item) => item.delivery.key);
      const [e, l0, l1, h] = [`${early.message.id}.0`, `${late.message.id}.0`, `${late.message.id}.1`, `${held.message.id}.0`];
      assert.deepEqual(await find({}), [e, l0, l1, h]);
      assert.deepEqual(await find({ ids: [held.message.id, early.message.id, 'unknown'] }), [e, h]);
      assert.deepEqual(await find({ lane: 'host:relay.test:25:0' }), [l1]);
      assert.deepEqual(await find({ state: 'ready' }), [e, l1]);
      assert.deepEqual(await find({ state: 'waiting' }), [l0]);
      assert.deepEqual(await find({ state: 'held' }), [h]);
      assert.deepEqual(await find({ domain: 'one.test' }), [e]);
      assert.deepEqual(await find({ sender: 'late@example.com' }), [l0, l1]);
      assert.deepEqual(await find({ recipient: 'user@two.test' }), [l0]);
      assert.deepEqual(await find({ tag: 'may' }), [e]);
      assert.deepEqual(await find({ tag: 'ma' }), []);
      assert.deepEqual(await find({ acceptedBefore: late.message.acceptedAt }), [e]);
      assert.deepEqual(await find({ error: 'GREYLISTED' }), [l0]);
      assert.deepEqual(await find({ error: 'greylisted', state: 'held' }), []);
      spool.pull('mx:one.test');
      assert.deepEqual(await find({ state: 'sending' }), [e]);
    });

    test('the oldest message of each state is told', async () => {
      assert.deepEqual(await spool.oldest(), {});
      const ids = ['01JD4Z6N3T0000000000000000', '01JD4Z6N3V0000000000000000', '01JD4Z6N3W0000000000000000', '01JD4Z6N3X0000000000000000'];
      const [held, waiting, ready] = ids.map((id) => idTime(id));
      const accept = (id: string, notBefore = 0) => spool.accept(acceptance({ id, acceptedAt: idTime(id), notBefore }));
      await accept(ids[0]!);
      await accept(ids[1]!, now() + 60_000);
      for (const id of ids.slice(2)) await accept(id);
      await spool.change(`${ids[0]!}.0`, { kind: 'hold' });
      assert.deepEqual(await spool.oldest(), { held, waiting, ready });
    });

    test('messages of queue and history are one list, from either end, by state and by what names them', async () => {
      const ended = async (given: Parameters<typeof acceptance>[0], state: 'delivered' | 'bounced') => {
        const mail = acceptance(given);
        await spool.accept(mail);
        const lease = await take('mx:one.test');
        const settlement = delivered(lease.delivery, now());
        await spool.settle(lease, { ...settlement, recipients: settlement.recipients.map((one) => ({ ...one, state })) });
        return mail.message.id;
      };
      const sent = await ended({ acceptedAt: now(), sender: 'Ann@example.com', tags: ['spring'] }, 'delivered');
      const failed = await ended({ acceptedAt: now() }, 'bounced');
      const parted = acceptance({ acceptedAt: now(), sender: 'bob@example.com' }, ['mx:one.test', 'mx:two.test']);
      await spool.accept(parted);
      const part = await take('mx:two.test');
      await spool.settle(part, delivered(part.delivery, now()));
      const sending = await take('mx:one.test');
      const held = acceptance({ acceptedAt: now(), messageId: '<Odd"one\\@x.test>' }, ['mx:three.test']);
      await spool.accept(held);
      await spool.change(`${held.message.id}.0`, { kind: 'hold' });
      const put = acceptance({ acceptedAt: now() }, ['mx:four.test']);
      await spool.accept(put);
      const lease = await take('mx:four.test');
      const last = { at: now(), status: '4.7.1', text: '451 bob@example.com is greylisted' };
      const off = deferred(lease.delivery, now(), now() + 60_000);
      await spool.settle(lease, { ...off, recipients: off.recipients.map((one) => ({ ...one, last })) });
      const [p, h, d] = [parted, held, put].map((mail) => mail.message.id);
      const find = async (query: Parameters<Spool['messages']>[0]) =>
        (await spool.messages(query, { limit: 10 })).items.map(({ message: one }) => one.id);
      assert.deepEqual(await find({}), [d, h, p, failed, sent]);
      assert.deepEqual(await find({ oldestFirst: true }), [sent, failed, p, h, d]);
      assert.deepEqual(await find({ state: 'queued' }), [d, h, p]);
      assert.deepEqual(await find({ state: 'sending' }), [p]);
      assert.deepEqual(await find({ state: 'deferred' }), [d]);
      assert.deepEqual(await find({ state: 'held' }), [h]);
      assert.deepEqual(await find({ state: 'sent' }), [sent]);
      assert.deepEqual(await find({ state: 'error' }), [failed]);
      assert.deepEqual(await find({ search: 'ANN@' }), [sent]);
      assert.deepEqual(await find({ search: 'sprin' }), [sent]);
      // A remote's words name nobody.
      assert.deepEqual(await find({ search: 'bob@example' }), [p]);
      assert.deepEqual(await find({ search: 'user@two' }), [p]);
      assert.deepEqual(await find({ search: 'user@two', state: 'sending' }), [p]);
      assert.deepEqual(await find({ search: 'user@two', state: 'sent' }), []);
      assert.deepEqual(await find({ search: 'odd"one\\' }), [h]);
      assert.deepEqual(await find({ search: failed.toLowerCase() }), [failed]);
      assert.deepEqual(await find({ search: 'queued' }), []);
      for (const oldestFirst of [false, true]) {
        const paged: string[] = [];
        let after: string | undefined;
        do {
          const page = await spool.messages({ oldestFirst }, { limit: 2, ...(after === undefined ? {} : { after }) });
          paged.push(...page.items.map(({ message: one }) => one.id));
          after = page.next;
        } while (after !== undefined);
        assert.deepEqual(paged, await find({ oldestFirst }));
      }
      const lines = new Map((await spool.messages({}, { limit: 10 })).items.map((one) => [one.message.id, one]));
      const line = lines.get(p!)!;
      assert.deepEqual([line.status, line.recipients], ['queued', { queued: 1, delivered: 1, failed: 0 }]);
      assert.deepEqual(line.deliveries, { ready: 0, waiting: 0, held: 0, sending: 1, done: 1 });
      assert.deepEqual(line.named, [
        { address: 'user@one.test', state: 'queued' },
        { address: 'user@two.test', state: 'delivered' },
      ]);
      assert.deepEqual([lines.get(d!)!.due, lines.get(d!)!.trouble], [now() + 60_000, { ...last, recipient: 'user@four.test' }]);
      assert.deepEqual([lines.get(failed)!.status, lines.get(failed)!.endedAt, lines.get(failed)!.due], ['error', now(), undefined]);
      spool.giveBack(sending);
      assert.deepEqual(await find({ state: 'sending' }), []);
      await reopen();
      assert.deepEqual(await find({}), [d, h, p, failed, sent]);
    });

    test('history goes by the order of ends, newest last, page by page, from a moment on', async () => {
      const mails = Array.from({ length: 6 }, (_, i) => acceptance({ acceptedAt: now() }, [`mx:lane${i}.test`]));
      for (const mail of mails) await spool.accept(mail);
      const order = [4, 1, 5, 0, 3, 2];
      const times: number[] = [];
      for (const at of order) {
        await clock.advance(1000);
        times.push(now());
        const lease = spool.pull(`mx:lane${at}.test`)!;
        await spool.settle(lease, delivered(lease.delivery, now()));
      }
      const expected = order.map((at) => mails[at]!.message.id);
      const all = await spool.history({ since: 0, limit: 100 });
      assert.deepEqual(
        all.items.map((item) => item.message.id),
        expected,
      );
      assert.deepEqual(
        all.items.map((item) => item.delivery.settledAt),
        times,
      );
      const first = await spool.history({ since: 0, limit: 4 });
      assert.ok(first.next);
      const second = await spool.history({ since: 0, limit: 4, after: first.next });
      assert.deepEqual(
        [...first.items, ...second.items].map((item) => item.message.id),
        expected,
      );
      const since = await spool.history({ since: times[3]!, limit: 100 });
      assert.deepEqual(
        since.items.map((item) => item.message.id),
        expected.slice(3),
      );
    });

    test('tidying forgets what is older than the retention, and nothing younger', async () => {
      const settleOne = async () => {
        const mail = acceptance({ acceptedAt: now() });
        await spool.accept(mail);
        const lease = spool.pull('mx:one.test')!;
        await spool.settle(lease, delivered(lease.delivery, now()));
        return mail.message.id;
      };
      const old = await settleOne();
      await clock.advance(RETENTION_MS / 2);
      const young = await settleOne();
      await clock.advance(RETENTION_MS / 2 + 1);
      const queued = acceptance({ acceptedAt: now() });
      await spool.accept(queued);
      await spool.tidy();
      assert.equal(await spool.inspect(old), undefined);
      assert.equal((await spool.inspect(young))?.deliveries[0]?.state, 'done');
      assert.equal((await spool.inspect(queued.message.id))?.deliveries[0]?.state, 'ready');
      assert.deepEqual(
        (await spool.history({ since: 0, limit: 10 })).items.map((item) => item.message.id),
        [young],
      );
      assert.deepEqual(heard.faults, []);
    });

    test('the sweep leases what is wanted, ready lanes or not, and leaves the rest', async () => {
      const mails = Array.from({ length: 6 }, (_, i) =>
        acceptance({ acceptedAt: now(), expiresAt: now() + (i % 2 ? 1000 : 9000) }, [`mx:lane${i % 3}.test`]),
      );
      for (const mail of mails) await spool.accept(mail);
      await spool.accept(acceptance({ acceptedAt: now(), notBefore: now() + 100_000, expiresAt: now() + 1 }));
      const busy = spool.pull('mx:lane1.test')!;
      const taken: Lease[] = [];
      await spool.sweepReady(
        (about) => about.expiresAt <= now() + 1000 && !about.delayNoticed,
        (lease) => void taken.push(lease),
      );
      const expected = mails.filter((mail, i) => i % 2 && mail.message.id !== idOf(busy)).map((mail) => mail.message.id);
      assert.deepEqual(taken.map((lease) => lease.delivery.message.id).sort(), expected);
      for (const lease of taken) assert.equal(await spool.settle(lease, deferred(lease.delivery, now(), now() + 10)), true);
      const rest: (string | undefined)[] = [];
      for (const lane of ['mx:lane0.test', 'mx:lane1.test', 'mx:lane2.test'])
        for (let lease = spool.pull(lane); lease; lease = spool.pull(lane)) rest.push(idOf(lease));
      assert.deepEqual(
        rest.sort(),
        mails.filter((mail, i) => i % 2 === 0 && mail.message.id !== idOf(busy)).map((mail) => mail.message.id),
      );
    });

    test('the sweep waits for what it has handed out: not all that expired together is leased at once (G8)', async () => {
      const COUNT = SWEPT_AT_ONCE + 300;
      const mails = Array.from({ length: COUNT }, () => acceptance({ acceptedAt: now() }));
      await Promise.all(mails.map((mail) => spool.accept(mail)));
      // Part of it in memory, part of it on disk.
      await reopen();
      for (let n = 0; n < 10; n++) spool.giveBack(await take('mx:one.test'));
      let most = 0;
      await spool.sweepReady(
        () => true,
        async (lease) => {
          most = Math.max(most, spool.counts().sending);
          await spool.settle(lease, delivered(lease.delivery, now()));
        },
      );
      assert.ok(most > 1 && most <= SWEPT_AT_ONCE, `${most} leased at once`);
      assert.equal(spool.counts().messages, 0);
    });

    test('the sweep finds what is only on disk, and what it gives back can be pulled', async () => {
      const mails = Array.from({ length: 4 }, () => acceptance({ acceptedAt: now() }));
      for (const mail of mails) await spool.accept(mail);
      await reopen();
      const taken: Lease[] = [];
      await spool.sweepReady(
        (about) => about.acceptedAt === now(),
        (lease) => void taken.push(lease),
      );
      assert.equal(taken.length, 4);
      assert.equal(spool.counts().sending, 4);
      for (const lease of taken) spool.giveBack(lease);
      assert.deepEqual(
        await drain('mx:one.test'),
        mails.map((mail) => mail.message.id),
      );
    });

    for (const size of [0, 1, INLINE_LIMIT - 1, INLINE_LIMIT, INLINE_LIMIT + 1, 65_535, 65_536, 65_537, 131_072, 1_000_003]) {
      test(`a body of ${size} octets comes out as it went in, at once and after reopening`, async () => {
        const body = pattern(size);
        const about = message({ acceptedAt: now(), sizeBytes: size });
        const writer = spool.writeBody({ id: about.id, sender: about.sender, recipients: ['user@one.test'] });
        for (let at = 0; at < size; at += 10_007) {
          const wrote = writer.write(body.subarray(at, Math.min(at + 10_007, size)));
          if (wrote !== true) await wrote;
        }
        const stored = await writer.finish();
        await spool.accept({
          message: about,
          deliveries: [{ lane: 'mx:one.test', recipients: [recipient('user@one.test')] }],
          body: stored,
        });
        for (const _ of ['at once', 'after reopening']) {
          const lease = await take('mx:one.test');
          const read = await spool.body(lease);
          if (size > INLINE_LIMIT) assert.equal(read.kind, 'stream');
          assert.ok((await bytesOf(read)).equals(body));
          assert.ok((await bytesOf((await spool.readBody(about.id))!)).equals(body));
          await reopen();
        }
      });
    }

    test('a body that is given up leaves nothing behind', async () => {
      const writer = spool.writeBody({ id: nextId(), sender: '', recipients: [] });
      const wrote = writer.write(pattern(300_000));
      if (wrote !== true) await wrote;
      writer.abort();
      writer.abort();
      assert.equal(spool.counts().messages, 0);
    });

    test('lanes with odd names stay apart', async () => {
      const lanes = ['mx:a.test', 'mx:a.test/0', 'mx:a.test%2f', 'host:[2001:db8::1]:25:abc', 'mx:ü.test', 'mx:a', 'mx: '];
      for (const lane of lanes)
        await spool.accept({ ...acceptance({ acceptedAt: now() }), deliveries: [{ lane, recipients: [recipient('x@y.test')] }] });
      await reopen();
      assert.deepEqual([...spool.laneCounts()].map((one) => one.lane).sort(), [...lanes].sort());
      for (const lane of lanes) {
        const lease = await take(lane);
        assert.equal(lease.delivery.lane, lane);
        assert.equal(spool.pull(lane), undefined);
      }
    });

    test('a hundred accepts at once are all durable and in order of their calls', async () => {
      const mails = Array.from({ length: 100 }, () => acceptance({ acceptedAt: now() }));
      await Promise.all(mails.map((mail) => spool.accept(mail)));
      await reopen();
      assert.deepEqual(
        await drain('mx:one.test'),
        mails.map((mail) => mail.message.id),
      );
    });

    test('a message to very many lanes is one message, and all of its deliveries come', async () => {
      const lanes = Array.from({ length: 1200 }, (_, i) => `mx:lane${i}.test`);
      const mail = acceptance({ acceptedAt: now() }, lanes);
      await spool.accept(mail);
      assert.equal(spool.counts().messages, 1);
      await reopen();
      await until(() => [...spool.lanes()].length === 1200);
      assert.equal(spool.counts().ready, 1200);
      const leases = [];
      for (const lane of lanes) leases.push(await take(lane));
      assert.equal((await bytesOf(await spool.body(leases[1199]!))).toString(), 'hello');
      await Promise.all(leases.map((lease) => spool.settle(lease, delivered(lease.delivery, now()))));
      assert.equal(spool.counts().messages, 0);
      assert.equal(await spool.readBody(mail.message.id), undefined);
      assert.equal((await spool.inspect(mail.message.id))!.deliveries.length, 1200);
    });

    test('what was accepted under a key is known until its time, also after reopening, and then the key is free again', async () => {
      const until = now() + 86_400_000;
      const first = acceptance({ acceptedAt: now() }, ['mx:one.test', 'mx:two.test']);
      assert.equal(await spool.once('order 7'), undefined);
      await spool.accept({ ...first, once: { key: 'order 7', digest: 'abc', until, unknownTokens: { name: 2 } } });
      const { id, messageId, sizeBytes: size } = first.message;
      const known = { id, messageId, recipients: 2, size, digest: 'abc', unknownTokens: { name: 2 } };
      assert.deepEqual([await spool.once('order 7'), await spool.once('order 8')], [known, undefined]);
      const lease = await take('mx:one.test');
      await spool.settle(lease, delivered(lease.delivery, now()));
      await reopen();
      await clock.advance(86_399_999);
      await spool.tidy();
      assert.deepEqual(await spool.once('order 7'), known, 'however its mail has fared');
      await clock.advance(1);
      assert.equal(await spool.once('order 7'), undefined, 'before it was tidied away');
      const again = acceptance({ acceptedAt: now() });
      await spool.accept({ ...again, once: { key: 'order 7', digest: 'def', until: now() + 1000 } });
      await spool.tidy();
      assert.equal((await spool.once('order 7'))?.id, again.message.id, 'the end of the first one is not that of the second');
      await clock.advance(1000);
      await spool.tidy();
      await reopen();
      assert.equal(await spool.once('order 7'), undefined);
    });

    test('a message to very many lanes under a key is known by it, and counts them all', async () => {
      const lanes = Array.from({ length: 600 }, (_, i) => `mx:d${i}.test`);
      await spool.accept({ ...acceptance({ acceptedAt: now() }, lanes), once: { key: 'k', digest: 'd', until: now() + 1000 } });
      await reopen();
      assert.equal((await spool.once('k'))?.recipients, 600);
    });

    test('the greatest id is remembered, also when its message is long gone', async () => {
      assert.equal(spool.lastId(), undefined);
      const first = acceptance({ acceptedAt: now() });
      const second = acceptance({ acceptedAt: now() });
      await spool.accept(second);
      await spool.accept(first);
      for (const { message: about } of [first, second]) await spool.change(`${about.id}.0`, { kind: 'remove' });
      assert.equal(spool.lastId(), second.message.id);
      await reopen();
      assert.equal(spool.lastId(), second.message.id);
    });

    test('a closed spool takes nothing, gives nothing, and closes again without a word', async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const lease = spool.pull('mx:one.test')!;
      await spool.close();
      await spool.close();
      assert.equal(spool.pull('mx:one.test'), undefined);
      await assert.rejects(spool.accept(acceptance({ acceptedAt: now() })), { code: 'SPOOL_CLOSED' });
      await assert.rejects(spool.settle(lease, delivered(lease.delivery, now())), { code: 'SPOOL_CLOSED' });
      await assert.rejects(spool.change(lease.delivery.key, { kind: 'hold' }), { code: 'SPOOL_CLOSED' });
    });
  });
}

export const RETENTION_MS = 7 * 86_400_000;

/** Turns the event loop until it holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, 'it did not come about');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Octets that no shift or swap of blocks leaves the same. */
export function pattern(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8) * 17 + (at >> 16)) & 255;
  return bytes;
}

export async function bytesOf(body: Body): Promise<Buffer> {
  if (body.kind === 'bytes') return body.bytes;
  const chunks: Buffer[] = [];
  for await (const chunk of body.open()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
