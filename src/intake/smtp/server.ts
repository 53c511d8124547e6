/**
 * The server of one address: smtp-server's, with our sessions in it, and without what it does before them (a pause, a
 * reverse lookup, a turn of the event loop, random ids).
 */
import type net from 'node:net';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { SMTPServer, type SMTPServerAuthentication, type SMTPServerAuthenticationResponse, type SMTPServerSession } from 'smtp-server';
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { Tries } from '../../platform/tries.js';
import type { Intake } from '../submission.js';
import type { PatienceLimits } from './patience.js';
import type { SenderCheck } from './senders.js';
import { Session } from './session.js';
import type { User, Users } from './users.js';

export interface SmtpLimits extends PatienceLimits {
  readonly maxConnections: number;
  readonly maxRecipients: number;
  readonly maxMessageSizeBytes: number;
  /** Refused commands until the session is ended; mail that is accepted starts the count anew. */
  readonly maxErrors: number;
}

/** What a session holds its client to. */
export interface SmtpRules {
  limits: SmtpLimits;
  bareNewlines: 'normalise' | 'refuse';
  /** Whether a client of this address may relay without AUTH. */
  trusts: (address: string) => boolean;
  /** Which senders are taken; undefined: all. */
  allowsSender: SenderCheck | undefined;
  /** Who may log in; undefined: nobody. */
  users: Users | undefined;
}

/** What the sessions of all addresses share. The rules may be exchanged while sessions last. */
export interface SmtpPorts extends SmtpRules {
  readonly intake: Intake;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  readonly hostname: string;
  /** Keeps those who guess passwords waiting. */
  readonly tries: Pick<Tries, 'judge'>;
  /** All there are, those that are closing included. */
  readonly sessions: Set<Session>;
}

/** Commands of smtp-server that are not offered. When AUTH is, a session decides. */
const DISABLED = ['XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL'];

const MIN_TLS = 'TLSv1.2';

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

function disabled(tls: Certificate | undefined): string[] {
  return tls ? DISABLED : [...DISABLED, 'STARTTLS'];
}

const WRONG = { responseCode: 535, message: 'Wrong name or password' };
const TOO_MANY_TRIES = { responseCode: 454, message: 'Too many wrong passwords from your address, try again later' };

let sessionNumber = 0;

export class Server extends SMTPServer {
  readonly #ports: SmtpPorts;

  constructor(ports: SmtpPorts, options: { readonly implicitTls: boolean; readonly tls?: Certificate }) {
    super({
      name: ports.hostname,
      heloResponse: '%s',
      size: ports.limits.maxMessageSizeBytes,
      hideENHANCEDSTATUSCODES: false,
      // What it asks for is read by our sessions, and done by `outcome`.
      hideDSN: false,
      disableReverseLookup: true,
      disabledCommands: disabled(options.tls),
      authOptional: true,
      authMethods: ['PLAIN', 'LOGIN'],
      // Where a password may be given in the clear, a session decides.
      allowInsecureAuth: true,
      logger: false,
      secure: options.implicitTls,
      // Of these only TLS handshakes are left to smtp-server: sessions are watched and counted here.
      maxClients: ports.limits.maxConnections,
      socketTimeout: ports.limits.idleTimeoutMs,
      // Who has sent everything and closed its half still gets the replies.
      allowHalfOpen: true,
      ...(options.tls ? { ...options.tls, minVersion: MIN_TLS } : {}),
    });
    this.#ports = ports;
  }

  /** Another certificate, for handshakes from now on, and today's limits. Throws where the certificate cannot be used, and has changed nothing then. */
  renew(tls: Certificate | undefined): void {
    if (tls !== undefined) {
      createSecureContext(tls);
      this.updateSecureContext({ ...tls, minVersion: MIN_TLS });
    }
    const { limits } = this.#ports;
    Object.assign(this.options, {
      disabledCommands: disabled(tls),
      size: limits.maxMessageSizeBytes,
      maxClients: limits.maxConnections,
      socketTimeout: limits.idleTimeoutMs,
    });
  }

  override onAuth(
    { username, password, method }: SMTPServerAuthentication,
    session: SMTPServerSession,
    callback: (error: Error | null, response?: SMTPServerAuthenticationResponse) => void,
  ): void {
    const { users, tries, log } = this.#ports;
    const client = session.remoteAddress ?? '';
    let user: User | undefined;
    const right = async () => {
      user = await users?.login(username ?? '', password ?? '');
      return user !== undefined;
    };
    tries.judge(client, right).then(
      (answer) => {
        if (answer === 'tooMany') return callback(null, TOO_MANY_TRIES);
        if (user === undefined) return callback(null, WRONG);
        log.debug('smtp.login', { session: session.id, client, user: user.name, method });
        callback(null, { user });
      },
      (error: unknown) => {
        log.error('smtp.loginFailed', { session: session.id, client }, error instanceof Error ? error.message : String(error));
        callback(null, { responseCode: 454, message: 'Temporary authentication failure' });
      },
    );
  }

  override _handleProxy(
    _socket: net.Socket,
    callback: (error: Error | null, options?: SMTPConnectionOptions & { id: string }) => void,
  ): void {
    callback(null, { id: `s${(++sessionNumber).toString(36)}` });
  }

  override connect(socket: net.Socket | TLSSocket, options?: SMTPConnectionOptions | null): void {
    const { sessions, limits, log, hostname } = this.#ports;
    if (sessions.size >= limits.maxConnections) {
      log.warn('smtp.tooManyConnections', { client: socket.remoteAddress, connections: sessions.size });
      socket.on('error', () => {});
      socket.write(`421 4.7.0 ${hostname} Too many connections, try again later\r\n`);
      socket.destroySoon();
      return;
    }
    const session = new Session(this, socket, options ?? null, this.#ports);
    sessions.add(session);
    this.connections.add(session);
    session.on('error', (error: Error) =>
      log.debug('smtp.sessionError', { session: session.id, client: session.remoteAddress }, error.message),
    );
    session.init();
  }
}
