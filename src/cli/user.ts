/** `riata user add|remove|list`: those who may log in to hand in mail, in `submission.usersFile`. */
import { constants } from 'node:fs';
import { chown, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { senderPattern } from '../config/addresses.js';
import { parseUsers, senderPatternFault, userNameFault, withUser } from '../core/users.js';
import { hashPassword } from '../platform/password.js';
import { systemRandom } from '../platform/random.js';
import type { Cli, Command, Globals } from './command.js';
import { CliError, EXIT } from './exit.js';
import { count } from './format.js';
import { settings } from './settings.js';
import { table } from './table.js';

interface UserArgs extends Globals {
  readonly file: string | undefined;
}

export interface AddArgs extends UserArgs {
  readonly name: string;
  readonly as: readonly string[] | undefined;
  readonly passwordFile: string | undefined;
  readonly generate: boolean | undefined;
}

export const userAdd: Command<AddArgs> = async (args, cli) => {
  const { name } = args;
  const fault = userNameFault(name);
  if (fault !== undefined) throw new CliError(EXIT.usage, `${JSON.stringify(name)} cannot be the name of a user: ${fault}`);
  const file = usersFile(args, cli);
  const senders = (args.as ?? []).flatMap((list) => list.split(',')).map(readSender);
  const before = await readUsers(file);
  const password = await passwordFor(args, cli);
  const hash = await hashPassword(password, systemRandom);
  const known = parseUsers(before).users.has(name);
  await writeUsers(file, withUser(before, name, { name, hash, senders }));
  if (args.json) cli.screen.json({ name, senders, ...(args.generate ? { password } : {}), changed: known, file });
  else {
    cli.screen.say(`${known ? 'Changed' : 'Added'} ${name} in ${file}. A running agent knows at the next login.`);
    if (args.generate) cli.screen.print(password);
  }
  return EXIT.ok;
};

export const userRemove: Command<UserArgs & { readonly name: string }> = async (args, cli) => {
  const file = usersFile(args, cli);
  const before = await readUsers(file);
  if (!parseUsers(before).users.has(args.name)) throw new CliError(EXIT.noInput, `${file} knows no ${JSON.stringify(args.name)}`);
  await writeUsers(file, withUser(before, args.name, undefined));
  if (args.json) cli.screen.json({ name: args.name, removed: true, file });
  else cli.screen.say(`Removed ${args.name} from ${file}. Sessions that are logged in go on to their end.`);
  return EXIT.ok;
};

export const userList: Command<UserArgs> = async (args, cli) => {
  const { screen } = cli;
  const file = usersFile(args, cli);
  const users = [...parseUsers(await readUsers(file)).users.values()];
  if (args.json) for (const { name, senders } of users) screen.json({ name, senders });
  else if (users.length === 0) screen.print('There is nobody who may log in.');
  else {
    const rows = users.map(({ name, senders }) => ({ cells: [name, senders.length === 0 ? 'anybody' : senders.join(', ')] }));
    screen.print(
      ...table(
        [
          { title: 'NAME', shrink: 10 },
          { title: 'MAY SEND AS', shrink: 16 },
        ],
        rows,
        screen.columns,
        screen.paint.bold,
      ),
    );
    screen.print(screen.paint.dim(`${count(users.length, 'user')} in ${file}.`));
  }
  return EXIT.ok;
};

function usersFile(args: UserArgs, cli: Cli): string {
  const file = args.file ?? settings(args, cli).config.submission.usersFile;
  if (file === '') {
    const ways = 'set submission.usersFile (RIATA_SUBMISSION_USERS_FILE) for the agent, or name a file with --file';
    throw new CliError(EXIT.config, `no file of users is configured: ${ways}`);
  }
  return path.resolve(cli.cwd, file);
}

function readSender(given: string): string {
  const text = given.trim();
  const read = senderPattern.read(text, 'text');
  const fault = read.ok ? senderPatternFault(read.value) : 'is no sender';
  if (!read.ok || fault !== undefined) throw new CliError(EXIT.usage, `--as: ${JSON.stringify(text)} ${fault}`);
  return read.value;
}

/** Whatever cannot be read is told, and not written over. */
async function readUsers(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
  const { faults } = parseUsers(text);
  if (faults.length > 0) throw new CliError(EXIT.data, `${file}: ${faults.join('; ')}`);
  return text;
}

/** Whole or not at all, for its owner only; who owned the file before goes on owning it. */
async function writeUsers(named: string, text: string): Promise<void> {
  const file = await realpath(named).catch(() => named);
  const before = await stat(file).catch(() => undefined);
  const fresh = `${file}.${process.pid}~`;
  const handle = await open(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await handle.writeFile(text);
    if (before !== undefined && before.uid !== process.getuid?.()) await chown(fresh, before.uid, before.gid);
    await handle.sync();
    await rename(fresh, file);
  } catch (error) {
    await unlink(fresh).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

const GENERATED_BYTES = 18;
const SHORTEST = 8;

async function passwordFor(args: AddArgs, cli: Cli): Promise<string> {
  if (args.generate) {
    const bytes = Buffer.alloc(GENERATED_BYTES);
    systemRandom.fill(bytes);
    return bytes.toString('base64url');
  }
  const password = await givenPassword(args, cli);
  if (password.length < SHORTEST)
    throw new CliError(EXIT.data, `a password has ${SHORTEST} characters at least: --generate makes a good one`);
  if (password.length > 1024 || /\p{Cc}/u.test(password))
    throw new CliError(EXIT.data, 'a password holds no control characters, and 1,024 characters at most');
  return password;
}

async function givenPassword(args: AddArgs, cli: Cli): Promise<string> {
  if (args.passwordFile !== undefined) return firstLine(await readFile(path.resolve(cli.cwd, args.passwordFile), 'utf8'));
  if (cli.askSecret === undefined) {
    const chunks: Buffer[] = [];
    for await (const chunk of cli.stdin) chunks.push(Buffer.from(chunk as Buffer | string));
    return firstLine(Buffer.concat(chunks).toString());
  }
  const password = await cli.askSecret(`Password for ${args.name}: `);
  if ((await cli.askSecret('Once more: ')) !== password) throw new CliError(EXIT.data, 'the two are not the same');
  return password;
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0]!;
}
