/** `riata spool export` and `import`: a spool as one file or stream, from one machine to another. */
import { createWriteStream } from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { silentLog } from '../platform/log.js';
import { exportSpool, importSpool } from '../spool/level/moves.js';
import { type MovedCounts, noneMoved } from '../spool/moving.js';
import { type Cli, type Command, type Globals, STDIN } from './command.js';
import { CliError, EXIT } from './exit.js';
import { count } from './format.js';
import { settings } from './settings.js';
import { Losses, movedPairs, movedSoFar, spoolAtRest, whileAtRest } from './spool-at-rest.js';
import { pairs } from './table.js';

interface FileArgs extends Globals {
  readonly file: string | undefined;
}

const BUSY = 'a spool is moved at rest: stop the agent first, or make a copy with "riata spool snapshot" and export that';

export const spoolExport: Command<FileArgs> = async (args, cli) => {
  const { screen } = cli;
  const spoolPath = await spoolAtRest(args, cli);
  const toFile = args.file !== undefined && args.file !== STDIN ? path.resolve(cli.cwd, args.file) : undefined;
  if (toFile === undefined && screen.terminal)
    throw new CliError(EXIT.usage, 'an archive is nothing to read: name a file, or pass standard output on to something');
  const losses = new Losses();
  let counts: Readonly<MovedCounts> = noneMoved();
  const progress = (now: Readonly<MovedCounts>) => {
    counts = now;
    screen.progress(movedSoFar(now));
  };
  const octets = exportSpool(spoolPath, { clock: cli.clock, lost: losses.add, progress });
  await whileAtRest(BUSY, () => (toFile === undefined ? toOutput(octets, cli) : intoFile(octets, toFile)), cli);
  const report = { spool: spoolPath, ...counts, losses: losses.all };
  // Beside the archive nothing may stand on standard output.
  const tell = toFile === undefined ? screen.say : screen.print;
  if (args.json) tell(JSON.stringify(report));
  else tell(...pairs([['Exported', spoolPath], ...movedPairs(counts)], screen.columns), ...losses.lines(cli));
  return losses.all.length === 0 ? EXIT.ok : EXIT.data;
};

async function toOutput(octets: AsyncIterable<Buffer>, { screen }: Cli): Promise<void> {
  for await (const chunk of octets) await screen.write(chunk);
}

/** Whole and durable under its name, or not there. */
async function intoFile(octets: AsyncIterable<Buffer>, file: string): Promise<void> {
  const there = await fsp.stat(file).catch(() => undefined);
  if (there) throw new CliError(EXIT.usage, `${file} is there already: choose another name, or move it away`);
  const part = `${file}.part`;
  try {
    await pipeline(octets, createWriteStream(part, { mode: 0o600 }));
    const handle = await fsp.open(part, 'r');
    await handle.sync().finally(() => handle.close());
    await fsp.rename(part, file);
  } catch (error) {
    await fsp.rm(part, { force: true });
    throw error;
  }
}

export const spoolImport: Command<FileArgs> = async (args, cli) => {
  const { screen } = cli;
  const spoolPath = await spoolAtRest(args, cli, 'allowed');
  const { inlineLimit } = settings(args, cli).config.spool;
  const octets = await input(args.file, cli);
  const losses = new Losses();
  const known = new Set<string>();
  const counts = await whileAtRest(
    'mail is imported into a spool at rest: stop the agent first',
    () =>
      importSpool(spoolPath, octets, {
        clock: cli.clock,
        inlineLimitBytes: inlineLimit,
        lost: losses.add,
        known: (id) => void known.add(id),
        log: { ...silentLog, warn: (_event, _fields, text = '') => screen.say(text) },
        progress: (now) => screen.progress(movedSoFar(now)),
      }),
    cli,
  );
  if (args.json) screen.json({ spool: spoolPath, ...counts, known: [...known], losses: losses.all });
  else {
    const servers: [string, string][] =
      counts.servers === 0
        ? []
        : [['Own servers', `${count(counts.servers, 'lane')}: their logins need the key of the old spool, its file "key"`]];
    const there: [string, string][] = known.size === 0 ? [] : [['There already', `${count(known.size, 'message')}, left as they are`]];
    screen.print(
      ...pairs([['Imported into', spoolPath], ...movedPairs(counts), ...servers, ...there], screen.columns),
      ...losses.lines(cli),
    );
  }
  return losses.all.length === 0 ? EXIT.ok : EXIT.data;
};

async function input(file: string | undefined, { stdin, cwd }: Cli): Promise<AsyncIterable<Buffer>> {
  // Opened first: where there is none, no spool is made.
  if (file !== undefined && file !== STDIN)
    return (await fsp.open(path.resolve(cwd, file))).createReadStream({ highWaterMark: 256 * 1024 });
  if (stdin.isTTY) throw new CliError(EXIT.usage, 'which archive? Name a file, or pass one to standard input');
  return Readable.from(stdin);
}
