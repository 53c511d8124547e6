/**
 * The one rule about ports: where nothing was said about `submission.listen` and 587 is refused, 2587 is taken and
 * that is told plainly. A port that somebody asked for is never exchanged for another.
 */
import type { Config, LoadedConfig } from '../config/config.js';
import { whyRefused } from '../platform/port.js';

const STANDARD = 587;
export const FALLBACK_PORT = 2587;

export interface Listening {
  readonly config: Config;
  /** Why it is not the standard port, for people; undefined where nothing was changed. */
  readonly moved?: string;
}

/** `refused` stands in for the system under test. */
export async function chooseListen(
  { config, sources }: LoadedConfig,
  refused: (host: string, port: number) => Promise<string | undefined> = whyRefused,
): Promise<Listening> {
  const [only, ...others] = config.submission.listen;
  if (sources.has('submission.listen') || only === undefined || others.length > 0 || only.port !== STANDARD) return { config };
  const why = await refused(only.host, only.port);
  if (why !== 'EACCES' && why !== 'EADDRINUSE') return { config };
  const because = why === 'EACCES' ? 'needs a privilege that this process does not have' : 'is taken by another program';
  return {
    config: { ...config, submission: { ...config.submission, listen: [{ host: only.host, port: FALLBACK_PORT }] } },
    moved: `port ${STANDARD} ${because}, so it is ${FALLBACK_PORT}; submission.listen says which one you want`,
  };
}
