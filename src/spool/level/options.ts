/** What the LevelDB driver is opened with. */
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { SpoolFs } from './body-file.js';
import type { OpenStore } from './store.js';

export interface LevelSpoolOptions {
  /** Folder of the spool; made if it is not there, mode 0700. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Bodies above this go to files. */
  readonly inlineLimitBytes: number;
  /** Below this much free space intake closes. */
  readonly minFreeBytes: number;
  /** 0: no history. */
  readonly historyRetentionMs: number;
  readonly historyMaxBytes: number;
  /** G4: waiting this long raises a delivery one level. */
  readonly promoteAfterMs: number;
  /** Deliveries of one lane in memory, at most. Default 1,000. */
  readonly windowSize?: number;
  /** Deliveries in memory over all lanes, but for a few of each. Default 20,000. */
  readonly windowTotal?: number;
  /** Bodies kept in memory from accept to settlement, octets. Default 32 MiB. */
  readonly hotBodyBytes?: number;
  /** Control socket, named to whoever finds the spool taken. */
  readonly socket?: string;
  /** Tests make these fail. */
  readonly openStore?: OpenStore;
  readonly fs?: SpoolFs;
}
