/** Taking a seat, losing it under work, and leaving it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Seat, Seats } from '../../src/api/seat.js';
import { MtaError } from '../../src/core/errors.js';

/** Seats numbered from 1, each with a word that loses it. */
function house(most = Number.POSITIVE_INFINITY) {
  const taken: { readonly number: number; readonly lose: () => void; left: boolean }[] = [];
  let waiting = false;
  const failures: Error[] = [];
  const take = async (signal: AbortSignal): Promise<Seat<number>> => {
    if (taken.length >= most) {
      waiting = true;
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new MtaError('ABORTED', 'closed'))));
    }
    let lose = () => {};
    const lost = new Promise<void>((resolve) => {
      lose = resolve;
    });
    const entry = { number: taken.length + 1, lose, left: false };
    taken.push(entry);
    return { use: entry.number, lost, leave: async () => void (entry.left = true) };
  };
  return { take, taken, failures, failed: (error: Error) => void failures.push(error), isWaiting: () => waiting };
}

const lost = () => new MtaError('NOT_RUNNING', 'it went away');

test('a seat that is lost is taken again although nobody asks for it', async () => {
  const here = house();
  const seats = await Seats.open(here);
  here.taken[0]!.lose();
  await new Promise<void>((resolve) => setImmediate(resolve));
  assert.deepEqual([here.taken.length, here.taken[0]!.left, await seats.current()], [2, true, 2]);
  await seats.close();
  assert.equal(here.taken[1]!.left, true);
});

test('work is done again on the next seat where the one before was lost under it, all of it on the same one', async () => {
  const here = house();
  const seats = await Seats.open(here);
  const done: number[] = [];
  const work = async (number: number) => {
    done.push(number);
    if (number === 1) throw lost();
    return number;
  };
  assert.deepEqual(await Promise.all([seats.persist(work), seats.persist(work), seats.persist(work)]), [2, 2, 2]);
  assert.deepEqual([done, here.taken.length], [[1, 1, 1, 2, 2, 2], 2]);
  await seats.close();
});

test('what the work itself has to say is not taken for a loss, and who loses every seat is told in the end', async () => {
  const here = house();
  const seats = await Seats.open(here);
  const refused = new MtaError('MESSAGE_TOO_LARGE', 'too large');
  await assert.rejects(
    seats.persist(() => Promise.reject(refused)),
    refused,
  );
  assert.equal(here.taken.length, 1);
  await assert.rejects(
    seats.persist(() => Promise.reject(lost())),
    { code: 'NOT_RUNNING' },
  );
  assert.equal(here.taken.length, 10);
  await seats.close();
});

test('closing ends the search for a seat, and nothing is taken after it', async () => {
  const here = house(1);
  const seats = await Seats.open(here);
  here.taken[0]!.lose();
  while (!here.isWaiting()) await new Promise<void>((resolve) => setImmediate(resolve));
  const asked = assert.rejects(seats.current());
  await seats.close();
  await asked;
  assert.deepEqual([here.taken.length, here.failures], [1, []]);
});
