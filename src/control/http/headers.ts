/** Header fields that stand on every answer over HTTP, and what they keep a browser from. */
import type http from 'node:http';

/** Of the page: its own files, no inline script or style, no string ever becomes markup (Trusted Types), nobody frames it. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Of answers of the API, should one of them be opened as a document. */
const API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox";

export function secure(response: http.ServerResponse): void {
  response.setHeader('content-security-policy', API_POLICY);
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('x-frame-options', 'DENY');
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('cross-origin-resource-policy', 'same-origin');
  response.setHeader('cross-origin-opener-policy', 'same-origin');
  response.setHeader('cache-control', 'no-store');
}
