/**
 * What a server offers, read from its answer to EHLO (RFC 5321 §4.1.1.1). Everything is forgotten and read again after STARTTLS
 * (RFC 3207 §4.2). Unknown keywords are passed over.
 */

export interface Extensions {
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  readonly startTls: boolean;
  readonly requireTls: boolean;
  /** Undefined where SIZE is not offered; 0 where it is without a limit (RFC 1870 §4). */
  readonly size: number | undefined;
  /** SASL mechanisms, upper case. */
  readonly auth: readonly string[];
}

/** A server that knows HELO only. */
export const NO_EXTENSIONS: Extensions = {
  pipelining: false,
  eightBitMime: false,
  smtpUtf8: false,
  dsn: false,
  startTls: false,
  requireTls: false,
  size: undefined,
  auth: [],
};

/** `text` is the text of the reply, one line each; the first names the server. */
export function parseExtensions(text: string): Extensions {
  const offered = new Map<string, string[]>();
  for (const line of text.split('\n').slice(1)) {
    // `AUTH=LOGIN PLAIN` is how servers of the last century offered it to clients of their time.
    const [keyword, ...parameters] = line
      .trim()
      .toUpperCase()
      .replace(/^AUTH=/, 'AUTH ')
      .split(/[ \t]+/);
    if (keyword) offered.set(keyword, [...(offered.get(keyword) ?? []), ...parameters]);
  }
  const size = offered.get('SIZE')?.[0];
  return {
    pipelining: offered.has('PIPELINING'),
    eightBitMime: offered.has('8BITMIME'),
    smtpUtf8: offered.has('SMTPUTF8'),
    dsn: offered.has('DSN'),
    startTls: offered.has('STARTTLS'),
    requireTls: offered.has('REQUIRETLS'),
    size: offered.has('SIZE') ? (/^\d{1,15}$/.test(size ?? '') ? Number(size) : 0) : undefined,
    auth: [...new Set(offered.get('AUTH') ?? [])],
  };
}
