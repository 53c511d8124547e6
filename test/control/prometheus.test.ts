import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { lacks } from '../support/programs.js';
import { parse } from './exposition.js';
import { serveHttp } from './http/serving.js';
import { serveAndConnect } from './served.js';

const RULES = 'conf/alerts.yml';
const DASHBOARD = 'conf/grafana.json';

/** Its complaints, or nothing. */
function promtool(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('promtool', [...args], (error, stdout, stderr) =>
      error === null ? resolve(stderr.trim()) : reject(new Error(`${stdout}${stderr}`)),
    );
    child.stdin?.end(input);
  });
}

test('what is counted, looked at and measured is told, in seconds and octets', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  await client.pause({ domain: 'small.test' });
  agent.closed = 'SPOOL_FULL';
  const { type, text } = await client.exposition();
  assert.match(type, /^text\/plain; version=0\.0\.4/);
  const samples = parse(text);
  const value = (sample: string) => samples.get(sample);
  assert.equal(value('riata_build_info{version="1.2.3"}'), 1);
  assert.deepEqual(
    ['ready', 'waiting', 'held'].map((state) => value(`riata_queue_deliveries{state="${state}"}`)),
    [1, 2, 3],
  );
  assert.equal(value('riata_queue_oldest_seconds{state="ready"}'), 5);
  assert.equal(value('riata_queue_oldest_seconds{state="held"}'), 90);
  assert.equal(value('riata_queue_oldest_seconds{state="waiting"}'), undefined);
  assert.equal(value('riata_lanes_paused'), 1);
  assert.equal(value('riata_intake_open'), 0);
  assert.deepEqual(
    ['open', 'busy'].map((state) => value(`riata_connections{state="${state}"}`)),
    [2, 1],
  );
  assert.equal(value('riata_accepted_total'), 7);
  assert.equal(value('riata_deferred_total{status="4.7"}'), 2);
  assert.equal(value('riata_bounced_total{status="other"}'), 0);
  assert.equal(value('riata_spool_free_bytes'), 2 ** 30);
  assert.equal(value('riata_delivery_seconds_bucket{le="0.01"}'), 1);
  assert.equal(value('riata_delivery_seconds_bucket{le="0.1"}'), 2);
  assert.equal(value('riata_delivery_seconds_bucket{le="+Inf"}'), 3);
  assert.equal(value('riata_delivery_seconds_sum'), 0.555);
  assert.ok(value('process_resident_memory_bytes')! > 1e6);
  assert.ok(samples.has('nodejs_eventloop_lag_p99_seconds'));
  // A second scrape finds the library's own metrics where they were.
  agent.closed = undefined;
  assert.equal(parse((await client.exposition()).text).get('riata_intake_open'), 1);
});

test('metrics need the token, the two health checks do not, and tell nothing of mail', async (t) => {
  const { agent, ask, askAs } = await serveHttp(t);
  assert.equal((await askAs({}, 'GET', '/metrics')).status, 401);
  assert.equal((await ask('GET', '/metrics')).status, 200);
  const get = async (path: string) => (await askAs({}, 'GET', path)).status;
  assert.deepEqual([await get('/livez'), await get('/readyz')], [200, 200]);
  agent.closed = 'SPOOL_FULL';
  assert.deepEqual([await get('/livez'), await get('/readyz')], [200, 507]);
  agent.closed = 'SPOOL_FAILED';
  agent.failingFor = 60_000;
  assert.deepEqual([await get('/livez'), await get('/readyz')], [200, 503]);
  agent.failingFor = 11 * 60_000;
  assert.equal(await get('/livez'), 503);
});

test('the dashboard and the rules ask for nothing that is not told', async (t) => {
  const { client } = await serveAndConnect(t);
  const told = new Set([...parse((await client.exposition()).text).keys()].map((sample) => sample.split('{', 1)[0]!));
  const rules = await readFile(RULES, 'utf8');
  const dashboard = await readFile(DASHBOARD, 'utf8');
  const expressions = JSON.parse(dashboard).panels.flatMap((panel: { targets: { expr: string }[] }) =>
    panel.targets.map(({ expr }) => expr),
  );
  assert.ok(expressions.length > 20);
  for (const source of [rules, ...expressions]) {
    for (const [name] of source.matchAll(/\b(?:riata_[a-z_]+|process_[a-z_]+|nodejs_[a-z0-9_]+)\b/g)) assert.ok(told.has(name), name);
  }
});

test('promtool finds nothing to complain about', { skip: lacks('promtool') }, async (t) => {
  const { client } = await serveAndConnect(t);
  assert.equal(await promtool(['check', 'rules', '--lint-fatal', RULES]), '');
  const { text } = await client.exposition();
  for (const name of ['riata_commit_seconds', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds'])
    assert.ok(text.includes(name));
  assert.equal(await promtool(['check', 'metrics'], text), '');
});
