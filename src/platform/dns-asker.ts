/**
 * A question to whoever may know: server after server, round after round, until one says something.
 * Keeps nothing but the list of servers, and never has too many questions on the wire at once.
 */
import type { Clock } from './clock.js';
import { type AskedType, type Reading, type RecordOf, readAnswer } from './dns-answer.js';
import { queryServer, serverName } from './dns-query.js';
import type { Random } from './random.js';
import { parseServer, type ResolvConf, readResolvConf } from './resolv-conf.js';

export interface AskerOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** `address`, `address:port`, `[address]:port`. Default: the system's. */
  readonly servers?: readonly string[];
  /** For one try at one server. Default: the system's, else 5 seconds. */
  readonly timeoutMs?: number;
  /** Rounds over all servers. Default: the system's, else 2. */
  readonly attempts?: number;
  /** Where the system says which its servers are. */
  readonly resolvConf?: string;
}

/** Rejects only when `signal` aborts. */
export type Ask = <T extends AskedType>(name: string, type: T, signal: AbortSignal) => Promise<Reading<RecordOf[T]>>;

const TIMEOUT_MS = 5_000;
const ATTEMPTS = 2;
/** A laptop changes its network, and with it its servers: looked up again after this time. */
const REREAD_MS = 30_000;
/** Questions on the wire at one time. A burst of more is mostly dropped on the way, and each loss costs a timeout. */
const MAX_AT_ONCE = 100;

export function createAsker(options: AskerOptions): Ask {
  const { clock, random } = options;
  const servers = createServerList(options);
  const places = createPlaces(MAX_AT_ONCE);
  let turn = 0;

  return async (name, type, signal) => {
    const conf = await servers();
    const timeoutMs = options.timeoutMs ?? conf.timeoutMs ?? TIMEOUT_MS;
    const tries = (options.attempts ?? conf.attempts ?? ATTEMPTS) * conf.servers.length;
    const first = conf.rotate ? turn++ : 0;
    const troubles = new Set<string>();
    for (let i = 0; i < tries; i++) {
      const server = conf.servers[(first + i) % conf.servers.length]!;
      await places.take();
      try {
        signal.throwIfAborted();
        const reading = readAnswer(await queryServer(server, { name, type }, { clock, random, timeoutMs }, signal), name, type);
        if (reading.kind !== 'failed') return reading;
        troubles.add(`${reading.text} from ${serverName(server)}`);
      } catch (error) {
        signal.throwIfAborted();
        troubles.add(`${(error as Error).message} from ${serverName(server)}`);
      } finally {
        places.give();
      }
    }
    return { kind: 'failed', text: [...troubles].join(', ') || 'no server is known' };
  };
}

function createServerList({ clock, servers, resolvConf = '/etc/resolv.conf' }: AskerOptions): () => Promise<ResolvConf> {
  if (servers?.length) {
    const configured = Promise.resolve({ servers: servers.map(parseServer), rotate: false });
    return () => configured;
  }
  let system: { readonly conf: Promise<ResolvConf>; readonly readAt: number } | undefined;
  return () => {
    if (!system || clock.monotonic() - system.readAt >= REREAD_MS) system = { conf: readResolvConf(resolvConf), readAt: clock.monotonic() };
    return system.conf;
  };
}

/** So many at a time, the others in the order in which they came. */
function createPlaces(free: number): { take(): Promise<void>; give(): void } {
  const waiting: (() => void)[] = [];
  return {
    take() {
      if (free === 0) return new Promise((resolve) => waiting.push(resolve));
      free--;
      return Promise.resolve();
    },
    give() {
      const next = waiting.shift();
      if (next) next();
      else free++;
    },
  };
}
