/** What may be used where: the layers of `ARCHITECTURE.md`, and the few doors to the world. */

/** Layers whose modules a layer may import besides its own. A file directly in `src` is a layer of its own name. */
export const LAYERS: Readonly<Record<string, readonly string[] | 'all'>> = {
  core: [],
  platform: ['core'],
  config: ['core'],
  compose: ['core'],
  spool: ['core', 'platform'],
  intake: ['core', 'platform', 'compose', 'spool'],
  scheduler: ['core', 'platform', 'spool'],
  delivery: ['core', 'platform', 'compose'],
  outcome: ['core', 'platform', 'compose', 'spool'],
  control: ['core', 'platform', 'compose', 'spool'],
  dev: ['core', 'platform'],
  cli: ['core', 'platform', 'config', 'compose', 'control', 'spool', 'dev', 'parts', 'agent', 'mta', 'api', 'version'],
  version: [],
  page: [],
  parts: ['core', 'config', 'delivery', 'intake', 'outcome'],
  agent: 'all',
  mta: 'all',
  api: ['core', 'platform', 'config', 'compose', 'spool', 'intake', 'delivery', 'control', 'agent', 'mta', 'version'],
  testing: ['core', 'platform', 'config', 'compose', 'spool', 'dev', 'api'],
  nodemailer: ['api', 'version'],
  index: 'all',
};

/** Layers of which only types may be imported. */
export const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = {
  control: ['scheduler'],
  /** It runs in browsers: nothing of the agent goes there but the shape of what it answers. */
  page: ['control', 'spool'],
};

/** Packages that one folder adapts for everybody. */
export const PACKAGES: Readonly<Record<string, string>> = {
  'smtp-server': 'src/intake/smtp',
  level: 'src/spool/level',
  'classic-level': 'src/spool/level',
  yargs: 'src/cli',
  'smol-toml': 'src/config',
};

const LISTENERS = ['src/intake/smtp', 'src/control'];
const WORLD = ['src/platform', 'src/dev'];

/** Modules of Node that lead out of the process, and the folders that may use them. Their types are free. */
export const MODULES: Readonly<Record<string, readonly string[]>> = {
  net: [...WORLD, ...LISTENERS],
  tls: [...WORLD, ...LISTENERS],
  dns: WORLD,
  'dns/promises': WORLD,
  dgram: WORLD,
  http: ['src/control', 'src/dev'],
  https: ['src/control'],
  http2: [],
  timers: [...WORLD, ...LISTENERS],
  'timers/promises': [...WORLD, ...LISTENERS],
};

/** Names in those modules that are pure functions and values: free as well. */
export const PURE: readonly string[] = ['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'SocketAddress'];

/** Time and chance: only through `src/platform`, so that simulation can stand in for them. */
export const GLOBALS: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: 'Date.now', pattern: /(?<![.\w$])(?:globalThis\s*\.\s*)?Date\s*\.\s*now\b/g },
  { name: 'new Date()', pattern: /\bnew\s+Date\b(?!\s*\(\s*[^)\s])/g },
  { name: 'Date()', pattern: /(?<![.\w$]|new\s+)Date\s*\(\s*\)/g },
  { name: 'setTimeout', pattern: /(?<![.\w$])(?:globalThis\s*\.\s*)?setTimeout\b/g },
  { name: 'setInterval', pattern: /(?<![.\w$])(?:globalThis\s*\.\s*)?setInterval\b/g },
  { name: 'Math.random', pattern: /\bMath\s*\.\s*random\b/g },
  { name: 'performance.now', pattern: /\bperformance\s*\.\s*now\b/g },
  { name: 'process.hrtime', pattern: /\bprocess\s*\.\s*hrtime\b/g },
];
export const GLOBALS_ALLOWED: readonly string[] = [...WORLD, ...LISTENERS];
/** What runs in a browser, and has that one's time. */
export const BROWSER: readonly string[] = ['src/page'];
