/**
 * Passwords, hashed so that whoever reads the hash has to guess (scrypt, RFC 7914). The cost stands in the hash, so that it can be
 * raised later and old ones go on being good.
 *
 * Promises: comparing takes the same time whatever the password; not more than two are computed at once, since each takes 16 MiB and
 * a core; a hash that asks for more than 64 MiB is refused.
 */
import { scrypt, timingSafeEqual } from 'node:crypto';
import { PASSWORD_HASH } from '../core/users.js';
import type { Random } from './random.js';

/** 16 MiB, and the work that OWASP asks for at this size. */
const LOG_N = 14;
const BLOCK = 8;
const PARALLEL = 5;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const MOST_MEMORY = 64 * 2 ** 20;
const AT_ONCE = 2;

export async function hashPassword(password: string, random: Random): Promise<string> {
  const salt = Buffer.alloc(SALT_BYTES);
  random.fill(salt);
  const hash = await compute(password, salt, { ln: LOG_N, r: BLOCK, p: PARALLEL, length: HASH_BYTES });
  return `$scrypt$ln=${LOG_N},r=${BLOCK},p=${PARALLEL}$${base64(salt)}$${base64(hash)}`;
}

/** False for a hash that cannot be read as well. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const found = PASSWORD_HASH.exec(stored);
  if (found === null) return false;
  const [ln, r, p] = [Number(found[1]), Number(found[2]), Number(found[3])];
  const wanted = Buffer.from(found[5]!, 'base64');
  if (ln < 1 || r < 1 || p < 1 || memory(ln, r) > MOST_MEMORY) return false;
  const hash = await compute(password, Buffer.from(found[4]!, 'base64'), { ln, r, p, length: wanted.length });
  return timingSafeEqual(hash, wanted);
}

/** What is compared with where there is no such user: so that the answer comes no sooner. */
export const NOBODY = `$scrypt$ln=${LOG_N},r=${BLOCK},p=${PARALLEL}$${base64(Buffer.alloc(SALT_BYTES))}$${base64(Buffer.alloc(HASH_BYTES))}`;

interface Cost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
  readonly length: number;
}

function memory(ln: number, r: number): number {
  return 128 * r * 2 ** ln;
}

let computing = 0;
const waiting: (() => void)[] = [];

async function compute(password: string, salt: Buffer, { ln, r, p, length }: Cost): Promise<Buffer> {
  if (computing >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  computing++;
  try {
    return await new Promise((resolve, reject) => {
      const cost = { N: 2 ** ln, r, p, maxmem: 2 * memory(ln, r) + 2 ** 20 };
      scrypt(password.normalize('NFC'), salt, length, cost, (error, hash) => (error ? reject(error) : resolve(hash)));
    });
  } finally {
    computing--;
    waiting.shift()?.();
  }
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
