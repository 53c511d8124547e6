/**
 * Attachments and images as options: paths, named data, maps from names to data, and parts composed before.
 *
 * Promises: names come out without a path and without control characters; Content-IDs of images are ASCII, unlike each other, and
 * the file's name where that can be one. Nothing is read here.
 */

import type { BuildJob } from './build.js';
import { type Issues, isObject, line, onlyKnown, put } from './checks.js';
import type { Entity } from './entity.js';
import { baseName, type MediaType, mediaTypeByName, parseMediaType } from './media-type.js';
import { type AttachmentData, type Origin, originOf } from './origin.js';

/** Marks what is a MIME entity by itself: a `Compose`. */
export const NESTED = Symbol('riata.compose');

export interface Nested {
  readonly [NESTED]: NestedEntity;
}

/** What one `Compose` shows to another that it is placed in. */
export interface NestedEntity {
  /** What is wrong with it is put under the path `at`. */
  entity(job: BuildJob, at: string): Promise<Entity | undefined>;
  /** `seen`: what was looked at already, since parts may stand in several places. */
  state(seen: Set<Nested>): NestedState;
  /** What would be another one if it were composed again. */
  chance(seen: Set<Nested>): readonly string[];
  /** Header and body as they are read and encoded. */
  chunks(): AsyncGenerator<Buffer>;
}

export interface NestedState {
  /** Grows with every change. */
  readonly version: number;
  /** It holds a stream, which can be read once. */
  readonly streamed: boolean;
}

export interface NamedData {
  /** As the reader sees it; a path in front is left out. */
  readonly name: string;
  readonly data: AttachmentData;
  /** Default: by the name's extension. */
  readonly contentType?: string | undefined;
}

export interface NamedFile {
  readonly path: string;
  /** Default: the file's. */
  readonly name?: string | undefined;
  readonly contentType?: string | undefined;
}

interface WithCid {
  /** Content-ID, without brackets. Default: the file name. */
  readonly cid?: string | undefined;
}

/** A path, or what an attachment is made of. */
export type Attachment = string | NamedData | NamedFile | Nested;
export type Attachments = string | readonly Attachment[] | NamedMap;
export type Image = string | (NamedData & WithCid) | (NamedFile & WithCid) | Nested;
export type Images = string | readonly Image[] | NamedMap;
/** From file names to data. */
export type NamedMap = Readonly<Record<string, AttachmentData>> | ReadonlyMap<string, AttachmentData>;

export interface AttachedFile {
  readonly kind: 'file';
  /** Where it was given, for issues. */
  readonly at: string;
  readonly name: string;
  readonly media: MediaType;
  /** The type was asked for, not guessed. */
  readonly typed: boolean;
  readonly origin: Origin;
}

export interface AttachedPart {
  readonly kind: 'part';
  readonly at: string;
  readonly part: Nested;
}

export type Attached = AttachedFile | AttachedPart;

export interface AttachedImage extends AttachedFile {
  /** Sources in the page that mean this image. */
  readonly sources: readonly string[];
  /** Without brackets. */
  readonly cid: string;
}

export function isNested(value: unknown): value is Nested {
  return typeof value === 'object' && value !== null && NESTED in value;
}

export function readAttachments(value: unknown, path: string, issues: Issues): Attached[] {
  return listed(value, path, issues).flatMap(({ item, at }) => readAttachment(item, at, issues) ?? []);
}

export function readImages(value: unknown, path: string, issues: Issues): (AttachedImage | AttachedPart)[] {
  return listed(value, path, issues).flatMap(({ item, at }) => readImage(item, at, issues) ?? []);
}

/** Puts an issue for each image whose Content-ID another one has. */
export function checkContentIds(images: readonly (AttachedImage | AttachedPart)[], issues: Issues): void {
  const seen = new Set<string>();
  for (const image of images) {
    if (image.kind === 'part') continue;
    if (seen.has(image.cid)) put(issues, image.at, 'DUPLICATE', 'another image has the same file name; give one of them a cid');
    seen.add(image.cid);
  }
}

/** Every form as a list of items. */
function listed(value: unknown, path: string, issues: Issues): { readonly item: unknown; readonly at: string }[] {
  if (typeof value === 'string') return [{ item: value, at: path }];
  if (Array.isArray(value)) return value.map((item: unknown, i) => ({ item, at: `${path}[${i}]` }));
  if (value instanceof Map || isPlain(value)) return mapped(value, path, issues);
  put(issues, path, 'WRONG_TYPE', 'must be a path, an array, or a map from file names to data');
  return [];
}

function isPlain(value: unknown): value is object {
  return isObject(value) && !isNested(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value));
}

function mapped(value: object, path: string, issues: Issues): { readonly item: unknown; readonly at: string }[] {
  const entries: [unknown, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
  const looksLikeOne = !(value instanceof Map) && entries.some(([name]) => name === 'data' || name === 'path');
  if (looksLikeOne) {
    put(issues, path, 'CONFLICT', 'this is one attachment, not a map from file names to data: put it into an array');
    return [];
  }
  return entries.map(([name, data], i) => ({ item: { name, data }, at: `${path}[${i}]` }));
}

export function readAttachment(item: unknown, at: string, issues: Issues): Attached | undefined {
  if (isNested(item)) return { kind: 'part', at, part: item };
  return readFile(item, at, ['name', 'data', 'path', 'contentType'], issues);
}

function readImage(item: unknown, at: string, issues: Issues): AttachedImage | AttachedPart | undefined {
  if (isNested(item)) return { kind: 'part', at, part: item };
  const file = readFile(item, at, ['name', 'data', 'path', 'contentType', 'cid'], issues);
  if (file === undefined) return undefined;
  const given = typeof item === 'string' ? { path: item } : (item as { name?: string; path?: string; cid?: unknown });
  const cid = 'cid' in given && given.cid !== undefined ? readCid(given.cid, `${at}.cid`, issues) : contentIdOf(file.name);
  if (cid === undefined) return undefined;
  const sources = [given.path, given.name, `cid:${file.name}`].filter((source) => source !== undefined);
  return { ...file, sources, cid };
}

function readFile(item: unknown, at: string, known: readonly string[], issues: Issues): AttachedFile | undefined {
  if (typeof item === 'string') return readFile({ path: item }, at, known, issues);
  if (!isObject(item)) return put(issues, at, 'WRONG_TYPE', 'must be a path, an object with name and data, or a composed part');
  onlyKnown(item, known, at, issues);
  const origin = readOrigin(item, at, issues);
  const path = item['path'];
  const given = item['name'] ?? (typeof path === 'string' ? baseName(path) : undefined);
  if (given === undefined) return put(issues, `${at}.name`, 'MISSING_FIELD', 'data needs a name');
  if (typeof path === 'string' && item['name'] === undefined && origin === undefined) return undefined;
  const whole = line(given, `${at}.name`, issues);
  if (whole === undefined) return undefined;
  const name = baseName(whole);
  if (name === '') return put(issues, `${at}.name`, 'INVALID_VALUE', 'the file name is empty');
  const typed = item['contentType'] !== undefined;
  const media = typed ? readFileType(item['contentType'], `${at}.contentType`, issues) : mediaTypeByName(name);
  return origin && media && { kind: 'file', at, name, media, typed, origin };
}

function readOrigin(item: Readonly<Record<string, unknown>>, at: string, issues: Issues): Origin | undefined {
  const { data, path } = item;
  if (data !== undefined && path !== undefined) return put(issues, at, 'CONFLICT', 'give data or path, not both');
  if (data !== undefined) return originOf(data, `${at}.data`, issues);
  if (path === undefined) return put(issues, at, 'MISSING_FIELD', 'needs data or a path');
  return readFilePath(path, `${at}.path`, issues);
}

export function readFilePath(value: unknown, path: string, issues: Issues): Origin | undefined {
  const text = line(value, path, issues);
  if (text === '') return put(issues, path, 'INVALID_VALUE', 'the path is empty');
  return text === undefined ? undefined : { kind: 'file', path: text };
}

function readFileType(value: unknown, path: string, issues: Issues): MediaType | undefined {
  const text = line(value, path, issues);
  if (text === undefined) return undefined;
  const media = parseMediaType(text);
  if (media === undefined) return put(issues, path, 'INVALID_VALUE', 'is not a media type such as image/png');
  if (media.type.startsWith('multipart/')) return put(issues, path, 'INVALID_VALUE', 'a file is not a multipart');
  return media;
}

/** Characters that a Content-ID holds as they are, and a URL too (RFC 2392). */
const CID = /^[A-Za-z0-9._~+$!@-]+$/;

function readCid(value: unknown, path: string, issues: Issues): string | undefined {
  const text = line(value, path, issues);
  if (text === undefined) return undefined;
  const bare = /^<(.*)>$/.exec(text)?.[1] ?? text;
  return CID.test(bare) ? bare : put(issues, path, 'INVALID_VALUE', 'may hold letters, digits and . _ ~ + $ ! @ - only');
}

/** The name itself where that can be one; else each octet that cannot stand in it as `=20`. No two names give one. */
function contentIdOf(name: string): string {
  if (CID.test(name)) return name;
  let id = '';
  for (const octet of Buffer.from(name, 'utf8')) {
    const character = String.fromCharCode(octet);
    id += octet < 128 && CID.test(character) ? character : `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return id;
}
