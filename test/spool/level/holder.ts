/** Opens the spool named first, prints a line, and holds it until its input ends. For `owner.test.ts`. */
import { systemClock } from '../../../src/platform/clock.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { openLevelSpoolForReading } from '../../../src/spool/level/reading.js';
import { levelOptions } from './support.js';

const [folder, purpose] = process.argv.slice(2) as [string, string];
try {
  if (purpose === 'reading') await (await openLevelSpool(levelOptions(folder, systemClock))).close();
  const spool = purpose === 'reading' ? await openLevelSpoolForReading(folder) : await openLevelSpool(levelOptions(folder, systemClock));
  process.stdout.write('open\n');
  process.stdin.resume();
  process.stdin.on('end', () => void spool.close());
} catch (error) {
  process.stderr.write(`${(error as { code: string }).code} ${(error as Error).message}\n`);
  process.exitCode = 75;
}
