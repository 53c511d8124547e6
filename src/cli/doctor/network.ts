/** The way to the world: names, the reverse of our own, port 25 or the relay, and the clock. */
import type { Duplex } from 'node:stream';
import type { Config } from '../../config/config.js';
import { clockOffset } from '../../platform/ntp.js';
import { duration } from '../format.js';
import { type Finding, fail, ok, type Patient, warn } from './finding.js';

const CONNECT_MS = 10_000;
const SLOW_DNS_MS = 1_000;

/** Whether mail goes straight to the servers of its recipients; else through relays only. */
export function goesDirect({ route }: Config): boolean {
  return !route.some(({ domain, sender, host }) => domain === '*' && sender === '*' && host !== '');
}

/** `probe`: a domain that certainly takes mail. */
export async function examineDns(probe: string, { resolver, clock }: Patient): Promise<Finding> {
  const asked = clock.monotonic();
  const answer = await resolver.mx(probe, { refresh: true });
  const took = clock.monotonic() - asked;
  if (answer.kind === 'failed')
    return fail('dns', answer.text, 'without DNS no mail goes out: look at dns.servers, /etc/resolv.conf, and the firewall (port 53)');
  if (answer.kind !== 'found')
    return fail('dns', `${probe} has no MX, says the DNS`, 'it lies, or --probe names a domain without mail: look at dns.servers');
  if (took > SLOW_DNS_MS)
    return warn('dns', `the DNS answers after ${duration(took)}`, 'run a resolver on this machine, and name it in dns.servers');
  return ok('dns', `${probe} was looked up in ${duration(took)}`);
}

/** The name that we introduce ourselves by leads to addresses, and these lead back to it. Also returns the addresses that we send from. */
export async function examineName(
  config: Config,
  patient: Patient,
): Promise<{ readonly findings: readonly Finding[]; readonly addresses: readonly string[] }> {
  const name = config.delivery.heloName || config.hostname;
  const direct = goesDirect(config);
  const setting = 'set hostname (or delivery.heloName) to a full name that the DNS knows, such as mail.example.com';
  if (!name.includes('.'))
    return {
      findings: [(direct ? fail : warn)('hostname', `${name} is not a full name`, setting)],
      addresses: config.delivery.sourceAddresses,
    };
  const answer = await patient.resolver.addresses(name);
  if (answer.kind === 'failed')
    return { findings: [warn('hostname', answer.text, 'ask again later')], addresses: config.delivery.sourceAddresses };
  if (answer.kind !== 'found')
    return {
      findings: [(direct ? fail : warn)('hostname', `the DNS knows no address of ${name}`, setting)],
      addresses: config.delivery.sourceAddresses,
    };
  const addresses = config.delivery.sourceAddresses.length > 0 ? config.delivery.sourceAddresses : answer.records;
  const findings = [ok('hostname', `${name} is ${answer.records.join(', ')}`)];
  if (!direct) return { findings, addresses: [] };
  for (const address of addresses) findings.push(await reverse(name, address, patient));
  return { findings, addresses };
}

async function reverse(name: string, address: string, { records }: Patient): Promise<Finding> {
  const answer = await records.names(address);
  const todo = `have whoever gave you ${address} set its reverse name (PTR) to ${name}: large receivers refuse mail without it`;
  if (answer.kind === 'failed') return warn('reverse', answer.text, 'ask again later');
  if (answer.kind !== 'found') return fail('reverse', `${address} has no reverse name`, todo);
  if (answer.records.includes(name.toLowerCase())) return ok('reverse', `${address} leads back to ${name}`);
  return warn('reverse', `${address} leads back to ${answer.records.join(', ')}, and not to ${name}`, todo);
}

/** Port 25 of somebody who certainly takes mail, or the relays. */
export async function examineWay(config: Config, probe: string, patient: Patient): Promise<readonly Finding[]> {
  const relays = config.route.filter(({ host }) => host !== '');
  const found = await Promise.all(relays.map((relay) => relayWay(relay, patient)));
  return goesDirect(config) ? [await straightWay(probe, patient), ...found] : found;
}

async function straightWay(probe: string, patient: Patient): Promise<Finding> {
  const exchangers = await patient.resolver.mx(probe);
  const hosts = exchangers.kind === 'found' ? exchangers.records.map(({ exchange }) => exchange).filter((host) => host !== '') : [];
  const answer = hosts[0] === undefined ? undefined : await patient.resolver.addresses(hosts[0]);
  const address = answer?.kind === 'found' ? answer.records[0] : undefined;
  if (address === undefined)
    return warn('port 25', `no server of ${probe} was found to try it with`, 'see dns, or name another domain with --probe');
  const said = await greeting(address, patient.mxPort, patient);
  if (said.ok) return ok('port 25', `${hosts[0]} answers`);
  const todo = 'most cloud providers and access lines block port 25: ask yours to open it, or send through a relay ([[route]] with host)';
  return fail('port 25', `${hosts[0]} [${address}] cannot be reached: ${said.text}`, todo);
}

async function relayWay({ host, port, tls, username }: Config['route'][number], patient: Patient): Promise<Finding> {
  const way = port ?? (tls === 'implicit' ? 465 : username === '' ? 25 : 587);
  const answer = await patient.resolver.hostAddresses(host);
  if (answer.kind !== 'found')
    return fail(
      'relay',
      `${host} cannot be looked up${answer.kind === 'failed' ? `: ${answer.text}` : ''}`,
      'look at host of its [[route]]',
    );
  const said = await greeting(answer.records[0]!, way, patient, tls === 'implicit');
  if (said.ok) return ok('relay', `${host} answers on port ${way}`);
  return fail(
    'relay',
    `${host} [${answer.records[0]}]:${way} cannot be reached: ${said.text}`,
    'look at host and port of its [[route]], and at the firewall',
  );
}

/** Connects, and waits for the first word; where TLS comes first, for the connection alone. */
async function greeting(
  address: string,
  port: number,
  { dialer }: Patient,
  silent = false,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  const signal = AbortSignal.timeout(CONNECT_MS);
  let stream: Duplex | undefined;
  try {
    stream = await dialer.connect({ address, port }, signal);
    if (silent) return { ok: true, text: '' };
    const line = await firstLine(stream, signal);
    return { ok: line.startsWith('220'), text: `it says ${JSON.stringify(line.slice(0, 100))}` };
  } catch (error) {
    const text = signal.aborted ? `no answer within ${duration(CONNECT_MS)}` : (error as Error).message;
    return { ok: false, text };
  } finally {
    stream?.destroy();
  }
}

function firstLine(stream: Duplex, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes('\n')) resolve(text.split(/\r?\n/, 1)[0]!);
    });
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('the connection was closed')));
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

const NTP_MS = 3_000;
const OFF_MS = 60_000;
/** Certificates fail, and mail looks like spam. */
const FAR_OFF_MS = 15 * 60_000;

/** `server`: host of a time server, with a port behind a colon where it is not 123. */
export async function examineClock(server: string, { resolver, clock }: Patient): Promise<Finding> {
  const [host = '', port] = server.split(':');
  const unknown = (why: string) =>
    warn(
      'clock',
      `it could not be compared: ${why}`,
      'name a time server that can be reached with --ntp, or see that the clock is set by one',
    );
  const answer = await resolver.hostAddresses(host);
  if (answer.kind !== 'found') return unknown(`${host} was not found`);
  try {
    const offset = await clockOffset({ address: answer.records[0]!, ...(port === undefined ? {} : { port: Number(port) }) }, clock, NTP_MS);
    const text = `it is ${duration(Math.abs(offset))} ${offset < 0 ? 'behind' : 'ahead of'} ${host}`;
    const todo = 'set it by NTP (systemd-timesyncd, chrony): dates, retries, certificates and logs depend on it';
    if (Math.abs(offset) > FAR_OFF_MS) return fail('clock', text, todo);
    return Math.abs(offset) > OFF_MS ? warn('clock', text, todo) : ok('clock', text);
  } catch (error) {
    return unknown((error as Error).message);
  }
}
