/** Where mail would go, as another DNS server tells it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMta, type MtaError } from '../../src/index.js';
import { HOSTNAME, madeUpDns, temporaryFolder } from '../support/agent.js';
import { atEnd } from '../support/scope.js';

test('mxLookup asks the DNS server it is told to, and deliveries and later lookups know nothing of that', async (t) => {
  const zone = (exchange: string) => ({ 'dest.test': { mx: [[10, exchange]] as const }, [exchange]: { a: ['192.0.2.1'] } });
  const ordinary = await madeUpDns(t, zone('mx.ordinary.test'));
  const other = await madeUpDns(t, zone('mx.other.test'));
  const delivery = { allowPrivateAddresses: true };
  const mta = await createMta({ hostname: HOSTNAME, spool: await temporaryFolder(t), dns: { servers: [ordinary.address] }, delivery });
  atEnd(t, () => mta.close());
  const port = other.address.slice(other.address.lastIndexOf(':') + 1);
  assert.equal((await mta.mxLookup('dest.test')).host, 'mx.ordinary.test');
  for (const hostname of [other.address, `localhost:${port}`]) {
    assert.equal((await mta.mxLookup('dest.test', { hostname })).host, 'mx.other.test');
    assert.equal((await mta.mxLookup('dest.test', { hostname, refresh: true })).host, 'mx.other.test');
  }
  assert.equal((await mta.mxLookup('dest.test')).host, 'mx.ordinary.test');
  const error = await mta.mxLookup('dest.test', { hostname: 'no-such-server.test' }).then(
    () => assert.fail('it was asked'),
    (found: MtaError) => found,
  );
  assert.deepEqual([error.code, error.issues[0]!.path], ['INVALID_OPTIONS', 'hostname']);
});
