/** What became of the servers that one attempt went through, and the one trouble that tells it best. Pure. */
import { STAGES, type TransactionResult, type Trouble } from '../core/outcome.js';
import type { SiteTarget } from './sites.js';
import { joined } from './transcript.js';

export interface Tried {
  readonly target: SiteTarget;
  readonly trouble: Trouble;
  /** What was said there; `''` where that is not kept. */
  readonly transcript: string;
  /** Others to the same place work: it was one connection too many. */
  readonly crowded: boolean;
}

const LONGEST_TEXT = 1_000;

/** How far trouble before MAIL reaches: all who connect to the server, all of one channel, or whatever needs the same network. */
export function scopeOf({ stage, reason }: Trouble): 'server' | 'channel' | 'network' {
  if (reason === 'noRoute') return 'network';
  return stage === 'starttls' || stage === 'auth' || reason === 'tls' || reason === 'auth' ? 'channel' : 'server';
}

/**
 * The trouble of the best server that could be asked at all (of equal ones, of that with which the conversation got
 * furthest), with the others' in its text: a login refused by IPv4 says more than that nobody listens on IPv6. Always temporary: trouble before MAIL blames no message. `tried` is not empty.
 */
export function combineTroubles(tried: readonly Tried[]): Trouble {
  const furthest = ({ trouble }: Tried) => STAGES.indexOf(trouble.stage);
  const sorted = [...tried].sort((a, b) => a.target.preference - b.target.preference || furthest(b) - furthest(a));
  const main = sorted.find(({ trouble }) => trouble.reason !== 'noRoute') ?? sorted[0]!;
  const others = sorted
    .filter((one) => one !== main)
    .map(({ target, trouble }) => `${target.host}[${target.address}]:${target.port}: ${trouble.text}`);
  const lead = main.trouble.reason === 'noRoute' ? `no way to the server from this machine: ${main.trouble.text}` : main.trouble.text;
  const text = others.length === 0 ? lead : `${lead}; also ${others.join('; ')}`;
  const retryAfterMs = main.trouble.retryAfterMs ?? sorted.find(({ trouble }) => trouble.retryAfterMs !== undefined)?.trouble.retryAfterMs;
  return {
    ...main.trouble,
    lasting: 'temporary',
    status: main.trouble.status.replace(/^5/, '4'),
    text: text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** What was said at all of them, in the order of trying. */
export function transcriptOf(tried: readonly Tried[]): string | undefined {
  const kept = tried.map(({ transcript }) => transcript).filter((transcript) => transcript !== '');
  return kept.length === 0 ? undefined : joined(kept);
}

/** The server answered to MAIL or later, and not only to say that it is closing. */
export function showsReply({ outcomes }: TransactionResult): boolean {
  return outcomes.some((outcome) => {
    if (outcome.kind === 'delivered' || outcome.kind === 'again') return true;
    return outcome.trouble.code !== undefined && outcome.trouble.code !== 421;
  });
}
