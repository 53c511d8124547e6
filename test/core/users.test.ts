import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseUsers, userNameFault, withUser } from '../../src/core/users.js';

const HASH = `$scrypt$ln=14,r=8,p=5$${'A'.repeat(22)}$${'B'.repeat(43)}`;
const record = (name: string, ...senders: string[]) => ({ name, hash: HASH, senders });

test('a line has a name, a hash, and senders where not all are allowed', () => {
  const { users, faults } = parseUsers(`# ours\n\nann@example.com:${HASH}\r\nshop:${HASH}: @shop.example, <>,\n`);
  assert.deepEqual(faults, []);
  assert.deepEqual([...users.values()], [record('ann@example.com'), record('shop', '@shop.example', '<>')]);
});

test('what cannot be read is told by its line, and without what stands there', () => {
  const secret = 'hunter2-in-the-clear';
  const { users, faults } = parseUsers(`ann:${secret}\n:${HASH}\na b:${HASH}\nann:${HASH}\nann:${HASH}\nx:${HASH}:nobody\ny:${HASH}:a@b:c`);
  assert.deepEqual([...users.keys()], ['ann']);
  assert.deepEqual(
    faults.map((fault) => fault.split(':')[0]),
    ['line 1', 'line 2', 'line 3', 'line 5', 'line 6', 'line 7'],
  );
  assert.doesNotMatch(faults.join(), /hunter/);
});

test('putting in, changing and taking out a user leaves all else as it stands', () => {
  const text = `# note: a:b\nann:${HASH}`;
  const two = withUser(text, 'bob', record('bob', '@x.test'));
  assert.equal(two, `# note: a:b\nann:${HASH}\nbob:${HASH}:@x.test\n`);
  assert.equal(withUser(two, 'ann', record('ann', 'ann@x.test')), `# note: a:b\nann:${HASH}:ann@x.test\nbob:${HASH}:@x.test\n`);
  assert.equal(withUser(two, 'ann', undefined), `# note: a:b\nbob:${HASH}:@x.test\n`);
  assert.equal(withUser('', 'ann', record('ann')), `ann:${HASH}\n`);
  assert.equal(withUser(`ann:${HASH}\n`, 'ann', undefined), '');
  assert.equal(withUser(two, 'nobody', undefined), two);
});

test('a name that would break its line cannot be one', () => {
  for (const name of ['', 'a:b', 'a b', 'a\nb', 'a\tb', '#a', 'x'.repeat(256), 'a\u2028b'])
    assert.notEqual(userNameFault(name), undefined, name);
  for (const name of ['ann', 'ann@example.com', 'änn', 'x'.repeat(255)]) assert.equal(userNameFault(name), undefined, name);
});
