/** `control.http` over a `FakeAgent` on a free port of loopback, gone after the test. */
import http from 'node:http';
import type { TestContext } from 'node:test';
import { type HttpControl, type HttpControlOptions, startHttpControl } from '../../../src/control/http/server.js';
import { controlVerbs } from '../../../src/control/verbs.js';
import { systemClock } from '../../../src/platform/clock.js';
import { silentLog } from '../../../src/platform/log.js';
import { systemRandom } from '../../../src/platform/random.js';
import { FakeAgent, UNUSED } from '../fake-agent.js';
import { LIMIT } from '../served.js';

export const TOKEN = 'a-token-made-for-tests';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface Serving {
  readonly agent: FakeAgent;
  readonly control: HttpControl;
  readonly port: number;
  /** With the token, unless `headers` has another `authorization`. */
  ask(method: string, target: string, headers?: http.OutgoingHttpHeaders, body?: string): Promise<Answer>;
  /** With nothing but what is given. */
  askAs(headers: http.OutgoingHttpHeaders, method: string, target: string): Promise<Answer>;
}

export async function serveHttp(t: TestContext, options: Partial<HttpControlOptions> = {}): Promise<Serving> {
  const agent = new FakeAgent();
  const { clock = systemClock, log = silentLog } = options;
  const verbs = controlVerbs(agent, { clock, version: '1.2.3', pid: 4321, maxMessageSize: LIMIT, maxRecipients: 1000, ...UNUSED, log });
  const control = await startHttpControl({
    verbs,
    listen: [{ host: '127.0.0.1', port: 0 }],
    token: TOKEN,
    trustLoopback: false,
    names: ['mail.example.test'],
    log,
    clock,
    random: systemRandom,
    ...options,
  });
  t.after(() => control.close(0));
  const port = control.addresses[0]!.port;
  return {
    agent,
    control,
    port,
    ask: (method, target, headers, body) => ask(port, method, target, { authorization: `Bearer ${TOKEN}`, ...headers }, body),
    askAs: (headers, method, target) => ask(port, method, target, headers),
  };
}

/** As a program would; a browser's part is played by the headers. */
function ask(port: number, method: string, target: string, headers: http.OutgoingHttpHeaders, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path: target, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}
