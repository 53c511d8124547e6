/**
 * The files of the web page, read once when serving begins: they are few and small, and nobody's request leads to the disk.
 * They hold nothing of the agent, so they need no token.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type http from 'node:http';
import path from 'node:path';
import { PAGE_POLICY } from './headers.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

interface PageFile {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

export interface PageFiles {
  /** Answers where there is such a file; false where there is none. */
  serve(request: http.IncomingMessage, response: http.ServerResponse): boolean;
}

/** `folder`: nothing is served where it does not exist, as in a checkout that was not built. */
export function pageFiles(folder: string): PageFiles {
  const files = new Map<string, PageFile>();
  for (const name of names(folder)) {
    const type = TYPES[path.extname(name)];
    if (type === undefined) continue;
    const body = readFileSync(path.join(folder, name));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    files.set(name === 'index.html' ? '/' : `/${name.replaceAll('\\', '/')}`, { type, body, etag });
  }
  return {
    serve(request, response) {
      const file = files.get((request.url ?? '').split('?', 1)[0]!);
      if (file === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) return false;
      response.setHeader('content-security-policy', PAGE_POLICY);
      // Asked for anew each time, and sent only when it has changed: an update is seen at once.
      response.setHeader('cache-control', 'no-cache');
      response.setHeader('etag', file.etag);
      if (request.headers['if-none-match'] === file.etag) {
        response.writeHead(304).end();
        return true;
      }
      response.writeHead(200, { 'content-type': file.type, 'content-length': file.body.length });
      response.end(request.method === 'HEAD' ? undefined : file.body);
      return true;
    },
  };
}

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
