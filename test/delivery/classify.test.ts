import assert from 'node:assert/strict';
import { it } from 'node:test';
import { STAGES } from '../../src/core/outcome.js';
import { delivered, faultTrouble, isCrowded, postponed, refused, siteTrouble, verdict } from '../../src/delivery/classify.js';

const SERVER = { host: 'mx.test', address: '192.0.2.1', port: 25 };

it('only the codes hoped for at a stage are a yes', () => {
  const yes: Record<string, number[]> = {
    greeting: [220],
    ehlo: [250],
    starttls: [220],
    auth: [235],
    mail: [250, 251, 252, 253],
    rcpt: [250, 251, 252, 253],
    data: [354],
    content: [250, 251, 252, 253],
  };
  for (const stage of STAGES) {
    for (const code of [200, 211, 214, 220, 221, 235, 250, 251, 252, 253, 334, 354]) {
      assert.equal(verdict(stage, code), yes[stage]?.includes(code) ? 'ok' : 'garbage', `${code} at ${stage}`);
    }
    assert.equal(verdict(stage, 450), 'temporary');
    assert.equal(verdict(stage, 599), 'permanent');
    assert.equal(verdict(stage, 199), 'garbage');
    assert.equal(verdict(stage, 600), 'garbage');
  }
});

it('a refusal keeps the words, the code and the status of the server', () => {
  const outcome = refused('rcpt', { code: 550, enhanced: '5.1.1', text: '5.1.1 no such user\n5.1.1 here' }, SERVER);
  assert.deepEqual(outcome, {
    kind: 'failed',
    trouble: { lasting: 'permanent', stage: 'rcpt', status: '5.1.1', text: '5.1.1 no such user 5.1.1 here', code: 550, server: SERVER },
  });
});

it('a wait that is asked for is kept with what is temporary only', () => {
  const soon = refused('content', { code: 451, text: 'greylisted, try again in 5 minutes' }, SERVER);
  assert.ok(soon.kind === 'deferred');
  assert.equal(soon.trouble.retryAfterMs, 300_000);
  const never = refused('content', { code: 554, text: 'no. try again in 5 minutes' }, SERVER);
  assert.ok(never.kind === 'failed');
  assert.equal(never.trouble.retryAfterMs, undefined);
});

it('trouble of a site is temporary whatever the code, and its status says so', () => {
  const trouble = siteTrouble('auth', { code: 535, enhanced: '5.7.8', text: '5.7.8 wrong password' }, SERVER, 'auth');
  assert.deepEqual(trouble, {
    lasting: 'temporary',
    stage: 'auth',
    status: '4.7.8',
    text: '5.7.8 wrong password',
    code: 535,
    server: SERVER,
    reason: 'auth',
  });
  assert.equal(siteTrouble('greeting', { code: 554, text: 'go away' }, SERVER).status[0], '4');
});

it('too many recipients is 452, or 552 with 5.5.3; put off, it is temporary', () => {
  assert.ok(isCrowded({ code: 452, text: '' }));
  assert.ok(isCrowded({ code: 552, enhanced: '5.5.3', text: '' }));
  assert.ok(!isCrowded({ code: 552, text: '' }));
  assert.ok(!isCrowded({ code: 450, text: '' }));
  const outcome = postponed('rcpt', { code: 552, enhanced: '5.5.3', text: 'enough' }, SERVER);
  assert.ok(outcome.kind === 'deferred');
  assert.equal(outcome.trouble.status, '4.5.3');
});

it('faults have a status by their reason, and at connecting by that', () => {
  const at = (stage: 'connect' | 'content' | 'starttls', reason: 'timeout' | 'refused' | 'tls' | 'garbage') =>
    faultTrouble(stage, { reason, text: 'x' }, SERVER).status;
  assert.deepEqual(
    [at('connect', 'timeout'), at('connect', 'refused'), at('content', 'timeout'), at('starttls', 'tls'), at('content', 'garbage')],
    ['4.4.1', '4.4.1', '4.4.2', '4.7.5', '4.5.0'],
  );
});

it('success keeps the words of the server, cut where they are endless', () => {
  assert.deepEqual(delivered({ code: 250, enhanced: '2.6.0', text: '2.6.0 queued as 7' }, SERVER), {
    kind: 'delivered',
    status: '2.6.0',
    text: '2.6.0 queued as 7',
    server: SERVER,
  });
  const long = delivered({ code: 250, text: 'x'.repeat(4000) }, SERVER);
  assert.ok(long.kind === 'delivered' && long.status === '2.0.0' && long.text.length < 1100);
});
