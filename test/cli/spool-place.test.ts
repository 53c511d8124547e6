import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../src/cli/exit.js';
import { checkSpoolPlace } from '../../src/cli/spool-place.js';
import { loadConfig } from '../../src/config/load.js';
import { type Log, silentLog } from '../../src/platform/log.js';
import type { Mounts } from '../../src/platform/mounts.js';

const on = (type: string): Mounts => ({ mounts: [{ point: '/', root: '/', type }], inContainer: false });

function warnings(ephemeral: string, type: string): string[] {
  const said: string[] = [];
  const log: Log = { ...silentLog, warn: (event, fields) => void said.push(`${event} ${fields?.['on']}`) };
  const { config } = loadConfig({ env: { RIATA_SPOOL_PATH: '/srv/none/spool', RIATA_SPOOL_EPHEMERAL: ephemeral } });
  checkSpoolPlace(config, log, { cwd: '/', env: {} }, on(type));
  return said;
}

test("a spool in a container's layer is warned of, refused or allowed, as the settings say", () => {
  assert.deepEqual(warnings('warn', 'overlay'), ['spool.ephemeral layer']);
  assert.deepEqual(warnings('allow', 'overlay'), []);
  assert.throws(
    () => warnings('refuse', 'overlay'),
    (error) =>
      error instanceof CliError &&
      error.exit === 78 &&
      /\/srv\/none\/spool lies on the container's own layer.*mount a volume/.test(error.message),
  );
});

test('memory is somebody’s choice: warned of, never refused; what lasts is not spoken of', () => {
  assert.deepEqual(warnings('refuse', 'tmpfs'), ['spool.ephemeral memory']);
  assert.deepEqual(warnings('refuse', 'ext4'), []);
});
