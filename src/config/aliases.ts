/**
 * Names that the common Postfix sidecar images take from the environment, as other names for our own options, so that Riata
 * can stand where such an image stood. The weakest layer above the defaults: whatever was said to Riata itself wins, in the
 * file as in a `RIATA_…` variable.
 *
 * Promises: a value is read as Postfix would read it, and held to the same bounds as everywhere. The names belong to others,
 * so one that we do not know is at most warned of, and so is a log format that is none of ours.
 */
import type { Ledger } from './ledger.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Alias {
  readonly variable: string;
  /** `…_FILE` names a file with the value. */
  readonly file?: true;
  /** Options that it sets, for documents. */
  readonly sets: readonly string[];
  /** For `conf/REFERENCE.md`. */
  readonly doc: string;
}

export const ALIASES: readonly Alias[] = [
  {
    variable: 'RELAYHOST',
    sets: ['route.host', 'route.port', 'route.tls'],
    doc: 'The relay for all mail: `[host]:port`, `host:port`, `[host]` or `host`. Port 25 where none is given; on 465 TLS begins at once.',
  },
  { variable: 'RELAYHOST_USERNAME', sets: ['route.username'], doc: 'Name to log in with there.' },
  { variable: 'RELAYHOST_PASSWORD', file: true, sets: ['route.password'], doc: 'Its password.' },
  {
    variable: 'ALLOWED_SENDER_DOMAINS',
    sets: ['submission.allowedSenders'],
    doc: 'Domains, separated by blanks or commas, whose addresses (and those of names below them) may be senders.',
  },
  { variable: 'POSTFIX_myhostname', sets: ['hostname'], doc: 'Our own name.' },
  {
    variable: 'POSTFIX_mynetworks',
    sets: ['submission.trustedNetworks'],
    doc: 'Clients that need no login: networks, separated by blanks or commas.',
  },
  {
    variable: 'POSTFIX_message_size_limit',
    sets: ['spool.maxMessageSize'],
    doc: 'The largest message in octets; 0 for the most there is.',
  },
  { variable: 'LOG_FORMAT', sets: ['log.format'], doc: "`json` or `logstash` for JSON, `plain` or `postfix` for Postfix's lines, `text`." },
];

/** What `set` is to do with an option; routes are counted by the ledger, so the relay is set apart. */
export interface AliasTarget {
  readonly ledger: Ledger;
  /** Sets an option of the table by its path. */
  readonly set: (path: string, value: string, variable: string) => void;
}

const LOG_FORMATS: Readonly<Record<string, string>> = {
  json: 'json',
  logstash: 'json',
  plain: 'postfix',
  postfix: 'postfix',
  text: 'text',
};

/** Everything but the relay. */
export function readAliases({ ledger, set }: AliasTarget, env: Environment): void {
  const given = (variable: string, path: string, read: (value: string) => string) => {
    const value = env[variable];
    if (value) set(path, read(value), variable);
  };
  given('POSTFIX_myhostname', 'hostname', (name) => name.trim());
  given('POSTFIX_mynetworks', 'submission.trustedNetworks', (list) => words(list).map(network).join(','));
  given('POSTFIX_message_size_limit', 'spool.maxMessageSize', (octets) => (octets.trim() === '0' ? '4GiB' : octets));
  given('ALLOWED_SENDER_DOMAINS', 'submission.allowedSenders', (list) => words(list).flatMap(sendersOf).join(','));
  const format = env['LOG_FORMAT'];
  const known = format && LOG_FORMATS[format.trim().toLowerCase()];
  if (known) set('log.format', known, 'LOG_FORMAT');
  warnOfOthers(ledger, env, format && !known ? format : undefined);
}

function warnOfOthers(ledger: Ledger, env: Environment, format: string | undefined): void {
  if (format !== undefined)
    ledger.warn(
      'log.format',
      'NOT_READ',
      `LOG_FORMAT is ${JSON.stringify(format.slice(0, 40))}, which is no format of ours: log.format stands`,
    );
  for (const variable of Object.keys(env)) {
    // Names of Kubernetes services are in capitals throughout; parameters of Postfix are not.
    if (!/^POSTFIX_[a-z]/.test(variable) || ALIASES.some((alias) => alias.variable === variable)) continue;
    ledger.warn(variable, 'NOT_READ', `${variable} is a setting of Postfix that means nothing here; conf/REFERENCE.md has what does`);
  }
}

/** What `RELAYHOST` says, in our words; undefined where it is not set. */
export function relayOf(env: Environment): Readonly<Record<'host' | 'port' | 'tls', string | undefined>> | undefined {
  const given = env['RELAYHOST']?.trim();
  if (!given) return undefined;
  const match = /^(?:\[(?:ipv6:)?([^\]]+)\]|([^:[\]]+))(?::([\w-]+))?$/i.exec(given);
  // As it stands: the option says what is wrong with it.
  if (!match) return { host: given, port: undefined, tls: undefined };
  const port = match[3] === undefined ? '25' : (SERVICES[match[3].toLowerCase()] ?? match[3]);
  return { host: match[1] ?? match[2]!, port, tls: port === '465' ? 'implicit' : undefined };
}

/** Postfix takes names of services for ports. */
const SERVICES: Readonly<Record<string, string>> = { smtp: '25', submission: '587', smtps: '465', submissions: '465' };

function words(list: string): string[] {
  return list.split(/[\s,]+/).filter((word) => word !== '');
}

/** Postfix writes IPv6 networks as `[::1]/128`. */
function network(text: string): string {
  return text.replace(/^\[([^\]]+)\]/, '$1');
}

/** For Postfix a domain in such a list stands for the names below it as well. */
function sendersOf(domain: string): string[] {
  if (domain.includes('@') || domain.startsWith('<')) return [domain];
  const name = domain.replace(/^\*?\./, '');
  return name === domain ? [`@${name}`, `@*.${name}`] : [`@*.${name}`];
}
