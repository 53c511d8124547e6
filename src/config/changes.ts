/**
 * What a running agent can take from another configuration, and what has to wait for its next start. Pure. The table says of every
 * option which it is; routes are always taken.
 */
import { ENTRIES, valueAt } from './catalogue.js';
import type { Config } from './config.js';

export interface Changes {
  /** What is to be in force now: the new value of everything that can be taken, the old one of all else. */
  readonly config: Config;
  /** Paths of what is different and taken. */
  readonly taken: readonly string[];
  /** Paths of what is different and counts from the next start. */
  readonly atNextStart: readonly string[];
}

export function changesBetween(now: Config, wanted: Config): Changes {
  const different = ENTRIES.filter(({ path }) => !same(valueAt(now, path), valueAt(wanted, path)));
  const config = structuredClone(now) as Record<string, unknown>;
  const taken = different.filter(({ option }) => option.live);
  for (const { path } of taken) put(config, path, valueAt(wanted, path));
  const routes = same(now.route, wanted.route) ? [] : ['route'];
  return {
    config: { ...(config as unknown as Config), route: wanted.route },
    taken: [...taken.map(({ path }) => path), ...routes],
    atNextStart: different.filter(({ option }) => !option.live).map(({ path }) => path),
  };
}

/** Values of options are data: what reads the same is the same. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function put(values: Record<string, unknown>, path: string, value: unknown): void {
  const [key = '', ...rest] = path.split('.');
  if (rest.length === 0) values[key] = value;
  else put(values[key] as Record<string, unknown>, rest.join('.'), value);
}
