/**
 * The TAP of Node's test runner with what failed told once more right before its closing lines, where whoever reads the end of a
 * long log finds it. That is told in comments: to a reader of TAP each test failed once. All other lines stay as they are.
 */

/** Where more fail than this, something is wrong with everything, and the first ones say what. */
const MOST = 50;

const SUBTEST = /^((?: {4})*)# Subtest: (.*)$/;
/** What is marked with TODO is known to fail, and counts for nothing. */
const NOT_OK = /^(?: {4})*not ok \d+ (?!.*(?<!\\)# TODO)/;
/** Plans of suites are indented, and what a test prints is a comment. Behind it comes the summary, and nothing else. */
const PLAN_OF_ALL = /^1\.\.\d+$/;

export async function* failuresLast(lines: AsyncIterable<string>): AsyncGenerator<string> {
  /** Of the test that is being told, those that it is within before it. */
  const names: string[] = [];
  const failures: string[][] = [];
  let block: string[] | undefined;
  let planned = false;
  for await (const line of lines) {
    if (planned) yield* onceMore(failures.splice(0));
    yield line;
    planned ||= PLAN_OF_ALL.test(line);
    const [, indent = '', name] = SUBTEST.exec(line) ?? [];
    if (name !== undefined) names.splice(indent.length / 4, names.length, name);
    if (NOT_OK.test(line)) block = [line];
    else block?.push(line);
    if (block === undefined || !isWhole(block)) continue;
    if (failedItself(block)) failures.push(unindented(block, names));
    block = undefined;
  }
  // The runner was killed.
  yield* onceMore(failures);
}

/** `not ok` and, two spaces further in, what is known of it between `---` and `...`. */
function isWhole(block: readonly string[]): boolean {
  return block.at(-1) === `${' '.repeat(depth(block) * 4)}  ...`;
}

function depth([first = '']: readonly string[]): number {
  return first.search(/\S/) / 4;
}

/** Not only because a test within it did. */
function failedItself(block: readonly string[]): boolean {
  return !block.some((line) => /^ *failureType: 'subtestsFailed'$/.test(line));
}

function unindented(block: readonly string[], names: readonly string[]): string[] {
  const level = depth(block);
  const rest = block.slice(1).map((line) => line.slice(level * 4));
  return [`not ok - ${names.slice(0, level + 1).join(' > ')}`, ...rest];
}

function* onceMore(failures: readonly (readonly string[])[]): Generator<string> {
  if (failures.length === 0) return;
  yield* ['#', '# What failed, once more:', '#'];
  for (const line of failures.slice(0, MOST).flat()) yield `# ${line}`.trimEnd();
  if (failures.length > MOST) yield `# ... and ${failures.length - MOST} more`;
  yield '#';
}
