/** The right name for a mistyped one. Pure; works on names of options, variables and commands alike. */

/**
 * Damerau–Levenshtein distance (optimal string alignment): insertions, deletions, substitutions and swaps of neighbours.
 * Stops counting past `most` and answers `most + 1` then.
 */
export function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    if (Math.min(...row) > most) return most + 1;
    before = last;
    last = row;
  }
  return last[b.length]!;
}

const fold = (name: string) => name.toLowerCase().replace(/[_.-]/g, '');

/**
 * The candidate most likely meant, or undefined: one that differs only in case and separators, else the one at most two
 * slips away, else the only one with the same last part (an option written without its section, or in the wrong one),
 * else the only one that goes on from what was written, or that this goes on from.
 */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const wanted = fold(name);
  const exact = candidates.find((each) => fold(each) === wanted);
  if (exact !== undefined) return exact;
  let best: string | undefined;
  // In a name of three letters, two slips leave nothing of it.
  let least = Math.min(2, Math.floor(wanted.length / 3)) + 1;
  for (const each of candidates) {
    const far = distance(wanted, fold(each), least - 1);
    if (far < least) [best, least] = [each, far];
  }
  if (best !== undefined) return best;
  const depth = name.split('.').length;
  return (
    only(candidates, (each) => lastPart(each) === lastPart(name)) ??
    only(candidates, (each) => each.split('.').length === depth && goesOn(fold(each), wanted))
  );
}

function goesOn(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 4 && (a.startsWith(b) || b.startsWith(a));
}

function lastPart(path: string): string {
  return fold(path.slice(path.lastIndexOf('.') + 1));
}

function only(candidates: readonly string[], fits: (each: string) => boolean): string | undefined {
  const found = candidates.filter(fits);
  return found.length === 1 ? found[0] : undefined;
}
