/**
 * From nothing to a connection that is ready for MAIL: dial, greeting, EHLO (or HELO), TLS, login.
 *
 * Promises: whatever goes wrong here is trouble of the site, temporary, and blames no message. After STARTTLS all that was learnt
 * in the clear is forgotten (RFC 3207 §4.2), and a server that said more than its 220 before the handshake is refused: somebody
 * may have put words into its mouth. Opportunistic TLS that fails (refused handshake, broken connection up to the first EHLO
 * under TLS) is tried once more on a new connection in the clear (RFC 7435); demanded TLS never.
 */
import type { Reply, Server, Stage, Trouble } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import type { Dialer } from '../platform/dialer.js';
import type { Log } from '../platform/log.js';
import { login } from './auth.js';
import { faultTrouble, siteTrouble, verdict } from './classify.js';
import type { ChannelPolicy, Timeouts } from './contract.js';
import { type Extensions, NO_EXTENSIONS, parseExtensions } from './extensions.js';
import { connectFault, STOPPED } from './fault.js';
import { Transcript, type Transcripts } from './transcript.js';
import { Wire } from './wire.js';
import { within } from './within.js';

export interface OpeningOptions {
  readonly target: Server;
  readonly policy: ChannelPolicy;
  readonly timeouts: Timeouts;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly log: Log;
  readonly transcripts: Transcripts;
  /** Its number, to tell connections apart. */
  readonly connection: number;
}

/** A connection ready for MAIL. */
export interface Ready {
  readonly kind: 'ready';
  readonly wire: Wire;
  readonly extensions: Extensions;
  /** Version and cipher. */
  readonly tls: string | undefined;
  readonly verifiedTls: boolean;
  /** What was said so far; undefined where no transcripts are kept. */
  readonly transcript: Transcript | undefined;
}

type Failure =
  | { readonly kind: 'trouble'; readonly trouble: Trouble }
  /** It went wrong on the way into TLS: without it there may be a way. */
  | { readonly kind: 'tlsTrouble'; readonly trouble: Trouble };

/** Never rejects: when `signal` aborts, the trouble says `stopped`. */
export async function openReady(
  options: OpeningOptions,
  signal: AbortSignal,
): Promise<Ready | { readonly kind: 'trouble'; readonly trouble: Trouble; readonly transcript?: string }> {
  const { policy, target, log, clock } = options;
  const transcript = options.transcripts === 'off' ? undefined : new Transcript(clock);
  const ended = ({ trouble }: Failure) => ({ kind: 'trouble', trouble, ...(transcript && { transcript: transcript.text() }) }) as const;
  const first = await attempt(options, policy.tls, transcript, signal);
  if (first.kind === 'ready') return first;
  if (first.kind === 'trouble' || policy.tls !== 'opportunistic' || signal.aborted) return ended(first);
  log.info(
    'delivery.tlsFailed',
    { host: target.host, address: target.address, error: first.trouble.text },
    'TLS failed; going on in the clear.',
  );
  transcript?.note('once more, without TLS');
  const second = await attempt(options, 'off', transcript, signal);
  return second.kind === 'ready' ? second : ended(second);
}

async function attempt(
  options: OpeningOptions,
  tls: ChannelPolicy['tls'],
  transcript: Transcript | undefined,
  signal: AbortSignal,
): Promise<Ready | Failure> {
  const { target, connection } = options;
  transcript?.note(`connecting to ${target.host}[${target.address}]:${target.port}, connection ${connection}`);
  const outcome = await connect(options, tls, transcript, signal);
  // What a server said is there already.
  if (outcome.kind !== 'ready' && outcome.trouble.code === undefined) transcript?.note(outcome.trouble.text);
  return outcome;
}

async function connect(
  options: OpeningOptions,
  tls: ChannelPolicy['tls'],
  transcript: Transcript | undefined,
  signal: AbortSignal,
): Promise<Ready | Failure> {
  const { target, policy, timeouts, dialer, clock } = options;
  const place = { address: target.address, port: target.port, ...(policy.localAddress ? { localAddress: policy.localAddress } : {}) };
  const dialled = await within(clock, timeouts.connect, signal, (limit) => dialer.connect(place, limit));
  if (dialled.kind === 'late') {
    return trouble(faultTrouble('connect', { reason: 'timeout', text: `no connection within ${timeouts.connect / 1000} s` }, target));
  }
  if (dialled.kind === 'error') {
    return trouble(faultTrouble('connect', signal.aborted ? STOPPED : connectFault(dialled.error), target));
  }
  const wire = new Wire(dialled.value, clock);
  const abort = () => wire.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    if (signal.aborted) abort();
    const outcome = await new Opening(options, wire, transcript, signal).through(tls);
    if (outcome.kind !== 'ready') await wire.close('QUIT\r\n');
    return outcome;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The steps on one connection; each returns what stands in the way, or undefined. */
class Opening {
  readonly #options: OpeningOptions;
  readonly #wire: Wire;
  readonly #transcript: Transcript | undefined;
  readonly #signal: AbortSignal;
  #extensions = NO_EXTENSIONS;
  #tls: string | undefined;
  #verified = false;

  constructor(options: OpeningOptions, wire: Wire, transcript: Transcript | undefined, signal: AbortSignal) {
    this.#options = options;
    this.#wire = wire;
    this.#transcript = transcript;
    this.#signal = signal;
  }

  async through(tls: ChannelPolicy['tls']): Promise<Ready | Failure> {
    const failure =
      (tls === 'implicit' ? await this.#encrypt('verified') : undefined) ??
      (await this.#greeting()) ??
      (await this.#hello()) ??
      (tls === 'starttls' || tls === 'opportunistic'
        ? await this.#startTls(tls === 'starttls' ? 'verified' : 'opportunistic')
        : undefined) ??
      (await this.#login());
    if (failure) return failure;
    return {
      kind: 'ready',
      wire: this.#wire,
      extensions: this.#extensions,
      tls: this.#tls,
      verifiedTls: this.#verified,
      transcript: this.#transcript,
    };
  }

  async #greeting(): Promise<Failure | undefined> {
    const { timeouts } = this.#options;
    const { failure } = await this.#ask('greeting', undefined, timeouts.greeting);
    return failure;
  }

  async #hello(): Promise<Failure | undefined> {
    const { policy } = this.#options;
    const ehlo = await this.#ask('ehlo', `EHLO ${policy.heloName}\r\n`);
    if (ehlo.reply) {
      this.#extensions = parseExtensions(ehlo.reply.text);
      return undefined;
    }
    const code = ehlo.failure.trouble.code ?? 0;
    if (code < 500) return ehlo.failure;
    this.#extensions = NO_EXTENSIONS;
    return (await this.#ask('ehlo', `HELO ${policy.heloName}\r\n`)).failure;
  }

  async #startTls(verify: 'verified' | 'opportunistic'): Promise<Failure | undefined> {
    const demanded = verify === 'verified';
    const server = this.#options.target;
    if (!this.#extensions.startTls) {
      if (!demanded) return undefined;
      return trouble({
        lasting: 'temporary',
        stage: 'starttls',
        status: '4.7.10',
        text: 'TLS is demanded, and the server does not offer STARTTLS',
        server,
        reason: 'tls',
      });
    }
    const start = await this.#ask('starttls', 'STARTTLS\r\n');
    if (start.failure) {
      // A refusal leaves the connection as it was; one that broke or fell silent is tried again in the clear.
      if (!demanded && start.failure.trouble.code !== undefined && start.failure.trouble.code !== 421) return undefined;
      return this.#tlsFailure(start.failure.trouble);
    }
    const failure = await this.#encrypt(verify);
    if (failure) return failure;
    const hello = await this.#hello();
    // In TLS 1.3 a server refuses after we believe the handshake done: that shows as an end of the connection here.
    return hello && hello.trouble.code === undefined ? this.#tlsFailure(hello.trouble) : hello;
  }

  async #encrypt(verify: 'verified' | 'opportunistic'): Promise<Failure | undefined> {
    const { policy, timeouts, dialer, target } = this.#options;
    const options = { host: policy.tlsName, verify, ...(policy.ca ? { ca: policy.ca } : {}) };
    const secured = await this.#wire.secure(dialer, options, timeouts.command, this.#signal);
    if (secured.kind === 'fault') return this.#tlsFailure(faultTrouble('starttls', secured.fault, target));
    this.#tls = secured.description;
    this.#verified = secured.verified;
    this.#transcript?.note(`TLS: ${secured.description}, certificate ${secured.verified ? 'verified' : 'not verified'}`);
    return undefined;
  }

  async #login(): Promise<Failure | undefined> {
    const { policy, target, timeouts } = this.#options;
    if (!policy.credentials) return undefined;
    const refusal = await login(this.#wire, {
      credentials: policy.credentials,
      mechanisms: this.#extensions.auth,
      verifiedTls: this.#verified,
      allowInsecureAuth: policy.allowInsecureAuth,
      server: target,
      timeoutMs: timeouts.command,
      transcript: this.#transcript,
    });
    return refusal && trouble(refusal);
  }

  /** Garbage is no reason to try without TLS: it is what an injection looks like. */
  #tlsFailure(what: Trouble): Failure {
    return what.reason === 'garbage' || what.reason === 'stopped' ? trouble(what) : { kind: 'tlsTrouble', trouble: what };
  }

  async #ask(
    stage: Stage,
    line: string | undefined,
    timeoutMs = this.#options.timeouts.command,
  ): Promise<{ reply: Reply; failure?: undefined } | { reply?: undefined; failure: Failure }> {
    const { target } = this.#options;
    if (line !== undefined) this.#transcript?.said(line);
    const answer = await this.#wire.ask(line, timeoutMs);
    if (answer.kind === 'reply') this.#transcript?.heard(answer.reply);
    if (answer.kind === 'fault') return { failure: trouble(faultTrouble(stage, answer.fault, target)) };
    const { reply } = answer;
    switch (verdict(stage, reply.code)) {
      case 'ok':
        return { reply };
      case 'garbage':
        return {
          failure: trouble(faultTrouble(stage, { reason: 'garbage', text: `unexpected answer: ${reply.code} ${reply.text}` }, target)),
        };
      default:
        return { failure: trouble(siteTrouble(stage, reply, target)) };
    }
  }
}

function trouble(what: Trouble): Failure {
  return { kind: 'trouble', trouble: what };
}
