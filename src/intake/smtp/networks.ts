/** Which clients may relay: networks in CIDR notation (`127.0.0.0/8`, `::1/128`), or single addresses. */
import { BlockList, isIP } from 'node:net';
import { MtaError } from '../../core/errors.js';

/** Throws `INVALID_OPTIONS` that names every network that cannot be read. */
export function matchNetworks(networks: readonly string[], path: string): (address: string) => boolean {
  const list = new BlockList();
  const issues = networks.flatMap((network, index) => {
    const [address = '', bits, ...more] = network.trim().split('/');
    const family = isIP(address);
    const width = family === 6 ? 128 : 32;
    const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (family === 0 || more.length > 0 || !(prefix <= width)) {
      return [
        {
          path: `${path}[${index}]`,
          code: 'WRONG_TYPE',
          message: `"${network}" is no network: write it like 192.0.2.0/24 or 2001:db8::/32`,
        },
      ];
    }
    list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
    return [];
  });
  if (issues.length > 0) throw new MtaError('INVALID_OPTIONS', issues.map((issue) => issue.message).join('; '), { issues });
  // Most connections come from where the last one came from, and asking the list costs more than all the rest of accepting one.
  let last = { address: '', contained: false };
  return (address) => {
    if (address !== last.address) {
      const family = isIP(address);
      last = { address, contained: family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4') };
    }
    return last.contained;
  };
}
