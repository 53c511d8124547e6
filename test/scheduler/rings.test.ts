import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PRIORITIES, type Priority } from '../../src/core/message.js';
import { Rings, rank, type Turn } from '../../src/scheduler/rings.js';
import fc from '../support/properties.js';

interface Entry extends Turn {
  readonly name: string;
}

const entry = (name: string): Entry => ({ name, level: undefined, place: 0 });

function takeAll(rings: Rings<Entry>): string {
  let order = '';
  for (let next = rings.take(); next !== undefined; next = rings.take()) order += next.name;
  return order;
}

test('the highest level goes first, and within a level the one that waits longest', () => {
  const rings = new Rings<Entry>();
  rings.add(entry('a'), 'low');
  rings.add(entry('b'), 'medium');
  rings.add(entry('c'), 'high');
  rings.add(entry('d'), 'medium');
  assert.equal(rings.top(), 'high');
  assert.equal(takeAll(rings), 'cbda');
  assert.equal(rings.top(), undefined);
});

test('an entry that is raised leaves its old place, and gets no second turn for it', () => {
  const rings = new Rings<Entry>();
  const [a, b] = [entry('a'), entry('b')];
  rings.add(a, 'low');
  rings.add(b, 'low');
  rings.add(b, 'high');
  assert.equal(rings.take(), b);
  rings.add(b, 'low');
  assert.equal(takeAll(rings), 'ab', 'b stands behind a again, not in its stale place');
});

test('a lower level does not move an entry down', () => {
  const rings = new Rings<Entry>();
  const a = entry('a');
  rings.add(a, 'high');
  rings.add(a, 'low');
  assert.equal(rings.size, 1);
  assert.equal(rings.top(), 'high');
});

test('whatever happens, each waiting entry is taken once, in order of level', () => {
  const step = fc.record({
    who: fc.nat(7),
    what: fc.constantFrom<Priority | 'remove' | 'take'>('high', 'medium', 'low', 'remove', 'take'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const rings = new Rings<Entry>();
      const entries = [...'abcdefgh'].map(entry);
      const model = new Map<Entry, { level: Priority; since: number }>();
      const expected = () => [...model].sort(([, x], [, y]) => rank(x.level) - rank(y.level) || x.since - y.since)[0]?.[0];
      for (const [now, { who, what }] of steps.entries()) {
        const one = entries[who]!;
        if (what === 'remove') {
          rings.remove(one);
          model.delete(one);
        } else if (what === 'take') {
          const first = expected();
          assert.equal(rings.take(), first);
          if (first) model.delete(first);
        } else {
          rings.add(one, what);
          const before = model.get(one);
          if (before === undefined || rank(what) < rank(before.level)) model.set(one, { level: what, since: now });
        }
        assert.equal(rings.size, model.size);
        assert.deepEqual(new Set(rings.waiting()), new Set(model.keys()));
      }
    }),
  );
});

test('taking and adding for ever does not grow', () => {
  const rings = new Rings<Entry>();
  const [a, b] = [entry('a'), entry('b')];
  rings.add(a, 'medium');
  rings.add(b, 'medium');
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 2_000_000; i++) rings.add(rings.take()!, PRIORITIES[1]);
  assert.ok(process.memoryUsage().heapUsed - before < 20e6);
});

test('who moves to other rings leaves nothing behind in the first that looks like a place of his', () => {
  const one = new Rings<Turn>();
  const other = new Rings<Turn>();
  const [moves, stays]: Turn[] = [
    { level: undefined, place: 0 },
    { level: undefined, place: 0 },
  ];
  one.add(moves!, 'medium');
  one.add(stays!, 'medium');
  one.remove(moves!);
  other.add(moves!, 'medium');
  assert.equal(one.take(), stays);
  assert.equal(other.take(), moves);
  assert.deepEqual([one.size, other.size], [0, 0]);
});
