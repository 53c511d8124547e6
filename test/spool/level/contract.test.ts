import { openLevelSpool } from '../../../src/spool/level/open.js';
import { spoolContract } from '../../contract/spool.js';
import { levelOptions, temporaryFolder } from './support.js';

spoolContract('level', async () => {
  const folder = await temporaryFolder();
  return { open: (clock) => openLevelSpool(levelOptions(folder.path, clock)), remove: folder.remove };
});

spoolContract('level, with windows of three', async () => {
  const folder = await temporaryFolder();
  return { open: (clock) => openLevelSpool(levelOptions(folder.path, clock, { windowSize: 3, windowTotal: 8 })), remove: folder.remove };
});
