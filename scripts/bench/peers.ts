/**
 * The agents to measure, each with its own folder and ports on loopback: Riata as it is built, and Postfix with the
 * settings of its package. Both relay everything to one sink and keep mail durably.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Ports {
  readonly agent: number;
  readonly sink: number;
}

export interface Peer {
  readonly name: string;
  /** The process whose tree is accounted. */
  readonly pid: number;
  stop(): Promise<void>;
}

export const PEERS = { riata: startRiata, postfix: startPostfix } as const;
export type PeerName = keyof typeof PEERS;

const project = fileURLToPath(new URL('../..', import.meta.url));

/** Extra TOML for Riata's configuration, after the settings of the benchmark. */
export async function startRiata(folder: string, ports: Ports, more = ''): Promise<Peer & { readonly ended: Promise<void> }> {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'riata.toml');
  writeFileSync(
    config,
    `hostname = "bench.example.test"
log = { level = "info", format = "json" }
[spool]
path = "${join(folder, 'spool')}"
[submission]
listen = ["127.0.0.1:${ports.agent}"]
[delivery]
allowPrivateAddresses = true
[[route]]
domain = "*"
host = "127.0.0.1"
port = ${ports.sink}
tls = "off"
${more}`,
  );
  const log = openSync(join(folder, 'log'), 'a');
  const flags = process.env['BENCH_NODE_FLAGS']?.split(' ').filter(Boolean) ?? [];
  const child = spawn(process.execPath, [...flags, join(project, 'dist/cli/main.js'), 'serve', '--config', config], {
    stdio: ['ignore', log, log],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await portOpens(ports.agent, 30_000, 5);
  return {
    name: 'riata',
    pid: child.pid!,
    ended,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

export async function startPostfix(folder: string, ports: Ports): Promise<Peer> {
  const etc = join(folder, 'etc');
  for (const name of [etc, join(folder, 'queue'), join(folder, 'data'), join(etc, 'dynamicmaps.cf.d'), join(etc, 'postfix-files.d')])
    mkdirSync(name, { recursive: true });
  // Postfix's processes run as another user and must get through.
  chmodSync(folder, 0o755);
  chmodSync(join(folder, 'data'), 0o700);
  chownSync(join(folder, 'data'), Number(execFileSync('id', ['-u', 'postfix'], { encoding: 'utf8' })), -1);
  const master = ['/usr/share/postfix/master.cf.dist', '/etc/postfix/master.cf'].find(existsSync)!;
  copyFileSync(master, join(etc, 'master.cf'));
  for (const name of ['dynamicmaps.cf', 'postfix-files'])
    if (existsSync(`/etc/postfix/${name}`)) copyFileSync(`/etc/postfix/${name}`, join(etc, name));
  writeFileSync(
    join(etc, 'main.cf'),
    `compatibility_level = 3.6
queue_directory = ${join(folder, 'queue')}
data_directory = ${join(folder, 'data')}
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
shlib_directory = /usr/lib/postfix
meta_directory = ${etc}
myhostname = bench.example.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
relayhost = [127.0.0.1]:${ports.sink}
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_host_lookup = native
disable_dns_lookups = yes
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
`,
  );
  const env = { ...process.env, MAIL_CONFIG: etc };
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { env, stdio: ['ignore', 'ignore', 'ignore'] });
  run('postconf', '-M', '-X', 'smtp/inet');
  run('postconf', '-M', `127.0.0.1:${ports.agent}/inet=127.0.0.1:${ports.agent} inet n - n - - smtpd`);
  run('postconf', '-F', '*/*/chroot=n');
  run('postfix', 'start');
  await portOpens(ports.agent);
  return {
    name: 'postfix',
    pid: Number(readFileSync(join(folder, 'queue/pid/master.pid'), 'utf8')),
    async stop() {
      run('postfix', 'stop');
    },
  };
}

export async function portOpens(port: number, withinMs = 30_000, everyMs = 50): Promise<void> {
  for (const end = Date.now() + withinMs; ; ) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    if (Date.now() > end) throw new Error(`port ${port} did not open`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
