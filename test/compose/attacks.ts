/** Attacks on fields of text: line breaks and controls with what follows them, disguises, and every field to put them into. */
import type { ComposeOptions } from '../../src/compose/options.js';

/** What breaks lines somewhere, and what follows it in an attack. */
export const BREAKS = ['\r\n', '\n', '\r', '\0', '\u0085', '\u2028', '\u2029', '\v', '\f', '\x1b', '\x7f', '\t'];
export const TAILS = [
  'Bcc: evil@evil.example',
  '\r\nevil body',
  ' <evil@evil.example>',
  ', evil@evil.example',
  '.\r\nRCPT TO:<evil@evil.example>',
];

/** Every field that holds text, with the text put into it. */
export const FIELDS: Readonly<Record<string, (text: string) => ComposeOptions>> = {
  from: (text) => ({ from: `a@x.example${text}` }),
  fromName: (text) => ({ from: `"N${text}" <a@x.example>` }),
  fromObject: (text) => ({ from: { name: `N${text}`, address: 'a@x.example' } }),
  fromAddress: (text) => ({ from: { address: `a@x.example${text}` } }),
  to: (text) => ({ to: `a@x.example${text}` }),
  toList: (text) => ({ to: ['a@x.example', `N${text} <b@x.example>`] }),
  toComment: (text) => ({ to: `(c${text}) a@x.example` }),
  toGroup: (text) => ({ to: `G${text}: a@x.example;` }),
  toQuotedLocalPart: (text) => ({ to: `"q${text}"@x.example` }),
  cc: (text) => ({ cc: `a@x.example${text}` }),
  bcc: (text) => ({ bcc: `a@x.example${text}` }),
  sender: (text) => ({ sender: `a@x.example${text}` }),
  replyTo: (text) => ({ replyTo: `N${text} <a@x.example>` }),
  returnPath: (text) => ({ returnPath: `a@x.example${text}` }),
  envelopeFrom: (text) => ({ envelope: { from: `a@x.example${text}` } }),
  envelopeTo: (text) => ({ envelope: { to: `a@x.example${text}` } }),
  subject: (text) => ({ subject: `s${text}` }),
  messageId: (text) => ({ messageId: `<a@x.example>${text}` }),
  inReplyTo: (text) => ({ inReplyTo: `<a@x.example>${text}` }),
  references: (text) => ({ references: ['<a@x.example>', `<b@x.example${text}>`] }),
  listUnsubscribe: (text) => ({ listUnsubscribe: `https://x.example/${text}` }),
  listMailto: (text) => ({ listUnsubscribe: { mailto: `a@x.example${text}` } }),
  headerName: (text) => ({ extraMIMEHeaders: [[`X-A${text}`, 'v']] }),
  headerValue: (text) => ({ extraMIMEHeaders: [['X-A', `v${text}`]] }),
  headerMap: (text) => ({ extraMIMEHeaders: { 'X-A': `v${text}` } }),
  headerMailboxes: (text) => ({ extraMIMEHeaders: { 'Resent-To': `a@x.example${text}` } }),
  contentType: (text) => ({ contentType: `text/plain${text}` }),
  contentTypeParameter: (text) => ({ contentType: `text/plain; a="b${text}"` }),
  characterSet: (text) => ({ characterSet: `utf-8${text}` }),
  transferEncoding: (text) => ({ transferEncoding: `base64${text}` }),
  contentDisposition: (text) => ({ contentDisposition: `inline; filename="a${text}"` }),
  headerType: (text) => ({ headerType: `mixed${text}` }),
  attachmentName: (text) => ({ attachments: [{ name: `a${text}.txt`, data: 'd' }] }),
  attachmentMap: (text) => ({ attachments: { [`a${text}.txt`]: 'd' } }),
  attachmentPath: (text) => ({ attachments: [`/tmp/a${text}.txt`] }),
  attachmentType: (text) => ({ attachments: [{ name: 'a', data: 'd', contentType: `text/plain${text}` }] }),
  imageName: (text) => ({ html: 'h', htmlImages: [{ name: `a${text}.gif`, data: 'd' }] }),
  imageCid: (text) => ({ html: 'h', htmlImages: [{ name: 'a.gif', data: 'd', cid: `c${text}` }] }),
  date: (text) => ({ date: `2030-01-01T00:00:00Z${text}` }),
  calendarMethod: (text) => ({ calendar: { data: 'x', method: `REQUEST${text}` } }),
};

/** Without control characters, but made to be taken for more than they are. */
export const DISGUISES = [
  '=?utf-8?Q?=0D=0ABcc:_evil@evil.example?=',
  '=?utf-8?B?DQpCY2M6IGV2aWxAZXZpbC5leGFtcGxl?=',
  '=?utf-8?q?a=40evil.example=2C?=',
  '" <evil@evil.example>, "',
  '\\" <evil@evil.example>',
  '>, <evil@evil.example',
  '\u{ff1c}evil@evil.example\u{ff1e}',
  '; evil@evil.example',
  ') evil@evil.example (',
  '%0D%0ABcc:evil@evil.example',
  '\u560a\u560dBcc: evil@evil.example',
  '--=_boundary',
  '; filename="x.exe"',
  "*=utf-8''x%0D%0Ay",
];

/** Fields of addresses: a comma and an address that are written into them stand there as such. */
export const OF_ADDRESSES =
  /^(?:to|from|cc|bcc|sender|envelopeTo|replyTo|toList|fromName|toComment|toGroup|toQuotedLocalPart|headerMailboxes)$/;
