/**
 * What is written for people about the options, made from the table: the commented `conf/riata.toml` and the reference page
 * `conf/REFERENCE.md`. `npm run conf` writes them; a test fails when they are stale.
 */
import { ALIASES } from './aliases.js';
import { CHAPTERS, type Chapter, CONFIG_VARIABLE, type Entry, ROUTE_ENTRIES } from './catalogue.js';
import { ROUTE } from './options.js';
import { EMPTY_LIST } from './values.js';

const WIDTH = 100;

// — conf/riata.toml —

const TOML_HEAD = `
Settings of Riata. Everything here is commented out and shows its default: remove the # before a
line to change it. Lines that begin with "# " are explanations.

The same settings can be given in the environment (RIATA_SPOOL_MAX_MESSAGE_SIZE is
spool.maxMessageSize) and on the command line (--spool-max-message-size). The command line wins
over the environment, the environment over this file. Durations have units: "250ms", "30s", "5m",
"1h30m", "7d". Sizes too: "64KiB", "8MiB". Relative paths count from the folder in which the agent
is started.

"riata config check" finds mistakes, "riata config show" prints what is in force and why.
`;

/** Must load without complaint when the # before them are removed: a test does. */
const ROUTE_EXAMPLES = `
# A partner's mail goes straight to their own servers, although a later rule has all mail relayed:
#[[route]]
#domain = "partner.example"

# What one sender sends goes through a server in the house, in the clear:
#[[route]]
#sender = "@alerts.example.com"
#host = "10.1.2.3"
#tls = "off"

# All else goes through a provider, logged in over verified TLS:
#[[route]]
#domain = "*"
#host = "smtp.example.net"
#username = "mail.example.com"
#password = "correct horse battery staple"
`;

export function exampleFile(): string {
  const head = commented(TOML_HEAD.trim().split('\n'));
  return `${[head + tomlChapter(CHAPTERS[0]!), ...CHAPTERS.slice(1).map(tomlChapter), tomlRoutes()].join('\n')}\n`;
}

function tomlChapter({ path, doc, entries }: Chapter): string {
  const head = path === '' ? '' : `\n${commented(wrap(doc))}[${path}]\n`;
  return head + entries.map(tomlOption).join('');
}

function tomlOption({ path, option }: Entry): string {
  const name = path.slice(path.lastIndexOf('.') + 1);
  const example = option.example === undefined ? '' : `# Example: ${name} = ${option.example}\n`;
  return `\n${commented(wrap(option.doc))}${example}#${name} = ${option.kind.show(option.default)}\n`;
}

function tomlRoutes(): string {
  const options = ROUTE_ENTRIES.map(({ path, option }) => {
    const name = option.file ? `${path}, ${path}File` : path;
    return `${`# ${name} (default ${option.kind.show(option.default)})`}\n${wrap(option.doc, WIDTH - 6)
      .map((line) => `#     ${line}\n`)
      .join('')}`;
  });
  return `\n${commented(wrap(ROUTE.doc))}#\n${options.join('')}${ROUTE_EXAMPLES.trimEnd()}`;
}

// — conf/REFERENCE.md —

const REFERENCE_HEAD = `# Settings

Made from the table of options in \`src/config/options.ts\` by \`npm run conf\`; do not edit.

Every setting can stand in the configuration file (TOML), in the environment, and on the command line of \`riata serve\`.
The command line wins over the environment, the environment over the file. The file is the one that \`--config\` or
\`${CONFIG_VARIABLE}\` names, else \`riata.toml\` in the current folder, else \`/etc/riata/riata.toml\`, where there is one.

- **Durations** are text with a unit: \`250ms\`, \`30s\`, \`5m\`, \`1h30m\`, \`7d\`. **Sizes** likewise: \`64KiB\`, \`8MiB\` (powers
  of 1024), \`10MB\` (of 1000), or a bare number of octets.
- **In the environment and on the command line** lists are separated by commas, and \`${EMPTY_LIST}\` is the empty list. An empty
  variable counts as not set.
- **Secrets** have a second form: \`passwordFile\` in the file, \`…_PASSWORD_FILE\` in the environment, names a file that
  holds the secret; one line end at its end is dropped. They cannot be given on the command line.
- **Relative paths** count from the folder in which the agent is started.
- A name that means nothing is an error, in the file as in the environment; all errors are told at once.
- **A running agent reads its settings anew** on SIGHUP, and when the file, a certificate or a file of a secret has changed. Routes and
  what is marked "taken by a reload" hold at once, without cutting anybody off; all else from the next start, as the log then
  says. Where something is wrong, it is logged, and everything stays as it was.
`;

export function referencePage(): string {
  const parts = [REFERENCE_HEAD];
  for (const chapter of CHAPTERS) {
    parts.push(chapter.path === '' ? '## Top level\n' : `## [${chapter.path}]\n\n${chapter.doc}\n`);
    parts.push(
      ...chapter.entries.map((entry) =>
        referenceOption(entry, entry.path, [...fileForm(entry), variables(entry), entry.flag && `\`--${entry.flag}\``]),
      ),
    );
  }
  parts.push(`## [[route]]\n\n${ROUTE.doc}\n`);
  for (const entry of ROUTE_ENTRIES) {
    parts.push(referenceOption(entry, `route.${entry.path}`, [...fileForm(entry), entry.option.relay && variables(entry)]));
  }
  parts.push(ALIAS_HEAD, aliasTable());
  return parts.join('\n');
}

function fileForm({ path, option }: Entry): string[] {
  return option.file ? [`\`${path}File\``] : [];
}

function variables({ variable, option }: Entry): string {
  return option.file ? `\`${variable}\` or \`${variable}_FILE\`` : `\`${variable}\``;
}

const ALIAS_HEAD = `## Names of Postfix images

Where such an image stood before, these variables of its environment are understood. Whatever is said to Riata itself, in the
file or as a \`RIATA_…\` variable, goes before them; \`riata config show\` tells which one a value comes from.
`;

function aliasTable(): string {
  const rows = ALIASES.map(({ variable, file, sets, doc }) => {
    const names = file ? `\`${variable}\`, \`${variable}_FILE\`` : `\`${variable}\``;
    return `| ${names} | ${sets.map((path) => `\`${path}\``).join(', ')} | ${doc} |`;
  });
  return `| variable | sets | what it says |\n|---|---|---|\n${rows.join('\n')}\n`;
}

function referenceOption({ option }: Entry, heading: string, names: readonly (string | false | undefined)[]): string {
  const facts = [
    `default \`${option.kind.show(option.default)}\``,
    ...(option.example === undefined ? [] : [`example \`${option.example}\``]),
    ...(option.live ? ['taken by a reload'] : []),
    ...names.filter((name) => typeof name === 'string'),
  ];
  return `### ${heading}\n\n${option.doc}\n\n- Must be ${option.kind.allowed}.\n- ${facts.join(' · ')}\n`;
}

// — lines —

function wrap(doc: string, width = WIDTH - 2): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of doc.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function commented(lines: readonly string[]): string {
  return lines.map((line) => `${`# ${line}`.trimEnd()}\n`).join('');
}
