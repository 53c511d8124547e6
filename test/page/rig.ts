/**
 * The web page in a real browser before a real agent: Chromium without a window, an agent with a made-up internet, and everything
 * that the browser asks for or complains of.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { makePage } from '../../scripts/page.js';
import { verbsOf } from '../../src/api/home.js';
import { DEV_ZONES } from '../../src/cli/dev-domains.js';
import type { ConfigOptions } from '../../src/config/config.js';
import { type HttpControl, type HttpControlOptions, startHttpControl } from '../../src/control/http/server.js';
import { createRecent } from '../../src/control/recent.js';
import type { SinkOptions } from '../../src/dev/sink.js';
import { systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { systemRandom } from '../../src/platform/random.js';
import { type Agent, destination, madeUpDns, startAgent } from '../support/agent.js';
import { ownPort } from '../support/loopback.js';
import { atEnd, type Scope } from '../support/scope.js';

export const TOKEN = 'the-token-of-the-tests';
const CHROMIUM = '/usr/bin/chromium';
const ARTEFACTS = fileURLToPath(new URL('../artefacts/', import.meta.url));

export const noBrowser = existsSync(CHROMIUM) ? false : 'needs Chromium (Debian package chromium)';

export interface Watched {
  readonly page: Page;
  readonly context: BrowserContext;
  /** URLs that were answered, in order. What the browser itself refuses to ask for is not among them. */
  readonly answered: readonly string[];
  /** What the console was told, and errors that nobody caught. */
  readonly complaints: readonly string[];
}

export interface Site {
  readonly agent: Agent;
  readonly url: string;
  readonly control: HttpControl;
  /** A browser of its own, without a past. */
  visit(options?: {
    readonly dark?: boolean;
    readonly width?: number;
    readonly height?: number;
    readonly loggedIn?: boolean;
  }): Promise<Watched>;
  /** Serves again at the same place after `control.close()`. */
  serveAgain(): Promise<HttpControl>;
}

/**
 * Whoever the browser wants to talk to, but us: every name leads there. The name `evil.example` stands in the clear at the beginning of
 * TLS as of HTTP; the browser's own errands are for other names.
 */
export class Trap {
  readonly #server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (first) => {
      if (first.includes('evil.example')) this.caught++;
      socket.destroy();
    });
  });
  caught = 0;

  async open(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as net.AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }
}

export const trap = new Trap();
let browser: Promise<Browser> | undefined;

async function launch(): Promise<Browser> {
  const port = await trap.open();
  const args =
    '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
  const everything = `--host-resolver-rules=MAP * 127.0.0.1:${port}, EXCLUDE 127.0.0.1, EXCLUDE localhost`;
  return chromium.launch({ executablePath: CHROMIUM, args: [...args.split(' '), everything] });
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  trap.close();
  await rm(join(ARTEFACTS, `page-${process.pid}`), { recursive: true, force: true });
}

let compiled: string | undefined;

async function compiledPage(): Promise<string> {
  if (compiled === undefined) {
    const folder = join(ARTEFACTS, `page-${process.pid}`);
    await mkdir(ARTEFACTS, { recursive: true });
    if (!makePage(folder)) throw new Error('the page does not compile');
    compiled = folder;
  }
  return compiled;
}

export async function serveSite(
  scope: Scope,
  { settings = {}, sink = {}, http = {} }: { settings?: ConfigOptions; sink?: SinkOptions; http?: Partial<HttpControlOptions> } = {},
): Promise<Site> {
  const page = await compiledPage();
  const recent = createRecent(systemClock);
  const there = await destination(scope, { hostname: 'mx.dev.test', ...sink });
  const dns = await madeUpDns(scope, DEV_ZONES);
  const agent = await startAgent(
    scope,
    { hostname: 'mail.example.com', dns: { servers: [dns.address] }, ...settings },
    { mxPort: there.port, onEvent: (event) => recent.observe(event) },
  );
  const verbs = verbsOf(agent.mta, { clock: systemClock, recent });
  recent.watch(agent.mta);
  atEnd(scope, () => recent.stop());
  const serve = (port: number) =>
    startHttpControl({
      verbs,
      listen: [{ host: '127.0.0.1', port }],
      token: TOKEN,
      trustLoopback: false,
      names: [],
      log: silentLog,
      clock: systemClock,
      random: systemRandom,
      page,
      ...http,
    });
  let control = await serve(ownPort());
  atEnd(scope, () => control.close(0));
  const { port } = control.addresses[0]!;
  const url = `${control.secure ? 'https' : 'http'}://127.0.0.1:${port}/`;
  return {
    agent,
    url,
    control,
    visit: (options) => visit(scope, url, options),
    async serveAgain() {
      control = await serve(port);
      return control;
    },
  };
}

async function visit(scope: Scope, url: string, options: Parameters<Site['visit']>[0] = {}): Promise<Watched> {
  const { dark = false, width = 1280, height = 900, loggedIn = true } = options;
  const context = await (await (browser ??= launch())).newContext({
    colorScheme: dark ? 'dark' : 'light',
    viewport: { width, height },
    // Of certificates made for tests.
    ignoreHTTPSErrors: true,
    locale: 'en-GB',
    bypassCSP: false,
  });
  atEnd(scope, () => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const answered: string[] = [];
  const complaints: string[] = [];
  context.on('response', (response) => answered.push(response.url()));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  if (loggedIn) {
    await page.getByLabel('Token').fill(TOKEN);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
  }
  return { page, context, answered, complaints };
}

/** Kept for people to look at. */
export async function picture(page: Page, name: string, options: { readonly fullPage?: boolean } = {}): Promise<void> {
  await mkdir(ARTEFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTEFACTS, `${name}.png`), fullPage: options.fullPage ?? true });
}
