/**
 * Secrets at rest: sealed under a key in a file, so that a copy of the store alone tells none of them.
 *
 *   sealed text: `1.` nonce, ciphertext and tag in base64url; AES-256-GCM, bound to the place it is kept at (`context`)
 *
 * Promises
 *  - What is opened is what was sealed, under this key and for this place, or `undefined`; never something in between.
 *  - A key that is to be made is whole on disk, readable by its owner only, before anything is sealed under it. One that is there is
 *    never replaced.
 *  - The key is read when it is needed first, not before.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { MtaError } from '../core/errors.js';

export interface Seal {
  seal(text: string, context: string): string;
  open(sealed: string, context: string): string | undefined;
  /** A word of 20 hexadecimal digits that stands for a text, and tells nobody without the key what that is. */
  digest(text: string): string;
}

const VERSION = '1.';
const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const DIGEST_DIGITS = 20;
/** Fewer octets than these in a key file are a mistake. */
const LEAST_KEY_BYTES = 16;

/** `key`: where it comes from; asked once. Any octets, at least 16. */
export function createSeal(key: () => Buffer): Seal {
  let keys: { readonly sealing: Buffer; readonly digesting: Buffer } | undefined;
  const derived = () => {
    if (keys === undefined) {
      const secret = key();
      const derive = (what: string) => Buffer.from(hkdfSync('sha256', secret, '', `riata ${what}`, KEY_BYTES));
      keys = { sealing: derive('seal'), digesting: derive('digest') };
    }
    return keys;
  };
  return {
    seal(text, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, derived().sealing, nonce).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return VERSION + sealed.toString('base64url');
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed.slice(VERSION.length), 'base64url');
      if (!sealed.startsWith(VERSION) || bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv(ALGORITHM, derived().sealing, bytes.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(context));
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
      try {
        return decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
      } catch {
        return undefined;
      }
    },
    digest: (text) => createHmac('sha256', derived().digesting).update(text).digest('hex').slice(0, DIGEST_DIGITS),
  };
}

/** For what does not outlive the process. */
export function randomKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

/** The key in a file. `make`: where there is none, a new one is put there. Throws `SPOOL_FAILED` with the way out. */
export function readKeyFile(file: string, { make }: { readonly make: boolean }): Buffer {
  const failed = (why: string, cause?: unknown) => new MtaError('SPOOL_FAILED', `the key that seals logins, ${file}, ${why}`, { cause });
  try {
    return enough(fs.readFileSync(file)) ?? fail(failed(`is too short: it must have ${LEAST_KEY_BYTES} octets at least`));
  } catch (error) {
    if (error instanceof MtaError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw failed(`cannot be read: ${message}`, error);
    if (!make) throw failed('is not there: correct spool.keyFile, or make it: openssl rand -out FILE 32', error);
  }
  try {
    return makeKeyFile(file);
  } catch (error) {
    throw failed(`cannot be made: ${(error as Error).message}`, error);
  }
}

function fail(error: Error): never {
  throw error;
}

function enough(key: Buffer): Buffer | undefined {
  return key.length >= LEAST_KEY_BYTES ? key : undefined;
}

/** Under another name first: half a key must never be taken for one. */
function makeKeyFile(file: string): Buffer {
  const key = Buffer.from(`${randomKey().toString('base64')}\n`);
  const fresh = `${file}.${process.pid}.new`;
  fs.writeFileSync(fresh, key, { mode: 0o600, flag: 'w' });
  sync(fresh);
  try {
    // A link does not replace what somebody else has put there meanwhile.
    fs.linkSync(fresh, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return fs.readFileSync(file);
  } finally {
    fs.unlinkSync(fresh);
  }
  sync(path.dirname(file));
  return key;
}

function sync(file: string): void {
  const handle = fs.openSync(file, 'r');
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}
