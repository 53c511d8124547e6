/** Which envelope senders a list of patterns lets through. Pure. */
import { domainOf } from '../../core/address.js';

/** Whether a sender (`''` for the null sender) is one of those; domains as A-labels. */
export type SenderCheck = (sender: string) => boolean;

/**
 * `user@example.com`, `@example.com`, `@*.example.com` (every name below it), `<>`, `*`. Case is ignored, in local parts as
 * well: who may write as `Ann@` may write as `ann@`. Undefined for an empty list, which asks nothing.
 */
export function matchSenders(patterns: readonly string[]): SenderCheck | undefined {
  if (patterns.length === 0 || patterns.includes('*')) return undefined;
  const wanted = new Set(patterns.map((pattern) => pattern.toLowerCase()));
  const below = [...wanted].filter((pattern) => pattern.startsWith('@*.')).map((pattern) => pattern.slice(2));
  return (given) => {
    if (given === '') return wanted.has('<>');
    const sender = given.toLowerCase();
    const domain = domainOf(sender);
    return wanted.has(`@${domain}`) || wanted.has(sender) || below.some((end) => domain.endsWith(end));
  };
}
