/** Media types (RFC 2045 §5): as options write them, and by the extension of a file's name. */
import { createRequire } from 'node:module';
import type mimeTypes from 'mime-types';

export interface MediaType {
  /** `text/plain`, lower case. */
  readonly type: string;
  readonly parameters: readonly (readonly [string, string])[];
}

export const OCTET_STREAM: MediaType = { type: 'application/octet-stream', parameters: [] };

const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,127}";
const TYPE = new RegExp(`^(${TOKEN}/${TOKEN})[ ]*(?:;|$)`);
const PARAMETER = new RegExp(`[ ]*(${TOKEN})[ ]*=[ ]*(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)")[ ]*(?:;|$)`, 'y');

/** A type with parameters, or undefined for what is none. */
export function parseMediaType(text: string): MediaType | undefined {
  const match = TYPE.exec(text.trim());
  if (match === null) return undefined;
  const parameters = parseParameters(text.trim().slice(match[0].length));
  return parameters === undefined ? undefined : { type: match[1]!.toLowerCase(), parameters };
}

/** `name=value; name="value"`, names in lower case; undefined where they cannot be read or a name comes twice. */
export function parseParameters(text: string): [string, string][] | undefined {
  const rest = text.trim();
  const found: [string, string][] = [];
  PARAMETER.lastIndex = 0;
  for (let at = 0; at < rest.length; at = PARAMETER.lastIndex) {
    const match = PARAMETER.exec(rest);
    if (match === null) return undefined;
    const name = match[1]!.toLowerCase();
    if (found.some(([other]) => other === name)) return undefined;
    found.push([name, match[2] ?? match[3]!.replace(/\\(.)/g, '$1')]);
  }
  return found;
}

export function parameterOf(media: MediaType, name: string): string | undefined {
  return media.parameters.find(([one]) => one === name)?.[1];
}

let types: typeof mimeTypes | undefined;

/** By the extension of a file's name; `application/octet-stream` where that says nothing. */
export function mediaTypeByName(fileName: string): MediaType {
  if (!fileName.includes('.')) return OCTET_STREAM;
  // 3 MB of names, for those who attach files.
  types ??= createRequire(import.meta.url)('mime-types') as typeof mimeTypes;
  const type = types.lookup(fileName);
  return type === false || type.startsWith('multipart/') ? OCTET_STREAM : { type, parameters: [] };
}

/** What follows the last separator of a path, of whichever system. */
export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}
