/**
 * The image of the Dockerfile, really built and run, without a daemon and without a registry: buildah with chroot isolation, on a base that
 * debootstrap makes of the distribution's packages and this machine's node. The base is kept for the next time.
 *
 * Needs root, buildah and debootstrap. Processes of a container are seen by their own ids, and its ports are those of the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './agent.js';
import { execute, succeed } from './commands.js';
import { findProgram, lacks, skipOrFail } from './programs.js';
import { atEnd, type Scope } from './scope.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = join(process.env['XDG_CACHE_HOME'] || join(os.homedir(), '.cache'), 'riata-tests');
const BASE = 'localhost/riata-test-node';
const IMAGE = 'localhost/riata-test';
/** Who the agent is in its image. */
export const IMAGE_UID = 10025;

/** A reason to skip, or false. */
export function cannotBuildImages(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return skipOrFail('building the image needs root on Linux');
  return lacks('buildah', 'debootstrap', 'unshare');
}

const STORE = ['--root', join(CACHE, 'images'), '--runroot', join(CACHE, 'run'), '--storage-driver', 'vfs'];
const buildah = (...args: string[]) => succeed('buildah', [...STORE, ...args]);

export interface Image {
  /** Octets of the image, and of the base that it stands on. */
  readonly sizeBytes: number;
  readonly baseSizeBytes: number;
  readonly config: ImageConfig;
  /** Its files, as they are on this machine. */
  readonly folder: string;
  /** What the image does when it is run, or the command given, as its user; on a root that cannot be written to with `readOnly`. */
  run(options?: ContainerOptions): Container;
}

export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly Volumes: Readonly<Record<string, unknown>>;
  readonly StopSignal: string;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

export interface ContainerOptions {
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Folders of this machine, by where they are mounted. */
  readonly volumes?: Readonly<Record<string, string>>;
  readonly readOnly?: boolean;
}

export interface Container {
  /** What it has written so far, both streams. */
  out(): string;
  readonly ended: Promise<number>;
}

/** Builds it once for a file of tests. */
export async function buildImage(scope: Scope): Promise<Image> {
  mkdirSync(CACHE, { recursive: true });
  await ensureBase();
  // Whoever installed the packages here has them in npm's cache; where that was cleaned, they are fetched into it.
  await build(scope).catch(async () => {
    await fillNpmCache(scope);
    await build(scope);
  });
  const container = (await buildah('from', '--pull-never', IMAGE)).trim();
  atEnd(scope, async () => {
    await buildah('rm', container);
    await buildah('rmi', IMAGE);
  });
  const root = (await buildah('mount', container)).trim();
  const about = JSON.parse(await buildah('inspect', '--type', 'image', IMAGE)) as { Docker: { config: ImageConfig } };
  const { config } = about.Docker;
  return {
    sizeBytes: await sizeOf(IMAGE),
    baseSizeBytes: await sizeOf(BASE),
    config,
    folder: root,
    run: (how = {}) => (how.readOnly ? runReadOnly(scope, root, config, how) : runContained(scope, container, config, how)),
  };
}

/** Within the build npm reads its cache on this machine, and asks nobody. */
async function build(scope: Scope): Promise<void> {
  const ask = async (name: string) => (await succeed('npm', ['config', 'get', name], '', ROOT)).trim();
  const npmrc = join(await temporaryFolder(scope), 'npmrc');
  writeFileSync(npmrc, `registry=${await ask('registry')}\noffline=true\n`);
  const options = ['--isolation', 'chroot', '--pull-never', '--format', 'docker', '--build-arg', `NODE_IMAGE=${BASE}`];
  await buildah('build', ...options, '--secret', `id=npmrc,src=${npmrc}`, '-v', `${await ask('cache')}:/root/.npm`, '-t', IMAGE, ROOT);
}

async function fillNpmCache(scope: Scope): Promise<void> {
  const folder = await temporaryFolder(scope);
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(ROOT, name), join(folder, name));
  await succeed('npm', ['ci', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], '', folder);
}

/** A Debian (or what this machine is) with this node: made when there is none for this release and version yet. */
async function ensureBase(): Promise<void> {
  const release = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
  const folder = join(CACHE, `base-${release}-node-${process.version}-${process.arch}`);
  if (!existsSync(folder)) {
    const unfinished = await installed(release, folder);
    await putNode(unfinished);
    renameSync(unfinished, folder);
    await execute('buildah', [...STORE, 'rmi', '--force', BASE]);
  }
  if ((await execute('buildah', [...STORE, 'inspect', '--type', 'image', BASE])).code === 0) return;
  const container = (await buildah('from', 'scratch')).trim();
  await buildah('copy', '-q', container, folder, '/');
  await buildah('config', '--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', container);
  await buildah('commit', '-q', '--rm', container, BASE);
}

/** A mirror that fails once has two more chances. */
async function installed(release: string, folder: string): Promise<string> {
  const mirror = await mirrorOf(release);
  for (let attempt = 1; ; attempt++) {
    const unfinished = `${folder}.${process.pid}.${attempt}`;
    try {
      await succeed(findProgram('debootstrap')!, ['--variant=minbase', '--include=libstdc++6', release, unfinished, mirror]);
      return unfinished;
    } catch (error) {
      await execute('umount', ['--lazy', join(unfinished, 'proc')]);
      rmSync(unfinished, { recursive: true, force: true });
      if (attempt === 3) throw error;
    }
  }
}

/** Where this machine's own packages come from. */
async function mirrorOf(release: string): Promise<string> {
  const sites = await succeed('apt-get', ['indextargets', '--format', '$(SITE) $(RELEASE)', 'Created-By: Packages']);
  const [site] =
    sites
      .split('\n')
      .find((line) => line.endsWith(` ${release}`))
      ?.split(' ') ?? [];
  if (site === undefined) throw new Error(`apt knows no site of ${release}`);
  return site;
}

async function putNode(base: string): Promise<void> {
  for (const left of ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'])
    rmSync(join(base, left), { recursive: true, force: true });
  const npm = dirname(dirname(await succeed('readlink', ['-f', findProgram('npm')!])));
  const modules = join(base, 'usr/local/lib/node_modules');
  mkdirSync(modules, { recursive: true });
  await succeed('cp', ['-rL', resolve(npm), join(modules, 'npm')]);
  await succeed('cp', ['-L', process.execPath, join(base, 'usr/local/bin/node')]);
  await succeed('ln', ['-s', '../lib/node_modules/npm/bin/npm-cli.js', join(base, 'usr/local/bin/npm')]);
}

async function sizeOf(image: string): Promise<number> {
  const [found] = JSON.parse(await buildah('images', '--json', image)) as { size: string }[];
  const [, amount, unit] = /^([\d.]+) ?([kMG]?B)$/.exec(found!.size)!;
  return Number(amount) * { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit as 'B']!;
}

function runContained(
  scope: Scope,
  container: string,
  config: ImageConfig,
  { command, env = {}, volumes = {} }: ContainerOptions,
): Container {
  const options = [
    ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...Object.entries(volumes).flatMap(([at, folder]) => ['-v', `${folder}:${at}`]),
  ];
  const words = command ?? [...config.Entrypoint, ...config.Cmd];
  return start(scope, 'buildah', [...STORE, 'run', '--isolation', 'chroot', ...options, container, '--', ...words]);
}

/** What Docker's --read-only does, by hand: buildah has no such option. */
const READ_ONLY = `set -e
root=$1; user=$2; shift 2
mount --bind "$root" "$root"
while [ "$1" != -- ]; do mount --bind "$2" "$root$1"; shift 2; done
shift
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" "$@"
`;

function runReadOnly(scope: Scope, root: string, config: ImageConfig, { command, env = {}, volumes = {} }: ContainerOptions): Container {
  const mounts = Object.entries(volumes).flat();
  const variables = [...config.Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const words = ['env', '-i', ...variables, ...(command ?? [...config.Entrypoint, ...config.Cmd])];
  return start(scope, 'unshare', ['--mount', 'sh', '-c', READ_ONLY, 'sh', root, config.User, ...mounts, '--', ...words]);
}

function start(scope: Scope, program: string, args: readonly string[]): Container {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  let over = false;
  const ended = new Promise<number>((done, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      over = true;
      done(code ?? 128);
    });
  });
  atEnd(scope, async () => {
    // The whole group: what runs within the container is a child of the one that was started.
    if (!over) process.kill(-child.pid!, 'SIGKILL');
    await ended;
  });
  return { out: () => Buffer.concat(chunks).toString(), ended };
}
