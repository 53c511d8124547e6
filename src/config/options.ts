/**
 * THE table of options: every setting of the agent with its kind, bounds, default and meaning. Validation, the names in
 * the environment and on the command line, `conf/riata.toml`, `conf/REFERENCE.md`, the text of `--help` and the type
 * `Config` are all made from it; nothing about an option is written down anywhere else.
 *
 * To add one: a line here, its use where the agent is wired, `npm run conf`. An option that changes nothing must not
 * stand here; nor may a switch that trades durability for speed (G1).
 */
import * as place from './addresses.js';
import * as kind from './values.js';

export interface Option<T> {
  readonly kind: kind.Kind<T>;
  readonly default: T;
  /** One paragraph; the first sentence stands alone in `--help`. */
  readonly doc: string;
  /** TOML of a value, where the default shows too little. */
  readonly example?: string;
  /** Never shown, and never taken from the command line, where every user of the machine could read it. */
  readonly secret?: true;
  /** May be given as `<name>File` (in the environment `…_FILE`): read when the configuration is loaded. */
  readonly file?: true;
  /** A running agent takes another value when it reloads; all else counts from the next start. */
  readonly live?: true;
  /** Of a route: may be given for the last route as `RIATA_RELAY_…`. */
  readonly relay?: true;
}

export interface Section<O> {
  readonly doc: string;
  readonly options: O;
}

type ValueOf<N> = N extends Option<infer T> ? T : N extends Section<infer S> ? Values<S> : never;
type Unset<O> = { [K in keyof O]: undefined extends ValueOf<O[K]> ? K : never }[keyof O];

/** What the options of a section give once they are read: those that may be left unset are absent then. */
export type Values<O> = { readonly [K in Exclude<keyof O, Unset<O>>]: ValueOf<O[K]> } & {
  readonly [K in Unset<O>]?: Exclude<ValueOf<O[K]>, undefined>;
};

/** A value of an option as the in-process API takes it: durations and sizes as numbers or with their units, addresses as text. */
type Given<T> = T extends boolean ? boolean : T extends number ? number | string : T extends readonly unknown[] ? readonly string[] : T;

/** The same section as an object of the in-process API: everything may be left out. */
export type Givens<O> = {
  readonly [K in keyof O]?:
    | (O[K] extends Option<infer T> ? Given<Exclude<T, undefined>> : O[K] extends Section<infer S> ? Givens<S> : never)
    | undefined;
};

function option<T>(of: kind.Kind<T>, standard: NoInfer<T>, doc: string, more: Omit<Option<T>, 'kind' | 'default' | 'doc'> = {}): Option<T> {
  return { kind: of, default: standard, doc: oneParagraph(doc), ...more };
}

function section<O>(doc: string, options: O): Section<O> {
  return { doc: oneParagraph(doc), options };
}

function oneParagraph(doc: string): string {
  return doc.trim().replace(/\s+/g, ' ');
}

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const GiB = 2 ** 30;
const TiB = 2 ** 40;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** One step of a conversation: long enough to be of use, short enough not to hold a connection for a day. */
const wait = kind.duration({ min: 10, max: HOUR });

const TLS_MODES = ['off', 'opportunistic', 'starttls', 'implicit'] as const;

const log = section('What the agent tells of its work, one line per event on standard output.', {
  level: option(
    kind.oneOf(['debug', 'info', 'warn', 'error']),
    'info',
    `The least important lines that are still written. "info" has one line for each message accepted and for each recipient's
    outcome; "warn" only what somebody should look at; "debug" every step of every conversation.`,
    { live: true },
  ),
  format: option(
    kind.oneOf(['json', 'text', 'postfix']),
    'json',
    `How the lines look. "json" is one object a line, for machines; "text" is for people, and what a terminal gets where nothing is
    set; "postfix" writes outcomes as Postfix does (to=<>, relay=, delay=, dsn=, status=), for tools that read its logs.`,
    { live: true },
  ),
  addresses: option(
    kind.oneOf(['full', 'domain']),
    'full',
    `How mail addresses stand in the log. "domain" writes "*@example.com" for all of a domain, also within the words of remote servers; what
    became of a message can still be looked up by its id. The spool and its history keep whole addresses (historyRetention).`,
    { live: true },
  ),
});

const spool = section('Where accepted mail is kept until every recipient has its end. Back up and watch this folder.', {
  path: option(
    kind.requiredPath,
    './spool',
    `Folder of the spool, made where it does not exist, readable by its owner only. One agent owns it: a second one started on
    the same folder stops with the name of the first. It must be on a local disk that honours fdatasync; network file systems
    often do not.`,
    { example: '"/var/spool/riata"' },
  ),
  maxMessageSize: option(
    kind.size({ min: KiB, max: 4 * GiB }),
    8 * MiB,
    `The largest message that is accepted. What counts are octets as sent, attachments encoded: a file of 6 MB makes 8 MB of mail.
    Announced to clients as SIZE; a larger message is refused with 552 5.3.4. Memory does not grow with it.`,
    { live: true },
  ),
  minFreeSpace: option(
    kind.size({}),
    64 * MiB,
    `Free space on the spool's disk below which no new mail is accepted. Clients are told to come back (452 4.3.1), and what is
    queued goes on being delivered. Not set, it is 64 MiB or twice maxMessageSize, whichever is more.`,
  ),
  keyFile: option(
    kind.path,
    '',
    `File with the key that seals the logins of messages that bring their server along. Empty: one in the spool, made when it is needed
    first. Kept elsewhere, a copy of the spool alone tells no password; any octets, 16 or more, such as "openssl rand -out FILE 32" writes.`,
    { example: '"/etc/riata/spool.key"' },
  ),
  inlineLimit: option(
    kind.size({ max: MiB }),
    16 * KiB,
    `Messages up to this size are stored inside the database. They are written together with their envelope; larger ones go into a
    file of their own beside it. Small files cost a sync each; large values cost write amplification. Change it only with a
    measurement at hand.`,
  ),
  ephemeral: option(
    kind.oneOf(['warn', 'refuse', 'allow']),
    'warn',
    `What is done where the spool lies on something that does not last. "warn" says so at the start: memory, a Kubernetes emptyDir, a Docker
    volume without a name, a container's own layer; "refuse" does not start on a container's layer, where a forgotten volume would cost
    all queued mail (the shipped image says this); "allow" says nothing.`,
  ),
  historyRetention: option(
    kind.duration({ max: 3650 * DAY }),
    7 * DAY,
    `How long it is remembered what became of a message. Counts from the end of its last recipient, and is what "riata status" and
    "riata queue show" know of mail that is gone. "0s" remembers nothing.`,
  ),
  historyMaxSize: option(
    kind.size({ max: 16 * TiB }),
    GiB,
    'Room for what is remembered of mail that is gone. When it takes more, the oldest hours are forgotten before their time.',
  ),
});

const certificate = {
  certFile: option(kind.path, '', 'File with the certificate and its chain, PEM, own certificate first.', {
    live: true,
    example: '"/etc/riata/cert.pem"',
  }),
  keyFile: option(kind.path, '', 'File with its private key, PEM, without a passphrase.', {
    live: true,
    example: '"/etc/riata/key.pem"',
  }),
};

const submissionTls = section(
  `The certificate shown to clients. With it, STARTTLS is offered on the addresses of "listen", and "listenTls" can be used.`,
  certificate,
);

const controlTls = section('The certificate of control.http. With it HTTPS is served there, and plain HTTP is not.', certificate);

const submission = section('Where mail comes in.', {
  listen: option(
    place.listenAddresses,
    [{ host: '127.0.0.1', port: 587 }],
    `Addresses on which SMTP is spoken, STARTTLS being offered where a certificate is set. Ports below 1024 need a privilege on many
    systems: if this option is not set and port 587 is refused, the agent takes 2587 and says so; a port that was asked for and is
    refused is an error. Port 0 takes any free one.`,
    { live: true, example: '["127.0.0.1:587", "[::1]:587"]' },
  ),
  listenTls: option(place.listenAddresses, [], 'Addresses on which TLS begins with the first octet (RFC 8314). Needs a certificate.', {
    live: true,
    example: '["0.0.0.0:465"]',
  }),
  trustedNetworks: option(
    place.networks,
    ['127.0.0.0/8', '::1/128'],
    `Clients that may send mail to anybody without logging in. All others may send nothing. Everyone inside these networks can send
    mail in your name, so name no more than you must: the whole internet here is an open relay, and blocked within the day.`,
    { live: true, example: '["127.0.0.0/8", "::1/128", "10.1.2.0/24"]' },
  ),
  allowedSenders: option(
    place.senderPatterns,
    [],
    `Envelope senders that are taken over SMTP; all where the list is empty. An address, all of a domain as "@example.com", those of the
    names below it as "@*.example.com", and "<>" for bounces, which are refused as well where it is not named. Others are
    answered 550 5.7.1.`,
    { live: true, example: '["@example.com", "@*.example.com"]' },
  ),
  usersFile: option(
    kind.path,
    '',
    `File of those who may log in (AUTH PLAIN and LOGIN) and then send mail to anybody, from wherever they are: made by "riata user add".
    Passwords are taken over TLS only, so that a certificate is needed, and in the clear from this machine itself. The file is read
    again when it has changed. Empty: nobody can log in.`,
    { live: true, example: '"/etc/riata/users"' },
  ),
  bareNewlines: option(
    kind.oneOf(['normalise', 'refuse']),
    'normalise',
    `What happens to a CR or LF that stands alone in a message. "normalise" makes it CRLF before anything is stored; "refuse" refuses
    the message. Either way only CRLF.CRLF ends a message (no smuggling), and NUL is refused.`,
    { live: true },
  ),
  tls: submissionTls,
  maxConnections: option(
    kind.integer({ min: 1, max: 100_000 }),
    1000,
    'Clients connected at one time. Further ones are answered 421. An idle one costs some 10 KiB of memory and a file descriptor.',
    { live: true },
  ),
  maxRecipients: option(
    kind.integer({ min: 1, max: 100_000 }),
    1000,
    `Recipients of one message. Further ones are answered 452 4.5.3, and the client sends them with the next. RFC 5321 asks for
    100 at least.`,
    { live: true },
  ),
  idleTimeout: option(
    kind.duration({ min: 100, max: DAY }),
    5 * MINUTE,
    'A client that says nothing for so long is answered 421 and disconnected. RFC 5321 asks for 5 minutes.',
    { live: true },
  ),
});

const timeouts = section(
  `How long a remote server may take for each step before the connection is given up and the mail is tried again later. The
  defaults are those of RFC 5321 §4.5.3.2, but for connect; shorter ones give up on slow servers that would have taken it.`,
  {
    connect: option(wait, 30 * SECOND, 'Wait for a connection to stand. Then the next address is tried.', { live: true }),
    greeting: option(wait, 5 * MINUTE, 'Wait for the first line (220). Busy servers let clients wait here.', { live: true }),
    command: option(wait, 5 * MINUTE, 'Wait for the answer to a command: EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, each.', { live: true }),
    data: option(wait, 3 * MINUTE, 'Wait for a block of content to be taken.', { live: true }),
    finalDot: option(
      wait,
      10 * MINUTE,
      `Wait for the answer to the end of the content. If it never comes, the message may have arrived and is sent again: never
      make this short.`,
      { live: true },
    ),
  },
);

const delivery = section('How mail goes out.', {
  connectionsPerServer: option(
    kind.integer({ min: 1, max: 1000 }),
    5,
    'Connections open at one time to one remote address and port. Large providers block those who open more.',
    { live: true },
  ),
  messagesPerConnection: option(
    kind.integer({ min: 1, max: 100_000 }),
    100,
    'Messages sent on a connection before it is closed and another may be opened.',
    { live: true },
  ),
  maxConnections: option(kind.integer({ min: 1, max: 10_000 }), 200, 'Connections open at one time to all servers together.', {
    live: true,
  }),
  idleTimeout: option(
    kind.duration({ max: 5 * MINUTE }),
    5 * SECOND,
    'How long a connection with nothing to send is kept. More may come for the same server; "0s" closes it at once.',
    { live: true },
  ),
  tls: option(
    kind.oneOf(['off', 'opportunistic', 'starttls']),
    'opportunistic',
    `TLS towards the MX servers of recipients; routes have their own. "opportunistic" encrypts where it is offered, without looking at
    the certificate, and sends in the clear where that fails (RFC 7435: what the internet's mail does); "starttls" demands
    encryption and a valid certificate, which leaves mail to many domains undelivered; "off" never encrypts.`,
    { live: true },
  ),
  allowPrivateAddresses: option(
    kind.boolean,
    false,
    `Whether mail may go to loopback, private and other special addresses that the DNS or an address literal leads to. Off, nobody can
    use the agent to reach servers inside your network by pointing an MX there. A host of a [[route]] is your own word and is always
    allowed.`,
  ),
  heloName: option(
    place.ownName,
    '',
    `The name by which we introduce ourselves to remote servers (EHLO). Empty: hostname. Many servers refuse or distrust a name that
    does not lead back to the address we come from.`,
    { example: '"mail.example.com"' },
  ),
  promoteAfter: option(
    kind.duration({ min: SECOND, max: 30 * DAY }),
    15 * MINUTE,
    `After so long ready and unsent, a delivery rises by one priority. And again after as long: mail of low priority is late,
    never forgotten.`,
  ),
  transcripts: option(
    kind.oneOf(['all', 'trouble', 'off']),
    'all',
    `Of which attempts it is kept what was said. "all"; "trouble": of those that did not deliver to every recipient; "off": of none.
    "riata queue show ID --transcript" shows it, command by command, with milliseconds. Neither content nor passwords are in it.`,
    { live: true },
  ),
  sourceAddresses: option(
    place.addresses,
    [],
    `Local addresses to send from, where the machine has several. One of the right family (IPv4 or IPv6) is taken; empty: the
    system chooses.`,
    { example: '["192.0.2.10", "2001:db8::10"]' },
  ),
  timeouts,
});

const retry = section('When a delivery that failed for the time being is tried again, and when it is given up.', {
  firstDelay: option(kind.duration({ min: 1, max: DAY }), 5 * MINUTE, 'Wait before the second attempt.', { live: true }),
  factor: option(kind.number({ min: 1, max: 10 }), 2, 'By what each further wait is longer than the one before.', { live: true }),
  maxDelay: option(kind.duration({ min: 1, max: 7 * DAY }), 4 * HOUR, 'The longest wait between two attempts.', { live: true }),
  jitter: option(
    kind.number({ min: 0, max: 0.9 }),
    0.1,
    'By what part waits are made shorter or longer. 0.1 is up to 10 % either way, so that what failed together is not tried together.',
    { live: true },
  ),
  expiry: option(
    kind.duration({ min: 100, max: 365 * DAY }),
    5 * DAY,
    'How long delivery is tried at all. Then the mail is returned to its sender with the last error.',
    { live: true },
  ),
  delayNotice: option(
    kind.duration({ max: 365 * DAY }),
    4 * HOUR,
    'After so long without success the sender is told that the mail is late and still being tried. Once for each message; "0s": never.',
    { live: true },
  ),
  maxAttempts: option(
    kind.integer({ max: 10_000 }),
    0,
    `Attempts after which mail is returned although its time is not up. 0: expiry alone decides, as it should where servers may
    be down for a day.`,
    { live: true },
  ),
});

const dns = section('Who is asked for names.', {
  servers: option(
    place.dnsServers,
    [],
    `Name servers to ask instead of the system's, in this order. A resolver on this machine is best: a busy agent asks a great deal, and
    public resolvers answer slowly or not at all then.`,
    { example: '["127.0.0.1:53"]' },
  ),
});

const control = section('How "riata queue", "riata status" and the other commands reach the running agent.', {
  socket: option(
    kind.requiredPath,
    'control.sock',
    `Path of the Unix socket. A relative one counts from the spool's folder, so that every command that knows the spool finds it. Who may
    open it may read and remove queued mail: it is made for its owner only.`,
    { example: '"/run/riata/control.sock"' },
  ),
  http: option(
    place.fewListenAddresses,
    [],
    `Addresses on which the web page and the control API are served over HTTP, or HTTPS where control.tls is set. Empty: nowhere. Whoever
    has the token can read and remove queued mail.`,
    { example: '"127.0.0.1:8587"' },
  ),
  tls: controlTls,
  plainHttp: option(
    kind.oneOf(['warn', 'allow', 'refuse']),
    'warn',
    `What is done where control.http can be reached from other machines without control.tls: the token, and mail, would cross the network in
    plain text. "warn" says so at the start; "allow" says nothing, for where a proxy before it ends TLS, or where the network is as good as
    this machine; "refuse" does not start.`,
  ),
  token: option(
    kind.token,
    '',
    `What callers of control.http must know, as "Authorization: Bearer …"; the page asks for it once. At least 16 characters, best made by
    chance ("openssl rand -hex 24"); better tokenFile, a file that holds nothing else. A new one ends all sessions.`,
    { live: true, secret: true, file: true },
  ),
  trustLoopback: option(
    kind.boolean,
    false,
    `Callers of control.http on this machine need no token. Every user and every program of the machine can then read and remove mail,
    so it is for a machine of one's own. Requests that a proxy passed on are not trusted.`,
    { live: true },
  ),
  hosts: option(
    place.hostNames,
    [],
    `Further names by which control.http may be called, such as that of a proxy before it. Addresses, localhost and hostname always may;
    anything else is refused, so that no web site can reach the agent through a name of its own (DNS rebinding).`,
    { live: true, example: '["riata.example.com"]' },
  ),
  readyNeedsRoom: option(
    kind.boolean,
    true,
    `Whether /readyz fails while no mail is taken in for want of free space, so that a load balancer sends it elsewhere. It needs no token, and
    neither does /livez, which fails only where a restart may help.`,
    { live: true },
  ),
});

const shutdown = section('What happens on SIGTERM and SIGINT.', {
  timeout: option(
    kind.duration({ max: HOUR }),
    25 * SECOND,
    `How long the answers to messages already sent are waited for. No new one is begun; then connections are dropped, and what has no
    answer stays queued. Keep it below what the service manager grants before SIGKILL (systemd 90 s, Docker 10 s, Kubernetes 30 s): a
    message whose answer was not heard is sent again.`,
    { live: true },
  ),
});

export const OPTIONS = {
  hostname: option(
    place.ownName,
    '',
    `The full name of this machine, as it stands in the greeting, in Received headers, Message-IDs and bounces. Empty: the name that the
    system gives, which in a container is rarely one that the outside knows.`,
    { example: '"mail.example.com"' },
  ),
  log,
  spool,
  submission,
  delivery,
  retry,
  dns,
  control,
  shutdown,
};

/** One `[[route]]`. The first that matches recipient domain and sender decides; where none does, the domain's MX. */
export const ROUTE = section(
  `Where mail goes that shall not go to its domain's MX: one block for each rule, the first that matches the recipient's domain and the
  sender wins. A block without a host sends straight to the domain's MX: an exemption, to stand before a block that catches all. For
  containers one last block, for all domains, comes from the environment: RIATA_RELAY_HOST, _PORT, _TLS, _USERNAME, _PASSWORD
  (or _PASSWORD_FILE).`,
  {
    domain: option(
      place.domainPattern,
      '*',
      'Domains of recipients: "*" for all, "example.com" for just that one, "*.example.com" for every name below it.',
    ),
    sender: option(
      place.senderPattern,
      '*',
      `Envelope senders: "*" for all, "news@example.com", "@example.com" for a domain, "@*.example.com" for those below it, "<>"
      for bounces.`,
    ),
    host: option(
      place.host,
      '',
      `The server that takes this mail, by name or address. Its addresses are looked up as the system does, not its MX. Empty:
      the MX of the recipient.`,
      { example: '"smtp.example.net"', relay: true },
    ),
    port: option(
      kind.maybe(kind.integer({ min: 1, max: 65_535 })),
      undefined,
      'Its port. Not set: 465 with tls = "implicit", 587 with a username, else 25.',
      { relay: true },
    ),
    tls: option(
      kind.maybe(kind.oneOf(TLS_MODES)),
      undefined,
      `How the connection is encrypted. "off"; "opportunistic" (where offered, certificate not looked at); "starttls" (demanded,
      certificate and name verified); "implicit" (TLS from the first octet, verified). Not set: "starttls" with a username, else as
      delivery.tls.`,
      { relay: true },
    ),
    username: option(kind.line, '', 'Name to log in with; needs a password.', { relay: true }),
    password: option(
      kind.line,
      '',
      'Its password; better passwordFile, a file that holds nothing else (one line end at its end is dropped).',
      { secret: true, file: true, relay: true },
    ),
    ca: option(
      kind.text,
      '',
      'Certificates (PEM) of authorities to trust for this server besides the usual ones, as text; caFile names a file of them.',
      { file: true },
    ),
    allowInsecureAuth: option(
      kind.boolean,
      false,
      `Log in even where the connection is not encrypted or the certificate not verified: whoever listens on the way can read
      the password. Loopback needs no such word.`,
    ),
    heloName: option(place.ownName, '', 'EHLO name towards this server. Empty: delivery.heloName.'),
    sourceAddress: option(place.address, '', 'Local address to send from. Empty: delivery.sourceAddresses.'),
  },
);
