/**
 * What is relied on of smtp-server that it does not promise. Where one of these fails after an update, everything in
 * src/intake/smtp must be looked at again, not only what the failing line names.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { Server } from '../../../src/intake/smtp/server.js';
import { Session } from '../../../src/intake/smtp/session.js';
import { Wire } from '../../../src/intake/smtp/wire.js';

const own = (type: { prototype: object }) => Object.getOwnPropertyNames(type.prototype).filter((name) => name !== 'constructor');
const source = (type: { prototype: object }, name: string) => String((type.prototype as Record<string, unknown>)[name]);

test('the version is the one that was read', () => {
  const file = createRequire(import.meta.url).resolve('smtp-server/package.json');
  assert.equal(JSON.parse(readFileSync(file, 'utf8')).version, '3.21.6');
});

test('everything overridden is still there to be overridden', () => {
  const ours = new Set([
    'command',
    'commandTooLong',
    'content',
    'contentTaken',
    'contentEnd',
    'gatherReplies',
    'writeReplies',
    'inputEnd',
    'drain',
    'destroy',
    'progress',
    'check',
  ]);
  assert.deepEqual(
    own(Session).filter((name) => !ours.has(name) && !own(SMTPConnection).includes(name)),
    [],
  );
  assert.deepEqual(
    own(Server).filter((name) => name !== 'renew' && !own(SMTPServer).includes(name)),
    [],
  );
  for (const name of own(Wire)) assert.ok(['inContent', 'enterContent', 'resume'].includes(name) || name in SMTPStream.prototype, name);
});

test('no command of the library can begin a transaction, or content, without us', () => {
  const handlers = own(SMTPConnection).filter((name) => name.startsWith('handler_'));
  const known = 'EHLO HELO QUIT NOOP RSET HELP VRFY XCLIENT XFORWARD STARTTLS AUTH MAIL RCPT DATA WIZ SHELL KILL';
  assert.deepEqual(
    handlers.sort(),
    known
      .split(' ')
      .map((name) => `handler_${name}`)
      .sort(),
  );
  for (const name of own(SMTPConnection)) {
    if (name !== 'handler_DATA') assert.doesNotMatch(source(SMTPConnection, name), /startDataMode|onData\(/, name);
  }
});

test('the dispatcher looks for a pending handler first, then for one by name, and demands EHLO', () => {
  const text = source(SMTPConnection, '_onCommand');
  for (const part of [
    /if \(this\._upgrading\)/,
    /this\._nextHandler/,
    /this\._getHandler\(commandName\)/,
    /!this\.hostNameAppearsAs/,
    /'MAIL', 'RCPT', 'DATA'/,
  ]) {
    assert.match(text, part);
  }
  assert.equal(source(SMTPConnection, '_getHandler').includes("this['handler_' + command]"), true);
});

test('a session is set up without being asked for what it has not yet', () => {
  // The constructor makes the parser, and touches nothing of ours; `init` then wires and pipes.
  const text = String(SMTPConnection);
  const construct = text.slice(text.indexOf('constructor('), text.indexOf('/**', text.indexOf('constructor(')));
  assert.match(construct, /this\._parser = this\._createParser\(\)/);
  assert.doesNotMatch(construct, /this\._resetSession|this\.send\(|this\.init\(/);
  assert.match(source(SMTPConnection, '_setListeners'), /this\._armTimeout\(\)[^]*pipe\(this\._parser\)/);
});

test('everything written goes through send, and everything read through the parser', () => {
  for (const name of own(SMTPConnection)) {
    if (name !== 'send') assert.doesNotMatch(source(SMTPConnection, name), /_socket\.write\(/, name);
    assert.doesNotMatch(source(SMTPConnection, name), /_socket\.(?:on|once)\('(?:data|readable)'/, name);
  }
});

test('STARTTLS retires the parser, and forgets name and transaction', () => {
  const text = source(SMTPConnection, 'upgrade');
  for (const part of [
    /this\._parser\.isClosed = true/,
    /this\._parser = this\._createParser\(\)/,
    /this\._upgrading = true/,
    /this\.hostNameAppearsAs = false/,
    /this\._resetSession\(\)/,
  ]) {
    assert.match(text, part);
  }
  assert.match(text, /this\._armTimeout\(tlsSocket\)/);
});

test('closing stops the parser', () => {
  assert.match(source(SMTPConnection, 'close'), /this\._parser\.isClosed = true/);
  assert.match(source(SMTPConnection, '_onClose'), /this\._parser = false/);
});

test('a server takes its options as they are given', () => {
  const server = new SMTPServer({
    logger: false,
    allowHalfOpen: true,
    hideENHANCEDSTATUSCODES: false,
    hideDSN: false,
    disabledCommands: ['AUTH', 'STARTTLS'],
  });
  assert.ok(server.server instanceof net.Server);
  assert.equal((server.server as net.Server & { allowHalfOpen: boolean }).allowHalfOpen, true);
  assert.ok(server._pendingSockets instanceof Map);
  assert.equal(server.options.hideREQUIRETLS, true);
  assert.equal(server.options.hideDSN, false);
});
