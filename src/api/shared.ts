/**
 * A door for each of several processes of one program that share a spool: whoever opens it first owns it and delivers, the others work
 * through the owner's control socket, and when the owner ends, one of them takes its place.
 *
 * Promises
 *  - What was asked of an owner that ended is asked of the next one. Every question bears that; a message is handed in under a key, which the
 *    owner that took it has stored with it, so it is not taken twice.
 *  - A message whose stream was begun cannot be handed in again: that is `ABORTED`, and whether it was taken is not known. Nor is it of one
 *    that was to be sent at once: that is never asked twice.
 *
 * Must not: do anything that `createMta` does not do, but for the socket.
 */
import path from 'node:path';
import type { StartOptions } from '../agent.js';
import type { Config } from '../config/config.js';
import { startControlServer } from '../control/server.js';
import { controlSocketPaths, surroundings } from '../control/socket.js';
import { MtaError } from '../core/errors.js';
import type { Emit } from '../core/event.js';
import { waitAlive } from '../platform/alive.js';
import { systemClock } from '../platform/clock.js';
import { silentLog } from '../platform/log.js';
import { type Random, systemRandom } from '../platform/random.js';
import { openAway } from './away.js';
import type { Door, DoorVerbs } from './door.js';
import type { Handed, Sent } from './hand-in.js';
import { openHome } from './home.js';
import { type Seat, Seats, type SeatsOptions } from './seat.js';
import { refuseAborted } from './waiting.js';

/** A door on a seat. */
interface Place {
  readonly door: Door;
  /** It is another process that takes in what is handed in here. */
  readonly away: boolean;
}

/** An owner that is just coming, or closing its files, answers nothing for so long besides what its closing may take. */
const PATIENCE_MS = 3_000;
const LOOK_AGAIN_MS = 50;
const NEVER = new Promise<void>(() => {});

/** Rejects as `startMta` does; `SPOOL_LOCKED` where the owner has no socket for others. `signal`: opening is given up. */
export async function openShared(config: Config, world: StartOptions, signal?: AbortSignal): Promise<Door> {
  const { log = silentLog, random = systemRandom } = world;
  let emit: Emit = () => {};
  let closed: Error | undefined;
  const options: SeatsOptions<Place> = {
    take: (over) => takePlace(config, world, (event) => emit(event), over),
    failed(error) {
      closed = error;
      log.error('shared.failed', {}, `nobody is left to deliver what is in the spool, and it cannot be opened: ${error.message}`);
    },
  };
  const seats = await Seats.open(options, signal);
  let door = (await seats.current()).door;
  const persist: Persist = (signal, ask) => {
    if (closed !== undefined) return Promise.reject(closed);
    return seats.persist(async (place) => {
      // Nobody waits for it any more: the next owner is not asked.
      refuseAborted(signal);
      door = place.door;
      return ask(place);
    });
  };
  return {
    get about() {
      return door.about;
    },
    verbs: verbsOf(persist),
    take: (handed) => persist(handed.signal, taking(handed, random)),
    // Once, whatever comes: it may have been sent when the owner ends.
    now: async (handed) => (await seats.current()).door.now(handed),
    listen(call) {
      emit = call;
    },
    listening: () => door.listening(),
    idle: (signal) => persist(undefined, (place) => place.door.idle(signal)),
    close: (cut) => seats.close(cut),
  };
}

// — asking whoever is the owner —

type Persist = <T>(signal: AbortSignal | undefined, ask: (place: Place) => Promise<T>) => Promise<T>;

function verbsOf(persist: Persist): DoorVerbs {
  return {
    show: (id, page, signal) => persist(signal, ({ door }) => door.verbs.show(id, page, signal)),
    why: (id, signal) => persist(signal, ({ door }) => door.verbs.why(id, signal)),
    list: (query, page, signal) => persist(signal, ({ door }) => door.verbs.list(query, page, signal)),
    change: (request, signal) => persist(signal, ({ door }) => door.verbs.change(request, signal)),
    lanes: (query, page, signal) => persist(signal, ({ door }) => door.verbs.lanes(query, page, signal)),
    pause: (request, signal) => persist(signal, ({ door }) => door.verbs.pause(request, signal)),
    resume: (request, signal) => persist(signal, ({ door }) => door.verbs.resume(request, signal)),
    mx: (domain, options, signal) => persist(signal, ({ door }) => door.verbs.mx(domain, options, signal)),
    events: (after, signal) => eventsOf(persist, after, signal),
  };
}

/** Where one owner's events end, the next one's go on; with a moment to begin at, without a gap. */
async function* eventsOf(persist: Persist, after: number | undefined, signal: AbortSignal): ReturnType<DoorVerbs['events']> {
  for (let from = after; !signal.aborted; ) {
    const events = await persist(undefined, async ({ door }) => door.verbs.events(from, signal));
    try {
      for await (const told of events) {
        if (after !== undefined) from = told.cursor;
        yield told;
      }
    } catch (error) {
      if (!(error instanceof MtaError) || error.code !== 'NOT_RUNNING') throw error;
    }
    if (!signal.aborted) await waitAlive(LOOK_AGAIN_MS);
  }
}

/** Under a key from the first time on that another process is to take it. */
function taking(handed: Handed, random: Random): (place: Place) => Promise<Sent> {
  let keyed = handed;
  let tries = 0;
  return async ({ door, away }) => {
    if (away && keyed.key === undefined) keyed = { ...handed, key: `shared-${drawn(random)}` };
    try {
      return await door.take(keyed);
    } catch (error) {
      if (tries++ === 0 || !(error instanceof MtaError) || error.code !== 'STREAM_CONSUMED') throw error;
      const message =
        'the owner of the spool ended while it took in the message, and its stream cannot be read again: whether it was taken is not known';
      throw new MtaError('ABORTED', message, { cause: error });
    }
  };
}

function drawn(random: Random): string {
  const bytes = Buffer.alloc(16);
  random.fill(bytes);
  return bytes.toString('hex');
}

// — becoming the owner, or its guest —

async function takePlace(config: Config, world: StartOptions, emit: Emit, signal: AbortSignal): Promise<Seat<Place>> {
  const { clock = systemClock } = world;
  const until = clock.monotonic() + config.shutdown.timeout + PATIENCE_MS;
  for (;;) {
    if (signal.aborted) throw new MtaError('SPOOL_CLOSED', 'the agent was closed');
    let locked: Error;
    try {
      return await ownPlace(config, world, emit);
    } catch (error) {
      if (!(error instanceof MtaError) || error.code !== 'SPOOL_LOCKED') throw error;
      locked = error;
    }
    const guest = await guestPlace(config, world, emit);
    if (guest !== undefined) return guest;
    if (clock.monotonic() > until) throw locked;
    await waitAlive(LOOK_AGAIN_MS);
  }
}

async function ownPlace(config: Config, world: StartOptions, emit: Emit): Promise<Seat<Place>> {
  const home = await openHome(config, world);
  try {
    home.listen(emit);
    const socket = await socketOf(config);
    const server = await startControlServer({ verbs: home.verbs, path: socket, log: world.log ?? silentLog });
    const leave = async (cut?: AbortSignal) => {
      // The socket's name goes at once: the others shall look for another owner.
      await Promise.all([server.close(), home.close(cut)]);
    };
    return { use: { door: home, away: false }, lost: NEVER, leave };
  } catch (error) {
    await home.close();
    throw error;
  }
}

/** Undefined: nobody answers, for now. */
async function guestPlace(config: Config, world: StartOptions, emit: Emit): Promise<Seat<Place> | undefined> {
  try {
    const away = await openAway(await socketOf(config), world.clock ?? systemClock);
    away.listen(emit);
    return { use: { door: away, away: true }, lost: away.lost, leave: () => away.close() };
  } catch (error) {
    if (error instanceof MtaError && error.code === 'NOT_RUNNING') return undefined;
    throw error;
  }
}

async function socketOf({ spool, control }: Config): Promise<string> {
  const folder = path.resolve(spool.path);
  return controlSocketPaths(folder, control.socket, await surroundings(folder))[0];
}
