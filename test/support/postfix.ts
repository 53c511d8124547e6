/**
 * A Postfix of its own for a test: own folders, own settings, on port 25 of an address of loopback that nobody else uses; and an
 * NSD that serves zones there. Both are programs of the system's packages, neither touches its own settings.
 */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from './agent.js';
import { createCertificate } from './certificate.js';
import { succeed } from './commands.js';
import { loopbackAddress } from './loopback.js';
import { findProgram, lacks, skipOrFail } from './programs.js';
import { atEnd, type Scope, until } from './scope.js';

export interface Postfix {
  readonly address: string;
  /** What is in a mailbox, as Postfix wrote it. */
  mailbox(address: string): Buffer[];
  /** Everything it logged so far. */
  log(): string;
}

export interface PostfixOptions {
  readonly hostname: string;
  /** Mailboxes that it has; all others of their domains it does not know. */
  readonly mailboxes: readonly string[];
  /** Asked about every recipient: an action of access(5), `DUNNO` for nothing special. */
  readonly policy?: (recipient: string) => string;
  readonly messageSizeLimit?: number;
}

/** Why there can be none; false if there can. */
export function noPostfix(): string | false {
  const missing = lacks('postfix', 'openssl');
  if (missing !== false) return missing;
  return process.getuid?.() === 0 ? false : skipOrFail('Postfix can be started by root only');
}

/** Mail is delivered by its `virtual` agent into maildirs, as an unprivileged user. */
const NOBODY = 65_534;

export async function startPostfix(scope: Scope, options: PostfixOptions): Promise<Postfix> {
  const address = loopbackAddress();
  const folder = await temporaryFolder(scope, 'riata-postfix-');
  // Its processes run as other users and must get through.
  chmodSync(folder, 0o755);
  const etc = join(folder, 'etc');
  for (const name of ['etc/dynamicmaps.cf.d', 'etc/postfix-files.d', 'queue', 'data', 'mail'])
    mkdirSync(join(folder, name), { recursive: true });
  chownSync(join(folder, 'mail'), NOBODY, NOBODY);
  chownSync(join(folder, 'data'), Number(await succeed('id', ['-u', 'postfix'])), -1);
  writeFileSync(join(etc, 'master.cf'), services(address));
  for (const name of ['dynamicmaps.cf', 'postfix-files'])
    if (existsSync(`/etc/postfix/${name}`)) copyFileSync(`/etc/postfix/${name}`, join(etc, name));
  const { cert, key } = createCertificate([options.hostname]);
  writeFileSync(join(etc, 'cert.pem'), key + cert, { mode: 0o600 });
  writeFileSync(join(etc, 'mailboxes'), options.mailboxes.map((mailbox) => `${mailbox} ${maildir(mailbox)}/\n`).join(''));
  writeFileSync(join(etc, 'main.cf'), settings(folder, options, await startPolicy(scope, options.policy ?? (() => 'DUNNO'))));

  const log = () => (existsSync(join(folder, 'maillog')) ? readFileSync(join(folder, 'maillog'), 'utf8') : '');
  const run = (program: string, ...args: string[]) =>
    succeed('env', [`MAIL_CONFIG=${etc}`, findProgram(program)!, ...args]).catch((error: Error) =>
      Promise.reject(new Error(`${error.message}\n${log()}`)),
    );
  await run('postfix', 'start');
  atEnd(scope, () => run('postfix', 'stop'));
  await until('Postfix to listen', () => opens(address, 25));
  return {
    address,
    mailbox(of) {
      const place = join(folder, 'mail', maildir(of), 'new');
      return existsSync(place) ? readdirSync(place).map((name) => readFileSync(join(place, name))) : [];
    },
    log,
  };
}

function maildir(mailbox: string): string {
  return mailbox.split('@').reverse().join('/');
}

/** master(5). None in a chroot, which would need copies of system files. */
function services(address: string): string {
  return `${address}:25 inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`;
}

function settings(folder: string, { hostname, mailboxes, messageSizeLimit = 10_240_000 }: PostfixOptions, policyPort: number): string {
  const etc = join(folder, 'etc');
  const domains = [...new Set(mailboxes.map((mailbox) => mailbox.slice(mailbox.indexOf('@') + 1)))];
  return `compatibility_level = 3.6
queue_directory = ${join(folder, 'queue')}
data_directory = ${join(folder, 'data')}
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
shlib_directory = /usr/lib/postfix
meta_directory = ${etc}
maillog_file = ${join(folder, 'maillog')}
maillog_file_prefixes = ${folder}
myhostname = ${hostname}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
message_size_limit = ${messageSizeLimit}
smtpd_tls_security_level = may
smtpd_tls_chain_files = ${join(etc, 'cert.pem')}
smtpd_tls_received_header = yes
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:${policyPort}
virtual_mailbox_domains = ${domains.join(', ')}
virtual_mailbox_maps = texthash:${join(etc, 'mailboxes')}
virtual_mailbox_base = ${join(folder, 'mail')}
virtual_mailbox_limit = 0
virtual_uid_maps = static:${NOBODY}
virtual_gid_maps = static:${NOBODY}
`;
}

/** Answers as Postfix's policy servers do: attributes in lines, an empty line, an action and an empty line back. */
async function startPolicy(scope: Scope, decide: (recipient: string) => string): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const recipient = /^recipient=(.*)$/m.exec(text.slice(0, end))?.[1] ?? '';
        text = text.slice(end + 2);
        socket.write(`action=${decide(recipient)}\n\n`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(scope, () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as net.AddressInfo).port;
}

/** Serves one zone, written as in a zone file. Returns its address, as `dns.servers` takes it. */
export async function startNsd(scope: Scope, zone: string, records: string): Promise<string> {
  const folder = await temporaryFolder(scope, 'riata-nsd-');
  const at = (name: string) => join(folder, name);
  const address = loopbackAddress();
  writeFileSync(at('zone'), `$ORIGIN ${zone}.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A ${address}\n${records}`);
  writeFileSync(
    at('nsd.conf'),
    `server:
  ip-address: ${address}
  port: 5353
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  xfrdir: "${folder}"
  pidfile: "${at('pid')}"
  xfrdfile: "${at('xfrd')}"
  zonelistfile: "${at('zonelist')}"
remote-control:
  control-enable: no
zone:
  name: ${zone}
  zonefile: zone
`,
  );
  const child = spawn(findProgram('nsd')!, ['-d', '-c', at('nsd.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  atEnd(scope, () => {
    child.kill('SIGTERM');
    return ended;
  });
  await Promise.race([
    until(
      () => `NSD to listen: ${said}`,
      () => opens(address, 5353),
    ),
    ended.then(() => Promise.reject(new Error(`NSD ended: ${said}`))),
  ]);
  return `${address}:5353`;
}

function opens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
