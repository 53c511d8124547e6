/** Tags: words that a sender gives to a message, to find it again by. They stay here; no server is told of them. */

export const MOST_TAGS = 20;
const LONGEST_TAG = 100;
const UNFIT = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Why this is no tag, for a sentence that begins with it; undefined: it is one. */
export function tagFault(text: string): string | undefined {
  if (text === '' || text.length > LONGEST_TAG) return `a tag has 1 to ${LONGEST_TAG} characters`;
  return UNFIT.test(text) ? 'a tag has no control characters' : undefined;
}
