/**
 * `riata doctor`: examines what commonly keeps mail from arriving, or loses it, and says of each thing what to do. Changes nothing;
 * sends nothing but questions, and one connection that says nothing.
 */
import path from 'node:path';
import { showHostPort } from '../../config/addresses.js';
import type { LoadedConfig } from '../../config/config.js';
import { readDomain } from '../../control/route.js';
import { systemDialer } from '../../platform/dialer.js';
import { createDnsResolver } from '../../platform/dns.js';
import { createDnsRecords } from '../../platform/dns-records.js';
import { mountsHere } from '../../platform/mounts.js';
import { systemRandom } from '../../platform/random.js';
import type { Cli, Command, Globals } from '../command.js';
import { EXIT } from '../exit.js';
import { count } from '../format.js';
import { connectAgent } from '../reach.js';
import { settings } from '../settings.js';
import { wrap } from '../table.js';
import { oneLine } from '../visible.js';
import { examineDomain } from './domains.js';
import { type Finding, type Patient, warn } from './finding.js';
import { examineDisk, examinePermissions, examinePlace, examinePorts } from './machine.js';
import { examineClock, examineDns, examineName, examineWay } from './network.js';

export interface DoctorArgs extends Globals {
  readonly sending: readonly string[] | undefined;
  readonly selector: readonly string[] | undefined;
  readonly probe: string;
  readonly ntp: string;
}

const MX_PORT = 25;

export const doctor: Command<DoctorArgs> = async (args, cli) => {
  const loaded = settings(args, cli);
  const servers = loaded.config.dns.servers.map(showHostPort);
  const asking = { servers, clock: cli.clock, random: systemRandom };
  const patient: Patient = {
    resolver: createDnsResolver(asking),
    records: createDnsRecords(asking),
    dialer: systemDialer,
    clock: cli.clock,
    mxPort: MX_PORT,
    mounts: mountsHere(cli.env),
  };
  const findings = await examine(loaded, args, patient, cli);
  if (args.json) for (const finding of findings) cli.screen.json(finding);
  else report(findings, cli);
  return findings.some(({ level }) => level === 'fail') ? EXIT.unavailable : EXIT.ok;
};

export async function examine(
  loaded: LoadedConfig,
  { sending = [], selector: selectors = [], probe, ntp, ...globals }: DoctorArgs,
  patient: Patient,
  cli: Cli,
): Promise<readonly Finding[]> {
  const { config, warnings } = loaded;
  const spoolPath = path.resolve(cli.cwd, config.spool.path);
  const named = sending.map(readDomain);
  const name = await examineName(config, patient);
  const groups = await Promise.all([
    warnings.map(({ message }) => warn('config', message, 'see conf/REFERENCE.md, or what is written at this setting')),
    examineDns(probe, patient).then(alone),
    name.findings,
    examineWay(config, probe, patient),
    Promise.all(named.map((domain) => examineDomain(domain, selectors, name.addresses, patient))).then((all) => all.flat()),
    examineClock(ntp, patient).then(alone),
    examineDisk(loaded, spoolPath, cli.clock),
    examinePermissions(loaded, spoolPath),
    examinePlace(loaded, spoolPath, patient.mounts),
    listening(globals, cli).then((running) => examinePorts(loaded, running)),
  ]);
  return groups.flat();
}

const alone = (finding: Finding): readonly Finding[] => [finding];

async function listening(globals: Globals, cli: Cli) {
  try {
    const verbs = await connectAgent(globals, cli);
    const { listening: found } = await verbs.agent();
    await verbs.close();
    return found;
  } catch {
    return undefined;
  }
}

const WIDEST_CHECK = 8;

function report(findings: readonly Finding[], { screen }: Cli): void {
  const { paint, columns } = screen;
  const paints = { ok: paint.good, warn: paint.warn, fail: paint.bad };
  const left = ' '.repeat(4 + 2 + WIDEST_CHECK + 2);
  for (const { check, level, text, todo } of findings) {
    const hint =
      todo === undefined ? [] : wrap(oneLine(todo), columns - left.length - 2).map((line, i) => `${i === 0 ? '→' : ' '} ${line}`);
    const lines = [...wrap(oneLine(text), columns - left.length), ...hint];
    screen.print(
      ...lines.map((line, i) => (i === 0 ? `${paints[level](level.padEnd(4))}  ${check.padEnd(WIDEST_CHECK)}  ${line}` : left + line)),
    );
  }
  const of = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length;
  const [bad, odd] = [of('fail'), of('warn')];
  if (bad + odd === 0) screen.print('', paint.good('All is well.'));
  else screen.print('', `${[...(bad > 0 ? [count(bad, 'failure')] : []), ...(odd > 0 ? [count(odd, 'warning')] : [])].join(', ')}.`);
}
