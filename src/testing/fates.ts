/**
 * What becomes of mail in a test, as it was scripted: for an address, a whole domain, or everybody.
 *
 * Promises: the fates of one script happen one after the other, each once, and the last one from then on. An address goes before its
 * domain, and that before `*`.
 */
import { errorOf, type Issues, isObject, put, string } from '../compose/checks.js';
import { readEnvelopeAddress } from '../compose/mailboxes.js';
import { canonicalAddress, domainOf, normalizeDomain } from '../core/address.js';
import type { Act } from '../dev/act.js';
import type { SinkCommand, SinkScript, SinkSessionView } from '../dev/sink.js';
import { sinkPath } from '../dev/sink-path.js';

/** Where in the conversation a reply is given. */
const STAGES = ['rcpt', 'data', 'dot'] as const;
type Stage = (typeof STAGES)[number];

/** Fates that strike before anything is said: no connection, or no such domain. */
const OF_DOMAINS = ['refuse', 'unreachable', 'noDomain', 'nullMx', 'dnsFails'] as const;
export type DomainFate = (typeof OF_DOMAINS)[number];

/**
 * `accept`; an SMTP reply at RCPT, such as `450 4.2.1 Come back later` or `550 5.1.1 Nobody here`, or at another stage; `drop`: the
 * connection is lost at RCPT; `hang`: there is no answer. Of a domain also: connections are refused (`refuse`) or lead nowhere
 * (`unreachable`), it does not exist (`noDomain`), takes no mail (`nullMx`), or cannot be looked up (`dnsFails`).
 */
export type Fate = 'accept' | 'drop' | 'hang' | DomainFate | `${4 | 5}${number} ${string}` | { readonly at: Stage; readonly reply: string };

export function isOfDomain(fate: Fate): fate is DomainFate {
  return OF_DOMAINS.includes(fate as DomainFate);
}

const REPLY = /^[45][0-9]{2} [ -~]+$/;

export class Fates {
  readonly #scripts = new Map<string, Fate[]>();
  /** Whose content is under way: at the dot the session has forgotten them. */
  readonly #inData = new WeakMap<SinkSessionView, readonly string[]>();

  /** `who`: an address, `@` and a domain, or `*`. Replaces what was said of them before. Throws `INVALID_OPTIONS`. */
  set(who: string, fates: readonly Fate[]): void {
    const issues: Issues = [];
    const name = readWho(who, issues);
    if (fates.length === 0) put(issues, 'fates', 'MISSING_FIELD', 'must name one fate at least');
    const ofDomain = name === '*' || name?.startsWith('@') === true;
    for (const [i, fate] of fates.entries()) checkFate(fate, `fates[${i}]`, ofDomain, issues);
    if (name === undefined || issues.length > 0) throw errorOf(issues);
    this.#scripts.set(name, [...fates]);
  }

  clear(): void {
    this.#scripts.clear();
  }

  /** The next fate of a domain, if it is one of those that are asked for; taken from its script then. */
  ofDomain<T extends DomainFate>(domain: string, asked: readonly T[]): T | undefined {
    const script = this.#scripts.get(`@${domain}`) ?? this.#scripts.get('*');
    const [next] = script ?? [];
    const found = asked.find((one) => one === next);
    if (found !== undefined && script!.length > 1) script!.shift();
    return found;
  }

  /** What servers answer instead of the usual. */
  readonly script: SinkScript = (command, session) => this.#act(command, session);

  #act({ verb, argument }: SinkCommand, session: SinkSessionView): Act | undefined {
    switch (verb) {
      case 'RCPT': {
        const address = sinkPath(argument, 'TO:')?.address;
        return address === undefined ? undefined : this.#atRcpt(address);
      }
      case 'DATA':
        this.#inData.set(session, session.recipients);
        return this.#later('data', session.recipients);
      case 'DOT':
        return this.#later('dot', this.#inData.get(session) ?? []);
      default:
        return undefined;
    }
  }

  #scriptOf(address: string): Fate[] | undefined {
    return this.#scripts.get(canonicalAddress(address)) ?? this.#scripts.get(`@${domainOf(address)}`) ?? this.#scripts.get('*');
  }

  #atRcpt(address: string): Act | undefined {
    const script = this.#scriptOf(address);
    const [next] = script ?? [];
    if (next === undefined || (typeof next === 'object' && next.at !== 'rcpt')) return undefined;
    if (isOfDomain(next)) return undefined;
    if (script!.length > 1) script!.shift();
    if (typeof next === 'object') return next.reply;
    if (next === 'accept') return undefined;
    return next === 'drop' ? { drop: 'reset' } : next === 'hang' ? { hang: true } : next;
  }

  /** The first recipient of the transaction who has such a fate. */
  #later(stage: Stage, recipients: readonly string[]): Act | undefined {
    for (const address of recipients) {
      const script = this.#scriptOf(address);
      const [next] = script ?? [];
      if (typeof next !== 'object' || next.at !== stage) continue;
      if (script!.length > 1) script!.shift();
      return next.reply;
    }
    return undefined;
  }
}

function readWho(who: unknown, issues: Issues): string | undefined {
  const text = string(who, 'who', issues);
  if (text === undefined || text === '*') return text;
  if (!text.startsWith('@')) {
    const address = readEnvelopeAddress(text, 'who', issues);
    return address === ''
      ? put(issues, 'who', 'INVALID_ADDRESS', 'the null sender receives no mail')
      : address && canonicalAddress(address);
  }
  const domain = normalizeDomain(text.slice(1));
  return domain === undefined ? put(issues, 'who', 'INVALID_ADDRESS', 'is not @ and a domain name') : `@${domain}`;
}

function checkFate(fate: unknown, path: string, ofDomain: boolean, issues: Issues): void {
  if (fate === 'accept' || fate === 'drop' || fate === 'hang') return;
  if (isOfDomain(fate as Fate)) {
    if (!ofDomain) put(issues, path, 'INVALID_VALUE', 'is the fate of a domain: give it to @domain or to *');
    return;
  }
  const reply = isObject(fate) && STAGES.includes(fate['at'] as Stage) ? fate['reply'] : fate;
  if (typeof reply !== 'string' || !REPLY.test(reply))
    put(issues, path, 'INVALID_VALUE', 'must be accept, drop, hang, or an SMTP reply such as "450 4.2.1 Come back later"');
}
