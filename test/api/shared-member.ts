/**
 * One process of a program that shares a spool, for `shared.test.ts`: it sends as fast as it is answered, and says of each message that
 * was acknowledged which it was. Ends when its standard input does.
 *
 *   node --import tsx shared-member.ts SPOOL SINK_PORT NAME
 */
import { createMta } from '../../src/index.js';
import { HOSTNAME } from '../support/agent.js';

const [spool = '', port = '', name = ''] = process.argv.slice(2);
const say = (line: string) => process.stdout.write(`${line}\n`);

const mta = await createMta({
  hostname: HOSTNAME,
  spool,
  shared: true,
  route: [{ host: '127.0.0.1', port: Number(port), tls: 'off' }],
  retry: { firstDelay: '1s' },
});
let over = false;
process.stdin.resume().once('end', () => {
  over = true;
});
say('ready');
for (let n = 0; !over; n++) {
  const subject = `${name}-${n}`;
  await mta.send({ from: 'app@example.test', to: 'joe@dest.test', subject, body: 'Hello.\n' });
  say(`sent ${subject}`);
}
await mta.close();
say('closed');
