/**
 * Is it us? When one site after the other cannot even be connected to on a port, and none can, the cause is most likely
 * here: no network, or a provider that blocks port 25. Then trying is slowed down to one probe a minute over all sites, nothing
 * is charged an attempt for it, and one plain word tells the operator. The first connection that reaches a server ends it.
 */
import type { Route } from '../core/carrier.js';
import type { Emit } from '../core/event.js';
import type { Trouble } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';

/** Different sites that must fail in a row before the cause is sought here. */
const SITES = 5;
/** While it lasts: how long between two probes, over all sites. */
const PROBE_MS = 60_000;

export class Outage {
  readonly #port: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #emit: Emit;
  readonly #failed = new Set<string>();
  #on = false;
  #nextProbe = 0;

  constructor(port: number, clock: Clock, log: Log, emit: Emit) {
    this.#port = port;
    this.#clock = clock;
    this.#log = log;
    this.#emit = emit;
  }

  get on(): boolean {
    return this.#on;
  }

  /** A site could not be used. Only what looks the same from here for every site counts. */
  failed(site: string, trouble: Trouble): void {
    if (trouble.stage !== 'connect' || (trouble.reason !== 'timeout' && trouble.reason !== 'noRoute')) {
      // Somebody answered, if only to refuse: the network is there.
      this.reached();
      return;
    }
    this.#failed.add(site);
    if (this.#on || this.#failed.size < SITES) return;
    this.#on = true;
    this.#nextProbe = this.#clock.monotonic() + PROBE_MS;
    const text =
      `No mail server can be reached on port ${this.#port}: ${this.#failed.size} sites in a row failed to connect (last: ${trouble.text}). ` +
      `The network of this machine may be down, or outgoing port ${this.#port} blocked; ` +
      'a [[route]] through a relay on port 587 is the way around a blocked port 25. ' +
      'Mail waits and is not charged for it.';
    this.#log.error('delivery.outage', { sites: this.#failed.size, error: trouble.text }, text);
    this.#emit({ type: 'fault', at: this.#clock.now(), code: 'NO_NETWORK', text });
  }

  /** A server was reached. */
  reached(): void {
    this.#failed.clear();
    if (!this.#on) return;
    this.#on = false;
    this.#log.info('delivery.outageOver', {}, 'Mail servers can be reached again.');
  }

  /** Whether a site may be tried now. During an outage: one of all, now and then. */
  admits(): boolean {
    return !this.#on || this.#clock.monotonic() >= this.#nextProbe;
  }

  /** One is being tried. */
  tried(): void {
    if (this.#on) this.#nextProbe = this.#clock.monotonic() + PROBE_MS;
  }
}

/** By port: a blocked port 25 says nothing of a relay on 587. */
export class Outages {
  readonly #byPort = new Map<number, Outage>();
  readonly #make: (port: number) => Outage;

  constructor(clock: Clock, log: Log, emit: Emit) {
    this.#make = (port) => new Outage(port, clock, log, emit);
  }

  [Symbol.iterator](): IterableIterator<Outage> {
    return this.#byPort.values();
  }

  of(route: Route): Outage {
    const { port } = route.targets[0]!;
    let outage = this.#byPort.get(port);
    if (outage === undefined) {
      outage = this.#make(port);
      this.#byPort.set(port, outage);
    }
    return outage;
  }
}
