/**
 * What connects and is no mail client (G12). This machine's own connections may relay, and a web page that is looked at here can have
 * its browser send to any port of this machine: the browser writes the first lines, the page chooses the rest, commands for instance.
 */
import assert from 'node:assert/strict';
import type net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { MAX_COMMAND_LINE } from '../../../src/intake/smtp/wire.js';
import { createCertificate } from '../../support/certificate.js';
import { Client, HEADER, openListener } from '../support.js';

const limit = { timeout: 120_000 };

const MAIL = `EHLO page\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n${HEADER}\r\n.\r\nQUIT\r\n`;
const HEAD = `Host: localhost:2587\r\nContent-Length: ${MAIL.length}\r\nContent-Type: text/plain\r\n\r\n`;
const request = (line: string) => `${line}\r\n${HEAD}`;

const BEGINNINGS: Readonly<Record<string, string>> = {
  'a request': request('POST / HTTP/1.1'),
  'a request for a long name, which is dropped as a line': request(`POST /${'a'.repeat(MAX_COMMAND_LINE)} HTTP/1.1`),
  'a request for a whole URL': request('POST http://localhost:2587/ HTTP/1.1'),
  'a request of an unusual kind': request('PATCH / HTTP/1.1'),
  'a request with words that no browser writes': request('POST /\xe2\x80\xa8 HTTP/1.1'),
  'a request of the version to come': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a header': HEAD,
  'a TLS handshake': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n',
  'a STUN request with commands for a name': '\x00\x03\x00\x50\x21\x12\xa4\x42\x00\x06\x00\x40\r\n',
  'a proxy': 'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n',
  'another greeting': 'SSH-2.0-OpenSSH_9.2\r\n',
  NUL: '\0\r\n',
  'a command behind a space': ' EHLO page\r\n',
  'a name of our own code': 'constructor\r\n',
};

for (const [what, beginning] of Object.entries(BEGINNINGS)) {
  for (const octets of [beginning.length + MAIL.length, 7]) {
    test(`what begins with ${what} is turned away, and nothing behind it is heard (${octets} octets at a time)`, limit, async (t) => {
      const { port, spool, lines } = await openListener(t);
      const client = await Client.dial(port);
      const text = beginning + MAIL;
      for (let at = 0; at < text.length && client.socket.writable; at += octets) {
        client.send(text.slice(at, at + octets));
        if (octets < text.length && at % 700 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(await client.rest(), '220 mx.test ESMTP\r\n421 4.7.0 This is a mail server: a client begins with EHLO\r\n');
      assert.equal(spool.opened, 0);
      assert.deepEqual(
        lines.filter(({ event }) => event === 'smtp.notMail').map(({ level, fields }) => [level, fields?.['client']]),
        [['info', '127.0.0.1']],
      );
    });
  }
}

test(
  'commands before EHLO, in any case, and an empty line turn nobody away, and after it an unknown one is only unknown',
  limit,
  async (t) => {
    const { port, spool } = await openListener(t);
    const client = await Client.dial(port);
    client.send('\r\nnoop\r\nRSET\r\nHELP\r\nVRFY x\r\nMAIL FROM:<a@b.test>\r\nAUTH PLAIN\r\nehlo c\r\nPOST / HTTP/1.0 \r\n');
    const codes = (await client.replies(10)).map((reply) => reply.slice(0, 3));
    assert.deepEqual(codes, ['220', '500', '250', '250', '214', '252', '503', '500', '250', '500']);
    client.send(MAIL.slice(MAIL.indexOf('MAIL')));
    assert.match(await client.rest(), /\r\n354 .*\r\n250 2\.0\.0 queued/);
    assert.equal(spool.stored.length, 1);
  },
);

test('under TLS a client begins anew, and is turned away as before it', limit, async (t) => {
  const certificate = createCertificate(['mx.test']);
  const { port, spool } = await openListener(t, { tls: certificate });
  const plain = await Client.ready(port);
  assert.match(await plain.ask('STARTTLS'), /^220 /);
  plain.socket.removeAllListeners('data');
  const client = new Client(tls.connect({ socket: plain.socket as net.Socket, rejectUnauthorized: false }));
  client.send(request(`POST /${'a'.repeat(MAX_COMMAND_LINE)} HTTP/1.1`) + MAIL);
  assert.equal(await client.rest(), '421 4.7.0 This is a mail server: a client begins with EHLO\r\n');
  assert.equal(spool.opened, 0);
});
