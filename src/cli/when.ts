/** Moments as people give them: `+2h`, or a date and time with its offset. Pure. */
import { CliError, EXIT } from './exit.js';
import { span } from './selection.js';

/** Epoch ms. Throws 64 for anything else: a time without a zone means another moment everywhere. */
export function when(option: string, text: string, now: number): number {
  if (text.startsWith('+')) return now + span(option, text.slice(1));
  const at = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/i.test(text)
    ? Date.parse(text.replace(' ', 'T'))
    : Number.NaN;
  if (Number.isNaN(at))
    throw new CliError(
      EXIT.usage,
      `${option}: ${JSON.stringify(text)} is neither like 2026-12-01T09:00+01:00 (with its offset) nor like +2h`,
    );
  return at;
}
