/**
 * `riata top`: what the agent is doing, redrawn in place until it is told to end. Without a terminal, or with `--once`, one look.
 *
 *   looking ──p──► paused ──p──► looking      q, Control-C, a signal ──► the screen as it was before
 *
 * Promises: the terminal is given back as it was, whatever happens. An agent that goes away is said so and waited for: who looks at
 * three in the morning wants to see it come back.
 */
import type { ControlVerbs } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { statsWithPauses } from './queue-stats.js';
import { connectAgent, withAgent } from './reach.js';
import { span, wholeNumber } from './selection.js';
import { type Look, topFrame } from './top-frame.js';
import { oneLine } from './visible.js';

interface TopArgs extends Globals {
  readonly once: boolean | undefined;
  readonly interval: string;
  readonly lanes: string;
}

/** The sparkline shows no more than these, ten seconds each. */
const SAMPLES = 200;
const SHORTEST_MS = 200;

export const top: Command<TopArgs> = async (args, cli) => {
  const lanes = wholeNumber('--lanes', args.lanes, 1000);
  const intervalMs = Math.max(span('--interval', args.interval), SHORTEST_MS);
  const { screen } = cli;
  if (!args.once && !args.json && screen.terminal && cli.keys !== undefined) return live(args, { lanes, intervalMs }, cli.keys, cli);
  const look = await withAgent(args, cli, (verbs) => lookAt(verbs, lanes, cli));
  if (args.json) screen.json(look);
  else screen.print(...topFrame(look, undefined, { columns: screen.columns, rows: undefined, paint: screen.paint }));
  return EXIT.ok;
};

async function lookAt(verbs: ControlVerbs, lanes: number, { clock }: Cli): Promise<Look> {
  const [agent, stats, recent] = await Promise.all([
    verbs.agent(),
    statsWithPauses(verbs, lanes),
    verbs.recent(clock.now() - SAMPLES * 10_000),
  ]);
  return { at: clock.now(), agent, stats, recent };
}

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';

async function live(
  args: TopArgs,
  { lanes, intervalMs }: { lanes: number; intervalMs: number },
  keys: NonNullable<Cli['keys']>,
  cli: Cli,
): Promise<number> {
  // What is wrong from the start is an error like any other's, and on the screen that was there.
  const first = await withAgent(args, cli, (verbs) => lookAt(verbs, lanes, cli));
  const view = new View(first, cli);
  const released = keys((key) => view.key(key));
  const unsized = cli.screen.onResize(() => view.draw());
  cli.onSignal(() => view.end());
  let verbs: ControlVerbs | undefined;
  await cli.screen.write(ENTER);
  try {
    view.draw();
    while (await view.wait(intervalMs)) {
      if (view.paused) continue;
      try {
        verbs ??= await connectAgent(args, cli);
        view.see(await lookAt(verbs, lanes, cli));
      } catch (error) {
        await verbs?.close();
        verbs = undefined;
        view.lost(oneLine((error as Error).message));
      }
    }
  } finally {
    unsized();
    released();
    await verbs?.close();
    await cli.screen.write(LEAVE);
  }
  return EXIT.ok;
}

class View {
  readonly #cli: Cli;
  #look: Look;
  #before: Look | undefined;
  #trouble: string | undefined;
  #ended = false;
  #wake: (() => void) | undefined;
  paused = false;

  constructor(first: Look, cli: Cli) {
    this.#look = first;
    this.#cli = cli;
  }

  see(look: Look): void {
    this.#before = this.#trouble === undefined ? this.#look : undefined;
    this.#look = look;
    this.#trouble = undefined;
    this.draw();
  }

  lost(trouble: string): void {
    this.#trouble = trouble;
    this.draw();
  }

  key(key: string): void {
    switch (key) {
      case 'q':
      case 'Q':
      case '\x03':
        return this.end();
      case 'p':
        this.paused = !this.paused;
        this.draw();
        break;
      case ' ':
        break;
      default:
        return;
    }
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Until it is time to look again, or a key asks for it; false when that was the end. */
  async wait(ms: number): Promise<boolean> {
    if (!this.#ended) {
      await new Promise<void>((resolve) => {
        const timer = this.#cli.clock.after(ms, resolve);
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    return !this.#ended;
  }

  draw(): void {
    if (this.#ended) return;
    const { screen } = this.#cli;
    const note = this.#trouble !== undefined ? 'AWAY' : this.paused ? 'PAUSED' : undefined;
    const lines = topFrame(this.#look, this.#before, {
      columns: screen.columns,
      rows: screen.rows,
      paint: screen.paint,
      keys: this.#trouble ?? 'q quits   p pauses   space looks now',
      ...(note === undefined ? {} : { note }),
    });
    // Line by line over what stands there, so that nothing flickers; the last one without a line end, or the screen would scroll.
    void screen.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  }
}
