/**
 * One connection outward as the pool sees it: a place taken at a server, what it is doing, and for whom.
 *
 * Promises: work and results pass between its session and the source unchanged, but that above limits that were lowered it takes no more
 * work; a site is told once that all is well, at the first result that shows a reply to a transaction.
 */
import type { Job, WorkSource } from '../core/carrier.js';
import type { TransactionResult } from '../core/outcome.js';
import type { Timer } from '../platform/clock.js';
import type { Session, SessionWork } from './contract.js';
import type { SiteRoute, SiteTarget } from './sites.js';
import { showsReply } from './tried.js';

/** As `SessionWork` it is the source bound to its channel. */
export class Connection implements SessionWork {
  phase: 'opening' | 'busy' | 'idle' | 'closing' = 'opening';
  session: Session | undefined;
  idleTimer: Timer | undefined;
  /** Above limits that were lowered: takes no more work, and ends. */
  surplus = false;
  /** For whom it was opened or woken last. */
  route: SiteRoute;
  readonly target: SiteTarget;
  readonly openedAt: number;
  readonly #source: WorkSource;
  /** The site that was told that all is well. */
  #wellFor: string | undefined;

  constructor(route: SiteRoute, target: SiteTarget, source: WorkSource, openedAt: number) {
    this.route = route;
    this.target = target;
    this.#source = source;
    this.openedAt = openedAt;
  }

  get name(): string {
    return `${this.target.host}[${this.target.address}]:${this.target.port}`;
  }

  next(): Job | undefined {
    return this.surplus ? undefined : this.#source.next(this.target.channel);
  }

  done(job: Job, result: TransactionResult): void {
    this.#source.done(job, result);
    if (this.#wellFor === this.route.site || !showsReply(result)) return;
    this.#wellFor = this.route.site;
    this.#source.siteWell(this.route);
  }

  untried(job: Job): void {
    this.#source.untried(job);
  }

  unreadable(job: Job, error: Error): void {
    this.#source.unreadable(job, error);
  }

  mayFinish(): true | Promise<void> {
    return this.#source.mayFinish();
  }
}
