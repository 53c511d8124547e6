/** Content on its way: what is read, when, and that it arrives octet for octet. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { MtaError } from '../../src/core/errors.js';
import { MAX_PIECE } from '../../src/delivery/content.js';
import { type Sink, type SinkOptions, startSink } from '../../src/dev/sink.js';
import fc from '../support/properties.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';
import { type JobOptions, makeJob, opened, PLAIN, streamed, TIMEOUTS, Work } from './session-rig.js';

const SEQUENTIAL = ['8BITMIME', 'SIZE'];

describe('content', () => {
  const sinks: Sink[] = [];
  afterEach(() => Promise.all(sinks.splice(0).map((sink) => sink.close())));

  async function start(options: SinkOptions = {}): Promise<Sink> {
    const sink = await startSink(options);
    sinks.push(sink);
    return sink;
  }

  /** One run over these jobs. */
  async function send(jobs: readonly JobOptions[], options: SinkOptions = {}) {
    const { port, messages, violations } = await start(options);
    const session = await opened(port);
    const work = new Work(...jobs.map((job) => makeJob(job)));
    const end = await session.run(work);
    if (end.kind === 'idle') await session.quit();
    assert.deepEqual(violations, []);
    return { work, end, messages };
  }

  it('is read before MAIL where it is not at hand, while the dot before is still unanswered', async () => {
    for (const extensions of [undefined, SEQUENTIAL]) {
      const bytes = Buffer.from('Subject: later\r\n\r\n.dot\r\n');
      const { work, messages } = await send(
        [
          {},
          { bytes, body: () => Promise.resolve({ kind: 'bytes', bytes }) },
          { bytes, body: streamed([bytes.subarray(0, 19), bytes.subarray(19)], bytes.length) },
          {},
        ],
        extensions ? { extensions } : {},
      );
      for (const index of [0, 1, 2, 3]) assert.deepEqual(work.outcomes(index), ['delivered']);
      assert.deepEqual(messages[1]!.bytes, bytes);
      assert.deepEqual(messages[2]!.bytes, bytes);
    }
  });

  it('that cannot be read costs no transaction, and the next job has its turn', async () => {
    for (const extensions of [undefined, SEQUENTIAL]) {
      const damaged = new MtaError('SPOOL_DAMAGED', 'checksum');
      const { work, messages, end } = await send([{}, { body: () => Promise.reject(damaged) }, {}], extensions ? { extensions } : {});
      assert.deepEqual(work.errors, [damaged]);
      assert.ok(work.events.includes('unreadable 1'));
      assert.deepEqual([work.outcomes(0), work.outcomes(2)], [['delivered'], ['delivered']]);
      assert.equal(messages.length, 2);
      assert.equal(end.kind, 'idle');
    }
  });

  it('that cannot be read while a dot is unanswered makes room for the next job at once', async () => {
    let answer = () => {};
    const held = new Promise<string>((resolve) => (answer = () => resolve('250 2.0.0 fine')));
    const { port } = await start({ script: ({ verb }, { messages }) => (verb === 'DOT' && messages === 0 ? held : undefined) });
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob({ body: () => Promise.reject(new Error('damaged')) }), makeJob());
    const running = session.run(work);
    await work.until('next 2');
    assert.ok(!work.events.includes('done 0'));
    answer();
    await running;
    assert.deepEqual(work.outcomes(2), ['delivered']);
    await session.quit();
  });

  it('that comes late, behind an unanswered dot, leaves the deadline of the dot as it is', async () => {
    const clock = createVirtualClock();
    let reach = () => {};
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const { port } = await start({ script: ({ verb }) => (verb === 'DOT' ? (reach(), { hang: true }) : undefined) });
    const session = await opened(port, { clock });
    let come = () => {};
    const work = new Work(
      makeJob(),
      makeJob({ body: () => new Promise((resolve) => (come = () => resolve({ kind: 'bytes', bytes: PLAIN }))) }),
    );
    const running = session.run(work);
    await reached;
    await work.until('next 1');
    come();
    await settle();
    await clock.advance(TIMEOUTS.finalDot - 1);
    assert.deepEqual(work.outcomes(0), []);
    await clock.advance(1);
    await running;
    assert.deepEqual(work.outcomes(0), ['deferred content timeout']);
    assert.equal(work.events.at(-1), 'untried 1');
  });

  it('that breaks off while it is sent is never given a final dot (G9)', async () => {
    const damaged = new MtaError('SPOOL_DAMAGED', 'checksum');
    const pieces = [PLAIN, () => Promise.reject(damaged)];
    const { port, counts, idle } = await start();
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob({ body: streamed(pieces) }), makeJob());
    const end = await session.run(work);
    assert.equal(work.events.at(-1), 'unreadable 1');
    await idle();
    assert.deepEqual(work.errors, [damaged]);
    assert.ok(!work.events.includes('next 2'));
    assert.equal(work.events.filter((event) => event === 'mayFinish').length, 1);
    assert.equal(counts.messages, 1);
    assert.equal(end.kind, 'worn');
  });

  it('that streams asks for the next job only at its end, and sends its commands along with the dot', async () => {
    const { port, violations } = await start();
    const session = await opened(port);
    const seen: string[][] = [];
    const work: Work = new Work(makeJob({ body: streamed([PLAIN, () => void seen.push([...work.events])]) }), makeJob());
    await session.run(work);
    assert.deepEqual(seen, [['next 0']]);
    assert.deepEqual(work.events, ['next 0', 'mayFinish', 'next 1', 'done 0', 'mayFinish', 'nothing', 'done 1', 'nothing']);
    assert.deepEqual(violations, []);
    await session.quit();
  });

  it('that the server stops taking ends with the data timeout', async () => {
    const clock = createVirtualClock();
    const { port } = await start({ script: ({ verb }) => (verb === 'DATA' ? [{ raw: '354 go on\r\n' }, { hang: true }] : undefined) });
    const session = await opened(port, { clock });
    const block = Buffer.alloc(1024 * 1024, `${'x'.repeat(62)}\r\n`);
    let read = 0;
    const body = streamed(Array.from({ length: 64 }, () => [() => void read++, block]).flat(), 64 * block.length);
    const work = new Work(makeJob({ body }));
    const running = session.run(work);
    for (let before = -1; before !== read || read === 0; ) {
      before = read;
      await settle(200);
    }
    assert.ok(read < 60, 'what is read ahead of a server that takes nothing is bounded');
    await clock.advance(TIMEOUTS.data - 1);
    assert.equal(work.results[0], undefined);
    await clock.advance(1);
    assert.equal((await running).kind, 'broken');
    assert.deepEqual(work.outcomes(0), ['deferred content timeout']);
    assert.ok(!work.events.includes('mayFinish'));
  });

  it('that the server refuses half-way is refused, without a dot', async () => {
    const { port, counts } = await start({
      script: ({ verb }) => (verb === 'DATA' ? [{ raw: '354 go on\r\n' }, { waitMs: 10 }, { raw: '552 5.3.4 too large\r\n' }] : undefined),
    });
    const session = await opened(port);
    const work: Work = new Work(makeJob({ body: streamed([PLAIN, () => work.until('done 0'), PLAIN]) }), makeJob());
    const end = await session.run(work);
    assert.deepEqual(work.outcomes(0), ['failed content 552']);
    assert.ok(!work.events.includes('mayFinish') && !work.events.includes('next 1'));
    assert.equal(end.kind, 'worn');
    assert.equal(counts.messages, 0);
  });

  it('that is on its way when everything is destroyed is given back', async () => {
    const { port, counts, idle } = await start();
    const session = await opened(port);
    let reach = () => {};
    const reached = new Promise<void>((resolve) => (reach = resolve));
    let go = () => {};
    const work = new Work(makeJob({ body: streamed([PLAIN, () => (reach(), new Promise<void>((resolve) => (go = resolve)))]) }));
    const running = session.run(work);
    await reached;
    session.destroy();
    go();
    await running;
    await settle();
    assert.deepEqual(work.events, ['next 0', 'untried 0']);
    await idle();
    assert.equal(counts.messages, 0);
  });

  it('that is still being fetched when everything is destroyed is given back, and whatever comes of it ignored', async () => {
    for (const result of [() => ({ kind: 'bytes' as const, bytes: PLAIN }), () => Promise.reject(new Error('damaged'))]) {
      const { port } = await start();
      const session = await opened(port);
      let come = () => {};
      const work = new Work(makeJob({ body: () => new Promise((resolve) => (come = () => resolve(result()))) }));
      const running = session.run(work);
      session.destroy();
      come();
      await running;
      await settle();
      assert.deepEqual(work.events, ['next 0', 'untried 0']);
    }
  });

  it('waits for a slow disk without a deadline of the server running', async () => {
    const clock = createVirtualClock();
    const { port } = await start();
    const session = await opened(port, { clock });
    let come = () => {};
    const work = new Work(
      makeJob(),
      makeJob({ body: () => new Promise((resolve) => (come = () => resolve({ kind: 'bytes', bytes: PLAIN }))) }),
    );
    const running = session.run(work);
    await work.until('done 0');
    await clock.advance(3_600_000);
    come();
    assert.equal((await running).kind, 'idle');
    assert.deepEqual(work.outcomes(1), ['delivered']);
    await session.quit();
  });

  const line = fc.constantFrom('', '.', '..', '.x', 'x.', 'text', 'a.b', '\xe9', '...');
  const lines = fc.array(line, { maxLength: 12 }).chain((all) => fc.constantFrom(all.join('\r\n'), `${all.join('\r\n')}\r\n`));

  it('arrives octet for octet, whatever its lines begin with and however it is cut; a missing line end is added', async () => {
    const { port, messages, violations } = await start({ keep: 2000 });
    const session = await opened(port, { maxMessages: 10_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(lines, { minLength: 1, maxLength: 4 }), fc.array(fc.nat(60), { maxLength: 5 }), async (texts, cuts) => {
        const from = messages.length;
        const contents = texts.map((text) => Buffer.from(text, 'latin1'));
        const work = new Work(
          ...contents.map((bytes, index) => {
            if (index % 2 === 0) return makeJob({ bytes });
            const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
            return makeJob({
              bytes,
              body: streamed(
                at.slice(1).map((end, cut) => bytes.subarray(at[cut], end)),
                bytes.length,
              ),
            });
          }),
        );
        await session.run(work);
        const ended = contents.map(
          (bytes) => `${bytes.toString('latin1')}${bytes.length === 0 || bytes.subarray(-2).equals(Buffer.from('\r\n')) ? '' : '\r\n'}`,
        );
        assert.deepEqual(
          messages.slice(from).map(({ bytes }) => bytes.toString('latin1')),
          ended,
        );
      }),
      { numRuns: 150 },
    );
    assert.deepEqual(violations, []);
    await session.quit();
  });

  it('too large for one write goes in blocks, and arrives as it was', async () => {
    const bytes = Buffer.from(`Subject: x\r\n\r\n${'.dots and more dots\r\n'.repeat(MAX_PIECE / 5)}end`);
    const { messages } = await send([{ bytes }, {}]);
    assert.equal(messages[0]!.bytes.toString(), `${bytes}\r\n`);
    assert.deepEqual(messages[1]!.bytes, PLAIN);
  });

  describe('of a merge', () => {
    const template = { merge: { defaults: {} }, sizeBytes: 5, content: { eightBit: false, dotted: false, utf8Headers: false } };
    const copy = (text: string): JobOptions => {
      const bytes = Buffer.from(text);
      const eightBit = bytes.some((octet) => octet > 127);
      const utf8Headers = /^[^\x00-\x7f]/m.test(text.slice(0, text.indexOf('\r\n\r\n')).replace(/[\x00-\x7f]+/g, '\n'));
      const content = { eightBit, dotted: text.includes('\r\n.'), utf8Headers };
      return { message: template, bytes: Buffer.from('#template#'), body: () => Promise.resolve({ kind: 'bytes', bytes, content }) };
    };
    const dotted = 'Subject: a\r\n\r\n.one\r\n..two\r\n';
    const eightBit =
      'Subject: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n';

    it('goes by what the copy is: its size, its 8-bit octets, its dots', async () => {
      for (const extensions of [undefined, SEQUENTIAL]) {
        const { messages } = await send([copy(dotted), copy(eightBit), {}, copy(dotted)], extensions ? { extensions } : {});
        assert.deepEqual(
          messages.map(({ bytes }) => bytes.toString()),
          [dotted, eightBit, PLAIN.toString(), dotted],
        );
        assert.deepEqual(messages[0]!.parameters, [`SIZE=${dotted.length}`]);
        assert.deepEqual(messages[1]!.parameters, [`SIZE=${Buffer.byteLength(eightBit)}`, 'BODY=8BITMIME']);
      }
    });

    it('is made 7-bit for a server without 8BITMIME, and its size is that of what is sent', async () => {
      const { messages } = await send([copy(eightBit), copy(dotted)], { extensions: ['SIZE'] });
      assert.match(messages[0]!.bytes.toString(), /Gr=C3=BC=C3=9Fe\r\n/);
      assert.deepEqual(messages[0]!.parameters, [`SIZE=${messages[0]!.bytes.length}`]);
      assert.equal(messages[1]!.bytes.toString(), dotted);
    });

    it('asks for SMTPUTF8 where a value brought it into a header, and is refused where that cannot be', async () => {
      const header = 'X-Name: J\u00f6rg\r\nSubject: c\r\n\r\nx\r\n';
      const offered = await send([copy(header)], { extensions: ['SIZE', '8BITMIME', 'SMTPUTF8'] });
      assert.deepEqual(offered.messages[0]!.parameters, [`SIZE=${Buffer.byteLength(header)}`, 'BODY=8BITMIME', 'SMTPUTF8']);
      const neither = await send([copy(header), copy(dotted)], { extensions: ['SIZE'] });
      assert.deepEqual([neither.work.outcomes(0), neither.work.outcomes(1)], [['failed local downgrade'], ['delivered']]);
    });

    it('that is larger than the server takes fails alone', async () => {
      const large = `Subject: d\r\n\r\n${'x'.repeat(70)}\r\n`;
      const { work, messages } = await send([copy(large), copy('Subject: e\r\n\r\n')], { extensions: ['SIZE 50'] });
      assert.deepEqual([work.outcomes(0), work.outcomes(1)], [['failed local size'], ['delivered']]);
      assert.equal(messages.length, 1);
    });

    it('that cannot be read costs no transaction', async () => {
      const damaged = new MtaError('SPOOL_DAMAGED', 'checksum');
      const { work, messages } = await send([{ message: template, body: () => Promise.reject(damaged) }, copy(dotted)]);
      assert.deepEqual(work.errors, [damaged]);
      assert.equal(messages.length, 1);
    });
  });
});
