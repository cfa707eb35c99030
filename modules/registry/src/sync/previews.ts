import type { ParentRegistry } from '../parent/parent.ts';
import type { Settings } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { Store } from '../store/store.ts';
import { freshStop } from './fresh-stop.ts';
import { previewPass, type Preview } from './preview.ts';
import type { RemovalGuard } from './removal-guard.ts';

/** Dry runs, one at a time. */
export interface Previews {
  /** Undefined: one runs already. */
  run(options: {
    readonly parent: ParentRegistry;
    readonly settings: Settings;
    readonly timeoutMs: number;
  }): Promise<Preview | undefined>;
  /** Ends the one that runs; resolves when it has. */
  close(): Promise<void>;
}

export function createPreviews(options: {
  readonly store: Store;
  readonly guard: RemovalGuard;
  readonly clock: Clock;
  readonly log: Log;
}): Previews {
  const { clock } = options;
  let running: { readonly stop: AbortController; readonly ended: Promise<Preview> } | undefined;

  return {
    async run({ parent, settings, timeoutMs }) {
      if (running) return undefined;
      const [stop, answered] = [freshStop(), new AbortController()];
      clock.wait(timeoutMs, answered.signal).then(
        () => stop.abort(new Error('the time was over')),
        () => undefined,
      );
      running = { stop, ended: previewPass({ ...options, parent, settings, signal: stop.signal }) };
      try {
        return await running.ended;
      } finally {
        answered.abort();
        running = undefined;
      }
    },
    async close() {
      running?.stop.abort(new Error('the sync engine is closing'));
      await running?.ended.catch(() => undefined);
    },
  };
}
