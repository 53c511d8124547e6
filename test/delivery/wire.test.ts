import assert from 'node:assert/strict';
import { Duplex, PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import type { Reply } from '../../src/core/outcome.js';
import type { Fault } from '../../src/delivery/fault.js';
import { Wire } from '../../src/delivery/wire.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';

/** A wire whose other end is in the hands of the test. */
function wired() {
  const incoming = new PassThrough();
  const written: string[] = [];
  const stream = Duplex.from({ readable: incoming, writable: new PassThrough().on('data', (chunk) => void written.push(String(chunk))) });
  const clock = createVirtualClock();
  const wire = new Wire(stream, clock);
  const heard: string[] = [];
  const listen = () =>
    wire.listen({
      onReply: (reply: Reply) => void heard.push(`${reply.code}`),
      onUnasked: (reply: Reply) => void heard.push(`unasked ${reply.code}`),
      onFault: (fault: Fault) => void heard.push(fault.reason),
    });
  const say = async (text: string) => {
    incoming.write(text);
    await settle();
  };
  return { wire, stream, clock, heard, listen, say, written };
}

describe('a wire', () => {
  it('gives the replies that are owed, and tells those that are not', async () => {
    const { wire, heard, listen, say } = wired();
    listen();
    await say('220 hi\r\n');
    wire.write('A\r\nB\r\n', 2);
    await say('250 a\r\n250 b\r\n250 c\r\n');
    assert.deepEqual(heard, ['220', '250', '250', 'unasked 250', 'garbage']);
  });

  it('says nothing more once there is an answer too many', async () => {
    const { wire, heard, say, written } = wired();
    wire.listen({
      onReply: (reply) => {
        heard.push(`${reply.code}`);
        wire.write('more\r\n', 1);
      },
      onUnasked: () => wire.destroy(),
      onFault: () => {},
    });
    await say('220 hi\r\n250 too much\r\n');
    assert.deepEqual(heard, ['220']);
    assert.deepEqual(written, []);
  });

  it('takes half an answer that nobody asked for as garbage', async () => {
    const { heard, listen, say } = wired();
    listen();
    await say('220 hi\r\n2');
    assert.deepEqual(heard, ['220', 'garbage']);
  });

  it('answers what it is asked, and then with the fault that ended it', async () => {
    const { wire, say } = wired();
    const greeting = wire.ask(undefined, 1000);
    await say('220 hi\r\n');
    assert.deepEqual(await greeting, { kind: 'reply', reply: { code: 220, text: 'hi' } });
    await say('250 what?\r\n');
    const answer = await wire.ask('NOOP\r\n', 1000);
    assert.ok(answer.kind === 'fault');
    assert.equal(answer.fault.reason, 'garbage');
  });

  it('moves its deadline with every call, in both directions, and keeps one timer', async () => {
    const { wire, clock, heard, listen, say } = wired();
    listen();
    await say('220 hi\r\n');
    wire.expectWithin(1000);
    await clock.advance(900);
    wire.expectWithin(1000);
    assert.equal(clock.pending, 1);
    await clock.advance(900);
    assert.deepEqual(heard, ['220']);
    wire.expectWithin(50);
    await clock.advance(49);
    assert.deepEqual(heard, ['220']);
    await clock.advance(1);
    assert.deepEqual(heard, ['220', 'timeout']);
    assert.equal(clock.pending, 0);
  });

  it('expects nothing while nothing is due', async () => {
    const { wire, clock, heard, listen } = wired();
    listen();
    wire.expectWithin(1000);
    wire.expectNothing();
    await clock.advance(10_000);
    assert.deepEqual(heard, []);
    wire.expectWithin(1000);
    await clock.advance(1000);
    assert.deepEqual(heard, ['timeout']);
  });

  it('tells a fault once, and nothing after it', async () => {
    const { wire, stream, heard, listen, say } = wired();
    listen();
    stream.destroy(new Error('broken pipe'));
    await settle();
    await say('220 hi\r\n');
    wire.write('X\r\n', 1);
    wire.destroy();
    assert.deepEqual(heard, ['reset']);
  });

  it('destroyed, answers a question under way and tells nobody', async () => {
    const { wire, heard, listen } = wired();
    listen();
    const asked = wire.ask(undefined, 1000);
    wire.destroy();
    const answer = await asked;
    assert.ok(answer.kind === 'fault');
    assert.equal(answer.fault.reason, 'stopped');
    await settle();
    assert.deepEqual(heard, []);
  });

  it('tells a listener that comes too late', async () => {
    const { stream, heard, listen } = wired();
    stream.destroy();
    await settle();
    listen();
    assert.deepEqual(heard, ['reset']);
  });

  it('is closed when its stream says so, and not when that was asked for', async () => {
    for (const end of ['destroy', 'close', 'lost'] as const) {
      const { wire, stream } = wired();
      let hold = () => {};
      stream._destroy = (error, done) => {
        // As a socket's: it is `closed` at once, and tells when the system has closed it.
        hold = () => done(error);
      };
      let closed = false;
      if (end === 'close') void wire.close('QUIT\r\n').then(() => (closed = true));
      else if (end === 'destroy') wire.destroy();
      if (end !== 'destroy') stream.destroy();
      if (end !== 'close') void wire.closed().then(() => (closed = true));
      await settle();
      assert.equal(closed, false, end);
      hold();
      await settle();
      assert.equal(closed, true, end);
      await wire.closed();
      await wire.close('QUIT\r\n');
    }
  });
});
