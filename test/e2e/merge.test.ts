/** Merges from the command line to the wire, and what a kill does to them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { RawRow } from '../../src/compose/merge/rows.js';
import { readId } from '../../src/control/reading.js';
import { checkSpool } from '../../src/spool/level/check.js';
import { defects, header, noPython, readByPython } from '../compose/foreign-reader.js';
import { destination } from '../support/agent.js';
import { spawnAgent } from '../support/agent-process.js';
import { until } from '../support/scope.js';

const route = (port: number) => `[[route]]\nhost = "127.0.0.1"\nport = ${port}\n`;
const TEMPLATE = 'From: Ann <ann@example.test>\r\nSubject: Hello #name#\r\n\r\nDear #name#, #number#\r\n';

async function* template(): AsyncGenerator<Buffer> {
  yield Buffer.from(TEMPLATE);
}

async function* rows(count: number, before: (i: number) => Promise<void> = async () => {}): AsyncGenerator<RawRow> {
  for (let i = 0; i < count; i++) {
    await before(i);
    yield { to: `user${i}@dest${i % 7}.test`, values: { name: `Nr. ${i}`, number: String(i) } };
  }
}

describe('riata send --merge', { skip: noPython }, () => {
  test('gives everybody in a file a copy of their own, and says what has no value', async (t) => {
    const sink = await destination(t);
    const agent = await spawnAgent(t, { toml: route(sink.port) });
    const list = join(agent.folder, 'list.csv');
    writeFileSync(list, '\ufeffname;address;note\r\n"Jörg ""J."" Müller";Joe <joe@dest.test>;a < b\r\nSue;sue@dest.test;\r\n');
    writeFileSync(join(agent.folder, 'page.html'), '<p>Dear #name#, #note# #sign# #gone#</p>');
    const composed = ['send', '-f', 'Ann <ann@example.test>', '-s', 'Hello #name#', '--html', 'page.html'];
    const sent = await agent.riata([...composed, '--merge', 'list.csv', '--token', 'sign=Ann=A', '--token', 'note=none']);
    assert.deepEqual([sent.code, sent.err], [0, '2 copies queued.\n#gone# has no value in 2 copies, and stays as it is.\n']);
    await sink.received(2);
    const mails = readByPython(sink.messages.map(({ bytes }) => bytes));
    const joe = mails.find((mail) => mail.mailboxes['to']![0]!.address === 'joe@dest.test')!;
    assert.deepEqual([defects(joe), joe.mailboxes['to']![0]!.name, header(joe, 'Subject')], [[], 'Joe', 'Hello Jörg "J." Müller']);
    assert.match(joe.text!, /<p>Dear Jörg &quot;J\.&quot; Müller, a &lt; b Ann=A #gone#<\/p>/);
    assert.match(mails.find((mail) => mail !== joe)!.text!, /<p>Dear Sue, {2}Ann=A #gone#<\/p>/);
    const status = await agent.riata(['status', sent.out.trim()]);
    assert.match(status.out, /: sent, of its copies 2 delivered\n/);
  });

  test('takes a template that is formatted already, and the list from standard input; --json and --wait tell of it', async (t) => {
    const sink = await destination(t);
    const agent = await spawnAgent(t, { toml: route(sink.port) });
    writeFileSync(join(agent.folder, 'news.eml'), TEMPLATE);
    const list = { stdin: 'who,name,number\njoe@dest.test,Joe,1\nsue@dest.test,Sue,2\n' };
    const sent = await agent.riata(['send', '--file', 'news.eml', '--merge', '-', '--json'], list);
    assert.deepEqual([sent.code, sent.err], [0, '']);
    const report = JSON.parse(sent.out) as { id: string; recipients: number; unknownTokens: object };
    assert.deepEqual([readId(report.id), report.recipients, report.unknownTokens], [report.id, 2, {}]);
    const waited = await agent.riata(['send', '--file', 'news.eml', '--merge', '-', '--wait'], list);
    assert.deepEqual([waited.code, /: sent, of its copies 2 delivered\n {2}joe@dest\.test/.test(waited.out)], [0, true], waited.out);
    await sink.received(4);
  });

  test('shows the copy of a recipient, not the template', async (t) => {
    const agent = await spawnAgent(t, { toml: route(1) });
    writeFileSync(join(agent.folder, 'news.eml'), TEMPLATE);
    writeFileSync(join(agent.folder, 'list.csv'), 'who,name,number\njoe@dest.test,Joe,1\nsue@dest.test,Sue,2\n');
    const sent = await agent.riata(['send', '--file', 'news.eml', '--merge', 'list.csv', '--date', '+2h']);
    const id = sent.out.trim();
    const raw = await agent.riata(['queue', 'show', id, '--raw']);
    assert.match(raw.out, /To: joe@dest\.test\r\n/);
    const sue = await agent.riata(['queue', 'show', id, '--raw', '--recipient', 'sue@DEST.test']);
    assert.match(sue.out, /To: sue@dest\.test\r\n[^]*Dear Sue, 2\r\n$/);
    const shown = await agent.riata(['queue', 'show', id]);
    assert.match(shown.out, /Copies +2 queued/);
    assert.doesNotMatch(shown.out, /#name#/);
    await agent.stop();
    const rest = await agent.riata(['queue', 'show', id, '--raw', '--recipient', 'sue@dest.test']);
    assert.equal(rest.out, sue.out);
  });

  test('names each line that is wrong, and stores nothing', async (t) => {
    const agent = await spawnAgent(t, { toml: route(1) });
    writeFileSync(join(agent.folder, 'news.eml'), TEMPLATE);
    const send = (list: string) => agent.riata(['send', '--file', 'news.eml', '--merge', '-'], { stdin: list });
    const wrong = await send('who,name,number\njoe@dest.test,"a\nb",1\nnobody,x,2\njoe@dest.test,Joe,3\n');
    assert.equal(wrong.code, 65);
    assert.match(wrong.err, /merge\[joe@dest\.test\]\.name: character 2 \(U\+000A\)[^\n]*\n[^\n]*merge\[nobody\]: /);
    assert.match((await send('who,first name\nx@y.test,1\n')).err, /column 2 is called "first name"/);
    assert.match((await send('who,name\nx@y.test\n')).err, /line 2: it has 1 field, and the first line has 2/);
    assert.match((await send('')).err, /is empty/);
    assert.equal((await agent.riata(['send', '--merge', 'x.csv', '--to', 'a@b.test'])).code, 64);
    assert.equal((await agent.riata(['send', '--token', 'a=b', 'a@b.test'])).code, 64);
    assert.equal((await agent.riata(['send', '--merge', '-'])).code, 64);
    assert.match((await agent.riata(['queue', 'list'])).out, /The queue is empty/);
  });
});

describe('a merge whose agent is killed', () => {
  test('while its list comes in is not there afterwards', async (t) => {
    const sink = await destination(t);
    const agent = await spawnAgent(t, { toml: route(sink.port) });
    let killed: Promise<unknown> | undefined;
    const list = rows(5000, async (i) => {
      if (i < 3000) return;
      killed ??= agent.kill();
      await killed;
    });
    await assert.rejects(agent.verbs.handIn({ options: { from: 'ann@example.test' } }, { content: template(), rows: list }));
    const again = await spawnAgent(t, { folder: agent.folder, toml: route(sink.port) });
    assert.deepEqual((await again.verbs.list({}, { limit: 10 })).items, []);
    const { counts } = await again.verbs.stats();
    assert.deepEqual([counts.messages, counts.ready, counts.waiting], [0, 0, 0]);
    // What was written of it is removed before this is over.
    await again.riata(['send', '-f', 'ann@example.test', 'joe@dest.test'], { stdin: 'Subject: after\n\nx\n' });
    await sink.received(1);
    await again.stop();
    assert.equal(sink.messages.length, 1);
    assert.deepEqual((await checkSpool(again.spool)).problems, []);
  });

  test('while its copies leave reaches everybody: nobody more than twice, and twice no more than there are connections', async (t) => {
    const COUNT = 2000;
    const sink = await destination(t);
    const agent = await spawnAgent(t, { toml: route(sink.port) });
    const { id } = await agent.verbs.handIn({ options: { from: 'ann@example.test' } }, { content: template(), rows: rows(COUNT) });
    await sink.received(COUNT / 4);
    await agent.kill();
    const again = await spawnAgent(t, { folder: agent.folder, toml: route(sink.port) });
    const report = await until('all copies to be delivered', async () => {
      const { status, tally } = await again.verbs.status(id);
      return status !== 'queued' && { status, tally };
    });
    assert.deepEqual(report, { status: 'sent', tally: { queued: 0, delivered: COUNT, bounced: 0, expired: 0, removed: 0 } });
    await again.stop();
    const times = new Map<string, Set<string>>();
    for (const { recipients, bytes } of sink.messages) {
      const [to] = recipients as [string];
      times.set(to, (times.get(to) ?? new Set()).add(bytes.toString()));
    }
    assert.equal(times.size, COUNT);
    assert.ok(sink.messages.length - COUNT <= 5, `${sink.messages.length - COUNT} second copies`);
    // A second copy is the same octets: its Message-ID tells that it is one.
    for (const [to, texts] of times) assert.equal(texts.size, 1, to);
    const number = (to: string) => /^user(\d+)@/.exec(to)![1]!;
    for (const [to, texts] of times) assert.ok([...texts][0]!.endsWith(`Dear Nr. ${number(to)}, ${number(to)}\r\n`));
    assert.deepEqual((await checkSpool(again.spool)).problems, []);
  });
});
