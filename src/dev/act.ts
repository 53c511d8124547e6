/** What the recording destination can be told to do instead of, or as, an answer. */

export type ActStep =
  /** Written with CRLF behind it. Of several lines: with CRLF between them. After a 421 the connection is closed. */
  | string
  /** Written as it is; with `byByte` each octet in a packet of its own. */
  | { readonly raw: string | Buffer; readonly byByte?: boolean }
  | { readonly waitMs: number }
  /** What the command asked for happens, though no answer says so. */
  | { readonly accept: true }
  /** The connection ends, after what was to be written (`end`), or at once with a reset. */
  | { readonly drop: 'end' | 'reset' }
  /** Nothing more is read or written; the connection stays. */
  | { readonly hang: true };

/** Steps in order. What the command asked for happens with the first text that begins with 2xx or 354, or with `accept`. */
export type Act = ActStep | readonly ActStep[];
