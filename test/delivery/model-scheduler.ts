/** The scheduler's side of the seam, without its sweep: a wake-up that is lost here is lost. */
import assert from 'node:assert/strict';
import type { Job, Route, Served, WorkSource } from '../../src/core/carrier.js';
import type { TransactionResult, Trouble } from '../../src/core/outcome.js';

export interface SiteWork {
  readonly route: Route;
  ready: number;
  asked: number;
  full: boolean;
  resting: boolean;
}

export class ModelScheduler implements WorkSource {
  readonly sites: SiteWork[] = [];
  readonly #capped = new Set<SiteWork>();
  serving = false;
  readonly results: TransactionResult[] = [];
  readonly troubles: Trouble[] = [];
  /** Called whenever a job has ended. */
  onEnd: (() => void) | undefined;
  carrier: { serve(route: Route): Served } | undefined;
  readonly #makeJob: () => Job;
  #underWay = 0;

  constructor(routes: readonly Route[], makeJob: () => Job) {
    this.#makeJob = makeJob;
    for (const route of routes) this.addSite(route);
  }

  addSite(route: Route): void {
    this.sites.push({ route, ready: 0, asked: 0, full: false, resting: false });
  }

  add(at: number, count: number): void {
    const site = this.sites[at]!;
    site.ready += count;
    if (!site.full) this.#dispatch(site);
  }

  wake(): void {
    for (const site of this.sites) {
      if (!site.resting) continue;
      site.resting = false;
      this.#dispatch(site);
    }
  }

  next(channel: string): Job | undefined {
    assert.equal(this.serving, false, 'serve calls nothing before it has returned');
    const sites = this.sites.filter(({ route }) => route.targets.some((one) => one.channel === channel));
    for (const site of sites) if (site.asked > 0) site.asked--;
    const site = sites.find(({ ready }) => ready > 0);
    if (site === undefined) {
      for (const one of sites) one.full = false;
      return undefined;
    }
    site.ready--;
    this.#underWay++;
    return this.#makeJob();
  }

  done(_job: Job, result: TransactionResult): void {
    this.results.push(result);
    this.#end();
  }

  /** Which site it came from is forgotten: it waits with the first. */
  untried(): void {
    this.#end();
    this.add(0, 1);
  }

  unreadable(): void {
    this.#end();
  }

  mayFinish(): true {
    return true;
  }

  siteTrouble(route: Route, trouble: Trouble): void {
    this.troubles.push(trouble);
    const site = this.#site(route.site);
    site.asked = 0;
    site.full = false;
    site.resting = true;
  }

  siteWell(): void {}

  room(key: string): void {
    assert.equal(this.serving, false, 'serve calls nothing before it has returned');
    const site = this.#site(key);
    site.full = false;
    if (site.asked > 0) site.asked--;
    this.#dispatch(site);
    for (const capped of [...this.#capped]) {
      this.#capped.delete(capped);
      this.#dispatch(capped);
    }
  }

  /** Nothing ready, nothing on its way. */
  get quiet(): boolean {
    return this.#underWay === 0 && this.sites.every(({ ready }) => ready === 0);
  }

  #end(): void {
    this.#underWay--;
    this.onEnd?.();
  }

  #site(key: string): SiteWork {
    return this.sites.find(({ route }) => route.site === key)!;
  }

  #dispatch(site: SiteWork): void {
    if (site.resting) return;
    while (site.asked < site.ready) {
      this.serving = true;
      const served = this.carrier!.serve(site.route);
      this.serving = false;
      if (served === 'capped') this.#capped.add(site);
      if (served === 'full') site.full = true;
      if (served !== 'served') return;
      site.asked++;
    }
  }
}
