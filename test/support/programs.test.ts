import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { findProgram, lacks } from './programs.js';

test('a program is found in the path, if it can be run', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'riata-programs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'some-mailer');
  writeFileSync(file, '#!/bin/sh\n', { mode: 0o644 });
  const path = ['/nowhere', folder].join(delimiter);
  assert.equal(findProgram('some-mailer', path), undefined);
  chmodSync(file, 0o755);
  assert.equal(findProgram('some-mailer', path), file);
  assert.equal(findProgram('some-mailer', '/nowhere'), undefined);
});

test('a missing program is a reason to skip, but an error in CI', (t) => {
  const before = process.env['CI'];
  t.after(() => {
    if (before === undefined) delete process.env['CI'];
    else process.env['CI'] = before;
  });
  delete process.env['CI'];
  assert.equal(lacks('node', 'no-such-mailer'), 'not installed: no-such-mailer (scripts/test-all installs them as root on Debian)');
  process.env['CI'] = 'true';
  assert.throws(() => lacks('no-such-mailer'), /no-such-mailer/);
  assert.equal(lacks('node'), false);
});
