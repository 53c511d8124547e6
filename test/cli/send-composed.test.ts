/** `riata send` that composes: what it hands in, as Python's email package reads it, and what it refuses. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { defects, header, noPython, readByPython, shape } from '../compose/foreign-reader.js';
import { NOW } from '../control/fake-agent.js';
import { serveControl } from '../control/served.js';
import { temporaryFolder } from '../support/agent.js';
import { run } from './run.js';

const BASIC = ['-f', 'Ann <ann@example.com>', '--to', 'joe@example.net', '-s', 'Grüße', '--body', 'note.txt'];

test('options become a message with text, page and attachments, and its envelope', { skip: noPython }, async (t) => {
  const cwd = await temporaryFolder(t);
  const { agent, socketPath } = await serveControl(t);
  await writeFile(path.join(cwd, 'note.txt'), 'Grüße\n');
  await writeFile(path.join(cwd, 'page.html'), '<p>Grüße</p>');
  await writeFile(path.join(cwd, 'data.csv'), '1,2\n');
  const more = ['--to', 'Kim <kim@example.net>, lou@example.net', '--cc', 'cc@example.net', '--bcc', 'hidden@example.net'];
  const later = ['--html', 'page.html', '--attach', 'data.csv', '--attach', 'note.txt', '--priority', 'high', '--date', '+2h'];
  const sent = await run(['send', '--socket', socketPath, ...BASIC, ...more, ...later], { cwd });
  assert.deepEqual([sent.code, sent.err], [0, '']);
  const [kept] = agent.submissions;
  const { sender, recipients, priority, notBefore } = kept!.envelope;
  assert.deepEqual([sender, priority, notBefore], ['ann@example.com', 'high', NOW + 7_200_000]);
  const addresses = ['joe', 'kim', 'lou', 'cc', 'hidden'].map((name) => `${name}@example.net`);
  assert.deepEqual(
    recipients.map(({ address }) => address),
    addresses,
  );
  const [message] = readByPython([kept!.content]);
  assert.equal(shape(message!), 'multipart/mixed(multipart/alternative(text/plain, text/html), text/csv, text/plain)');
  assert.deepEqual([defects(message!), header(message!, 'Subject'), header(message!, 'Bcc')], [[], 'Grüße', undefined]);
  assert.equal(Date.parse(header(message!, 'Date')!), Math.floor((NOW + 7_200_000) / 1000) * 1000);
  assert.doesNotMatch(kept!.content.toString(), /hidden/);
  assert.deepEqual(
    message!.parts.slice(1).map(({ filename }) => filename),
    ['data.csv', 'note.txt'],
  );
});

test('the text may come from standard input', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  const sent = await run(['send', '--socket', socketPath, ...BASIC.slice(0, -1), '-'], { stdin: 'Hello.\n' });
  assert.deepEqual([sent.code, sent.err], [0, '']);
  assert.match(agent.submissions[0]!.content.toString(), /\r\n\r\nHello\.\r\n$/);
});

test('everything that is wrong is told at once, by the names of the options, before an agent is asked', async () => {
  const { code, err } = await run(['send', '--to', 'joe@', '--cc', 'a@b.test', '--body', '-'], { stdin: 'x' });
  assert.equal(code, 64);
  for (const said of [/--to: /, /--subject: is missing/]) assert.match(err, said);
  assert.match((await run(['send', ...BASIC.slice(0, 6)])).err, /--body: there is no content/);
  assert.match((await run(['send', '--to', 'a@b.test', '-s', 'x', '--body', '-'], { stdin: 'x' })).err, /--from: is missing/);
});

test('composing and handing in a message that is there already do not mix', async () => {
  for (const raw of [['b@x.test'], ['--file', 'a.eml'], ['-t']]) {
    const { code, err } = await run(['send', '--subject', 'x', ...raw]);
    assert.deepEqual([code, /--subject composes a message, and .* not both/.test(err)], [64, true], err);
  }
  assert.match((await run(['send', '--to', 'a@b.test', '--body', '-', '--html', '-'])).err, /cannot share standard input/);
  assert.match((await run(['send', '--to', 'a@b.test', '-s', 'x', '-s', 'y'])).err, /--subject was given more than once|more than once/);
});

test('files that cannot be used end the command, and nothing is handed in', async (t) => {
  const cwd = await temporaryFolder(t);
  const { agent, socketPath } = await serveControl(t);
  await writeFile(path.join(cwd, 'note.txt'), 'x');
  await writeFile(path.join(cwd, 'latin1.txt'), Buffer.from([0x47, 0xfc]));
  const send = (...args: string[]) => run(['send', '--socket', socketPath, ...args], { cwd });
  const absent = await send(...BASIC, '--attach', 'absent.bin');
  assert.deepEqual([absent.code, /absent\.bin/.test(absent.err)], [66, true], absent.err);
  assert.equal((await send(...BASIC.slice(0, -1), 'absent.txt')).code, 66);
  assert.equal((await send(...BASIC.slice(0, -1), 'latin1.txt')).code, 65);
  assert.ok(agent.submissions.every(({ end }) => end !== 'finished'));
});
