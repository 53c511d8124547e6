/**
 * What the configuration says to each part of the agent, in that part's own terms. Asked for when the agent starts, and again when it
 * takes another configuration.
 *
 * Pure but for `readCertificate`, which reads two files.
 */
import { readFileSync } from 'node:fs';
import type { Config } from './config/config.js';
import { MtaError } from './core/errors.js';
import type { CarrierLimits } from './delivery/carrier.js';
import type { RouteRule, RouterOptions } from './delivery/routes.js';
import type { SmtpListenerSettings } from './intake/smtp/listener.js';
import type { RetryPolicy } from './outcome/retry.js';

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export function retryPolicy({ retry }: Config): RetryPolicy {
  return {
    firstDelayMs: retry.firstDelay,
    factor: retry.factor,
    maxDelayMs: retry.maxDelay,
    jitter: retry.jitter,
    expiryMs: retry.expiry,
    delayNoticeMs: retry.delayNotice,
    maxAttempts: retry.maxAttempts,
  };
}

/** `mxPort`: of mail exchangers, where it is not 25. */
export function routing({ route, delivery }: Config, { mxPort }: { readonly mxPort?: number }): RouterOptions {
  return {
    routes: route.map(routeRule),
    defaultTls: delivery.tls,
    heloName: delivery.heloName,
    ...(mxPort === undefined ? {} : { mxPort }),
  };
}

export function carrierLimits({ delivery }: Config): CarrierLimits {
  const { idleTimeout: idleTimeoutMs, timeouts, transcripts } = delivery;
  return { limits: delivery, idleTimeoutMs, timeouts, transcripts };
}

function routeRule({ port, tls, ...route }: Config['route'][number]): RouteRule {
  return { ...route, ...(port === undefined ? {} : { port }), ...(tls === undefined ? {} : { tls }) };
}

/** That of the listener, or of `control.http`. Undefined where none is set. Throws `INVALID_OPTIONS` where it cannot be read. */
export function readCertificate(config: Config, section: 'submission' | 'control' = 'submission'): Certificate | undefined {
  const { tls } = config[section];
  if (tls.certFile === '') return undefined;
  const read = (path: string, setting: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      const message = `${section}.tls.${setting}: ${path} cannot be read: ${(cause as Error).message}`;
      throw new MtaError('INVALID_OPTIONS', message, {
        cause,
        issues: [{ path: `${section}.tls.${setting}`, code: 'UNREADABLE', message }],
      });
    }
  };
  return { cert: read(tls.certFile, 'certFile'), key: read(tls.keyFile, 'keyFile') };
}

/** `sockets`: those that were handed to us, besides the addresses that the configuration names. */
export function listenerSettings(
  { submission, spool }: Config,
  sockets: readonly { readonly fd: number; readonly implicitTls: boolean }[],
  tls: Certificate | undefined,
): SmtpListenerSettings {
  return {
    listen: [
      ...sockets.map(({ fd, implicitTls }) => ({ host: `socket ${fd}`, port: 0, implicitTls, fd })),
      ...submission.listen.map((address) => ({ ...address, implicitTls: false })),
      ...submission.listenTls.map((address) => ({ ...address, implicitTls: true })),
    ],
    ...(tls ? { tls } : {}),
    trustedNetworks: submission.trustedNetworks,
    allowedSenders: submission.allowedSenders,
    usersFile: submission.usersFile,
    bareNewlines: submission.bareNewlines,
    maxConnections: submission.maxConnections,
    maxRecipients: submission.maxRecipients,
    maxMessageSizeBytes: spool.maxMessageSize,
    idleTimeoutMs: submission.idleTimeout,
  };
}
