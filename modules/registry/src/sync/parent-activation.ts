import type { ParentRegistry } from '../parent/parent.ts';
import type { Records } from '../store/store.ts';
import type { Wanted } from './wanted.ts';

/** Our activation at a parent of our kind; at any other there is none, and nothing to do. */
export interface ParentActivation {
  load(): Promise<void>;
  /** The parent is one of ours, and we are active at it. */
  readonly isThere: boolean;
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
  let isOurs = false;
  /** Where we are active: told to the parent even after a restart. */
  let heldAt: string | undefined;

  return {
    async load() {
      const saved = await records.get(recordKey);
      heldAt = typeof saved === 'string' ? saved : undefined;
    },
    get isThere() {
      return isOurs && activeFor !== undefined;
    },
    isNeeded: ({ syncKey }) => activeFor !== syncKey,
    async activate(parent, { settings, parent: to, syncKey }, signal) {
      const { mode, repositories } = settings;
      const asked = { mode, repositories: repositories.map(({ name }) => name), signal };
      isOurs = await parent.activate(asked);
      const endpoint = isOurs ? to?.gatewayEndpoint : undefined;
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
