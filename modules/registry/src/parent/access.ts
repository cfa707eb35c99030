import type { RepositoryName } from '../oci/names.ts';

/** What a request needs a token for. */
export interface Access {
  /** Told apart by this; two uses may ask for the same scope and be told different ones. */
  readonly use: string;
  /** Docker token authentication's scopes, as we would word them, divided by spaces; '' for any valid token. */
  readonly scope: string;
}

export const anyAccess: Access = { use: 'any', scope: '' };
export const catalogAccess: Access = { use: 'catalog', scope: 'registry:catalog:*' };

export function pullAccess(repository: RepositoryName): Access {
  return { use: `pull ${repository}`, scope: `repository:${repository}:pull` };
}

export function pushAccess(repository: RepositoryName): Access {
  return { use: `push ${repository}`, scope: `repository:${repository}:pull,push` };
}

/** To push into one repository what is read from another. */
export function mountAccess(repository: RepositoryName, from: RepositoryName): Access {
  const { scope } = pushAccess(repository);
  return { use: `mount ${repository} ${from}`, scope: `${scope} ${pullAccess(from).scope}` };
}

export function deleteAccess(repository: RepositoryName): Access {
  return { use: `delete ${repository}`, scope: `repository:${repository}:delete` };
}

/** The message feed of the connected registry `registry`, at a parent of our kind, and the contents it tells of. */
export function messagesAccess(registry: string): Access {
  return { use: `messages ${registry}`, scope: `gateway:${registry}:message_read` };
}

/** To be active as the connected registry `registry`. */
export function activationAccess(registry: string): Access {
  return { use: `activation ${registry}`, scope: `gateway:${registry}:config_write` };
}

/** To tell how the connected registry `registry` is. */
export function statusAccess(registry: string): Access {
  return { use: `status ${registry}`, scope: `gateway:${registry}:message_write` };
}

/** ACR wants `metadata_read` for tags, and says so. */
export function tagsAccess(repository: RepositoryName): Access {
  return { use: `tags ${repository}`, scope: `repository:${repository}:pull` };
}
