/** The programs in the guides, as files that can be compiled and run. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

export interface Snippet {
  /** Page and number, for a file name. */
  readonly name: string;
  /** Complete, with what the reader was told to have already. */
  readonly code: string;
  /** What it prints, where its comments say so behind every `console.log`. */
  readonly prints: string | undefined;
}

/** What a reader has at hand, and where it comes from; in the order in which it must stand. */
const AT_HAND: readonly (readonly [name: string, code: string])[] = [
  [
    'mta',
    "import * as agent from 'riata';\nconst mta = await agent.createMta({ spool: './spool', route: [{ host: 'smtp.example.net', port: 587 }] });",
  ],
  ['id', "const { id } = await mta.send({ from: 'a@example.com', to: 'b@example.net', subject: 's', body: 'b' });"],
  ['nodemailer', "import nodemailer from 'nodemailer';"],
  [
    'transporter',
    "import * as transport from 'riata/nodemailer';\nimport * as library from 'nodemailer';\nconst transporter = library.createTransport(transport.riataTransport(mta));",
  ],
];

/** `relay`: where the made-up relay of the guides is. */
export function snippetsOf(page: string, relay: { readonly port: number }): readonly Snippet[] {
  const text = readFileSync(page, 'utf8');
  return Array.from(text.matchAll(/^```js\n([^]*?)^```$/gm), ([, block], i) => {
    const code = complete(block!).replaceAll("host: 'smtp.example.net', port: 587", `host: '127.0.0.1', port: ${relay.port}`);
    return { name: `${basename(page, '.md')}-${i + 1}`, code, prints: printed(block!) };
  });
}

function complete(block: string): string {
  const front: string[] = [];
  // Words in comments and in quotes are no names.
  let own = block.replace(/(?<!:)\/\/.*$/gm, '').replace(/'[^'\n]*'/g, "''");
  const uses = (name: string) => new RegExp(`(?<![\\w.])${name}\\b(?!:)`).test(own);
  const declares = (name: string) => new RegExp(`(?:const|let|import) (?:\\{[^}]*\\b${name}\\b[^}]*\\}|${name}\\b)`).test(block);
  for (const [name, code] of [...AT_HAND].reverse()) {
    if (!uses(name) || declares(name)) continue;
    front.unshift(code);
    own = `${code}\n${own}`;
  }
  const opened = front.some((code) => code.includes('const mta'));
  return `${front.join('\n')}\n${block}${opened ? '\nawait mta.close();\n' : ''}`;
}

/** The comments one blank behind `console.log(…)`. */
function printed(block: string): string | undefined {
  const logs = block.split('\n').filter((line) => line.startsWith('console.log('));
  const said = logs.map((line) => /; \/\/ (.*)$/.exec(line)?.[1]);
  return logs.length === 0 || said.includes(undefined) ? undefined : said.join('\n');
}
