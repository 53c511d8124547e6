/**
 * kill -9 at any moment: nothing acknowledged is lost, nothing is altered, nobody hears twice of one failure, and second copies are no
 * more than the connections that were open (G1, G2, G3, G11).
 *
 * `KILLS` says how often (default below), `KILL_SEED` (a number, or `random`) makes other choices; what falls into which moment of theirs
 * is up to the machine.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { connectControl, findControlSocket } from '../../src/control/client.js';
import type { ControlVerbs, QueueEntry } from '../../src/control/types.js';
import type { Act } from '../../src/dev/act.js';
import { fateOf } from '../../src/dev/fates.js';
import { type Sink, type SinkScript, startSink } from '../../src/dev/sink.js';
import type { Random } from '../../src/platform/random.js';
import { temporaryFolder } from '../support/agent.js';
import { compileRiata } from '../support/compiled.js';
import { atEnd, until } from '../support/scope.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { Accounts, isDoomed } from './kill/accounts.js';
import { runClients } from './kill/clients.js';
import { draw, type Moment, type Plan } from './kill/plans.js';
import { type Life, Victim } from './kill/victim.js';

const KILLS = Number(process.env['KILLS'] ?? 20);
const GIVEN = process.env['KILL_SEED'] ?? '1';
const SEED = GIVEN === 'random' ? Math.floor(Math.random() * 2 ** 31) : Number(GIVEN);
const CLIENTS = 6;
/** Messages that are handed in for each life, at most: the queue stays short enough to be emptied at the end. */
const MESSAGES_PER_LIFE = 60;
/** A moment that does not come is not waited for longer. */
const PATIENCE_MS = 3_000;
/** How long a remote holds an answer that the agent does not live to hear. */
const HELD_MS = 2_000;
const DRAIN_MS = 240_000;

const TOML = (one: Sink, others: Sink) => `
hostname = "riata.test"
log.level = "info"
submission.listen = ["127.0.0.1:0"]
spool.minFreeSpace = "1MiB"
retry = { firstDelay = "300ms", maxDelay = "1s", maxAttempts = 4 }

[[route]]
domain = "one.test"
host = "127.0.0.1"
port = ${one.port}

[[route]]
host = "127.0.0.1"
port = ${others.port}
`;

/** The lives of the agent, one after the other, and whoever watches the moments of the one that is. */
class Rounds {
  readonly accounts = new Accounts();
  readonly random: Random;
  /** Connections open at the kill, by life. */
  readonly open = new Map<number, number>();
  readonly moments = new Map<string, number>();
  #victim!: Victim;
  #sinks: readonly Sink[] = [];
  #plan: Plan | undefined;
  #met = 0;
  #strike: (() => void) | undefined;
  /** Where the agent takes mail now; undefined between two lives. */
  #port: number | undefined;
  #allowance = 0;
  #over = false;
  #waiting: (() => void)[] = [];
  /** What a start takes, as last seen. */
  #startMs = 500;

  constructor(random: Random) {
    this.random = random;
  }

  async prepare(t: TestContext): Promise<void> {
    const program = await compileRiata(t);
    const sink = async () => {
      const made = await startSink({ keep: 1, script: this.#script, onMessage: (message) => this.accounts.arrived(message) });
      atEnd(t, () => made.close());
      return made;
    };
    const [one, others] = [await sink(), await sink()];
    this.#sinks = [one, others];
    this.#victim = new Victim(t, program, await temporaryFolder(t), TOML(one, others));
  }

  get spool(): string {
    return this.#victim.spool;
  }

  /** Runs clients until the last life is over. */
  clients(): Promise<void> {
    return runClients({
      count: CLIENTS,
      accounts: this.accounts,
      random: this.random,
      port: () => this.#untilOver(() => this.#port),
      more: async () => (await this.#untilOver(() => this.#allowance > 0 && this.#allowance--)) !== undefined,
      onHalf: () => this.#meet('half'),
      onAcknowledged: () => this.#meet('acknowledged'),
    });
  }

  /** One life, to its violent end. */
  async kill(): Promise<void> {
    const plan = draw(this.random, this.#startMs);
    const started = performance.now();
    const life = this.#victim.start(plan.settings);
    const struck = new Promise<void>((resolve) => {
      this.#strike = () => {
        this.#strike = undefined;
        this.#port = undefined;
        this.open.set(
          life.number,
          this.#sinks.reduce((sum, sink) => sum + sink.counts.open, 0),
        );
        life.signal('SIGKILL');
        this.moments.set(plan.moment, (this.moments.get(plan.moment) ?? 0) + 1);
        resolve();
      };
    });
    this.#met = 0;
    this.#plan = plan;
    this.#meet('spawned');
    if (this.#strike !== undefined) await Promise.race([life.ready.catch((error: Error) => this.#failed(life, error)), struck]);
    if (this.#strike !== undefined) {
      this.#startMs = performance.now() - started;
      this.#port = await life.ready;
      this.#allowance = MESSAGES_PER_LIFE;
      this.#changed();
      if (plan.moment === 'stopping') this.#after(this.random.unit() * 100, () => this.#stop(life));
      this.#after(PATIENCE_MS, this.#strike);
    }
    await struck;
    const said = await life.ended;
    if (said !== undefined) this.accounts.violations.push(`life ${life.number}: ${said}`);
  }

  /** A life that is let live, without new mail. */
  async last(): Promise<Life> {
    this.#plan = undefined;
    this.#over = true;
    this.#changed();
    const life = this.#victim.start({});
    await life.ready;
    return life;
  }

  #stop(life: Life): void {
    life.signal('SIGTERM');
    this.#meet('stopping');
    this.#meet('stopping');
    this.#meet('stopping');
  }

  #failed(life: Life, error: Error): void {
    if (this.open.has(life.number)) return;
    this.accounts.violations.push(error.message);
    this.#strike?.();
  }

  /** Looks again whenever something has changed; undefined once there is nothing more to come. */
  async #untilOver<T>(look: () => T): Promise<Exclude<T, undefined | false> | undefined> {
    for (;;) {
      if (this.#over) return undefined;
      const seen = look();
      if (seen !== undefined && seen !== false) return seen as Exclude<T, undefined | false>;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  // — moments —

  #meet(moment: Moment): boolean {
    const plan = this.#plan;
    const strike = this.#strike;
    if (plan?.moment !== moment || strike === undefined || ++this.#met !== plan.nth) return false;
    if (plan.afterMs === 0) strike();
    else this.#after(plan.afterMs, strike);
    return true;
  }

  /** `call` is meant for this life. */
  #after(ms: number, call: () => void): void {
    const plan = this.#plan;
    setTimeout(() => {
      if (this.#plan === plan && this.#strike !== undefined) call();
    }, ms);
  }

  readonly #script: SinkScript = ({ verb, argument }, session): Act | undefined => {
    if (verb === 'RCPT' && fateOf(/<(.*)>/.exec(argument)?.[1] ?? '')?.fate.name === 'fail-5xx') setImmediate(() => this.#meet('refused'));
    if (verb === 'MAIL' && session.helo !== '' && argument.startsWith('FROM:<>')) setImmediate(() => this.#meet('report'));
    if (verb !== 'DOT') return undefined;
    setImmediate(() => this.#meet('answered'));
    return this.#meet('dot') ? [{ accept: true }, { waitMs: HELD_MS }, '250 2.0.0 Ok, at last'] : undefined;
  };
}

test(`killed ${KILLS} times, the agent loses nothing and doubles no more than was open`, {
  timeout: 300_000 + KILLS * 20_000,
}, async (t) => {
  t.diagnostic(`KILL_SEED=${SEED}`);
  const rounds = new Rounds(createSeededRandom(SEED));
  await rounds.prepare(t);
  const { accounts } = rounds;
  const clients = rounds.clients();
  for (let kill = 0; kill < KILLS; kill++) await rounds.kill();
  const life = await rounds.last();
  await clients;
  const verbs = await connectControl(await findControlSocket(rounds.spool, 'control.sock'));
  atEnd(t, () => verbs.close());
  await drained(verbs);

  const perKill = [...rounds.open.keys()].map((number) => accounts.doubled.get(number)?.length ?? 0);
  const doubled = perKill.reduce((sum, one) => sum + one, 0);
  t.diagnostic(
    `${KILLS} kills (${[...rounds.moments].map(([moment, count]) => `${moment} ${count}`).join(', ')}); ${accounts.sent.size} messages sent, ` +
      `${accounts.acknowledged} acknowledged, ${accounts.arrivals} transactions and ${accounts.reports} reports arrived; ` +
      `lost ${accounts.missing().length}; doubled ${doubled}, at most ${Math.max(...perKill)} per kill; at most ${accounts.most} copies of one`,
  );
  assert.deepEqual(accounts.missing(), []);
  assert.deepEqual(accounts.violations, []);
  for (const [number, open] of rounds.open) {
    const copies = accounts.doubled.get(number) ?? [];
    assert.ok(copies.length <= open, `life ${number} ended with ${open} connections open, and these came again: ${copies.join(', ')}`);
  }
  await assertHistory(verbs, accounts);
  life.signal('SIGTERM');
  assert.equal(await life.ended, undefined);
});

async function drained(verbs: ControlVerbs): Promise<void> {
  const empty = async () => {
    const { counts } = await verbs.stats();
    return counts.messages === 0 && counts.ready + counts.waiting + counts.held + counts.sending === 0;
  };
  try {
    await until('the queue to be empty', empty, DRAIN_MS);
  } catch (error) {
    const left = await verbs.list({}, { limit: 3 });
    throw new Error(`${(error as Error).message}: ${JSON.stringify([await verbs.stats(), left.items])}`);
  }
}

/** G2: one end for each delivery and each recipient, the one that the outside saw. */
async function assertHistory(verbs: ControlVerbs, accounts: Accounts): Promise<void> {
  const ends = new Map<string, QueueEntry>();
  const byMessage = new Map<string, string[]>();
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const page = await verbs.history({ since: 0, limit: 500, ...(after === undefined ? {} : { after }) });
    for (const entry of page.items) {
      const { key, recipients } = entry.delivery;
      assert.ok(!ends.has(key), `${key} ended twice`);
      ends.set(key, entry);
      const states = recipients.map(({ address, state }) => `${address} ${state}`);
      byMessage.set(entry.message.id, [...(byMessage.get(entry.message.id) ?? []), ...states]);
    }
    after = page.next;
  }
  for (const { id, recipients } of accounts.sent.values()) {
    if (id === undefined) continue;
    const expected = recipients.map((recipient) => `${recipient} ${stateOf(recipient)}`);
    assert.deepEqual(byMessage.get(id)?.sort(), expected.sort(), id);
  }
}

function stateOf(recipient: string): string {
  if (!isDoomed(recipient)) return 'delivered';
  return recipient.startsWith('fail') ? 'bounced' : 'expired';
}
