/** The examples of `conf/`: what each of them says must be what the agent and its image understand. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../src/config/load.js';
import { parseDuration } from '../../src/config/values.js';
import { CONTROL_ROUTES } from '../../src/control/routes.js';
import { temporaryFolder } from '../support/agent.js';
import { execute } from '../support/commands.js';
import { lacks } from '../support/programs.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const UID = 10025;
const SPOOL = '/var/spool/riata';
const SECRET = 'correct-horse-battery-staple';

interface EnvEntry {
  readonly name: string;
  readonly value: string;
}

/** Loads what the environment says, over that of the image; secrets are there. */
function settings(env: Readonly<Record<string, string>>) {
  const image = Object.fromEntries(
    [...read('Dockerfile').matchAll(/^\s+(RIATA_\w+)=(\S+?)(?: \\)?$/gm)].map(([, name, value]) => [name!, value!]),
  );
  assert.equal(image['RIATA_SPOOL_PATH'], SPOOL);
  return loadConfig({ env: { ...image, ...env }, readFile: () => SECRET, machineName: 'box' });
}

/** What every way to run it must have in common. */
function checkSettings(env: Readonly<Record<string, string>>, graceMs: number): ReturnType<typeof settings>['config'] {
  const { config, warnings } = settings(env);
  assert.deepEqual(warnings, []);
  assert.ok(graceMs > config.shutdown.timeout, 'it is given the time that it takes to end');
  assert.ok(!config.submission.trustedNetworks.some((network) => network.endsWith('/0')));
  assert.deepEqual(
    config.route.map(({ host, port, password }) => [host, port, password]),
    [['smtp.example.net', 587, SECRET]],
  );
  return config;
}

test('compose: settings, volume, secret, network and time to end fit together', () => {
  const { services, secrets, volumes, networks } = parse(read('conf/compose.yaml'));
  const { riata, app } = services;
  const config = checkSettings(riata.environment, parseDuration(riata.stop_grace_period)!);
  const [{ subnet }] = networks.mail.ipam.config;
  assert.ok(config.submission.trustedNetworks.includes(subnet), 'the network that both are in is trusted');
  assert.deepEqual([riata.networks, app.networks], [['mail'], ['mail']]);
  assert.deepEqual(riata.volumes, [`spool:${SPOOL}`]);
  assert.ok('spool' in volumes);
  const [secret] = riata.secrets;
  assert.equal(riata.environment.RIATA_RELAY_PASSWORD_FILE, `/run/secrets/${secret}`);
  assert.ok(secret in secrets);
  assert.equal(riata.read_only, true);
  assert.ok(app.command.join(' ').includes(`riata:${config.submission.listen[0]!.port}`));
});

// biome-ignore lint/suspicious/noExplicitAny: manifests of another program
type Manifest = any;

function documents(path: string): Manifest[] {
  return parseAllDocuments(read(path)).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS();
  });
}

function checkContainer(container: Manifest, pod: Manifest): void {
  const { runAsUser, runAsNonRoot, readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities } = container.securityContext;
  assert.deepEqual([runAsUser, runAsNonRoot, readOnlyRootFilesystem, allowPrivilegeEscalation], [UID, true, true, false]);
  assert.deepEqual(capabilities.drop, ['ALL']);
  assert.equal(pod.securityContext.fsGroup, UID);
  const mounted = container.volumeMounts.map(({ mountPath }: Manifest) => mountPath);
  assert.ok(mounted.includes(SPOOL));
  const env = Object.fromEntries(container.env.map(({ name, value }: EnvEntry) => [name, value]));
  assert.ok(mounted.some((folder: string) => env['RIATA_RELAY_PASSWORD_FILE'].startsWith(`${folder}/`)));
  const image = `riata:${JSON.parse(read('package.json')).version}`;
  assert.equal(container.image, image);
}

const envOf = (container: Manifest): Record<string, string> =>
  Object.fromEntries(container.env.map(({ name, value }: EnvEntry) => [name, value]));

test('Kubernetes, sidecar: it starts before the application, ends after it, and is reached by nobody else', () => {
  const [deployment] = documents('conf/kubernetes/sidecar.yaml');
  const pod = deployment.spec.template.spec;
  const [riata] = pod.initContainers;
  assert.equal(riata.restartPolicy, 'Always');
  checkContainer(riata, pod);
  for (const probe of ['startupProbe', 'livenessProbe']) assert.deepEqual(riata[probe].exec.command, ['riata', 'health']);
  const config = checkSettings(envOf(riata), pod.terminationGracePeriodSeconds * 1000);
  const app = envOf(pod.containers[0]);
  assert.deepEqual(config.submission.listen, [{ host: '127.0.0.1', port: Number(app['SMTP_PORT']) }]);
  const volumes = pod.volumes.map(({ name }: Manifest) => name);
  for (const { name } of riata.volumeMounts) assert.ok(volumes.includes(name), name);
});

test('Kubernetes, StatefulSet: one agent, its own disk, a port that the service and the policy name', () => {
  const [service, policy, set] = documents('conf/kubernetes/statefulset.yaml');
  assert.deepEqual([service.kind, policy.kind, set.kind, set.spec.replicas], ['Service', 'NetworkPolicy', 'StatefulSet', 1]);
  const pod = set.spec.template.spec;
  const [riata] = pod.containers;
  checkContainer(riata, pod);
  const config = checkSettings(envOf(riata), pod.terminationGracePeriodSeconds * 1000);
  const [port, control] = riata.ports;
  assert.deepEqual(config.submission.listen, [{ host: '0.0.0.0', port: port.containerPort }]);
  assert.deepEqual([config.control.http, config.control.token], [[{ host: '0.0.0.0', port: control.containerPort }], SECRET]);
  for (const [probe, path] of [
    ['startupProbe', '/livez'],
    ['livenessProbe', '/livez'],
    ['readinessProbe', '/readyz'],
  ] as const) {
    assert.deepEqual(riata[probe].httpGet, { path, port: control.name });
    assert.ok(
      CONTROL_ROUTES.some((route) => route.path === path && route.open),
      'a probe has no token',
    );
  }
  assert.deepEqual([service.spec.ports[0].targetPort, policy.spec.ingress[0].ports[0].port], [port.name, port.name]);
  assert.deepEqual(service.spec.selector, set.spec.template.metadata.labels);
  const volumes = [...pod.volumes, ...set.spec.volumeClaimTemplates.map(({ metadata }: Manifest) => metadata)].map(
    ({ name }: Manifest) => name,
  );
  for (const { name } of riata.volumeMounts) assert.ok(volumes.includes(name), name);
});

test('the guide from Postfix images: its variables are understood, all of them', () => {
  const block = /```yaml\n([^]*?)```/.exec(read('docs/from-postfix-sidecar.md'))![1]!;
  const { environment } = parse(block).services.mail;
  const { config, warnings } = settings(environment);
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    [config.hostname, config.log.format, config.spool.maxMessageSize, config.submission.allowedSenders.length, config.route[0]?.password],
    ['mail.example.com', 'json', 26_214_400, 4, SECRET],
  );
});

/** The value of a setting in a unit; the last one counts. */
function unit(path: string, key: string): string | undefined {
  return [...read(path).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].at(-1)?.[1];
}

test('systemd: the unit and its socket are good, and leave the agent little to break', { skip: lacks('systemd-analyze') }, async (t) => {
  const service = 'conf/systemd/riata.service';
  const folder = await temporaryFolder(t);
  // Where the agent is not installed there is no program to be found.
  writeFileSync(join(folder, 'riata.service'), read(service).replace('/usr/bin/env riata', `${process.execPath} riata`));
  writeFileSync(join(folder, 'riata.socket'), read('conf/systemd/riata.socket'));
  const verified = await execute('systemd-analyze', ['verify', join(folder, 'riata.service'), join(folder, 'riata.socket')]);
  assert.deepEqual([verified.code, verified.err], [0, '']);
  const security = await execute('systemd-analyze', ['security', '--offline=true', '--threshold=20', join(folder, 'riata.service')]);
  assert.equal(security.code, 0, security.out.slice(-200));
  const { config } = loadConfig({});
  assert.ok(parseDuration(unit(service, 'TimeoutStopSec')!)! > config.shutdown.timeout);
  assert.deepEqual([unit(service, 'Type'), unit(service, 'NotifyAccess')], ['notify', 'all']);
  assert.equal(unit('conf/systemd/riata.socket', 'FileDescriptorName'), 'submission');
});
