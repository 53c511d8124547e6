/**
 * The file of those who may log in to hand in mail: one line each, `name:hash` and, where they may send as some addresses only,
 * `name:hash:ann@example.com,@shop.example`. Empty lines and those that begin with `#` are kept and mean nothing. Pure.
 */

export interface UserRecord {
  readonly name: string;
  /** As `platform/password.ts` makes it; no password can be read from it. */
  readonly hash: string;
  /** Patterns of envelope senders, as `submission.allowedSenders` has them; none: all. */
  readonly senders: readonly string[];
}

export interface UsersText {
  readonly users: ReadonlyMap<string, UserRecord>;
  /** What cannot be read, line by line, in words. Never repeats the line: it may hold a password that somebody wrote there. */
  readonly faults: readonly string[];
}

/** `$scrypt$ln=14,r=8,p=5$salt$hash`, base64 without `=`. */
export const PASSWORD_HASH = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;
/** Longer ones no mail program offers. */
const LONGEST_NAME = 255;
const SENDER = /^(?:<>|\*|[^\s,:@]*@(?:\*\.)?[^\s,:@]+)$/;

/** Why it cannot be the name of a user, or undefined. */
export function userNameFault(name: string): string | undefined {
  if (name === '' || name.length > LONGEST_NAME) return `a name has 1 to ${LONGEST_NAME} characters`;
  if (name.startsWith('#')) return 'a name does not begin with #';
  return /[\s:\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(name) ? 'a name holds no space, colon or control character' : undefined;
}

export function senderPatternFault(pattern: string): string | undefined {
  return SENDER.test(pattern) ? undefined : 'is no sender: write ann@example.com, @example.com, @*.example.com or <>';
}

export function parseUsers(text: string): UsersText {
  const users = new Map<string, UserRecord>();
  const faults: string[] = [];
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [name = '', hash = '', senders = '', ...more] = line.split(':');
    const fault =
      userNameFault(name) ??
      recordFault(hash, list(senders), more.length > 0) ??
      (users.has(name) ? 'the name stands there twice' : undefined);
    if (fault !== undefined) faults.push(`line ${at + 1}: ${fault}`);
    else users.set(name, { name, hash, senders: list(senders) });
  }
  return { users, faults };
}

function recordFault(hash: string, senders: readonly string[], more: boolean): string | undefined {
  if (more || !PASSWORD_HASH.test(hash)) return 'it is not name:hash or name:hash:senders, with a hash as "riata user add" writes it';
  return senders.some((sender) => senderPatternFault(sender) !== undefined) ? 'one of the senders is none' : undefined;
}

function list(senders: string): string[] {
  return senders
    .split(',')
    .map((sender) => sender.trim())
    .filter((sender) => sender !== '');
}

/** The file with a user put in, or in the place of the one of that name; undefined takes the name out. What else stands there stays. */
export function withUser(text: string, name: string, record: UserRecord | undefined): string {
  const line =
    record === undefined ? [] : [[record.name, record.hash, ...(record.senders.length === 0 ? [] : [record.senders.join(',')])].join(':')];
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const at = lines.findIndex((each) => !each.startsWith('#') && each.split(':', 1)[0] === name);
  if (at < 0) lines.push(...line);
  else lines.splice(at, 1, ...line);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
