import type { Reference, RepositoryName } from '../oci/names.ts';
import { allowsAction, lockedError, type LockedAction } from '../store/attributes.ts';
import type { Store } from '../store/store.ts';
import type { Need } from './endpoint.ts';

const actions: Partial<Record<Need, LockedAction>> = {
  'content/read': 'read',
  'content/write': 'write',
  'content/delete': 'delete',
};

/** Throws REGISTRY_DISALLOWED_OPERATION when the repository as a whole is locked against what an endpoint does. */
export function refuseLockedRepository(store: Store, needs: Need, name: RepositoryName | undefined): void {
  const action = actions[needs];
  if (action && name !== undefined && !allowsAction(store.locks.of(name), action)) throw lockedError(action, name);
}

/** Throws REGISTRY_DISALLOWED_OPERATION when a tag or manifest must not be pulled. */
export function refuseUnreadable(store: Store, name: RepositoryName, reference: Reference): void {
  if (!store.locks.of(name, reference).readEnabled) throw lockedError('read', reference);
}
