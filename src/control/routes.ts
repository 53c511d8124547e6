/**
 * The control API as a table: method, path, parameters, verb, words. The server answers from it, and a
 * description of the API (OpenAPI) is made from it; so nothing is served that does not stand here.
 *
 * Everything but the content of a message travels in the query string: what a request does can be read in
 * one line, and tried with `curl --unix-socket`.
 */
import type { ControlRoute } from './route.js';
import { AGENT_ROUTES } from './routes/agent.js';
import { MESSAGE_ROUTES } from './routes/messages.js';
import { QUEUE_ROUTES } from './routes/queue.js';

export const CONTROL_ROUTES: readonly ControlRoute[] = [...AGENT_ROUTES, ...QUEUE_ROUTES, ...MESSAGE_ROUTES];

export type Match =
  | { readonly kind: 'route'; readonly route: ControlRoute; readonly params: Readonly<Record<string, string>> }
  /** The path exists, for these methods. */
  | { readonly kind: 'method'; readonly allowed: readonly string[] }
  | { readonly kind: 'none' };

/** Names of path segments by position, ready to compare. */
const SEGMENTS = CONTROL_ROUTES.map((each) => ({ route: each, segments: each.path.split('/').slice(1) }));

/** Finds the route for a path (without query). The first that fits wins; of those that take content, the one that takes this type. */
export function matchRoute(method: string, path: string, type?: string): Match {
  const given = path.split('/').slice(1);
  const allowed = new Set<string>();
  let first: Match | undefined;
  for (const { route: candidate, segments } of SEGMENTS) {
    const params = matchSegments(segments, given);
    if (params === undefined) continue;
    allowed.add(candidate.method);
    if (candidate.method !== method) continue;
    const match = { kind: 'route', route: candidate, params } as const;
    if (candidate.takes === undefined || candidate.takes === type) return match;
    first ??= match;
  }
  if (first !== undefined) return first;
  return allowed.size > 0 ? { kind: 'method', allowed: [...allowed] } : { kind: 'none' };
}

function matchSegments(segments: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  if (segments.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i]!;
    if (!segment.startsWith(':')) {
      if (segment !== given[i]) return undefined;
      continue;
    }
    try {
      params[segment.slice(1)] = decodeURIComponent(given[i]!);
    } catch {
      return undefined;
    }
  }
  return params;
}
