import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { width } from '../../src/cli/visible.js';
import type { Recipient } from '../../src/core/delivery.js';
import { QUIET } from '../../src/scheduler/lane-now.js';
import { fakeDelivery, fakeMessage, NOW } from '../control/fake-agent.js';
import { serveControl } from '../control/served.js';
import { run, type Surroundings } from './run.js';

const EVIL = '\x1b]0;owned\x07\x9b31m';

async function served(t: TestContext) {
  const { agent, socketPath } = await serveControl(t);
  const riata = (line: string, around?: Surroundings) => run([...line.split(' '), '--socket', socketPath], around);
  return { agent, riata };
}

type Agent = Awaited<ReturnType<typeof served>>['agent'];

const late: Recipient = {
  address: 'carol@slow.test',
  state: 'queued',
  last: {
    at: NOW - 60_000,
    status: '4.2.0',
    text: `450 4.2.0 Greylisted, ${'come back later '.repeat(10)}`,
    server: 'mx.slow.test[192.0.2.9]:25',
  },
};

function fill(agent: Agent) {
  const first = fakeMessage({ sizeBytes: 12_345, acceptedAt: NOW - 2 * 3_600_000 });
  const second = fakeMessage({ sender: '' });
  agent.add(
    first,
    [
      fakeDelivery(first, 0, ['bob@fast.test', 'ben@fast.test', { address: 'done@fast.test', state: 'delivered' }]),
      fakeDelivery(first, 1, [late], {
        state: 'waiting',
        due: NOW + 240_000,
        attempts: 2,
        log: [
          {
            at: NOW - 60_000,
            durationMs: 1234,
            server: 'mx.slow.test[192.0.2.9]:25',
            stage: 'rcpt',
            delivered: 0,
            deferred: 1,
            failed: 0,
            trouble: { lasting: 'temporary', stage: 'rcpt', status: '4.2.0', text: 'Greylisted', code: 450 },
          },
        ],
      }),
    ],
    Buffer.from('Subject: Hello\r\nContent-Type: text/plain\r\n\r\nhi\r\n'),
  );
  agent.add(second, [fakeDelivery(second, 0, ['dave@held.test'], { state: 'held' })], Buffer.from('\r\nx'));
  return { first, second };
}

test('list shows each delivery with age, size, state, next attempt, sender, first recipient and error, in 80 columns', async (t) => {
  const { agent, riata } = await served(t);
  const { first, second } = fill(agent);
  const { code, out } = await riata('queue list');
  assert.equal(code, 0);
  const lines = out.trimEnd().split('\n');
  assert.deepEqual(lines.slice(0, 6), [
    'ID                           AGE   SIZE  STATE    NEXT  SENDER',
    `${first.id}    2h    12K  ready          alice@example.com`,
    '    → bob@fast.test +1',
    `${first.id}    2h    12K  waiting    4m  alice@example.com`,
    '    → carol@slow.test',
    lines[5],
  ]);
  assert.match(lines[5]!, /^ {6}450 4\.2\.0 Greylisted, come back.*…$/);
  assert.equal(lines[6], `${second.id}    1h   1.2K  held           <>`);
  assert.equal(lines.at(-1), '3 deliveries of 2 messages, 13K.');
  for (const line of lines) assert.ok(width(line) <= 80, line);
});

test('list says so when nothing is there, and when nothing matches', async (t) => {
  const { agent, riata } = await served(t);
  assert.equal((await riata('queue list')).out, 'The queue is empty.\n');
  fill(agent);
  assert.equal((await riata('queue list --domain other.test')).out, 'Nothing in the queue matches.\n');
  assert.equal((await riata('queue list --domain other.test --json')).out, '');
});

test('list as JSON has the shape of postqueue -j, with the recipients that are still open', async (t) => {
  const { agent, riata } = await served(t);
  const { first } = fill(agent);
  const { out } = await riata('queue list --json');
  const [ready, waiting, held] = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual([ready!['queue_name'], waiting!['queue_name'], held!['queue_name']], ['active', 'deferred', 'hold']);
  assert.equal(waiting!['queue_id'], first.id);
  assert.equal(waiting!['arrival_time'], (NOW - 2 * 3_600_000) / 1000);
  assert.equal(waiting!['message_size'], 12_345);
  assert.equal(waiting!['forced_expire'], false);
  assert.deepEqual(ready!['recipients'], [{ address: 'bob@fast.test' }, { address: 'ben@fast.test' }]);
  const [recipient] = waiting!['recipients'] as { address: string; delay_reason: string }[];
  assert.equal(recipient!.address, 'carol@slow.test');
  assert.match(recipient!.delay_reason, /^450 4\.2\.0 Greylisted/);
  assert.equal(waiting!['delivery'], `${first.id}.1`);
});

test('filters of the command line choose what is listed', async (t) => {
  const { agent, riata } = await served(t);
  const { first, second } = fill(agent);
  const keys = async (line: string) =>
    (await riata(`queue list --json ${line}`)).out
      .split('\n')
      .filter((each) => each !== '')
      .map((each) => (JSON.parse(each) as { delivery: string }).delivery);
  assert.deepEqual(await keys('--state waiting'), [`${first.id}.1`]);
  assert.deepEqual(await keys('--domain HELD.test'), [`${second.id}.0`]);
  assert.deepEqual(await keys('--sender <>'), [`${second.id}.0`]);
  assert.deepEqual(await keys('--recipient ben@fast.test'), [`${first.id}.0`]);
  assert.deepEqual(await keys('--older 90m'), [`${first.id}.0`, `${first.id}.1`]);
  assert.deepEqual(await keys('--error GREYlisted'), [`${first.id}.1`]);
  assert.deepEqual(await keys('--lane mx:slow.test'), [`${first.id}.1`]);
  assert.deepEqual(await keys(second.id), [`${second.id}.0`]);
  assert.deepEqual(await keys('--limit 2'), [`${first.id}.0`, `${first.id}.1`]);
  assert.equal((await keys('--limit 0')).length, 3);
});

test('a list cut short says that there is more', async (t) => {
  const { agent, riata } = await served(t);
  fill(agent);
  assert.match(
    (await riata('queue list --limit 2')).out,
    /The first 2 deliveries of 1 message, 12K; there are more than 2: --limit 0 shows all\.\n$/,
  );
});

test('several pages print one head, and stand under each other', async (t) => {
  const { agent, riata } = await served(t);
  for (let i = 0; i < 600; i++) {
    const message = fakeMessage();
    agent.add(message, [fakeDelivery(message, 0, [`r${i}@x.test`])]);
  }
  const lines = (await riata('queue list --limit 0')).out.trimEnd().split('\n');
  assert.equal(lines.filter((line) => line.startsWith('ID ')).length, 1);
  assert.equal(lines.length, 1 + 600 * 2 + 1);
});

test('nothing that stands in mail or in a reply reaches the terminal as a command', async (t) => {
  const { agent, riata } = await served(t);
  const message = fakeMessage({
    sender: `${EVIL}@x.test`,
    messageId: `<${EVIL}>`,
    origin: { kind: 'smtp', client: '192.0.2.1', helo: EVIL },
  });
  const recipient: Recipient = { address: `${EVIL}@y.test`, state: 'queued', last: { at: NOW, status: '4.0.0', text: EVIL, server: EVIL } };
  const trouble = { lasting: 'temporary', stage: 'rcpt', status: '4.0.0', text: EVIL } as const;
  agent.add(
    message,
    [
      fakeDelivery(message, 0, [recipient], {
        lane: `mx:${EVIL}`,
        log: [{ at: NOW, durationMs: 1, server: EVIL, tls: EVIL, stage: 'rcpt', delivered: 0, deferred: 1, failed: 0, trouble }],
      }),
    ],
    Buffer.from(`Subject: ${EVIL}\r\n${EVIL}: x\r\nContent-Type: text/${EVIL}; name="${EVIL}"\r\n\r\n${EVIL}\r\n`, 'latin1'),
  );
  agent.siteReports = [{ site: EVIL, lanes: [EVIL], laneCount: 1, backingOffUntil: NOW + 1000, trouble: EVIL }];
  for (const line of [
    'queue list',
    'queue list --json',
    `queue show ${message.id}`,
    `queue show ${message.id} --json`,
    `queue show ${message.id} --raw`,
    `status ${message.id}`,
    `status ${message.id} --json`,
    'queue stats',
  ]) {
    const { out, err, code } = await riata(line, { terminal: true, colour: false });
    assert.equal(code, 0, line);
    assert.ok(out.length > 10, line);
    assert.doesNotMatch(out + err, /[\0-\x09\x0b-\x1f\x7f-\x9f]/, line);
  }
});

test('raw content goes octet for octet into a pipe', async (t) => {
  const { agent, riata } = await served(t);
  const { first } = fill(agent);
  assert.equal((await riata(`queue show ${first.id} --raw`)).out, 'Subject: Hello\r\nContent-Type: text/plain\r\n\r\nhi\r\n');
});

test('colours only on a terminal, and not where NO_COLOR is set', async (t) => {
  const { agent, riata } = await served(t);
  fill(agent);
  assert.match((await riata('queue list', { terminal: true })).out, /\x1b\[1mID/);
  for (const around of [
    {},
    { terminal: true, env: { NO_COLOR: '1' } },
    { terminal: true, colour: false },
    { terminal: true, env: { TERM: 'dumb' } },
  ]) {
    assert.doesNotMatch((await riata('queue list', around)).out, /\x1b/);
  }
});

test('show prints envelope, recipients, attempts, headers and structure', async (t) => {
  const { agent, riata } = await served(t);
  const { first } = fill(agent);
  const { code, out } = await riata(`queue show ${first.id}`);
  assert.equal(code, 0);
  for (const part of [
    `${first.id}  queued`,
    /From +alice@example\.com/,
    /Accepted +2026-11-2[123] .*, 2h ago, by SMTP from\n? +127\.0\.0\.1/,
    /Size +12K \(12,345 octets\)/,
    'mx:slow.test  waiting, next attempt in 4m, 2 attempts',
    '  carol@slow.test  queued',
    '  done@fast.test  delivered',
    'mx.slow.test[192.0.2.9]:25, in the clear',
    'rcpt: 450 4.2.0 Greylisted',
    /Subject: +Hello/,
    'text/plain',
  ]) {
    if (typeof part === 'string') assert.ok(out.includes(part), `${part}\nin\n${out}`);
    else assert.match(out, part);
  }
  for (const line of out.split('\n')) assert.ok(width(line) <= 80, line);
});

test('show prints what was said in each attempt if asked to, with the milliseconds in a column, and nothing that steers a terminal', async (t) => {
  const { agent, riata } = await served(t);
  const message = fakeMessage();
  const attempt = { at: NOW, durationMs: 1, stage: 'rcpt', delivered: 0, deferred: 1, failed: 0 } as const;
  agent.add(message, [
    fakeDelivery(message, 0, [{ address: 'a@x.test', state: 'queued' }], {
      log: [{ ...attempt, transcript: `0 C: MAIL FROM:<>\n12345 S: 450 \x1b[1m${'x'.repeat(100)}` }, attempt],
    }),
  ]);
  const { out } = await riata(`queue show ${message.id} --transcript`);
  assert.ok(out.includes('\n            0 C: MAIL FROM:<>\n        12345 S: 450 '), out);
  assert.ok(out.includes('x'.repeat(100)));
  assert.doesNotMatch(out, /\x1b/);
  assert.match(out, /was not kept/);
  assert.doesNotMatch((await riata(`queue show ${message.id}`)).out, /MAIL FROM/);
});

test('show of a message whose content is gone tells what is known', async (t) => {
  const { agent, riata } = await served(t);
  const message = fakeMessage();
  agent.add(message, [
    fakeDelivery(message, 0, [{ address: 'a@x.test', state: 'delivered', last: { at: NOW - 5000, status: '2.0.0', text: 'Ok' } }], {
      state: 'done',
      settledAt: NOW - 5000,
    }),
  ]);
  const { code, out } = await riata(`queue show ${message.id}`);
  assert.equal(code, 0);
  assert.match(out, /sent/);
  assert.match(out, /done 5s ago/);
  assert.match(out, /content is gone/);
  assert.equal((await riata(`queue show ${message.id} --raw`)).code, 66);
});

test('a message that is not there ends with 66, something that is no id with 64', async (t) => {
  const { riata } = await served(t);
  assert.equal((await riata(`queue show ${fakeMessage().id}`)).code, 66);
  const wrong = await riata('queue show 12345');
  assert.equal(wrong.code, 64);
  assert.match(wrong.err, /"12345" is not a message id/);
});

test('status is one word and a line for each recipient, and ends with what became of it', async (t) => {
  const { agent, riata } = await served(t);
  const { first } = fill(agent);
  const queued = await riata(`status ${first.id}`);
  assert.equal(queued.code, 0);
  assert.match(queued.out, new RegExp(`^${first.id}: queued\n`));
  assert.match(queued.out, /carol@slow\.test +queued, next attempt in 4m\n +450 4\.2\.0 Greylisted/);
  assert.match(queued.out, /done@fast\.test +delivered/);
  const failed = fakeMessage();
  agent.add(failed, [
    fakeDelivery(failed, 0, [{ address: 'a@x.test', state: 'bounced', last: { at: NOW, status: '5.1.1', text: '550 5.1.1 no' } }], {
      state: 'done',
    }),
  ]);
  assert.equal((await riata(`status ${failed.id}`)).code, 69);
  const unknown = await riata(`status ${fakeMessage().id}`);
  assert.equal(unknown.code, 66);
  assert.match(unknown.out, /: unknown\n$/);
});

test('stats show depth, lanes, connections, sites in trouble and rates', async (t) => {
  const { agent, riata } = await served(t);
  agent.siteReports = [
    {
      site: 'mx.slow.test',
      lanes: ['mx:deep.test', 'mx:other.test'],
      laneCount: 2,
      backingOffUntil: NOW + 300_000,
      trouble: 'connection refused',
    },
  ];
  agent.lanesNow.set('mx:deep.test', {
    ...QUIET,
    rest: {
      until: NOW + 300_000,
      failures: 1,
      trouble: { reason: 'connect', lasting: 'temporary', stage: 'connect', status: '4.4.1', text: 'connection refused' },
    },
  });
  const { code, out } = await riata('queue stats --lanes 2');
  assert.equal(code, 0);
  assert.match(out, /Deliveries +1 ready, 0 being sent, 2 waiting, 3 held/);
  assert.match(out, /mx:deep\.test +5 +90 +1\n {4}its servers rest, tried again in 5m\nmx:middle\.test/);
  assert.match(out, /and 2 more lanes/);
  assert.match(out, /mx\.example\.net\[192\.0\.2\.1\]:25 +2 +1/);
  assert.match(out, /mx\.slow\.test +5m\n {4}connection refused/);
  assert.match(out, /SINCE THE START +IN ALL +LAST MINUTE.*\nAccepted +7 +3 +0\.1\nDelivered +5\n/);
  assert.match(out, /Trouble +deferred 4\.7: 2/);
  assert.equal((JSON.parse((await riata('queue stats --json')).out) as { uptimeMs: number }).uptimeMs, 60_000);
});

test('remove, hold, release and retry tell what they did', async (t) => {
  const { agent, riata } = await served(t);
  const { first, second } = fill(agent);
  assert.deepEqual(await riata(`queue hold ${first.id}`), { code: 0, out: 'Held 2 deliveries of 1 message.\n', err: '' });
  assert.deepEqual(await riata('queue release --domain fast.test'), { code: 0, out: 'Released 1 delivery of 1 message.\n', err: '' });
  assert.deepEqual(await riata('queue retry --all'), { code: 0, out: 'Will try now: 3 deliveries of 2 messages.\n', err: '' });
  assert.deepEqual(await riata(`queue remove ${second.id}`), { code: 0, out: 'Removed 1 delivery of 1 message.\n', err: '' });
  assert.deepEqual(
    agent.entries.flatMap((entry) => entry.deliveries.map((each) => each.state)),
    ['ready', 'ready', 'done'],
  );
  assert.deepEqual(JSON.parse((await riata(`queue hold ${first.id} --json`)).out), {
    action: 'hold',
    messages: 1,
    matched: 2,
    changed: 2,
    inFlight: 0,
    gone: 0,
    unknown: [],
  });
});

test('ids come from standard input too, plain or as JSON lines of list', async (t) => {
  const { agent, riata } = await served(t);
  const { first, second } = fill(agent);
  assert.equal(
    (await riata('queue hold -', { stdin: `${first.id}  something behind it\n\n${second.id}\n` })).out,
    'Held 3 deliveries of 2 messages.\n',
  );
  const listed = (await riata('queue list --json --domain held.test')).out;
  assert.equal((await riata('queue release -', { stdin: listed })).out, 'Released 1 delivery of 1 message.\n');
  assert.equal((await riata('queue remove -', { stdin: '' })).code, 66, 'an empty list selects nothing, never all');
  assert.equal((await riata('queue remove -', { stdin: '{"x":1}\n' })).code, 65);
  assert.equal((await riata('queue remove -', { stdin: 'rubbish\n' })).code, 64);
  assert.ok(agent.entries.every((entry) => entry.deliveries.every((each) => each.state !== 'done')));
});

test('nothing is removed by filter or as a whole without a word of consent', async (t) => {
  const { agent, riata } = await served(t);
  fill(agent);
  for (const line of ['queue remove', 'queue hold', 'queue retry']) {
    const none = await riata(line);
    assert.equal(none.code, 64, line);
    assert.match(none.err, /say which/);
  }
  for (const line of ['queue remove --all', 'queue remove --sender alice@example.com']) {
    const asked = await riata(line);
    assert.equal(asked.code, 64);
    assert.match(asked.err, /this removes \d deliver(y|ies) of \d messages? for good: say --yes/);
  }
  assert.match((await riata('queue remove --all --dry-run')).out, /^Would remove 3 deliveries of 2 messages\.\n$/);
  assert.ok(agent.entries.every((entry) => entry.deliveries.every((each) => each.state !== 'done')));
  assert.equal((await riata('queue remove --all --domain x.test --yes')).code, 64);
  assert.equal((await riata('queue remove --sender alice@example.com --yes')).out, 'Removed 2 deliveries of 1 message.\n');
});

test('on a terminal a removal that may be large is asked about, and only yes is yes', async (t) => {
  const { agent, riata } = await served(t);
  fill(agent);
  const asked: string[] = [];
  for (const answer of ['', 'n', 'yesterday']) await riata('queue remove --all', { answer, asked });
  assert.ok(agent.entries.every((entry) => entry.deliveries.every((each) => each.state !== 'done')));
  assert.equal(asked[0], 'Remove 3 deliveries of 2 messages for good, without a bounce? [y/N] ');
  assert.equal((await riata('queue remove --state held', { answer: 'Y' })).out, 'Removed 1 delivery of 1 message.\n');
  assert.equal(
    (await riata('queue hold --all', { asked, answer: 'n' })).out,
    'Held 2 deliveries of 1 message.\n',
    'what can be undone is not asked about',
  );
  assert.equal(asked.length, 3);
});

test('ids not in the queue are named on standard error and end with 66, what is being sent with 75', async (t) => {
  const { agent, riata } = await served(t);
  const { first } = fill(agent);
  const gone = fakeMessage().id;
  const some = await riata(`queue hold ${first.id} ${gone}`);
  assert.deepEqual([some.code, some.out, some.err], [66, 'Held 2 deliveries of 1 message.\n', `${gone}: not in the queue\n`]);
  agent.inFlight.add(`${first.id}.0`);
  const busy = await riata(`queue remove ${first.id}`);
  assert.deepEqual([busy.code, busy.out], [75, 'Removed 1 delivery.\n']);
  assert.match(busy.err, /being sent at this moment/);
});
