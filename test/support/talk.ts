/** A conversation by hand with an SMTP server on loopback, for tests that say exactly what goes over the wire. */
import net from 'node:net';

export interface Talk {
  /** Written as it is. */
  write(text: string | Buffer): void;
  /** The next whole reply, its lines joined by `\n`, without the final CRLF. Rejects if the connection ends before. */
  reply(): Promise<string>;
  /** Writes a line and takes one reply. */
  say(line: string): Promise<string>;
  /** Resolves when the peer has closed, with what it sent that was no whole reply. */
  closed(): Promise<string>;
  readonly socket: net.Socket;
  end(): void;
}

export async function talk(port: number, host = '127.0.0.1'): Promise<Talk> {
  const socket = net.connect({ port, host, noDelay: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let text = '';
  let ended = false;
  let wake = () => {};
  const more = () => new Promise<void>((resolve) => (wake = resolve));
  const over = () => {
    ended = true;
    wake();
  };
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    wake();
  });
  socket.on('error', over).on('end', over).on('close', over);

  const reply = async () => {
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\r\n)*\d{3}(?: [^\n]*)?\r\n/.exec(text);
      if (match) {
        text = text.slice(match[0].length);
        return match[0].slice(0, -2).replaceAll('\r\n', '\n');
      }
      if (ended) throw new Error(`the connection ended, after ${JSON.stringify(text)}`);
      await more();
    }
  };
  return {
    socket,
    write: (data) => void socket.write(data),
    reply,
    say(line) {
      socket.write(`${line}\r\n`);
      return reply();
    },
    async closed() {
      while (!ended) await more();
      return text;
    },
    end: () => void socket.destroy(),
  };
}
