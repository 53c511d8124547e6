/**
 * The books of a test that kills: what was handed in, what of it was acknowledged, and what arrived where, when, how often. They
 * know of the agent only what the outside saw: its 250s, and what remotes took from which of its lives.
 */
import { createHash } from 'node:crypto';
import type { SinkMessage } from '../../../src/dev/sink.js';
import { lifeOf } from './victim.js';

export interface Sent {
  readonly key: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly digest: string;
  /** The id in the 250, once there was one. */
  id: string | undefined;
}

/** What a remote took: a message for some recipients, or a report about some. */
interface Arrival {
  readonly life: number;
  readonly messageId: string;
}

export class Accounts {
  readonly sent = new Map<string, Sent>();
  readonly violations: string[] = [];
  /** Copies that came although the one before had been taken, by the life that ended between the two. */
  readonly doubled = new Map<number, string[]>();
  arrivals = 0;
  reports = 0;
  /** The most copies of one thing. */
  most = 0;
  readonly #mail = new Map<string, Arrival[]>();
  readonly #reports = new Map<string, Arrival[]>();

  add(sent: Omit<Sent, 'id' | 'digest'>, content: Buffer): Sent {
    const entry: Sent = { ...sent, digest: digestOf(content), id: undefined };
    this.sent.set(sent.key, entry);
    return entry;
  }

  get acknowledged(): number {
    let count = 0;
    for (const { id } of this.sent.values()) if (id !== undefined) count++;
    return count;
  }

  /** A remote has taken it. Must be told in the order of arrival. */
  arrived({ helo, sender, recipients, bytes }: SinkMessage): void {
    const life = lifeOf(helo);
    if (life === undefined) return void this.violations.push(`mail from ${helo}, who is nobody`);
    const text = bytes.toString('latin1');
    const key = /^X-Key: (\S+)\r$/m.exec(text)?.[1] ?? '';
    const sent = this.sent.get(key);
    if (sent === undefined) return void this.violations.push(`what nobody sent has arrived: ${JSON.stringify(text.slice(0, 300))}`);
    const messageId = /^Message-ID: (\S+)\r$/im.exec(text)?.[1] ?? '';
    if (sender === '') this.#reportArrived(sent, recipients, text, { life, messageId });
    else this.#mailArrived(sent, sender, recipients, bytes, { life, messageId });
  }

  #mailArrived(sent: Sent, sender: string, recipients: readonly string[], bytes: Buffer, arrival: Arrival): void {
    this.arrivals++;
    const start = bytes.indexOf('X-Key: ');
    if (digestOf(bytes.subarray(start)) !== sent.digest) this.violations.push(`${sent.key} was altered`);
    const trace = bytes.toString('latin1', 0, start);
    if (!/^Received: (?:[^\r\n]+\r\n[ \t])*[^\r\n]+\r\n$/.test(trace))
      this.violations.push(`${sent.key} has as its trace ${JSON.stringify(trace)}`);
    if (sender !== sent.sender) this.violations.push(`${sent.key} came from ${sender}`);
    const extra = new Set<number>();
    for (const recipient of recipients) {
      if (!sent.recipients.includes(recipient)) this.violations.push(`${sent.key} came to ${recipient}`);
      this.#count(this.#mail, `${sent.key} ${recipient}`, arrival, extra);
    }
    this.#charge(sent.key, extra);
  }

  #reportArrived(sent: Sent, recipients: readonly string[], text: string, arrival: Arrival): void {
    this.reports++;
    if (recipients.length !== 1 || recipients[0] !== sent.sender)
      this.violations.push(`a report on ${sent.key} came to ${recipients.join()}`);
    const extra = new Set<number>();
    for (const [, about] of text.matchAll(/^Final-Recipient: rfc822; ?(\S+)\r$/gim)) {
      const what = `${sent.key} ${about}`;
      this.#count(this.#reports, what, arrival, extra);
      // A report that comes twice is a second copy. Two that are told apart by their ids are two reports on one failure.
      const ids = new Set(this.#reports.get(what)!.map(({ messageId }) => messageId));
      if (ids.size > 1) this.violations.push(`${ids.size} reports on ${what}: ${[...ids].join()}`);
    }
    this.#charge(`report on ${sent.key}`, extra);
  }

  /** Into `extra` go the lives which took the knowledge of the copy before along with them. */
  #count(book: Map<string, Arrival[]>, what: string, arrival: Arrival, extra: Set<number>): void {
    const before = book.get(what) ?? [];
    book.set(what, [...before, arrival]);
    this.most = Math.max(this.most, before.length + 1);
    const last = before.at(-1);
    if (last === undefined) return;
    if (last.life === arrival.life) this.violations.push(`${what} came twice in life ${last.life}`);
    if (last.messageId !== arrival.messageId) this.violations.push(`${what} came as ${last.messageId} and as ${arrival.messageId}`);
    extra.add(last.life);
  }

  #charge(what: string, lives: ReadonlySet<number>): void {
    for (const life of lives) this.doubled.set(life, [...(this.doubled.get(life) ?? []), what]);
  }

  /** What should have become of a recipient whose message was acknowledged, and did not. */
  missing(): string[] {
    const missing: string[] = [];
    for (const { key, id, recipients } of this.sent.values()) {
      if (id === undefined) continue;
      for (const recipient of recipients) {
        const mail = this.#mail.get(`${key} ${recipient}`)?.length ?? 0;
        const reports = this.#reports.get(`${key} ${recipient}`)?.length ?? 0;
        if (isDoomed(recipient) ? mail > 0 || reports === 0 : mail === 0 || reports > 0)
          missing.push(`${key} (${id}) for ${recipient}: arrived ${mail} times, reported ${reports} times`);
      }
    }
    return missing;
  }
}

/** By its name, the destination never takes mail for it. */
export function isDoomed(recipient: string): boolean {
  return /^(?:fail|defer)-/.test(recipient);
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64');
}
