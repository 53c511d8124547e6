/** `riata mx DOMAIN`: where mail for a domain goes now, and what is passed by, and why. */
import type { MxReport } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { duration } from './format.js';
import { withStatus } from './queue-list.js';
import { withAgent } from './reach.js';
import { table, wrap } from './table.js';
import { oneLine } from './visible.js';

export const mx: Command<
  Globals & { readonly domain: string; readonly refresh: boolean | undefined; readonly server: string | undefined }
> = async (args, cli) =>
  withAgent(args, cli, async (verbs) => {
    const report = await verbs.mx(args.domain, {
      refresh: args.refresh ?? false,
      ...(args.server === undefined ? {} : { hostname: args.server }),
    });
    if (args.json) cli.screen.json(report);
    else cli.screen.print(...lines(report, cli));
    if (report.trouble === undefined) return EXIT.ok;
    return report.trouble.lasting === 'permanent' ? EXIT.unavailable : EXIT.tryLater;
  });

const VIA: Readonly<Record<MxReport['via'], string>> = {
  relay: 'a configured route',
  mx: 'its MX',
  implicit: 'it has no MX: its own address',
  literal: 'the address itself',
};

function lines(report: MxReport, { screen }: Cli): string[] {
  const { paint, columns } = screen;
  const login = report.username === undefined ? '' : `, as ${report.username}`;
  const out = wrap(oneLine(`${report.domain}: ${VIA[report.via]}, TLS ${report.tls}${login}, good for ${duration(report.ttlMs)}`), columns);
  if (report.servers.length > 0) {
    const heads = [
      { title: 'PREF', align: 'right' },
      { title: 'HOST', shrink: 20 },
      { title: 'PORT', align: 'right' },
      { title: 'ADDRESSES', shrink: 15 },
    ] as const;
    const rows = report.servers.map((server) => {
      const [first = server.passedBy === undefined ? '' : '(not used)', ...others] = server.addresses;
      const under = [
        ...others.map((address) => ({ text: address, indent: 6 })),
        ...server.refused.map(({ address, why }) => ({ text: `${address}: ${why}`, indent: 6, paint: paint.warn })),
        ...(server.passedBy === undefined ? [] : [{ text: server.passedBy, indent: 6, paint: paint.warn }]),
      ];
      return { cells: [String(server.preference), server.host, String(server.port), first], below: under };
    });
    out.push(...table(heads, rows, columns, paint.bold));
  }
  if (report.trouble !== undefined)
    out.push(...wrap(oneLine(`No mail can go there: ${withStatus(report.trouble)}`), columns).map(paint.bad));
  return out;
}
