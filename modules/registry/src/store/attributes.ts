import { RegistryError } from '../errors.ts';

/** ACR's `changeableAttributes`: what clients may do with a repository, a tag or a manifest. */
export interface Attributes {
  readonly deleteEnabled: boolean;
  readonly writeEnabled: boolean;
  readonly listEnabled: boolean;
  readonly readEnabled: boolean;
}

/** How everything begins. */
export const unlocked: Attributes = { deleteEnabled: true, writeEnabled: true, listEnabled: true, readEnabled: true };

export const attributeNames = Object.keys(unlocked) as (keyof Attributes)[];

export function isUnlocked(attributes: Attributes): boolean {
  return attributeNames.every((name) => attributes[name]);
}

export type LockedAction = 'read' | 'write' | 'delete';

/** A lock against writes is one against deletes too, as in ACR (Azure/acr#561). */
export function allowsAction(attributes: Attributes, action: LockedAction): boolean {
  if (action === 'read') return attributes.readEnabled;
  return attributes.writeEnabled && (action === 'write' || attributes.deleteEnabled);
}

/** `item`: the repository, tag or digest that is locked. */
export function lockedError(action: LockedAction, item: string): RegistryError {
  return new RegistryError('REGISTRY_DISALLOWED_OPERATION', { detail: { action, locked: item } });
}
