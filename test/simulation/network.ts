/**
 * The network of the simulation: connections without sockets, under virtual time. What is written arrives in order, one latency later;
 * a side that is gone is noticed as late. Whoever is cut off may write on: nobody hears it.
 *
 * It counts what the agent holds open, at the agent's end and at every instant: from the call of `connect` until the connection is
 * refused or destroyed.
 */
import { Duplex } from 'node:stream';
import type { Clock } from '../../src/platform/clock.js';
import type { Dialer, DialTarget } from '../../src/platform/dialer.js';

/** The server's end of a connection. */
export interface Line {
  /** `told` is called when the agent has read it, if it ever does. */
  send(text: string, told?: () => void): void;
  /** The server has said all it had to say. */
  end(): void;
  reset(): void;
}

/** What a server makes of a connection. */
export interface Listener {
  heard(chunk: Buffer): void;
  /** The agent has ended it, or is gone. */
  closed(): void;
}

export type Knock = 'accept' | 'refuse' | 'unreachable' | 'silence';

export interface Host {
  readonly latencyMs: number;
  knock(): Knock;
  accept(line: Line): Listener;
  /** Whether a TLS handshake comes to an end. */
  handshake(): 'trusted' | 'selfSigned' | 'broken';
}

/** Who watches what the agent does to the network. Times are those of the call. */
export interface NetworkWatch {
  /** Connections from the agent to this server, and to all. */
  opened(server: string, there: number, all: number): void;
  /** What the agent writes, as it leaves. */
  wrote(server: string, chunk: Buffer): void;
}

export class Network {
  readonly #clock: Clock;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #watch: NetworkWatch;

  /** Hosts by `address:port`. */
  constructor(clock: Clock, hosts: ReadonlyMap<string, Host>, watch: NetworkWatch) {
    this.#clock = clock;
    this.#hosts = hosts;
    this.#watch = watch;
  }

  /** One machine's way into it. */
  uplink(): Uplink {
    return new Uplink(this.#clock, this.#hosts, this.#watch);
  }
}

export class Uplink implements Dialer {
  readonly #clock: Clock;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #watch: NetworkWatch;
  readonly #open = new Map<string, number>();
  readonly #sockets = new Set<Socket>();
  #all = 0;
  #cut = false;

  constructor(clock: Clock, hosts: ReadonlyMap<string, Host>, watch: NetworkWatch) {
    this.#clock = clock;
    this.#hosts = hosts;
    this.#watch = watch;
  }

  /** Connections that are there or on their way. */
  get open(): number {
    return this.#all;
  }

  /** The machine is dead: its ends of all connections are gone, and whatever still runs of it is heard by nobody. */
  cut(): void {
    this.#cut = true;
    for (const socket of [...this.#sockets]) socket.vanish();
  }

  connect({ address, port }: DialTarget, signal: AbortSignal): Promise<Duplex> {
    const server = `${address}:${port}`;
    const host = this.#hosts.get(server);
    return new Promise((resolve, reject) => {
      if (this.#cut) return;
      if (signal.aborted) return reject(signal.reason);
      this.#take(server);
      let over = false;
      const settle = (call: () => void) => {
        if (over || this.#cut) return;
        over = true;
        signal.removeEventListener('abort', aborted);
        call();
      };
      const fail = (error: unknown) =>
        settle(() => {
          this.#give(server);
          reject(error);
        });
      const aborted = () => fail(signal.reason);
      signal.addEventListener('abort', aborted, { once: true });
      const knock = host?.knock() ?? 'unreachable';
      if (knock === 'silence') return;
      this.#clock.after(2 * (host?.latencyMs ?? 1), () => {
        if (knock === 'refuse') fail(systemError('ECONNREFUSED'));
        else if (knock === 'unreachable') fail(systemError('EHOSTUNREACH'));
        else settle(() => resolve(this.#establish(server, host!)));
      });
    });
  }

  /** The stream stays the same: what TLS adds is whom to trust. */
  secure(stream: Duplex, options: { readonly verify: 'verified' | 'opportunistic' }): ReturnType<Dialer['secure']> {
    const socket = stream as Socket;
    return new Promise((resolve, reject) => {
      this.#clock.after(2 * socket.host.latencyMs, () => {
        const handshake = socket.host.handshake();
        if (socket.destroyed || handshake === 'broken') reject(systemError('EPROTO'));
        else if (handshake === 'selfSigned' && options.verify === 'verified') reject(systemError('DEPTH_ZERO_SELF_SIGNED_CERT'));
        else resolve({ stream, description: 'TLSv1.3 simulated', verified: handshake === 'trusted' });
      });
    });
  }

  #take(server: string): void {
    const there = (this.#open.get(server) ?? 0) + 1;
    this.#open.set(server, there);
    this.#all++;
    this.#watch.opened(server, there, this.#all);
  }

  #give(server: string): void {
    const there = this.#open.get(server)! - 1;
    if (there === 0) this.#open.delete(server);
    else this.#open.set(server, there);
    this.#all--;
  }

  #establish(server: string, host: Host): Socket {
    const socket = new Socket(
      this.#clock,
      host,
      (chunk) => this.#watch.wrote(server, chunk),
      () => {
        this.#sockets.delete(socket);
        this.#give(server);
      },
    );
    this.#sockets.add(socket);
    return socket;
  }
}

/** The agent's end. */
class Socket extends Duplex {
  readonly host: Host;
  readonly #clock: Clock;
  readonly #onWrite: (chunk: Buffer) => void;
  readonly #onGone: () => void;
  readonly #listener: Listener;
  /** The agent's end is gone, with or without a word. */
  #gone = false;
  #ended = false;

  constructor(clock: Clock, host: Host, onWrite: (chunk: Buffer) => void, onGone: () => void) {
    super({ allowHalfOpen: false });
    this.#clock = clock;
    this.host = host;
    this.#onWrite = onWrite;
    this.#onGone = onGone;
    this.#listener = host.accept({
      send: (text, told) => this.#toAgent(() => this.#read(text, told)),
      end: () => this.#toAgent(() => void this.push(null)),
      reset: () => this.#toAgent(() => void this.destroy(systemError('ECONNRESET'))),
    });
  }

  /** The process that held it is no more. */
  vanish(): void {
    this.#leave();
    this.destroy();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#gone) return done();
    this.#onWrite(chunk);
    this.#toServer(() => this.#listener.heard(chunk));
    done();
  }

  override _final(done: () => void): void {
    this.#tellEnd();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#leave();
    done(error);
  }

  #leave(): void {
    if (this.#gone) return;
    this.#tellEnd();
    this.#gone = true;
    this.#onGone();
  }

  #tellEnd(): void {
    if (this.#ended || this.#gone) return;
    this.#ended = true;
    this.#toServer(() => this.#listener.closed());
  }

  #read(text: string, told: (() => void) | undefined): void {
    this.push(Buffer.from(text, 'latin1'));
    // What lies unread in a buffer has told nobody anything.
    if (this.readableLength === 0 && !this.#gone) told?.();
  }

  #toServer(call: () => void): void {
    this.#clock.after(this.host.latencyMs, call);
  }

  #toAgent(call: () => void): void {
    this.#clock.after(this.host.latencyMs, () => {
      if (!this.#gone && !this.readableEnded) call();
    });
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`simulated ${code}`), { code });
}
