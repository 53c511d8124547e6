/** A lease on its way, in the carrier's terms. What the scheduler hands out comes back as it was. */
import type { Job } from '../core/carrier.js';
import type { Delivery } from '../core/delivery.js';
import type { Body } from '../core/message.js';
import type { Lease } from '../spool/spool.js';

/** The content as it is to be sent. */
export type ReadBody = (lease: Lease) => Promise<Body>;

export class LeasedJob implements Job {
  readonly lease: Lease;
  readonly recipients: readonly string[];
  readonly #body: ReadBody;

  constructor(lease: Lease, body: ReadBody) {
    this.lease = lease;
    this.#body = body;
    this.recipients = queuedAddresses(lease.delivery);
  }

  get delivery(): Delivery {
    return this.lease.delivery;
  }

  get bytes(): Buffer | undefined {
    return this.lease.bytes;
  }

  body(): Promise<Body> {
    return this.#body(this.lease);
  }
}

function queuedAddresses(delivery: Delivery): string[] {
  const queued: string[] = [];
  for (const recipient of delivery.recipients) if (recipient.state === 'queued') queued.push(recipient.address);
  return queued;
}

/** What `next` hands out comes back: this class and no other. */
export function leaseOf(job: Job): Lease {
  if (!(job instanceof LeasedJob)) throw new TypeError('a job that the scheduler did not hand out');
  return job.lease;
}
