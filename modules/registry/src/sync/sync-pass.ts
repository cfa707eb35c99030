import { drainOutbox } from './drain-outbox.ts';
import type { Pass } from './pass.ts';
import { pull } from './pull.ts';

/**
 * One pass: is the parent there, are we active at it, carry up, bring down, forget old messages. Each part survives failures of single
 * repositories; throws what ends the whole pass, and the signal's reason.
 */
export async function syncPass(
  pass: Pass,
  options: {
    readonly drainOnly: boolean;
    readonly onParentAnswered: () => void;
    /** Present where the parent has to be asked first whether we are the active instance. */
    readonly activate?: (signal: AbortSignal) => Promise<void>;
  },
): Promise<void> {
  const { parent, store, clock, signal } = pass;
  await parent.ping({ signal });
  pass.details.clearLink();
  await options.activate?.(signal);
  options.onParentAnswered();
  await drainOutbox(pass);
  if (options.drainOnly) return;
  await pull(pass);
  await store.journal.expire(new Date(clock.now().getTime() - pass.messageTtlMs));
}
