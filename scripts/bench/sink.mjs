// A destination that counts and throws away: `node sink.mjs PORT`, prints the number of messages as it grows, one a line. In
// plain JavaScript and a process of its own, so that nothing but reading mail costs it time; quicker than smtp-sink for large mail.
import net from 'node:net';

const END = Buffer.from('\r\n.\r\n');
let messages = 0;
let told = 0;

net
  .createServer({ noDelay: true }, (socket) => {
    let inContent = false;
    let tail = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.write('220 sink ESMTP\r\n');
    socket.on('data', (chunk) => {
      let rest = tail.length > 0 ? Buffer.concat([tail, chunk]) : chunk;
      let replies = '';
      for (;;) {
        if (inContent) {
          const at = rest.indexOf(END);
          if (at < 0) {
            rest = rest.subarray(Math.max(0, rest.length - END.length + 1));
            break;
          }
          inContent = false;
          messages++;
          rest = rest.subarray(at + END.length);
          replies += '250 2.0.0 Ok\r\n';
        } else {
          const at = rest.indexOf(10);
          if (at < 0) break;
          const command = rest.latin1Slice(0, 4).toUpperCase();
          // The content may be empty: its end is then looked for from the line end of DATA on.
          rest = rest.subarray(command === 'DATA' ? at - 1 : at + 1);
          if (command === 'DATA') inContent = true;
          if (command === 'EHLO') replies += '250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1073741824\r\n';
          else if (command === 'DATA') replies += '354 go\r\n';
          else if (command === 'QUIT') {
            socket.end(`${replies}221 bye\r\n`);
            return;
          } else replies += '250 2.0.0 Ok\r\n';
        }
      }
      tail = Buffer.from(rest);
      if (replies !== '') socket.write(replies);
    });
  })
  .listen(Number(process.argv[2]), '127.0.0.1', 1024, () => console.log(0));

setInterval(() => {
  if (messages !== told) console.log((told = messages));
}, 5);
