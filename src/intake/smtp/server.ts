/**
 * The server of one address: smtp-server's, with our sessions in it, and without what it does before them (a pause, a
 * reverse lookup, a turn of the event loop, random ids).
 */
import type net from 'node:net';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { Intake } from '../submission.js';
import type { PatienceLimits } from './patience.js';
import type { SenderCheck } from './senders.js';
import { Session } from './session.js';

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
}

/** What the sessions of all addresses share. The rules may be exchanged while sessions last. */
export interface SmtpPorts extends SmtpRules {
  readonly intake: Intake;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  readonly hostname: string;
  /** All there are, those that are closing included. */
  readonly sessions: Set<Session>;
}

/** Commands of smtp-server that are not offered. AUTH comes with the submission service. */
const DISABLED = ['AUTH', 'XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL'];

const MIN_TLS = 'TLSv1.2';

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

function disabled(tls: Certificate | undefined): string[] {
  return tls ? DISABLED : [...DISABLED, 'STARTTLS'];
}

let sessionNumber = 0;

export class Server extends SMTPServer {
  readonly #ports: SmtpPorts;

  constructor(ports: SmtpPorts, options: { readonly implicitTls: boolean; readonly tls?: Certificate }) {
    super({
      name: ports.hostname,
      heloResponse: '%s',
      size: ports.limits.maxMessageSizeBytes,
      hideENHANCEDSTATUSCODES: false,
      disableReverseLookup: true,
      disabledCommands: disabled(options.tls),
      authOptional: true,
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
