/** What receivers ask the DNS about a domain that mail is sent from: SPF, DKIM, DMARC, and whether its bounces can come back. */
import { createPublicKey } from 'node:crypto';
import { type Finding, fail, ok, type Patient, warn } from './finding.js';
import { checkSpf } from './spf.js';

/** `addresses`: those that we send from. */
export async function examineDomain(
  domain: string,
  selectors: readonly string[],
  addresses: readonly string[],
  patient: Patient,
): Promise<readonly Finding[]> {
  const takes = await bounces(domain, patient);
  // What cannot be looked up has nothing more to say.
  if (takes.level === 'fail') return [takes];
  const policies = await Promise.all([
    ...(addresses.length === 0 ? [spf(domain, undefined, patient)] : addresses.map((address) => spf(domain, address, patient))),
    ...selectors.map((selector) => dkim(domain, selector, patient)),
    dmarc(domain, patient),
  ]);
  return [takes, ...policies];
}

async function bounces(domain: string, { resolver }: Patient): Promise<Finding> {
  const answer = await resolver.mx(domain);
  if (answer.kind === 'found' && answer.records.some(({ exchange }) => exchange !== '')) return ok('mx', `${domain} takes mail`);
  if (answer.kind === 'failed')
    return fail('mx', answer.text, 'ask whoever runs its name servers: receivers refuse senders whose domain cannot be looked up');
  if (answer.kind === 'noName')
    return fail('mx', `there is no domain ${domain}`, 'send from a domain that exists: receivers refuse all others');
  return warn(
    'mx',
    `${domain} takes no mail: bounces and answers have nowhere to go`,
    'give it an MX record, or send from a domain that has one',
  );
}

async function spf(domain: string, address: string | undefined, patient: Patient): Promise<Finding> {
  const who = address ?? '192.0.2.1';
  const { result, text, everybody } = await checkSpf(domain, who, patient);
  if (result === 'none')
    return warn(
      'spf',
      text,
      `publish one, such as "v=spf1 ${address === undefined ? 'mx' : `ip${address.includes(':') ? '6' : '4'}:${address}`} -all"`,
    );
  if (result === 'error') return fail('spf', text, 'receivers take a broken record for none, or refuse: mend it');
  if (everybody) return fail('spf', `${text}: everybody may send as ${domain}`, 'end the record with -all or ~all');
  if (address === undefined) return ok('spf', `${domain} has an SPF record; our address is not known, so whether it passes is not`);
  if (result === 'pass') return ok('spf', `${address} may send as ${domain} (${text})`);
  if (result === 'unknown')
    return warn('spf', `whether ${address} may send as ${domain} could not be told: ${text}`, 'look at it with another tool');
  const todo = `add ip${address.includes(':') ? '6' : '4'}:${address} to the SPF record of ${domain}, or send through a server that it names`;
  return result === 'neutral' || result === 'softfail'
    ? warn('spf', `${address} is not named as a sender of ${domain} (${text})`, todo)
    : fail('spf', `${address} may not send as ${domain} (${text})`, todo);
}

async function dkim(domain: string, selector: string, { records }: Patient): Promise<Finding> {
  const name = `${selector}._domainkey.${domain}`;
  const answer = await records.texts(name);
  if (answer.kind === 'failed') return warn('dkim', answer.text, 'ask again later');
  if (answer.kind !== 'found') return fail('dkim', `there is no key at ${name}`, 'publish it, or sign with the selector that is published');
  const tags = tagsOf(answer.records[0]!);
  const key = (tags.get('p') ?? '').replace(/\s/g, '');
  if (key === '') return fail('dkim', `the key at ${name} is empty: it was withdrawn`, 'publish a new one, under a new selector');
  try {
    const type = tags.get('k') ?? 'rsa';
    if (type === 'ed25519') {
      if (Buffer.from(key, 'base64').length === 32) return ok('dkim', `${name} has an Ed25519 key; many receivers read RSA only`);
      throw new Error('it does not have 32 octets');
    }
    const bits = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' }).asymmetricKeyDetails?.modulusLength ?? 0;
    if (bits < 1024) return fail('dkim', `the key at ${name} has ${bits} bits`, 'receivers pass it over: make one of 2048');
    if (bits < 2048) return warn('dkim', `the key at ${name} has ${bits} bits`, 'make one of 2048');
    return ok('dkim', `${name} has an RSA key of ${bits} bits`);
  } catch (error) {
    return fail(
      'dkim',
      `the key at ${name} cannot be used: ${(error as Error).message}`,
      'publish it anew; a long one must be cut into strings of 255 characters',
    );
  }
}

async function dmarc(domain: string, { records }: Patient): Promise<Finding> {
  // What a domain does not say for itself, the domain above it may (RFC 7489 §6.6.3); the public suffix list is not asked.
  const parents = domain
    .split('.')
    .map((_, i, labels) => labels.slice(i).join('.'))
    .filter((name) => name.includes('.'));
  for (const name of parents) {
    const answer = await records.texts(`_dmarc.${name}`);
    if (answer.kind === 'failed') return warn('dmarc', answer.text, 'ask again later');
    const found = (answer.kind === 'found' ? answer.records : []).filter((text) => /^v\s*=\s*DMARC1\s*(?:;|$)/i.test(text));
    if (found.length === 0) continue;
    if (found.length > 1) return fail('dmarc', `_dmarc.${name} has ${found.length} policies, which counts as none`, 'leave one of them');
    const policy = tagsOf(found[0]!).get('p')?.toLowerCase();
    if (policy !== 'none' && policy !== 'quarantine' && policy !== 'reject')
      return fail('dmarc', `the policy of _dmarc.${name} cannot be read`, 'it must have p=none, p=quarantine or p=reject');
    return ok('dmarc', `${domain} has a policy, p=${policy}${name === domain ? '' : `, of ${name}`}`);
  }
  return warn('dmarc', `${domain} has no DMARC policy`, 'publish "v=DMARC1; p=none" at _dmarc: large receivers demand one');
}

/** `a=b; c=d`, as DKIM and DMARC write it. */
function tagsOf(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split(';').map((part) => {
      const [name = '', ...value] = part.split('=');
      return [name.trim().toLowerCase(), value.join('=').trim()] as const;
    }),
  );
}
