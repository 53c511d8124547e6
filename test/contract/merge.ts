/** What every spool driver must do with a template and its copies; called beside `spoolContract`. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { NewDelivery } from '../../src/core/delivery.js';
import type { MergeCopy } from '../../src/core/message.js';
import { type Lease, type MergeAcceptance, type MessageView, type Settlement, type Spool, VIEWED } from '../../src/spool/spool.js';
import { deferred, delivered, message, recipient } from '../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../support/virtual-clock.js';
import { bytesOf, type SpoolPlace, until } from './spool.js';

const TEMPLATE = Buffer.from('Subject: Hi #name#\r\n\r\n#text#\r\n');
const DEFAULTS = { text: 'for all', name: { raw: '<b>' } };

export function copyOf(i: number): MergeCopy {
  return { values: { name: `Nr. ${i}`, text: { raw: `<i>${i}</i>` } }, ...(i % 2 === 0 ? {} : { name: `Jürgen ${i}` }) };
}

/** `count` copies over ten lanes. */
export function mergeOf(count: number, acceptedAt: number, more: Partial<MergeAcceptance['message']> = {}): MergeAcceptance {
  const body = TEMPLATE;
  return {
    message: message({ acceptedAt, sizeBytes: body.length, merge: { defaults: DEFAULTS }, ...more }),
    body,
    deliveries: copies(count),
  };
}

export async function* copies(count: number, from = 0): AsyncGenerator<NewDelivery> {
  for (let i = from; i < from + count; i++)
    yield { lane: `mx:lane${i % 10}.test`, recipients: [recipient(`user${i}@lane${i % 10}.test`)], copy: copyOf(i) };
}

export function mergeContract(driver: string, makePlace: () => Promise<SpoolPlace>): void {
  describe(`the spool's contract for merges: ${driver}`, () => {
    let place: SpoolPlace;
    let clock: VirtualClock;
    let spool: Spool;

    const open = async () => {
      spool = await place.open(clock);
      spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: (fault) => assert.fail(fault.text) });
    };
    const reopen = async () => {
      await spool.close();
      await open();
    };
    const now = () => clock.now();
    const take = async (lane: string): Promise<Lease> => {
      let lease: Lease | undefined;
      await until(() => (lease = spool.pull(lane)) !== undefined);
      return lease!;
    };
    const settleAll = async (count: number, settlement: (lease: Lease) => Settlement) => {
      const leases: Lease[] = [];
      for (let i = 0; i < count; i++) leases.push(await take(`mx:lane${i % 10}.test`));
      await Promise.all(leases.map((lease) => spool.settle(lease, settlement(lease))));
    };

    beforeEach(async () => {
      clock = createVirtualClock();
      place = await makePlace();
      await open();
    });
    afterEach(async () => {
      await spool.close();
      await place.remove();
    });

    for (const count of [1, 3, 250, 251, 600]) {
      test(`${count} copies are one message with one body, and a delivery each with what it needs`, async () => {
        const merge = mergeOf(count, now());
        assert.equal(await spool.acceptMerge(merge), count);
        assert.equal(spool.counts().messages, 1);
        await until(() => spool.counts().ready === count);
        await reopen();
        await until(() => spool.counts().ready === count);
        const seen = new Set<string>();
        for (let i = 0; i < count; i++) {
          const lease = await take(`mx:lane${i % 10}.test`);
          const { key, message: about, recipients } = lease.delivery;
          seen.add(key);
          assert.deepEqual(about, merge.message);
          // A template is not what is sent.
          assert.equal(lease.bytes, undefined);
          const number = Number(key.split('.')[1]);
          assert.deepEqual(recipients, [recipient(`user${number}@lane${number % 10}.test`)]);
          assert.deepEqual(await spool.copy(key), copyOf(number));
          if (i === 0) assert.deepEqual(await bytesOf(await spool.body(lease)), TEMPLATE);
        }
        assert.equal(seen.size, count);
      });
    }

    test('what is accepted now has no bytes in memory either: the template is not sent as it is', async () => {
      await spool.acceptMerge(mergeOf(1, now()));
      const lease = spool.pull('mx:lane0.test')!;
      assert.equal(lease.bytes, undefined);
      assert.deepEqual(await bytesOf(await spool.body(lease)), TEMPLATE);
    });

    for (const before of [0, 10, 700]) {
      test(`a source that fails after ${before} copies leaves nothing`, async () => {
        const failure = new Error('the list ends in the middle');
        const merge = mergeOf(0, now());
        const deliveries = (async function* () {
          yield* copies(before);
          throw failure;
        })();
        await assert.rejects(spool.acceptMerge({ ...merge, deliveries }), failure);
        assert.deepEqual(spool.counts().messages, 0);
        assert.equal(spool.counts().ready, 0);
        assert.equal(await spool.inspect(merge.message.id), undefined);
        assert.equal(await spool.readBody(merge.message.id), undefined);
        assert.deepEqual((await spool.list({}, { limit: 10 })).items, []);
        await reopen();
        assert.equal(await spool.inspect(merge.message.id), undefined);
        assert.deepEqual([...spool.lanes()], []);
      });
    }

    test('while copies come in, nothing of the message can be seen', async () => {
      const merge = mergeOf(0, now());
      let goOn = () => {};
      const paused = new Promise<void>((resolve) => (goOn = resolve));
      let reached = false;
      const deliveries = (async function* () {
        yield* copies(600);
        reached = true;
        await paused;
        yield* copies(1, 600);
      })();
      const accepted = spool.acceptMerge({ ...merge, deliveries });
      await until(() => reached);
      assert.deepEqual([...spool.lanes()], []);
      assert.equal(spool.counts().messages, 0);
      assert.equal(await spool.inspect(merge.message.id), undefined);
      assert.equal(await spool.readBody(merge.message.id), undefined);
      assert.deepEqual((await spool.list({}, { limit: 1000 })).items, []);
      assert.deepEqual((await spool.list({ ids: [merge.message.id] }, { limit: 1000 })).items, []);
      assert.notEqual(await spool.change(`${merge.message.id}.3`, { kind: 'remove' }), 'done');
      goOn();
      assert.equal(await accepted, 601);
      await until(() => spool.counts().ready === 601);
    });

    test('a merge without anybody is refused', async () => {
      await assert.rejects(spool.acceptMerge(mergeOf(0, now())), RangeError);
      assert.equal(spool.counts().messages, 0);
    });

    test('what a copy needs stays through retries, holds and new lanes, and goes when it is done', async () => {
      const merge = mergeOf(2, now());
      await spool.acceptMerge(merge);
      const { id } = merge.message;
      const lease = await take('mx:lane0.test');
      await spool.settle(lease, deferred(lease.delivery, now(), now() + 1000));
      await spool.change(`${id}.1`, { kind: 'hold' });
      await reopen();
      await spool.change(`${id}.0`, { kind: 'reroute', laneOf: () => 'mx:other.test' });
      assert.deepEqual(await spool.copy(`${id}.0`), copyOf(0));
      assert.deepEqual(await spool.copy(`${id}.1`), copyOf(1));
      await clock.advance(1000);
      await spool.promote();
      const again = await take('mx:other.test');
      assert.equal(again.delivery.key, `${id}.0`);
      await spool.settle(again, delivered(again.delivery, now()));
      assert.equal(await spool.copy(`${id}.0`), undefined);
      await spool.change(`${id}.1`, { kind: 'remove' });
      assert.equal(await spool.copy(`${id}.1`), undefined);
      assert.equal(spool.counts().messages, 0);
      assert.equal(await spool.readBody(id), undefined);
    });

    test('a merge of which some are done tells how many came to which end, also after it is over', async () => {
      const merge = mergeOf(13, now());
      await spool.acceptMerge(merge);
      const { id } = merge.message;
      await settleAll(10, ({ delivery }) => {
        const done = delivered(delivery, now());
        const state = delivery.key === `${id}.4` ? 'bounced' : delivery.key === `${id}.5` ? 'expired' : 'delivered';
        return { ...done, recipients: done.recipients.map((one) => ({ ...one, state })) };
      });
      await spool.change(`${id}.12`, { kind: 'remove' });
      assert.deepEqual((await spool.inspect(id))?.tally, { queued: 2, delivered: 8, bounced: 1, expired: 1, removed: 1 });
      await reopen();
      await spool.change(`${id}.10`, { kind: 'remove' });
      await spool.change(`${id}.11`, { kind: 'remove' });
      const view = await spool.inspect(id);
      assert.deepEqual(view?.tally, { queued: 0, delivered: 8, bounced: 1, expired: 1, removed: 3 });
      assert.equal(view.deliveries.length, 13);
    });

    test('a merge of one recipient is counted as well', async () => {
      const merge = mergeOf(1, now());
      await spool.acceptMerge(merge);
      const { id } = merge.message;
      assert.deepEqual((await spool.inspect(id))?.tally, { queued: 1, delivered: 0, bounced: 0, expired: 0, removed: 0 });
      await settleAll(1, ({ delivery }) => delivered(delivery, now()));
      assert.deepEqual((await spool.inspect(id))?.tally, { queued: 0, delivered: 1, bounced: 0, expired: 0, removed: 0 });
    });

    test('the recipients of a large merge are shown page by page, those that are done among those that are not', async () => {
      const merge = mergeOf(VIEWED + 200, now());
      await spool.acceptMerge(merge);
      await until(() => spool.counts().ready === VIEWED + 200);
      await settleAll(30, ({ delivery }) => delivered(delivery, now()));
      const first = await spool.inspect(merge.message.id);
      assert.equal(first?.deliveries.length, VIEWED);
      assert.equal(first.tally?.queued, VIEWED + 170);
      const keys: string[] = [];
      let view: MessageView | undefined = await spool.inspect(merge.message.id, { limit: 300 });
      for (; view; view = view.next === undefined ? undefined : await spool.inspect(merge.message.id, { limit: 300, after: view.next }))
        keys.push(...view.deliveries.map(({ key }) => key));
      assert.deepEqual(
        keys,
        Array.from({ length: VIEWED + 200 }, (_, n) => `${merge.message.id}.${n}`),
      );
    });

    test('lists and the history show a merge without its defaults: they may be long, and there are many', async () => {
      const merge = mergeOf(2, now());
      await spool.acceptMerge(merge);
      const { items } = await spool.list({}, { limit: 10 });
      assert.deepEqual(items[0]?.message.merge, { defaults: {} });
      assert.deepEqual((await spool.inspect(merge.message.id))?.message.merge, { defaults: DEFAULTS });
      await settleAll(2, ({ delivery }) => delivered(delivery, now()));
      const past = await spool.history({ since: 0, limit: 10 });
      assert.deepEqual(past.items[0]?.message.merge, { defaults: {} });
    });

    test('one merge is listed by its id, page by page', async () => {
      const merge = mergeOf(25, now());
      await spool.acceptMerge(merge);
      await spool.acceptMerge(mergeOf(5, now()));
      const keys: string[] = [];
      let after: string | undefined;
      do {
        const page = await spool.list({ ids: [merge.message.id] }, { limit: 10, ...(after === undefined ? {} : { after }) });
        keys.push(...page.items.map(({ delivery }) => delivery.key));
        after = page.next;
      } while (after !== undefined);
      assert.deepEqual(
        keys,
        Array.from({ length: 25 }, (_, n) => `${merge.message.id}.${n}`),
      );
    });

    test('a merge that is due later waits, and each copy becomes ready at its time', async () => {
      const due = now() + 60_000;
      await spool.acceptMerge(mergeOf(300, now(), { notBefore: due }));
      await until(() => spool.counts().waiting === 300);
      assert.equal(spool.pull('mx:lane3.test'), undefined);
      await clock.advance(60_000);
      await spool.promote();
      const lease = await take('mx:lane3.test');
      assert.deepEqual(await spool.copy(lease.delivery.key), copyOf(Number(lease.delivery.key.split('.')[1])));
    });
  });
}
