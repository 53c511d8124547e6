/** `control.http` with a certificate: HTTPS and nothing else, renewed while it serves. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { createCertificate } from '../../support/certificate.js';
import { execute } from '../../support/commands.js';
import { lacks } from '../../support/programs.js';
import { temporaryFolder } from '../served.js';
import { serveHttp, TOKEN } from './serving.js';

const first = createCertificate();
const second = createCertificate();
const ASKED = { token: TOKEN, trustLoopback: false, names: ['mail.example.test'] };

/** The certificate that is shown to a new connection. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().raw.toString('base64'));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

const der = ({ cert }: { readonly cert: string }) => cert.replace(/-----[^-]+-----|\s/g, '');

test('with a certificate curl reaches it over HTTPS and checks whom it speaks to, and plain HTTP is not answered', {
  skip: lacks('curl'),
}, async (t) => {
  const { port, control } = await serveHttp(t, { tls: first });
  const folder = await temporaryFolder(t);
  const ca = path.join(folder, 'ca.pem');
  await writeFile(ca, first.ca);
  const curl = (url: string, ...more: string[]) =>
    execute('curl', ['-sS', '--max-time', '60', '--cacert', ca, '-H', `Authorization: Bearer ${TOKEN}`, ...more, url]);
  assert.equal(control.secure, true);
  const answer = await curl(`https://127.0.0.1:${port}/v1/agent`);
  assert.equal(answer.code, 0, answer.err);
  assert.equal((JSON.parse(answer.out) as { hostname: string }).hostname, 'mail.example.test');
  assert.equal((await curl(`https://127.0.0.1:${port}/livez`, '-H', 'Authorization:')).out, '{"spool":"open"}\n');
  assert.match((await curl(`https://127.0.0.1:${port}/`)).out, /<!doctype html>|"status":404/);
  const plain = await curl(`http://127.0.0.1:${port}/v1/agent`);
  assert.notEqual(plain.code, 0);
  assert.equal(plain.out, '');
  await control.renew({ ...ASKED, tls: second });
  const stranger = await curl(`https://127.0.0.1:${port}/v1/agent`);
  assert.equal(stranger.code, 60, 'another authority has signed this one');
});

test('another certificate is shown from the next handshake on, and no connection ends for it', async (t) => {
  const { port, control } = await serveHttp(t, { tls: first });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: first.ca });
  t.after(() => agent.destroy());
  const reused: boolean[] = [];
  const ask = () =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      const request = https.get({ agent, host: '127.0.0.1', port, path: '/v1/agent', headers }, (response) => {
        reused.push(request.reusedSocket);
        response.resume().once('end', () => resolve(response.statusCode));
      });
      request.once('error', reject);
    });
  assert.equal(await ask(), 200);
  assert.equal(await shown(port), der(first));
  await control.renew({ ...ASKED, tls: second });
  assert.equal(await shown(port), der(second));
  assert.equal(await ask(), 200);
  assert.deepEqual(reused, [false, true]);
});

test('a certificate that cannot be used changes nothing; one that goes or comes, the same address', async (t) => {
  const { port, control, ask } = await serveHttp(t);
  assert.equal(control.secure, false);
  const wrong = control.renew({ ...ASKED, token: 'another-token-for-tests', tls: { cert: first.cert, key: second.key } });
  await assert.rejects(wrong, { code: 'INVALID_OPTIONS', message: /control\.tls: the certificate or its key cannot be used/ });
  assert.equal((await ask('GET', '/v1/agent')).status, 200, 'the token of before, over HTTP as before');
  await control.renew({ ...ASKED, tls: first });
  assert.deepEqual([control.secure, control.addresses], [true, [{ host: '127.0.0.1', port }]]);
  assert.equal(await shown(port), der(first));
  await control.renew(ASKED);
  assert.equal((await ask('GET', '/v1/agent')).status, 200);
  await assert.rejects(shown(port));
});

test('who begins no handshake is dropped', async (t) => {
  const { port } = await serveHttp(t, { tls: first, headTimeoutMs: 50 });
  const socket = net.connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
});
