/**
 * Programs that hand in mail, or a template with its list: once, or under a key and again until they have heard that it was taken. Who
 * hears nothing for a while asks again, also while the first call is still under way.
 */
import type { Mta } from '../../src/agent.js';
import { PRIORITIES, type Priority } from '../../src/core/message.js';
import type { OnceMark } from '../../src/intake/submission.js';
import type { Clock } from '../../src/platform/clock.js';
import type { Random } from '../../src/platform/random.js';
import { pick } from './weather.js';
import type { Mail, Witness } from './witness.js';

const PATIENCE_MS = 45_000;
const TWIN_MS = 3;
const CALLS = 12;
/** Between two rows of a list. */
const ROW_MS = 20;

interface Running {
  readonly mta: Mta;
  readonly over: boolean;
}

export interface ClientOptions {
  readonly random: Random;
  readonly clock: Clock;
  readonly witness: Witness;
  /** Undefined while no agent runs. */
  readonly running: () => Running | undefined;
}

export function handIn(options: ClientOptions, mail: Mail): void {
  options.witness.submitted(mail);
  call(options, mail, pick(options.random, PRIORITIES), CALLS);
}

function call(options: ClientOptions, mail: Mail, priority: Priority, left: number): void {
  const life = options.running();
  if (life !== undefined) {
    // It was refused, or the agent has died: nothing was promised.
    (mail.underKey ? underKey : plainly)(options, life, mail, priority).catch(() => {});
  }
  if (!mail.underKey || left === 0) return;
  // Some ask twice in a breath.
  const patienceMs = left === CALLS && options.random.unit() < 0.3 ? TWIN_MS : PATIENCE_MS;
  options.clock.after(patienceMs, () => {
    if (!mail.acknowledged) call(options, mail, priority, left - 1);
  });
}

async function underKey(options: ClientOptions, life: Running, mail: Mail, priority: Priority): Promise<void> {
  const turn = await life.mta.takeTurn(mail.key);
  try {
    const digest = turn.digest({ sender: mail.sender, recipients: mail.recipients });
    digest.update(Buffer.from(mail.content, 'latin1'));
    const text = digest.text();
    if (!turn.taken) await plainly(options, life, mail, priority, { key: mail.key, digest: text });
    else if (!life.over) {
      options.witness.toldOf(mail, turn.first(text).id);
      mail.acknowledged = true;
    }
  } finally {
    turn.leave();
  }
}

async function plainly(options: ClientOptions, life: Running, mail: Mail, priority: Priority, once?: OnceMark): Promise<void> {
  const { sender, notBefore, expiresAt, bounces } = mail;
  const envelope = {
    sender,
    smtpUtf8: false,
    requireTls: false,
    origin: { kind: 'api' },
    priority,
    notBefore,
    expiresAt,
    bounces,
    received: '',
  } as const;
  const content = Buffer.from(mail.content, 'latin1');
  if (mail.merged) {
    const merge = life.mta.submitMerge({ ...envelope, defaults: {} });
    options.witness.handedIn(mail, merge.id);
    const taken = merge.write(content);
    if (taken !== true) await taken;
    await merge.finish(rows(options.clock, mail), once && { key: once.key, digest: () => once.digest });
  } else {
    const submission = life.mta.submit({ ...envelope, recipients: mail.recipients });
    options.witness.handedIn(mail, submission.id);
    const taken = submission.write(content);
    if (taken !== true) await taken;
    await submission.finish(once);
  }
  if (!life.over) mail.acknowledged = true;
}

async function* rows(clock: Clock, mail: Mail) {
  for (const { address } of mail.recipients) {
    await new Promise<void>((resolve) => void clock.after(ROW_MS, resolve));
    yield { to: address, values: { name: mail.nameOf(address) } };
  }
}
