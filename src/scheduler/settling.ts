/** What the scheduler asks of those who decide what becomes of mail; implemented by the outcome layer. */
import type { TransactionResult, Trouble } from '../core/outcome.js';
import type { Lease } from '../spool/spool.js';

export interface Settling {
  settle(lease: Lease, result: TransactionResult): void;
  /** Trouble that met a delivery before any transaction. Permanent: its recipients fail. Resolves when that is settled; never rejects. */
  settleTrouble(lease: Lease, trouble: Trouble, transcript?: string): Promise<void>;
  /** Whether a delivery that merely waits must be looked at: it expired, or its sender is owed a word of the delay. */
  isOverdue(about: { readonly expiresAt: number; readonly acceptedAt: number; readonly delayNoticed: boolean }): boolean;
  /** Ends it or sends the word, and says why it waited. Resolves when that is settled; never rejects. */
  settleOverdue(lease: Lease, trouble: Trouble | undefined): Promise<void>;
}
