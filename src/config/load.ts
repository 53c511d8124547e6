/**
 * Loads the configuration: flag, then environment, then file, then the names of other images (`aliases.ts`), then default, for
 * every option of the table.
 *
 * Promises: the result is complete and sound, or one `MtaError('INVALID_OPTIONS')` names everything that is wrong, each
 * with its place, what was found and what is allowed. A name that means nothing is an error, never passed over. Secrets
 * do not get into messages. Reads the files it was told to, and nothing else of the world.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parse, TomlError } from 'smol-toml';
import { type Issue, MtaError } from '../core/errors.js';
import { readAliases, relayOf } from './aliases.js';
import {
  CONFIG_VARIABLE,
  ENTRIES,
  isSection,
  RELAY_ENTRIES,
  ROUTE_ENTRIES,
  ROUTE_TABLE,
  TABLE,
  type Table,
  VARIABLES,
} from './catalogue.js';
import { checkConfig } from './checks.js';
import type { Config, ConfigOptions, LoadedConfig, RouteConfig, Source } from './config.js';
import { Ledger, showFound } from './ledger.js';
import type { Option } from './options.js';
import { tomlLines } from './toml-lines.js';
import type { Form } from './values.js';

export interface ConfigSources {
  /** From the command line, by flag name without dashes (`spool-path`). Other keys, and undefined values, are not looked at. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Only variables that begin with `RIATA_`, and those of `aliases.ts`, are looked at; empty ones count as not set. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Path of the TOML file; else `RIATA_CONFIG` names it; else there is none. */
  readonly file?: string;
  /** Text of the file, where it was read already: `file` is then just its name in messages. */
  readonly text?: string;
  readonly readFile?: (path: string) => string;
  /** Stands in for `hostname` where that is not set. Default: the machine's name. */
  readonly machineName?: string;
}

const fromDisk = (path: string) => readFileSync(path, 'utf8');

export function loadConfig(from: ConfigSources): LoadedConfig {
  const ledger = new Ledger(from.readFile ?? fromDisk);
  const env = from.env ?? {};
  readAliases({ ledger, set: (path, value, name) => setByPath(ledger, path, value, name) }, env);
  readToml(ledger, from);
  readEnvironment(ledger, env);
  readFlags(ledger, from.flags ?? {});
  return conclude(ledger, from.machineName);
}

/**
 * The configuration of an agent inside another program: an object of the table's shape, where durations may be bare
 * milliseconds and sizes bare octets. It looks at no environment, and listens nowhere unless `submission.listen` says so.
 */
export function configFromOptions(options: ConfigOptions, more: Pick<ConfigSources, 'readFile' | 'machineName'> = {}): LoadedConfig {
  const ledger = new Ledger(more.readFile ?? fromDisk);
  ledger.values.set('submission.listen', []);
  const whole = typeof options.spool === 'string' ? { ...options, spool: { path: options.spool } } : options;
  readTop(ledger, whole, () => ({ kind: 'object' }), 'object');
  return conclude(ledger, more.machineName);
}

// — layers —

function readToml(ledger: Ledger, from: ConfigSources): void {
  const variable = from.env?.[CONFIG_VARIABLE] || undefined;
  const file = from.file ?? variable ?? (from.text === undefined ? undefined : 'riata.toml');
  if (file === undefined) return;
  const named: Source | undefined = from.file === undefined && variable ? { kind: 'variable', name: CONFIG_VARIABLE } : undefined;
  const text = from.text ?? ledger.read(file, '', named);
  if (text === undefined) return;
  try {
    const values = parse(text);
    const lines = tomlLines(text);
    readTop(ledger, values, (path) => fileSource(file, lines.get(path)), 'toml');
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The message goes on with the lines around the mistake, which may hold a password: only its first line is told.
    const why = error.message.split('\n', 1)[0]!.replace('Invalid TOML document: ', '');
    ledger.wrong('', 'SYNTAX', fileSource(file, error.line), `column ${error.column}: this is not TOML: ${why}`);
  }
}

function fileSource(file: string, line: number | undefined): Source {
  return line === undefined ? { kind: 'file', file } : { kind: 'file', file, line };
}

type Locate = (path: string) => Source;

function readTop(ledger: Ledger, values: Readonly<Record<string, unknown>>, locate: Locate, form: Form): void {
  const { route, ...rest } = values;
  readTable(ledger, TABLE, rest, '', locate, form);
  if (route === undefined) return;
  if (!Array.isArray(route) || !route.every(isTable)) {
    const found = Array.isArray(route) ? 'a list of other things' : shownIn(form, route);
    const wanted = form === 'object' ? 'an array of objects' : 'tables, each under [[route]]';
    ledger.wrong('route', 'WRONG_TYPE', locate('route'), `route is ${found}, but must be ${wanted}`);
    return;
  }
  for (const each of route) readTable(ledger, ROUTE_TABLE, each, `route[${ledger.routes++}]`, locate, form);
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function readTable(ledger: Ledger, table: Table, values: Readonly<Record<string, unknown>>, at: string, locate: Locate, form: Form): void {
  for (const [key, given] of Object.entries(values)) {
    if (given === undefined) continue;
    const path = at === '' ? key : `${at}.${key}`;
    const source = locate(path);
    const node = Object.hasOwn(table, key) ? table[key] : undefined;
    const short = key.endsWith('File') ? key.slice(0, -4) : '';
    const behind = short !== '' && Object.hasOwn(table, short) ? table[short] : undefined;
    if (node !== undefined && isSection(node)) {
      if (isTable(given)) readTable(ledger, node.options, given, path, locate, form);
      else ledger.wrong(path, 'WRONG_TYPE', source, `${path} is ${shownIn(form, given)}, but must be ${sectionOf(path, form)}`);
    } else if (node !== undefined) {
      ledger.set(path, node, given, source, form);
    } else if (behind !== undefined && !isSection(behind) && behind.file) {
      if (values[short] === undefined) ledger.setFromFile(path.slice(0, -4), behind, given, source);
      else ledger.twice(path, source, path.slice(0, -4), path);
    } else {
      ledger.unknown('option', path, source, candidates(at));
    }
  }
}

/** As whoever writes it would call it. */
function shownIn(form: Form, given: unknown): string {
  return form === 'object' && isTable(given) ? 'an object' : showFound(given);
}

function sectionOf(path: string, form: Form): string {
  if (form !== 'object') return 'a table of options';
  return path === 'spool' ? 'a path, or an object with options' : 'an object with options';
}

/** What an unknown key may have been meant for: within a route its own options, else any option or section. */
function candidates(at: string): string[] {
  if (!at.startsWith('route[')) return ['route', ...Object.keys(TABLE), ...ENTRIES.map((entry) => entry.path)];
  return ROUTE_ENTRIES.flatMap(({ path, option }) => (option.file ? [`${at}.${path}`, `${at}.${path}File`] : [`${at}.${path}`]));
}

function readEnvironment(ledger: Ledger, env: Readonly<Record<string, string | undefined>>): void {
  const known = new Set(VARIABLES);
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('RIATA_') || known.has(name) || isServiceLink(name, value)) continue;
    ledger.unknown('variable', name, { kind: 'variable', name }, VARIABLES);
  }
  for (const entry of ENTRIES) readVariable(ledger, env, entry.variable, entry.path, entry.option);
  readRelay(ledger, env);
}

function setByPath(ledger: Ledger, path: string, value: string, variable: string): void {
  const { option } = ENTRIES.find((entry) => entry.path === path)!;
  ledger.set(path, option, value, { kind: 'variable', name: variable }, 'text');
}

/**
 * Kubernetes gives every container variables about each service of its namespace; those of a service called "riata" look
 * like ours (`RIATA_SERVICE_HOST`, `RIATA_PORT_587_TCP_ADDR`, `RIATA_RELAY_PORT=tcp://…`), and mean nothing to us.
 */
function isServiceLink(name: string, value: string | undefined): boolean {
  return (
    /_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    /^(tcp|udp|sctp):\/\//.test(value ?? '')
  );
}

function readVariable(
  ledger: Ledger,
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  path: string,
  option: Option<unknown>,
): boolean {
  const fileName = `${name}_FILE`;
  const value = env[name];
  const file = option.file ? env[fileName] : undefined;
  const source: Source = { kind: 'variable', name: file ? fileName : name };
  if (value && file) ledger.twice(path, source, name, fileName);
  else if (file) ledger.setFromFile(path, option, file, source);
  else if (value && !isServiceLink(name, value)) ledger.set(path, option, value, source, 'text');
  else return false;
  return true;
}

/**
 * One last route, for everything, from `RIATA_RELAY_…`, or else from `RELAYHOST…`. Another host than that of `RELAYHOST`
 * is not given its password.
 */
function readRelay(ledger: Ledger, env: Readonly<Record<string, string | undefined>>): void {
  const at = `route[${ledger.routes}]`;
  const other = env['RIATA_RELAY_HOST'] ? undefined : relayOf(env);
  if (other !== undefined) {
    readRelayAliases(ledger, env, at, other);
    for (const entry of RELAY_ENTRIES) readVariable(ledger, env, entry.variable, `${at}.${entry.path}`, entry.option);
    ledger.routes++;
    return;
  }
  const set = RELAY_ENTRIES.filter((entry) => readVariable(ledger, env, entry.variable, `${at}.${entry.path}`, entry.option));
  if (set.length === 0) return;
  ledger.routes++;
  const host = RELAY_ENTRIES.find((entry) => entry.path === 'host')!;
  if (!set.includes(host)) {
    const name = set[0]!.variable;
    ledger.wrong(`${at}.host`, 'MISSING_FIELD', { kind: 'variable', name }, `${name} is of no use without ${host.variable}`);
  }
}

function readRelayAliases(
  ledger: Ledger,
  env: Readonly<Record<string, string | undefined>>,
  at: string,
  { host, port, tls }: NonNullable<ReturnType<typeof relayOf>>,
): void {
  const option = (name: string) => RELAY_ENTRIES.find((entry) => entry.path === name)!.option;
  const source: Source = { kind: 'variable', name: 'RELAYHOST' };
  for (const [name, value] of Object.entries({ host, port, tls }))
    if (value !== undefined) ledger.set(`${at}.${name}`, option(name), value, source, 'text');
  for (const name of ['username', 'password']) readVariable(ledger, env, `RELAYHOST_${name.toUpperCase()}`, `${at}.${name}`, option(name));
}

function readFlags(ledger: Ledger, flags: Readonly<Record<string, unknown>>): void {
  for (const { flag, path, option } of ENTRIES) {
    if (flag === undefined || !Object.hasOwn(flags, flag)) continue;
    if (flags[flag] !== undefined) ledger.set(path, option, flags[flag], { kind: 'flag', name: flag }, 'text');
  }
}

// — what they come to —

function conclude(ledger: Ledger, machineName: string | undefined): LoadedConfig {
  const set = build(ledger, TABLE, '') as Omit<Config, 'route'>;
  const name = set.hostname || (machineName ?? hostname());
  const config: Config = {
    ...set,
    hostname: name,
    spool: {
      ...set.spool,
      // Room for one message being written and the same one being copied.
      minFreeSpace: ledger.sources.has('spool.minFreeSpace')
        ? set.spool.minFreeSpace
        : Math.max(set.spool.minFreeSpace, 2 * set.spool.maxMessageSize),
    },
    delivery: { ...set.delivery, heloName: set.delivery.heloName || name },
    route: Array.from({ length: ledger.routes }, (_, i) => build(ledger, ROUTE_TABLE, `route[${i}]`) as RouteConfig),
  };
  checkConfig(config, ledger);
  if (ledger.issues.length > 0) throw invalid(ledger.issues);
  return { config, sources: ledger.sources, files: [...ledger.files], warnings: ledger.warnings };
}

function build(ledger: Ledger, table: Table, at: string): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  for (const [key, node] of Object.entries(table)) {
    const path = at === '' ? key : `${at}.${key}`;
    const value = isSection(node) ? build(ledger, node.options, path) : (ledger.values.get(path) ?? node.default);
    if (value !== undefined) values[key] = value;
  }
  return values;
}

function invalid(issues: readonly Issue[]): MtaError {
  const lines = issues.map((issue) => `  ${issue.message}`).join('\n');
  const count = issues.length === 1 ? 'one setting is' : `${issues.length} settings are`;
  return new MtaError('INVALID_OPTIONS', `${count} wrong:\n${lines}`, { issues });
}
