/** Where mail for a domain would go, in the words of the API: the preferred server in front, and all of them behind it. */
import type { MxReport } from '../control/types.js';

export interface MxLookup {
  readonly domain: string;
  /** The server that would be tried first; `''` where no mail can go there now, and `trouble` says why. */
  readonly host: string;
  /** MX preference: the lowest is the best. */
  readonly priority: number;
  readonly port: number;
  readonly username: string;
  readonly hasPassword: boolean;
  /** Seconds that a connection is waited for. */
  readonly timeout: number;
  /** `true`: TLS from the first octet; `'starttls'`: demanded; `false`: where the server offers it; `'off'`: never. */
  readonly ssl: boolean | 'starttls' | 'off';
  /** Best first, also those that are of no use, with the reason. */
  readonly all: MxReport['servers'];
  /** `relay`: a configured route; `implicit`: the domain has no MX, and takes its mail itself. */
  readonly via: MxReport['via'];
  readonly trouble?: MxReport['trouble'];
}

const SSL = { implicit: true, starttls: 'starttls', opportunistic: false, off: 'off' } as const;

export function mxLookupOf(view: MxReport, connectMs: number): MxLookup {
  const { domain, servers, via, tls, username = '', hasPassword, trouble } = view;
  const best = servers.find(({ addresses, passedBy }) => passedBy === undefined && addresses.length > 0);
  return {
    domain,
    host: best?.host ?? '',
    priority: best?.preference ?? 0,
    port: best?.port ?? 0,
    username,
    hasPassword,
    timeout: connectMs / 1000,
    ssl: SSL[tls],
    all: servers,
    via,
    ...(trouble === undefined ? {} : { trouble }),
  };
}
