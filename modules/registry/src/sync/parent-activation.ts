import type { ParentRegistry } from '../parent/parent.ts';
import type { Records } from '../store/store.ts';
import type { Wanted } from './wanted.ts';

/** Our activation at a parent of our kind; at any other there is none, and nothing to do. */
export interface ParentActivation {
  load(): Promise<void>;
  /** Whether the parent has to be asked before the next pass: it is new, doubtful, or we want something else now. */
  isNeeded(wanted: Wanted): boolean;
  activate(parent: ParentRegistry, wanted: Wanted, signal: AbortSignal): Promise<void>;
  /** The link broke, or the parent said something else: the next pass asks again. */
  doubt(): void;
  /** Whether our name is still taken at that parent, since before a restart perhaps. */
  isHeldAt(endpoint: string): boolean;
  release(parent: ParentRegistry, signal: AbortSignal): Promise<void>;
}

const recordKey = 'parent-activation';

export function createParentActivation({ records }: { readonly records: Records }): ParentActivation {
  let activeFor: string | undefined;
  /** Where we are active: told to the parent even after a restart. */
  let heldAt: string | undefined;

  return {
    async load() {
      const saved = await records.get(recordKey);
      heldAt = typeof saved === 'string' ? saved : undefined;
    },
    isNeeded: ({ syncKey }) => activeFor !== syncKey,
    async activate(parent, { settings, parent: to, syncKey }, signal) {
      const { mode, repositories } = settings;
      const asked = { mode, repositories: repositories.map(({ name }) => name), signal };
      const endpoint = (await parent.activate(asked)) ? to?.gatewayEndpoint : undefined;
      if (endpoint !== undefined && endpoint !== heldAt) await records.put(recordKey, endpoint);
      heldAt = endpoint ?? heldAt;
      activeFor = syncKey;
    },
    doubt() {
      activeFor = undefined;
    },
    isHeldAt: (endpoint) => heldAt === endpoint,
    async release(parent, signal) {
      await parent.deactivate({ signal });
      await records.delete(recordKey);
      heldAt = activeFor = undefined;
    },
  };
}
