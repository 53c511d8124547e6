/** What the tests of the configuration share: loading from a few lines, and the errors that come of it. */
import assert from 'node:assert/strict';
import type { Config, LoadedConfig } from '../../src/config/config.js';
import { type ConfigSources, loadConfig } from '../../src/config/load.js';
import { type Issue, MtaError } from '../../src/core/errors.js';

const noFiles = (path: string): string => {
  throw new Error(`ENOENT: no such file or directory, open '${path}'`);
};

/** Loads without the world: no file exists but those given, and the machine is called `box.example`. */
export function load(from: ConfigSources & { readonly files?: Readonly<Record<string, string>> } = {}): LoadedConfig {
  const { files = {}, ...rest } = from;
  return loadConfig({ readFile: (path) => files[path] ?? noFiles(path), machineName: 'box.example', ...rest });
}

export function config(from: Parameters<typeof load>[0] = {}): Config {
  return load(from).config;
}

export function issuesOf(call: () => unknown): readonly Issue[] {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof MtaError, String(error));
    assert.equal(error.code, 'INVALID_OPTIONS');
    for (const issue of error.issues) assert.ok(error.message.includes(issue.message), 'the message tells every issue');
    return error.issues;
  }
  return assert.fail('nothing was wrong');
}

/** The messages alone. */
export function complaints(from: Parameters<typeof load>[0]): string[] {
  return issuesOf(() => load(from)).map((issue) => issue.message);
}
