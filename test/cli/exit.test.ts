import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError, exitCode, systemCode } from '../../src/cli/exit.js';
import { ERROR_CODES, type ErrorCode, MtaError } from '../../src/core/errors.js';

const caused = (code: string) => Object.assign(new Error(code), { code });

test('each of our errors has a code of sysexits', () => {
  const codes = Object.fromEntries(Object.keys(ERROR_CODES).map((code) => [code, exitCode(new MtaError(code as ErrorCode, 'x'))]));
  for (const [code, exit] of Object.entries(codes)) assert.ok(exit >= 64 && exit <= 78, `${code} is ${exit}`);
  assert.deepEqual(
    [
      codes['INVALID_OPTIONS'],
      codes['MESSAGE_TOO_LARGE'],
      codes['NOT_FOUND'],
      codes['NOT_RUNNING'],
      codes['SPOOL_FULL'],
      codes['SPOOL_VERSION'],
    ],
    [64, 65, 66, 69, 75, 78],
  );
});

test('what the system denies is 77, whatever we made of it', () => {
  assert.equal(exitCode(caused('EACCES')), 77);
  assert.equal(exitCode(new MtaError('NOT_RUNNING', 'x', { cause: caused('EPERM') })), 77);
  assert.equal(exitCode(new MtaError('ADDRESS_IN_USE', 'x', { cause: new Error('outer', { cause: caused('EACCES') }) })), 77);
});

test('other errors of the system, and faults of our own', () => {
  assert.equal(exitCode(caused('ENOENT')), 66);
  assert.equal(exitCode(caused('ENOSPC')), 74);
  assert.equal(exitCode(new TypeError('x')), 70);
  assert.equal(exitCode('not even an error'), 70);
  assert.equal(exitCode(new CliError(42, 'x')), 42);
});

test('our own code is not the system’s', () => {
  assert.equal(systemCode(new MtaError('NOT_RUNNING', 'x')), undefined);
  assert.equal(systemCode(new MtaError('NOT_RUNNING', 'x', { cause: caused('ECONNREFUSED') })), 'ECONNREFUSED');
});
