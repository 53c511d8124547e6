/**
 * What systemd is told of us, and what it has handed to us (sd_notify(3), sd_listen_fds(3)); where none started us, nothing.
 *
 * Node can open no datagram socket of the Unix kind, which is what systemd listens on, so its own command `systemd-notify` says
 * it for us: it is there wherever systemd is. Being another process, it is heard only with `NotifyAccess=all` in the unit.
 *
 * Promises: never fails and never delays the agent's work, only its end, until the last word is said; what could not be said is told
 * in the log, once.
 */
import { execFile } from 'node:child_process';
import type { Clock } from './clock.js';
import type { Log } from './log.js';

export interface ServiceManager {
  ready(status: string): void;
  /** A new configuration is being read; `ready` says that it is done. */
  reloading(): void;
  /** Resolves when it is said, or cannot be: a word that is still waiting then goes with the process. */
  stopping(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs `systemd-notify` with these assignments. */
export type Say = (assignments: readonly string[]) => Promise<void>;

const SAY_TIMEOUT_MS = 5_000;

const systemdNotify: Say = (assignments) =>
  new Promise((resolve, reject) => {
    execFile('systemd-notify', [...assignments], { timeout: SAY_TIMEOUT_MS }, (error) => (error ? reject(error) : resolve()));
  });

export function serviceManager(env: Environment, clock: Clock, log: Log, say: Say = systemdNotify): ServiceManager {
  if (!env['NOTIFY_SOCKET']) return { ready() {}, reloading() {}, async stopping() {} };
  let told = false;
  let waiting = 0;
  /** One after the other: the order is what they mean. */
  let last: Promise<void> = Promise.resolve();
  const tell = (...assignments: string[]) => {
    waiting++;
    last = last
      .then(() => say(assignments))
      .catch((error: Error) => {
        if (!told) log.warn('systemd.notTold', { what: assignments[0] }, `systemd-notify: ${error.message}`);
        told = true;
      })
      .finally(() => waiting--);
  };
  // Any word says that we live: where one is still on its way, it needs no other behind it.
  let watching = watchdog(env, clock, () => waiting === 0 && tell('WATCHDOG=1'));
  return {
    ready: (status) => tell('READY=1', `STATUS=${status}`),
    reloading: () => tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`, 'STATUS=reading the configuration'),
    stopping: () => {
      watching();
      watching = () => {};
      tell('STOPPING=1', 'STATUS=stopping');
      return last;
    },
  };
}

/** Says that we are alive, as long as our event loop goes round, twice in the time that systemd allows. Returns how to stop it. */
function watchdog(env: Environment, clock: Clock, alive: () => unknown): () => void {
  const allowed = Number(env['WATCHDOG_USEC']) / 1000;
  if (!(allowed > 0) || (env['WATCHDOG_PID'] && Number(env['WATCHDOG_PID']) !== process.pid)) return () => {};
  let timer = clock.after(allowed / 2, again);
  function again(): void {
    alive();
    timer = clock.after(allowed / 2, again);
  }
  return () => timer.cancel();
}

/** A listening socket that was opened for us. */
export interface GivenSocket {
  readonly fd: number;
  /** `FileDescriptorName=` of its unit. */
  readonly name: string;
}

/** The first one is number 3. */
const FIRST_FD = 3;

export function givenSockets(env: Environment, pid = process.pid): readonly GivenSocket[] {
  const count = Number(env['LISTEN_FDS']);
  if (!Number.isInteger(count) || count < 1 || Number(env['LISTEN_PID']) !== pid) return [];
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: count }, (_, at) => ({ fd: FIRST_FD + at, name: names[at] ?? '' }));
}
