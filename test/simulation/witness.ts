/**
 * Who watches a simulation from outside the agent: what was handed in, what servers took and refused, what the disk was told, what the
 * agent said. It knows nothing of how the agent works, only what it promised, and writes down where a promise was broken.
 */
import { splitDeliveryKey } from '../../src/core/delivery.js';
import type { MailEvent } from '../../src/core/event.js';
import type { MemoryDisk } from '../../src/spool/memory.js';
import type { Lease, Settlement } from '../../src/spool/spool.js';
import type { Copy } from './server.js';

export interface Mail {
  readonly key: string;
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly notify?: readonly ('never' | 'success' | 'failure' | 'delay')[] }[];
  readonly bounces: 'mail' | 'none';
  /** When it may be sent first. */
  readonly submittedAt: number;
  readonly notBefore: number;
  readonly expiresAt: number;
  /** As it is handed in. */
  readonly content: string;
  /** As it must arrive. */
  contentFor(address: string): string;
  /** The content is a template, and everybody gets a copy of it. */
  readonly merged: boolean;
  nameOf(address: string): string;
  /** Handed in under its key, again and again until it is acknowledged: it must be taken once. */
  readonly underKey: boolean;
  /** Has octets that some servers do not take as they are. */
  readonly eightBit: boolean;
  id: string;
  acknowledged: boolean;
}

interface Told {
  readonly kind: 'failed' | 'delayed' | 'relayed';
  readonly report: string;
  readonly at: number;
}

/** What is known of one recipient of one mail. */
interface Fate {
  readonly mail: Mail;
  readonly address: string;
  readonly copies: Copy[];
  readonly reports: Told[];
  /** Why it may have been refused for good. */
  refused: boolean;
  ended: string | undefined;
  /** Not to be tried before this, by the wall clock. */
  notBefore: number;
  /** Somebody with a key did something to it. */
  meddled: boolean;
  /** Its lane was paused while it waited. */
  paused: boolean;
}

export interface Judgement {
  readonly disk: MemoryDisk;
  /** Mail to them cannot be delivered, whatever the weather. */
  readonly hopeless: (address: string) => boolean;
  /** There was time enough for it when all was well again. */
  readonly mustArrive: (mail: Mail) => boolean;
  /** What is due may be so late at most; undefined: nobody can tell, for clocks were set and machines stood still. */
  readonly lateMs: number | undefined;
}

/** The policy that the agent was given, as far as it can be seen from outside. */
export interface Expectations {
  readonly firstDelayMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
  readonly jitter: number;
  readonly delayNoticeMs: number;
}

export class Witness {
  readonly mails = new Map<string, Mail>();
  readonly violations: string[] = [];
  /** `merged`: copies of templates; `retold`: those who asked again under their key and were told of what was taken before. */
  readonly counts = { copies: 0, merged: 0, retold: 0, doubled: 0, refused: 0, deferred: 0, reports: 0, deaths: 0 };
  readonly #expected: Expectations;
  readonly #wall: () => number;
  readonly #fates = new Map<string, Fate>();
  readonly #byId = new Map<string, Mail>();
  /** Taken, the agent has read so, and the disk does not know yet. */
  readonly #unsettled = new Set<Copy>();
  /** Reports that the disk was told of: they are mail of ours, and have their end as well. */
  readonly #reports = new Set<string>();
  /** Settled by the journal: that they were delivered is kept, that somebody wanted to hear of it is not. */
  readonly #recovered = new Set<string>();
  /** Until this moment a clock that was set back excuses what seems early: it was claimed when it was time. */
  #excusedUntil = Number.NEGATIVE_INFINITY;

  constructor(wall: () => number, expected: Expectations) {
    this.#wall = wall;
    this.#expected = expected;
  }

  violation(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }

  // — what is handed in —

  submitted(mail: Mail): void {
    this.mails.set(mail.key, mail);
    for (const { address } of mail.recipients) {
      const fate: Fate = {
        mail,
        address,
        copies: [],
        reports: [],
        refused: false,
        ended: undefined,
        notBefore: mail.notBefore,
        meddled: false,
        paused: false,
      };
      this.#fates.set(address, fate);
    }
  }

  /** An attempt at that, under an id of its own. */
  handedIn(mail: Mail, id: string): void {
    // Of what an agent took to its death nothing is known to the next one, and it may draw the same id where the clock is behind.
    const before = this.#byId.get(id);
    if (before !== undefined && before !== mail) {
      if (before.acknowledged) this.violation(`${mail.key} is called ${id}, as ${before.key} was, which had been acknowledged`);
      if (before.id === id) before.id = '';
    }
    mail.id = id;
    this.#byId.set(id, mail);
  }

  /** The agent says that it has taken this under its key before. */
  toldOf(mail: Mail, id: string): void {
    if (this.#byId.get(id) !== mail) this.violation(`under the key of ${mail.key} the agent knows ${id}, which is another message`);
    this.counts.retold++;
    mail.id = id;
  }

  /** An operator did something to this delivery: its times are its own from now on. */
  meddled(addresses: readonly string[]): void {
    for (const address of addresses) {
      const fate = this.#fates.get(address);
      if (fate) Object.assign(fate, { meddled: true, notBefore: 0 });
    }
  }

  /** Their lane is paused, or goes on. That may make them late. */
  paused(addresses: readonly string[], paused: boolean): void {
    for (const address of addresses) {
      const fate = this.#fates.get(address);
      if (fate) Object.assign(fate, { paused, meddled: true });
    }
  }

  /** The wall clock was set back: for so long there may be something on its way that was claimed before. */
  excuse(until: number): void {
    this.#excusedUntil = Math.max(this.#excusedUntil, until);
  }

  // — what goes over the network —

  /** The agent names recipients to a server (G6). */
  wrote(chunk: Buffer, now: number): void {
    for (const [, address] of chunk.toString('latin1').matchAll(/RCPT TO:<([^>]+)>/g)) {
      const fate = this.#fates.get(address!);
      if (fate === undefined || fate.ended !== undefined) continue;
      if (fate.paused) this.violation(`${address} was tried while its lane was paused`);
      const early = fate.notBefore - this.#wall();
      if (early > 0 && now > this.#excusedUntil) this.violation(`${address} was tried ${early} ms before its time`);
    }
  }

  taken(copy: Copy): void {
    this.counts.copies++;
    for (const address of copy.recipients) {
      const fate = this.#fates.get(address);
      if (fate === undefined) {
        // Reports come home; they are judged by what the disk was told.
        if (copy.sender !== '') this.violation(`${address}, who is nobody's recipient, got mail`);
        continue;
      }
      const { mail, copies } = fate;
      if (copy.sender !== mail.sender) this.violation(`${mail.key} came from <${copy.sender}>`);
      if (!mail.eightBit && copy.content !== mail.contentFor(address))
        this.violation(`${mail.key} was altered: ${JSON.stringify(copy.content.slice(0, 300))}`);
      if (mail.merged) this.counts.merged++;
      const before = copies.at(-1);
      if (before !== undefined) this.counts.doubled++;
      if (before?.answered)
        this.violation(`${address} got a second copy from ${copy.server}, though the agent had read that ${before.server} took the first`);
      copies.push(copy);
    }
  }

  answered(copy: Copy): void {
    copy.answered = true;
    this.#unsettled.add(copy);
  }

  refused(sender: string, recipient: string | undefined): void {
    this.counts.refused++;
    const addresses = recipient === undefined ? this.#recipientsOf(sender) : [recipient];
    for (const address of addresses) {
      const fate = this.#fates.get(address);
      if (fate) fate.refused = true;
    }
  }

  #recipientsOf(sender: string): readonly string[] {
    const found = [...this.mails.values()].filter((mail) => mail.sender === sender);
    return found.flatMap((mail) => mail.recipients.map(({ address }) => address));
  }

  // — what the disk is told —

  settled({ delivery }: Lease, settlement: Settlement): void {
    for (const { address, state } of settlement.recipients) {
      if (state !== 'delivered') continue;
      for (const copy of this.#unsettled) if (copy.recipients.includes(address)) this.#unsettled.delete(copy);
    }
    for (const { message, body } of settlement.reports) {
      this.counts.reports++;
      this.#reports.add(message.id);
      if (!Buffer.isBuffer(body)) throw new TypeError('a report is small');
      const text = body.toString('latin1');
      const about = [...text.matchAll(/^Final-Recipient: rfc822; (\S+)\r\nAction: (failed|delayed|relayed)\r$/gm)];
      if (about.length === 0) this.violation(`a report about nobody: ${text}`);
      for (const [, address, kind] of about)
        this.#reported(delivery.message.id, address!, { kind: kind as Told['kind'], report: message.id, at: this.#wall() });
    }
  }

  #reported(of: string, address: string, told: Told): void {
    const fate = this.#fates.get(address);
    if (fate === undefined || fate.mail.id !== of) return this.violation(`a report about ${address}, who had no mail ${of}`);
    if (fate.reports.some(({ kind }) => kind === told.kind)) this.violation(`${address} was reported as ${told.kind} twice`);
    if (told.kind === 'delayed' && told.at < fate.mail.submittedAt + this.#expected.delayNoticeMs)
      this.violation(`the delay of ${address} was told too early`);
    fate.reports.push(told);
  }

  // — what the agent says —

  heard(event: MailEvent): void {
    if (!('recipient' in event)) return;
    const fate = this.#fates.get(event.recipient);
    if (fate === undefined || fate.mail.id !== event.id) return;
    if (event.type === 'deferred') return this.#deferred(fate, event);
    if (fate.ended !== undefined) this.violation(`${event.recipient} ended as ${fate.ended}, then as ${event.type}`);
    if (event.type === 'expired' && event.at < fate.mail.expiresAt) this.violation(`${event.recipient} expired before its time`);
    fate.ended = event.type;
  }

  /** The next attempt is where the policy puts it, or where a server asked for it. */
  #deferred(fate: Fate, event: Extract<MailEvent, { type: 'deferred' }>): void {
    this.counts.deferred++;
    fate.notBefore = event.nextAttemptAt;
    if (/again in|come back in|no room|too many/i.test(event.text) || event.nextAttemptAt === event.at) return;
    const { firstDelayMs, factor, maxDelayMs, jitter } = this.#expected;
    const usual = Math.min(firstDelayMs * factor ** (event.attempts - 1), maxDelayMs);
    const delay = event.nextAttemptAt - event.at;
    // Another recipient of the delivery may have been asked for more patience, or less; the last try is at the very end.
    if (fate.mail.recipients.length > 1 || this.#isLast(event)) return;
    if (delay < Math.floor(usual * (1 - jitter)) || delay > Math.ceil(usual * (1 + jitter)))
      this.violation(`after attempt ${event.attempts} ${event.recipient} waits ${delay} ms, not about ${usual}: ${event.text}`);
  }

  #isLast(event: Extract<MailEvent, { type: 'deferred' }>): boolean {
    return event.nextAttemptAt === this.#byId.get(event.id)!.expiresAt;
  }

  /**
   * The machine died. `open`: connections it had; `unwritten`: settlements on their way to the disk. What was answered but not
   * settled must not come again, unless the journal was lost as well (G3).
   */
  died({ open, unwritten, journalLost }: { readonly open: number; readonly unwritten: number; readonly journalLost: boolean }): void {
    this.counts.deaths++;
    const doubtful = [...this.#unsettled];
    if (!journalLost) {
      for (const { recipients } of doubtful) for (const address of recipients) this.#recovered.add(address);
      return this.#unsettled.clear();
    }
    if (doubtful.length > open + unwritten)
      this.violation(
        `${doubtful.length} messages were taken and not settled, with ${open} connections and ${unwritten} settlements under way`,
      );
    for (const copy of doubtful) copy.answered = false;
    this.#unsettled.clear();
  }

  // — the end —

  /** Whether all came as promised. */
  judge({ disk, hopeless, mustArrive, lateMs }: Judgement): void {
    const ends = new Map<string, { readonly state: string; readonly at: number }>();
    const known = new Set<string>();
    for (const { message, delivery } of disk.past) {
      known.add(message.id);
      for (const { address, state, last } of delivery.recipients) {
        if (message.origin.kind === 'report') continue;
        if (ends.has(address)) this.violation(`${address} is in the history twice`);
        if (state === 'queued') this.violation(`${address} is in the history, and queued`);
        ends.set(address, { state, at: last!.at });
      }
    }
    for (const id of this.#reports) if (!known.has(id)) this.violation(`the report ${id} is lost`);
    for (const key of disk.items.keys())
      this.violation(`${key} is still in the queue: ${JSON.stringify(disk.inspect(splitDeliveryKey(key).id))}`);
    for (const fate of this.#fates.values()) {
      const { mail, address } = fate;
      if (!mail.acknowledged && !known.has(mail.id)) continue;
      const end = ends.get(address);
      if (end === undefined) this.violation(`${address} of ${mail.id} was acknowledged, and is lost`);
      else {
        this.#judgeOne(fate, end.state, hopeless(address), mustArrive(mail));
        if (lateMs !== undefined && !fate.meddled) this.#judgeTimes(fate, end, lateMs);
      }
    }
  }

  #judgeOne(fate: Fate, end: string, hopeless: boolean, mustArrive: boolean): void {
    const { mail, address, copies, refused, reports, meddled, ended } = fate;
    const wrong = (why: string) => this.violation(`${address} (${mail.id}) is ${end}: ${why}`);
    if (ended !== undefined && ended !== end) wrong(`it was told to be ${ended}`);
    if (end === 'delivered' && copies.length === 0) wrong('nobody took it');
    if (end === 'bounced' && !refused && !hopeless && !meddled) wrong('nobody refused it');
    if (end === 'removed' && !meddled) wrong('nobody removed it');
    if (end === 'expired' && mustArrive && !hopeless && !meddled) wrong('there was time enough, and a server that would have taken it');
    const wants = (what: 'failure' | 'success') => {
      const asked = mail.recipients.find((one) => one.address === address)!.notify;
      return mail.sender !== '' && mail.bounces === 'mail' && (asked ? asked.includes(what) : what === 'failure');
    };
    const told = (kind: Told['kind']) => reports.some((report) => report.kind === kind);
    if (told('failed') !== ((end === 'bounced' || end === 'expired') && wants('failure')))
      wrong(`a failure was ${told('failed') ? '' : 'not '}reported`);
    if (!this.#recovered.has(address) && told('relayed') !== (end === 'delivered' && wants('success')))
      wrong(`success was ${told('relayed') ? '' : 'not '}reported`);
  }

  #judgeTimes({ mail, address, reports }: Fate, end: { readonly state: string; readonly at: number }, lateMs: number): void {
    const wrong = (why: string) => this.violation(`${address} (${mail.id}) is ${end.state}: ${why}`);
    if (end.at > mail.expiresAt + lateMs) wrong(`${end.at - mail.expiresAt} ms after its time`);
    const asked = mail.recipients.find((one) => one.address === address)!.notify;
    const wants = mail.sender !== '' && mail.bounces === 'mail' && (asked === undefined || asked.includes('delay'));
    const noticeAt = mail.submittedAt + this.#expected.delayNoticeMs;
    if (wants && end.at > noticeAt + lateMs && !reports.some(({ kind }) => kind === 'delayed')) wrong('its delay was not told');
  }
}
