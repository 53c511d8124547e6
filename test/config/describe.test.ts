import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENTRIES, ROUTE_ENTRIES } from '../../src/config/catalogue.js';
import { describeConfig } from '../../src/config/describe.js';
import { configFromOptions } from '../../src/config/load.js';
import { load } from './support.js';

const loaded = load({
  text: '[spool]\npath = "/var/spool/riata"\n[[route]]\nhost = "a.example"\nusername = "u"\npassword = "hunter2"',
  env: { RIATA_RETRY_EXPIRY: '2d' },
  flags: { 'submission-listen': '127.0.0.1:2525' },
});

test('every option is shown with its value as TOML and where it comes from', () => {
  const rows = describeConfig(loaded, { secrets: false });
  assert.equal(rows.length, ENTRIES.length + ROUTE_ENTRIES.length);
  const row = (path: string) => rows.find((each) => each.path === path);
  assert.deepEqual(row('spool.path'), { path: 'spool.path', value: '"/var/spool/riata"', source: 'riata.toml:2' });
  assert.deepEqual(row('retry.expiry'), { path: 'retry.expiry', value: '"2d"', source: 'RIATA_RETRY_EXPIRY' });
  assert.deepEqual(row('submission.listen'), { path: 'submission.listen', value: '["127.0.0.1:2525"]', source: '--submission-listen' });
  assert.deepEqual(row('hostname'), { path: 'hostname', value: '"box.example"', source: 'default' });
  assert.deepEqual(row('route[0].port'), { path: 'route[0].port', value: 'not set', source: 'default' });
  const [inProcess] = describeConfig(configFromOptions({ hostname: 'x.example' }), { secrets: false });
  assert.deepEqual(inProcess, { path: 'hostname', value: '"x.example"', source: 'options' });
});

test('secrets are shown only on demand', () => {
  assert.ok(!JSON.stringify(describeConfig(loaded, { secrets: false })).includes('hunter2'));
  const password = (secrets: boolean) => describeConfig(loaded, { secrets }).find(({ path }) => path === 'route[0].password')?.value;
  assert.equal(password(false), '"********"');
  assert.equal(password(true), '"hunter2"');
  const none = load({ text: '[[route]]\nhost = "a.example"' });
  assert.equal(
    describeConfig(none, { secrets: false }).find(({ path }) => path === 'route[0].password')?.value,
    '""',
    'none is not hidden',
  );
});
