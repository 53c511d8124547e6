/** Reads Prometheus' text format, as far as it is used here. */
export function parse(text: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    const sample = line.slice(0, space);
    if (samples.has(sample)) throw new Error(`told twice: ${sample}`);
    samples.set(sample, line.endsWith('+Inf') ? Number.POSITIVE_INFINITY : Number(line.slice(space + 1)));
  }
  return samples;
}
