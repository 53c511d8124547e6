/**
 * Lanes: where deliveries wait. A lane's key is stored, so it holds only what lasts: a domain, or a
 * fixed host with a digest of who logs in there and how TLS is used, never a route's place in a file.
 */

/**
 * `mx:example.com` (lower case, A-labels), `mx:[192.0.2.1]` for a literal, with a digest (`mx:example.com:3f9c…`) where a
 * rule sets how its servers are spoken to; or `host:smtp.example.net:587:3f9c…`.
 */
export type LaneKey = string;

export type Lane =
  /** `digest` only where it is not empty. */
  | { readonly kind: 'mx'; readonly domain: string; readonly digest?: string }
  | { readonly kind: 'host'; readonly host: string; readonly port: number; readonly digest: string };

export function mxLane(domain: string, digest = ''): LaneKey {
  return digest === '' ? `mx:${domain}` : `mx:${domain}:${digest}`;
}

/** `host` may be an IPv6 address: it is bracketed so that the key splits one way only. */
export function hostLane(host: string, port: number, digest: string): LaneKey {
  return `host:${host.includes(':') ? `[${host}]` : host}:${port}:${digest}`;
}

/** Throws a `RangeError` on what neither `mxLane` nor `hostLane` made. */
export function parseLane(key: LaneKey): Lane {
  const mx = /^mx:(\[[^\]]+\]|[^:[\]]+)(?::([0-9a-z]+))?$/.exec(key);
  if (mx) return { kind: 'mx', domain: mx[1]!, ...(mx[2] ? { digest: mx[2] } : {}) };
  const match = /^host:(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5}):([0-9a-z]*)$/.exec(key);
  if (!match) throw new RangeError(`not a lane: ${key}`);
  return { kind: 'host', host: (match[1] ?? match[2])!, port: Number(match[3]), digest: match[4]! };
}
