import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stage, Trouble } from '../../src/core/outcome.js';
import { SiteTarget } from '../../src/delivery/sites.js';
import { combineTroubles, type Tried, transcriptOf } from '../../src/delivery/tried.js';

const POLICY = { tls: 'off', tlsName: '', allowInsecureAuth: false, heloName: 'riata.test' } as const;

function tried(address: string, stage: Stage, more: Partial<Trouble> = {}, preference = 10): Tried {
  const family = address.includes(':') ? 6 : 4;
  const target = new SiteTarget('mx.test', { family, text: address }, 25, preference, POLICY, 1);
  return {
    target,
    trouble: { lasting: 'temporary', stage, status: '4.4.1', text: `${stage} at ${address}`, ...more },
    transcript: '',
    crowded: false,
  };
}

test('of equal servers the one that the conversation got furthest with tells what is wrong, in whatever order they were tried', () => {
  const silent = tried('2001:db8::1', 'connect', { reason: 'refused' });
  const login = tried('192.0.2.1', 'auth', { reason: 'auth', status: '4.7.8' });
  for (const order of [
    [silent, login],
    [login, silent],
  ]) {
    const { reason, status, text } = combineTroubles(order);
    assert.deepEqual([reason, status], ['auth', '4.7.8']);
    assert.equal(text, 'auth at 192.0.2.1; also mx.test[2001:db8::1]:25: connect at 2001:db8::1');
  }
});

test('the best server is believed before a worse one, unless there is no way to it from here', () => {
  assert.match(
    combineTroubles([tried('192.0.2.2', 'greeting', {}, 20), tried('192.0.2.1', 'connect')]).text,
    /^connect at 192\.0\.2\.1; also /,
  );
  const unreachable = tried('2001:db8::1', 'connect', { reason: 'noRoute' });
  assert.match(combineTroubles([unreachable, tried('192.0.2.2', 'connect', {}, 20)]).text, /^connect at 192\.0\.2\.2; also /);
  assert.match(combineTroubles([unreachable]).text, /^no way to the server from this machine: /);
});

test('a refusal before MAIL only delays', () => {
  const { lasting, status } = combineTroubles([tried('192.0.2.1', 'greeting', { lasting: 'permanent', status: '5.7.1' })]);
  assert.deepEqual([lasting, status], ['temporary', '4.7.1']);
});

test('what was said at each server is kept in the order of trying, and nothing where nothing was', () => {
  const said = ['0 connecting to one', '', '0 connecting to two'].map((transcript) => ({ ...tried('192.0.2.1', 'connect'), transcript }));
  assert.equal(transcriptOf(said), '0 connecting to one\n0 connecting to two');
  assert.equal(transcriptOf([tried('192.0.2.1', 'connect')]), undefined);
});
