/** What left: mail as the servers of its recipients took it. */
import type { ParsedMail } from 'mailparser';
import type { SinkMessage } from '../dev/sink.js';

/** One copy, as one server took it. */
export interface OutboxMail {
  /** Envelope sender; `''` for the null sender, which reports of failure have. */
  readonly sender: string;
  /** Those that this server took it for. */
  readonly recipients: readonly string[];
  /** The domain of that server. */
  readonly server: string;
  /** By the time of the test. */
  readonly at: Date;
  /** Octet for octet. */
  readonly bytes: Buffer;
  /** The first field of that name, unfolded, as it stands; undefined where there is none. */
  header(name: string): string | undefined;
  /** Decoded and taken apart. */
  read(): Promise<OutboxContent>;
}

export interface OutboxContent {
  readonly subject: string;
  readonly text: string;
  /** `''` where there is no page. */
  readonly html: string;
  readonly attachments: readonly { readonly name: string; readonly type: string; readonly cid: string; readonly data: Buffer }[];
}

export function outboxMail({ sender, recipients, bytes, at }: SinkMessage, server: string): OutboxMail {
  return {
    sender,
    recipients,
    server,
    at: new Date(at),
    bytes,
    header: (name) => headerOf(bytes, name),
    read: async () => {
      // Loaded only by those who ask.
      const { simpleParser } = await import('mailparser');
      return contentOf(await simpleParser(bytes, { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true }));
    },
  };
}

function headerOf(bytes: Buffer, name: string): string | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  const fields = bytes.toString('utf8', 0, end < 0 ? bytes.length : end).split(/\r\n(?![ \t])/);
  const wanted = `${name.toLowerCase()}:`;
  const found = fields.find((field) => field.toLowerCase().startsWith(wanted));
  return found?.slice(wanted.length).replace(/\r\n/g, '').trim();
}

function contentOf({ subject = '', text = '', html, attachments }: ParsedMail): OutboxContent {
  return {
    subject,
    text,
    html: html || '',
    attachments: attachments.map(({ filename = '', contentType, cid = '', content }) => ({
      name: filename,
      type: contentType,
      cid,
      data: content,
    })),
  };
}
