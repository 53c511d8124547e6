/** What a page of the page is, and what it is given. */
import type { Api } from './api.js';

export interface View {
  readonly title: string;
  readonly element: HTMLElement;
  /** Asks the agent anew and shows what has changed. */
  refresh(): Promise<void>;
}

export interface Room {
  readonly api: Api;
  /** Tells what came of something, also to those who do not see. */
  say(text: string, bad?: boolean): void;
  /** Looks anew, at once. */
  look(): void;
}

/** Runs what a button does; what goes wrong is told, and then looked at. */
export async function run(room: Room, work: () => Promise<string | undefined>): Promise<void> {
  try {
    const said = await work();
    if (said === undefined) return;
    room.say(said);
  } catch (error) {
    room.say(error instanceof Error ? error.message : String(error), true);
  }
  room.look();
}
