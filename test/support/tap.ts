/** A tap on a line to an SMTP server in the clear: passes everything on both ways, and knows what content the client sent. */
import net from 'node:net';
import { atEnd, type Scope } from './scope.js';

export interface Tap {
  readonly port: number;
  /** Of each message, in order: the octets between DATA and the final dot, dots unstuffed. */
  readonly contents: readonly Buffer[];
}

export async function tapInto(scope: Scope, port: number): Promise<Tap> {
  const conversations: Buffer[][] = [];
  const server = net.createServer((client) => {
    const heard: Buffer[] = [];
    conversations.push(heard);
    const upstream = net.connect({ port, host: '127.0.0.1', noDelay: true });
    client.on('data', (chunk) => heard.push(chunk)).on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(scope, () => new Promise((resolve) => server.close(resolve)));
  return {
    port: (server.address() as net.AddressInfo).port,
    get contents() {
      return conversations.flatMap((heard) => contentsOf(Buffer.concat(heard).toString('latin1')));
    },
  };
}

/** A dot is stuffed only where a line begins behind a true CRLF (RFC 5321 §4.5.2). */
function contentsOf(said: string): Buffer[] {
  const contents: Buffer[] = [];
  for (let at = 0; ; ) {
    const begin = said.slice(at).search(/(?<=(?:^|\r\n)DATA\r\n)/i);
    if (begin < 0) return contents;
    const end = said.slice(at + begin - 2).indexOf('\r\n.\r\n');
    if (end < 0) return contents;
    // The CRLF that ends the last line belongs to the content; where there is none it is the one of DATA.
    const content = said.slice(at + begin, Math.max(at + begin, at + begin - 2 + end + 2));
    contents.push(Buffer.from(content.replace(/(^|\r\n)\./g, '$1'), 'latin1'));
    at += begin - 2 + end + 5;
  }
}
