/** The queue in shapes that other mail systems made common: mailq's table and qshape's ages. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { width } from '../../src/cli/visible.js';
import { AGES_MINUTES } from '../../src/control/shape.js';
import { fakeDelivery, fakeMessage, NOW } from '../control/fake-agent.js';
import { serveControl } from '../control/served.js';
import { run } from './run.js';

const MINUTE = 60_000;
const late = { at: NOW - MINUTE, status: '4.2.0', text: '450 4.2.0 Greylisted' };

async function served(t: TestContext) {
  const { agent, socketPath } = await serveControl(t);
  return { agent, riata: (line: string) => run([...line.split(' '), '--socket', socketPath]) };
}

test('mailq shows each message once, its recipients that are open, and why they wait', async (t) => {
  const { agent, riata } = await served(t);
  assert.equal((await riata('mailq')).out, 'Mail queue is empty\n');
  const first = fakeMessage({ acceptedAt: new Date(2026, 10, 8, 9, 5, 7).getTime() });
  const second = fakeMessage({ sender: '', sizeBytes: 9000 });
  agent.add(
    first,
    [
      fakeDelivery(first, 0, [
        { address: 'a@slow.test', state: 'queued', last: late },
        { address: 'b@slow.test', state: 'queued', last: late },
        { address: 'done@slow.test', state: 'delivered' },
      ]),
      fakeDelivery(first, 1, ['c@fast.test'], { state: 'waiting' }),
    ],
    Buffer.from('x'),
  );
  agent.add(second, [fakeDelivery(second, 0, ['\x1b]0;evil@x.test'], { state: 'held' })], Buffer.from('x'));
  const lines = (await riata('mailq')).out.split('\n');
  assert.deepEqual(lines.slice(0, 6), [
    '-Queue ID-                   --Size-- ----Arrival Time---- -Sender/Recipient-------',
    `${first.id}*      1234 Sun Nov  8 09:05:07  alice@example.com`,
    '                                     (450 4.2.0 Greylisted)',
    '                                                           a@slow.test',
    '                                                           b@slow.test',
    '                                                           c@fast.test',
  ]);
  assert.match(lines[7]!, new RegExp(`^${second.id}! +9000 .*MAILER-DAEMON$`));
  assert.doesNotMatch(lines[8]!, /\x1b/);
  assert.equal(lines.at(-2), '-- 10 Kbytes in 2 Requests.');
  const [json] = (await riata('mailq --json')).out.split('\n');
  assert.equal((JSON.parse(json!) as { queue_id: string }).queue_id, first.id);
});

test('shape counts open recipients by domain and age, the deepest first, in 80 columns', async (t) => {
  const { agent, riata } = await served(t);
  assert.equal((await riata('queue shape')).out, 'The queue is empty.\n');
  const add = (minutes: number, recipients: Parameters<typeof fakeDelivery>[2], more: Parameters<typeof fakeDelivery>[3] = {}) => {
    const mail = fakeMessage({ acceptedAt: NOW - minutes * MINUTE, sender: `news@${'x'.repeat(40)}.example.com` });
    agent.add(mail, [fakeDelivery(mail, 0, recipients, more), fakeDelivery(mail, 1, ['z@other.test'])], Buffer.from('x'));
  };
  add(4.99, ['a@deep.test', 'b@deep.test', { address: 'c@deep.test', state: 'delivered' }]);
  add(5, ['a@deep.test'], { state: 'held' });
  add(10_000, ['a@deep.test']);
  const { out } = await riata('queue shape');
  assert.deepEqual(
    out.split('\n').map((line) => line.split(/ +/).join(' ')),
    [
      `DOMAIN ALL ${AGES_MINUTES.join(' ')} 1280+`,
      'TOTAL 7 3 2 · · · · · · · 2',
      'deep.test 4 2 1 · · · · · · · 1',
      'other.test 3 1 1 · · · · · · · 1',
      '',
    ],
  );
  assert.match((await riata('queue shape --state held')).out, /TOTAL +1 +· +1 /);
  assert.match((await riata('queue shape --domains 1')).out, /deep\.test +4 [^]*and 1 more +3 /);
  const senders = (await riata('queue shape -s')).out.split('\n');
  assert.match(senders[1]!, /TOTAL +3 +1 +1 /);
  assert.match(senders[2]!, /^x+….* 3 /);
  for (const line of senders) assert.ok(width(line) <= 80, line);
  const report = JSON.parse((await riata('queue shape --json')).out) as { all: { total: number } };
  assert.equal(report.all.total, 7);
});

test('flush tries what was put off, and not what waits for its date', async (t) => {
  const { agent, riata } = await served(t);
  assert.match((await riata('queue flush')).out, /^Nothing was put off/);
  const mail = fakeMessage();
  const deliveries = [
    fakeDelivery(mail, 0, [{ address: 'a@slow.test', state: 'queued', last: late }], { state: 'waiting' }),
    fakeDelivery(mail, 1, ['b@dated.test'], { state: 'waiting' }),
    fakeDelivery(mail, 2, [{ address: 'c@held.test', state: 'queued', last: late }], { state: 'held' }),
  ];
  agent.add(mail, deliveries, Buffer.from('x'));
  assert.equal((await riata('queue flush')).out, 'Will try now: 1 delivery of 1 message.\n');
  assert.deepEqual(
    deliveries.map(({ state }) => state),
    ['ready', 'waiting', 'held'],
  );
  assert.ok(agent.flushes > 0);
});
