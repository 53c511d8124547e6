/**
 * Where the agent is that an object of the API speaks for: in this process, or behind a control socket. The API is the same one
 * before either; what differs stands here.
 */
import type { ControlVerbs } from '../control/types.js';
import type { Emit } from '../core/event.js';
import type { Handed, Sent } from './hand-in.js';
import type { SentNow } from './now.js';

/** What of the agent's own settings whoever hands in must know. */
export interface DoorAbout {
  readonly hostname: string;
  readonly maxRecipients: number;
  /** How long a connection outward is waited for. */
  readonly connectMs: number;
  /** How long closing waits for what is being handed in. */
  readonly patienceMs: number;
}

/** What of the verbs the API stands on. */
export type DoorVerbs = Pick<ControlVerbs, 'show' | 'why' | 'list' | 'change' | 'lanes' | 'pause' | 'resume' | 'mx' | 'events'>;

export interface Door {
  readonly about: DoorAbout;
  readonly verbs: DoorVerbs;
  take(handed: Handed): Promise<Sent>;
  /** Sends at once what is not queued. */
  now(handed: Handed): Promise<SentNow>;
  /** Every event from now on. Called once. */
  listen(emit: Emit): void;
  /** Where SMTP is spoken. */
  listening(): readonly { readonly host: string; readonly port: number }[];
  /** Resolves when nothing that is due waits or is on its way. Rejects with `ABORTED`. */
  idle(signal: AbortSignal): Promise<void>;
  /** Idempotent. `cut`: what is on its way is not waited for. */
  close(cut?: AbortSignal): Promise<void>;
}
