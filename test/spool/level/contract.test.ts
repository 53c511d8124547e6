import assert from 'node:assert/strict';
import { checkSpool } from '../../../src/spool/level/check.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { LevelSpoolOptions } from '../../../src/spool/level/options.js';
import { mergeContract } from '../../contract/merge.js';
import { spoolContract } from '../../contract/spool.js';
import { levelOptions, temporaryFolder } from './support.js';

/** Every test of the contract ends with a spool in which every key and every counter is as it must be. */
async function checkedPlace(more: Partial<LevelSpoolOptions> = {}) {
  const folder = await temporaryFolder();
  return {
    open: (clock: LevelSpoolOptions['clock']) => openLevelSpool(levelOptions(folder.path, clock, more)),
    async remove() {
      const report = await checkSpool(folder.path);
      await folder.remove();
      assert.deepEqual(report.problems, []);
    },
  };
}

spoolContract('level', () => checkedPlace());
spoolContract('level, with windows of three', () => checkedPlace({ windowSize: 3, windowTotal: 8 }));
mergeContract('level', () => checkedPlace());
mergeContract('level, with windows of three', () => checkedPlace({ windowSize: 3, windowTotal: 8 }));
