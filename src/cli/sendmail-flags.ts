/**
 * The flags of sendmail(1), as programs have passed them for forty years. They are read here and not by the reader of all other
 * commands, because they are written otherwise: `-oi`, `-fann@example.com`, `-bs`.
 *
 * Promises: every flag that Postfix's sendmail takes is taken; those that only make sense for another mail system are passed over as
 * there. What asks for something that will not happen is refused. The first word that is no flag begins the recipients, and after it
 * (or `--`) nothing is a flag: an address cannot turn into one. Pure.
 */
import { NOTIFY, type Notify } from '../core/delivery.js';
import type { Message } from '../core/message.js';
import { CliError, EXIT } from './exit.js';

export type SendmailMode =
  /** A message on standard input. */
  | 'message'
  /** SMTP on standard input and output. */
  | 'smtp'
  | 'list'
  | 'flush'
  /** Something that needs no doing here, such as rebuilding aliases. */
  | 'nothing';

export interface SendmailCall {
  readonly mode: SendmailMode;
  /** As given; absent: whoever runs it. */
  readonly sender?: string;
  /** Name for the From header, where the message has none. */
  readonly fullName?: string;
  /** Recipients are those of the headers, too. */
  readonly fromHeaders: boolean;
  /** A line with nothing but a dot is content. */
  readonly dotsAreContent: boolean;
  readonly verbose: boolean;
  /** RFC 3461. */
  readonly notify?: readonly Notify[];
  readonly ret?: NonNullable<Message['dsn']>['ret'];
  readonly envid?: string;
  /** With mode `flush`: only this message, or this domain. */
  readonly only?: { readonly id: string } | { readonly domain: string };
  readonly recipients: readonly string[];
  /** `--config`, `--spool`, `--socket`, and `--json` for a list. */
  readonly globals: { readonly config?: string; readonly spool?: string; readonly socket?: string; readonly json: boolean };
}

type Draft = { -readonly [K in keyof SendmailCall]: SendmailCall[K] };

/** Flags with a value, which stands behind the letter or is the next word. `q` and `o` have theirs behind the letter only. */
const VALUED = new Set('ABCFLNORVXbefhpr');
/** Flags for other mail systems, and for what is always so here. */
const IGNORED = new Set('ABCGLOUXcehmnpx');
const GLOBALS = ['config', 'spool', 'socket'] as const;

/** Throws 64. */
export function parseSendmail(argv: readonly string[]): SendmailCall {
  const call: Draft = {
    mode: 'message',
    fromHeaders: false,
    dotsAreContent: false,
    verbose: false,
    recipients: [],
    globals: { json: false },
  };
  const words = [...argv];
  for (let word = words[0]; word?.startsWith('-') && word !== '-'; word = words[0]) {
    words.shift();
    if (word === '--') break;
    if (word.startsWith('--')) readGlobal(call, word.slice(2), words);
    else readCluster(call, word.slice(1), words);
  }
  call.recipients = words;
  return call;
}

function readGlobal(call: Draft, text: string, words: string[]): void {
  if (text === 'json') {
    call.globals = { ...call.globals, json: true };
    return;
  }
  const [name, ...rest] = text.split('=');
  const known = GLOBALS.find((each) => each === name);
  if (known === undefined) throw new CliError(EXIT.usage, `there is no flag --${text}`);
  const value = rest.length > 0 ? rest.join('=') : words.shift();
  if (value === undefined) throw new CliError(EXIT.usage, `--${known} needs a value`);
  call.globals = { ...call.globals, [known]: value };
}

/** `ti` is `t` and `i`; a flag with a value takes the rest of the word, or the next one. */
function readCluster(call: Draft, cluster: string, words: string[]): void {
  for (let at = 0; at < cluster.length; at++) {
    const letter = cluster[at]!;
    const behind = cluster.slice(at + 1);
    if (letter === 'q') return readQueue(call, behind, words);
    if (letter === 'o') return readOption(call, behind, words);
    if (!VALUED.has(letter)) {
      readFlag(call, letter);
      continue;
    }
    const value = behind === '' ? words.shift() : behind;
    if (value === undefined) throw new CliError(EXIT.usage, `-${letter} needs a value`);
    return readValue(call, letter, value);
  }
}

function readFlag(call: Draft, letter: string): void {
  if (letter === 't') call.fromHeaders = true;
  else if (letter === 'i') call.dotsAreContent = true;
  else if (letter === 'v') call.verbose = true;
  else if (letter === 'I') call.mode = 'nothing';
  else if (!IGNORED.has(letter)) throw new CliError(EXIT.usage, `there is no flag -${letter}`);
}

function readValue(call: Draft, letter: string, value: string): void {
  switch (letter) {
    case 'f':
    case 'r':
      call.sender = value;
      break;
    case 'F':
      call.fullName = value;
      break;
    case 'N':
      call.notify = readNotify(value);
      break;
    case 'R':
      if (value !== 'full' && value !== 'hdrs') throw new CliError(EXIT.usage, `-R is full or hdrs, not ${JSON.stringify(value)}`);
      call.ret = value;
      break;
    case 'V':
      if (!/^[\x20-\x7e]{1,100}$/.test(value)) throw new CliError(EXIT.usage, '-V takes printable ASCII, 100 characters at most');
      call.envid = value;
      break;
    case 'b':
      call.mode = readMode(value);
      break;
  }
}

function readMode(value: string): SendmailMode {
  switch (value) {
    case 'm':
      return 'message';
    case 's':
      return 'smtp';
    case 'p':
      return 'list';
    case 'i':
    case 'h':
    case 'H':
      return 'nothing';
    case 'd':
    case 'D':
    case 'l':
      throw new CliError(EXIT.usage, `-b${value} would start a daemon: that is "riata serve"`);
    default:
      throw new CliError(EXIT.usage, `-b${value} is nothing that Riata does`);
  }
}

/** `-q`, `-qIid`, `-qRdomain`; an interval (`-q1h`) is for a daemon, which tries again by itself here. */
function readQueue(call: Draft, behind: string, words: string[]): void {
  if (/^\d/.test(behind)) return;
  call.mode = 'flush';
  const what = behind[0];
  if (what === undefined) return;
  if (what !== 'I' && what !== 'R' && what !== 'S') throw new CliError(EXIT.usage, `there is no flag -q${behind}`);
  const value = behind.slice(1) || words.shift();
  if (value === undefined) throw new CliError(EXIT.usage, `-q${what} needs a value`);
  call.only = what === 'I' ? { id: value } : { domain: value };
}

/** `-oi` matters; `-oA file` has a value of its own; all others are about how another mail system works. */
function readOption(call: Draft, behind: string, words: string[]): void {
  const option = behind || words.shift();
  if (option === 'i') call.dotsAreContent = true;
  if (option === 'A') words.shift();
}

function readNotify(value: string): readonly Notify[] {
  const words = value.split(',').map((word) => word.trim().toLowerCase());
  const found = words.flatMap((word) => NOTIFY.find((each) => each === word) ?? []);
  if (found.length < words.length || (found.includes('never') && found.length > 1))
    throw new CliError(EXIT.usage, `-N is never, or some of success, failure and delay, not ${JSON.stringify(value)}`);
  return [...new Set(found)];
}
