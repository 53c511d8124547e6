import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/platform/clock.js';
import { checkSpool } from '../../../src/spool/level/check.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { openLevelSpoolForReading } from '../../../src/spool/level/reading.js';
import { bytesOf } from '../../contract/spool.js';
import { acceptance, deferred, delivered } from '../../support/mail.js';
import { createVirtualClock } from '../../support/virtual-clock.js';
import { levelOptions, temporaryFolder } from './support.js';

const HOLDER = fileURLToPath(new URL('holder.ts', import.meta.url));

describe('who owns a spool', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  /** Another process that opens the spool, says so, and closes it when its input ends. */
  const hold = async (purpose: 'serving' | 'reading') => {
    const child = spawn(process.execPath, ['--import', 'tsx', HOLDER, folder.path, purpose], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const ended = once(child, 'exit');
    return {
      pid: child.pid,
      end: async () => {
        child.stdin.end();
        await ended;
      },
    };
  };

  test('a second opener in the same process is refused, and the first one goes on unharmed', async () => {
    const clock = createVirtualClock();
    const spool = await openLevelSpool(levelOptions(folder.path, clock));
    await assert.rejects(openLevelSpool(levelOptions(folder.path, clock)), {
      code: 'SPOOL_LOCKED',
      message: /already open in this process/,
    });
    await fsp.symlink(folder.path, `${folder.path}-link`);
    await assert.rejects(openLevelSpool(levelOptions(`${folder.path}-link`, clock)), { code: 'SPOOL_LOCKED' });
    await fsp.rm(`${folder.path}-link`);
    await assert.rejects(checkSpool(folder.path), { code: 'SPOOL_LOCKED' });
    await spool.accept(acceptance({ acceptedAt: clock.now() }));
    // The lock was not let go by the attempts.
    const { code } = await run([folder.path, 'serving']);
    assert.equal(code, 75);
    await spool.close();
    const again = await openLevelSpool(levelOptions(folder.path, clock));
    assert.equal(again.counts().messages, 1);
    await again.close();
  });

  const run = async (args: string[]) => {
    const child = spawn(process.execPath, ['--import', 'tsx', HOLDER, ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
    child.stdin.end();
    const chunks: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const [code] = (await once(child, 'close')) as [number];
    return { code, text: Buffer.concat(chunks).toString() };
  };

  test('a second process is told who has it, since when, and where to talk to it', async () => {
    const clock = createVirtualClock();
    const spool = await openLevelSpool(levelOptions(folder.path, clock, { socket: '/run/riata/control.sock' }));
    const { code, text } = await run([folder.path, 'serving']);
    assert.equal(code, 75);
    assert.match(text, /SPOOL_LOCKED/);
    assert.match(text, new RegExp(`owned by process ${process.pid} on `));
    assert.match(text, /since 2026-01-01T00:00:00\.000Z, control socket \/run\/riata\/control\.sock/);
    await spool.close();
    assert.deepEqual((await fsp.readdir(folder.path)).includes('owner'), false);
  });

  test('an agent waits for somebody who only reads, and not for another agent', async () => {
    const reader = await hold('reading');
    const opening = openLevelSpool(levelOptions(folder.path, systemClock)).then((spool) => spool.close());
    let opened = false;
    void opening.then(() => {
      opened = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(opened, false);
    await reader.end();
    await opening;
    const server = await hold('serving');
    await assert.rejects(openLevelSpool(levelOptions(folder.path, systemClock)), {
      code: 'SPOOL_LOCKED',
      message: new RegExp(`process ${server.pid}`),
    });
    await server.end();
  });

  test('the folder is made for its owner alone, and an open one is closed to others', async () => {
    const clock = createVirtualClock();
    const deep = path.join(folder.path, 'a', 'b');
    await (await openLevelSpool(levelOptions(deep, clock))).close();
    assert.equal((await fsp.stat(deep)).mode & 0o777, 0o700);
    await fsp.chmod(deep, 0o755);
    await (await openLevelSpool(levelOptions(deep, clock))).close();
    assert.equal((await fsp.stat(deep)).mode & 0o777, 0o700);
  });

  test('a folder that cannot be used is told in one line', async () => {
    const clock = createVirtualClock();
    const file = path.join(folder.path, 'file');
    await fsp.writeFile(file, '');
    const refused = async (place: string, message: RegExp) =>
      assert.rejects(
        openLevelSpool(levelOptions(place, clock)),
        (error: { code: string; message: string; issues: readonly { path: string }[] }) => {
          assert.equal(error.code, 'INVALID_OPTIONS');
          assert.match(error.message, message);
          assert.ok(!error.message.includes('\n'));
          assert.equal(error.issues[0]?.path, 'spool.path');
          return true;
        },
      );
    await refused(file, /EEXIST|not a folder/);
    await refused(path.join(file, 'below'), /ENOTDIR/);
    if (process.getuid?.() === 0) {
      const foreign = path.join(folder.path, 'foreign');
      await fsp.mkdir(foreign);
      await fsp.chown(foreign, 12345, 12345);
      await refused(foreign, /belongs to user 12345, and this process runs as user 0/);
    }
  });

  test('where no agent runs, a spool can be looked into, and nothing of it changes', async () => {
    const clock = createVirtualClock();
    const now = clock.now();
    await assert.rejects(openLevelSpoolForReading(folder.path, clock), { code: 'NOT_FOUND' });
    await assert.rejects(checkSpool(path.join(folder.path, 'nowhere')), { code: 'NOT_FOUND' });
    const spool = await openLevelSpool(levelOptions(folder.path, clock));
    const mails = ['mx:done.test', 'mx:later.test', 'mx:ready.test'].map((lane) => acceptance({ acceptedAt: now }, [lane]));
    for (const mail of mails) await spool.accept(mail);
    const done = spool.pull('mx:done.test')!;
    await spool.settle(done, delivered(done.delivery, now));
    const later = spool.pull('mx:later.test')!;
    await spool.settle(later, deferred(later.delivery, now, now + 1000));
    await spool.close();
    const reading = await openLevelSpoolForReading(folder.path, clock);
    assert.deepEqual(
      (await reading.list({}, { limit: 10 })).items.map((item) => item.delivery.state),
      ['waiting', 'ready'],
    );
    assert.equal((await reading.inspect(mails[0]!.message.id))?.deliveries[0]?.state, 'done');
    assert.equal((await reading.history({ since: 0, limit: 10 })).items.length, 1);
    assert.equal((await bytesOf((await reading.readBody(mails[2]!.message.id))!)).toString(), 'hello');
    assert.deepEqual([reading.counts().messages, reading.counts().ready, reading.counts().waiting], [2, 1, 1]);
    assert.deepEqual([...reading.laneCounts()].map((one) => one.lane).sort(), ['mx:later.test', 'mx:ready.test']);
    await reading.close();
    await reading.close();
    const progress = new Set<string>();
    const report = await checkSpool(folder.path, { clock, progress: (what) => progress.add(what) });
    assert.deepEqual(report.problems, []);
    assert.deepEqual(
      [report.messages, report.deliveries, report.ready, report.waiting, report.held, report.lanes, report.history, report.bodyBytes],
      [2, 2, 1, 1, 0, 2, 1, 10],
    );
    assert.ok(progress.has('deliveries') && progress.has('bodies') && progress.has('history'));
  });
});
