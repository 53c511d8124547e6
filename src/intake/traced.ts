/** Intake for an agent that is traced: a span from the beginning of a message until it is durable, whose context stays with the message. */
import { MtaError } from '../core/errors.js';
import type { Tracing } from '../platform/tracing.js';
import type { Intake, Staged, Submission, SubmissionEnvelope, Submitted } from './submission.js';

export function tracedBegin(intake: Pick<Intake, 'begin'>, tracing: Tracing): Intake['begin'] {
  return (envelope) => {
    const accepting = tracing.accepting(envelope.recipients.length, envelope.trace);
    return traced(intake.begin({ ...envelope, trace: accepting.trace } satisfies SubmissionEnvelope), accepting);
  };
}

function traced(submission: Submission, accepting: ReturnType<Tracing['accepting']>): Submission {
  const refused = (error: unknown): never => {
    accepting.refused(error instanceof MtaError ? error.code : 'unknown');
    throw error;
  };
  const accepted = <T extends Submitted>(submitted: T): T => {
    accepting.accepted(submitted.id, submitted.sizeBytes);
    return submitted;
  };
  return {
    id: submission.id,
    write: (chunk) => submission.write(chunk),
    finish: (once) => submission.finish(once).then(accepted, refused),
    async stage(once): Promise<Staged> {
      const staged = await submission.stage(once).catch(refused);
      return { ...staged, durable: staged.durable.then(() => void accepted(staged), refused) };
    },
    abort() {
      accepting.refused('ABORTED');
      submission.abort();
    },
  };
}
