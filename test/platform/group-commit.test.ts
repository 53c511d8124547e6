import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GroupCommit } from '../../src/platform/group-commit.js';

interface Item {
  readonly name: string;
  readonly weight: number;
}

/** A group commit whose writes end when the test says so. */
function world(maxWeight = 100) {
  const groups: string[][] = [];
  const told: string[] = [];
  const failures: { error: unknown; group: string[]; waiting: string[] }[] = [];
  let end: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const names = (items: readonly Item[]) => items.map((item) => item.name);
  const commit = new GroupCommit<Item>({
    maxWeight,
    write(group) {
      assert.equal(end, undefined, 'two groups at once');
      groups.push(names(group));
      return new Promise<void>((resolve, reject) => {
        end = { resolve, reject };
      });
    },
    done: (group) => told.push(...names(group)),
    failed: (error, group, waiting) => failures.push({ error, group: names(group), waiting: names(waiting) }),
  });
  const finish = (how: (end: { resolve: () => void; reject: (error: Error) => void }) => void) => {
    assert.ok(end, 'nothing is being written');
    const mine = end;
    end = undefined;
    how(mine);
  };
  return {
    commit,
    groups,
    told,
    failures,
    add: (...all: string[]) => all.forEach((name) => commit.add({ name, weight: 10 })),
    succeed: () => finish((one) => one.resolve()),
    fail: (error: Error) => finish((one) => one.reject(error)),
    turn: () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve))),
  };
}

describe('group commit', () => {
  test('what one turn of the event loop brings goes together', async () => {
    const { commit, groups, told, add, succeed, turn } = world();
    add('a', 'b');
    await Promise.resolve();
    add('c');
    assert.deepEqual(groups, []);
    await turn();
    assert.deepEqual(groups, [['a', 'b', 'c']]);
    assert.deepEqual(told, []);
    succeed();
    await turn();
    assert.deepEqual(told, ['a', 'b', 'c']);
    assert.equal(commit.waiting, 0);
  });

  test('one group is under way at a time; what comes meanwhile is the next one', async () => {
    const { groups, add, succeed, turn } = world();
    add('a');
    await turn();
    add('b');
    await turn();
    add('c');
    await turn();
    assert.deepEqual(groups, [['a']]);
    succeed();
    await turn();
    assert.deepEqual(groups, [['a'], ['b', 'c']]);
  });

  test('what the news of a group sets going is in the next one', async () => {
    const groups: string[][] = [];
    const commit: GroupCommit<Item> = new GroupCommit<Item>({
      maxWeight: 100,
      write: async (group) => void groups.push(group.map((item) => item.name)),
      done: (group) => {
        for (const { name } of group) if (name.length < 3) commit.add({ name: `${name}x`, weight: 1 });
      },
      failed: () => assert.fail(),
    });
    commit.add({ name: 'a', weight: 1 });
    commit.add({ name: 'b', weight: 1 });
    await commit.drained();
    assert.deepEqual(groups, [
      ['a', 'b'],
      ['ax', 'bx'],
      ['axx', 'bxx'],
    ]);
  });

  test('a group is closed when it is heavy enough, and order is kept', async () => {
    const { groups, add, succeed, turn } = world(25);
    add('a', 'b', 'c', 'd');
    await turn();
    assert.deepEqual(groups, [['a', 'b', 'c']]);
    add('e');
    succeed();
    await turn();
    assert.deepEqual(groups, [
      ['a', 'b', 'c'],
      ['d', 'e'],
    ]);
  });

  test('after a failure it halts, hands everything back, and goes on when it is told', async () => {
    const { commit, groups, failures, told, add, fail, succeed, turn } = world();
    add('a');
    await turn();
    add('b', 'c');
    const error = new Error('disk');
    fail(error);
    await turn();
    assert.deepEqual(failures, [{ error, group: ['a'], waiting: ['b', 'c'] }]);
    add('d');
    await turn();
    assert.deepEqual(groups, [['a']]);
    await commit.drained();
    commit.resume([{ name: 'first', weight: 1 }]);
    await turn();
    assert.deepEqual(groups, [['a'], ['first', 'd']]);
    succeed();
    await turn();
    assert.deepEqual(told, ['first', 'd']);
    assert.throws(() => commit.resume([]), /not halted/);
  });

  test('what throws while it is built has failed as well', async () => {
    const failures: unknown[] = [];
    const commit = new GroupCommit<Item>({
      maxWeight: 1,
      write() {
        throw new Error('broken');
      },
      done: () => assert.fail(),
      failed: (error) => failures.push((error as Error).message),
    });
    commit.add({ name: 'a', weight: 1 });
    await commit.drained();
    assert.deepEqual(failures, ['broken']);
  });

  test('drained waits for what is waiting and under way, and what waits while halted can be given up', async () => {
    const { commit, add, succeed, fail, turn } = world();
    await commit.drained();
    add('a');
    let drained = false;
    const wait = commit.drained().then(() => {
      drained = true;
    });
    await turn();
    add('b');
    succeed();
    await turn();
    assert.equal(drained, false);
    succeed();
    await wait;
    add('c');
    await turn();
    fail(new Error('disk'));
    await turn();
    add('d');
    assert.deepEqual(
      commit.abandon().map((item) => item.name),
      ['d'],
    );
    assert.equal(commit.waiting, 0);
  });
});
