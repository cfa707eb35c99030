import { RegistryError } from '../errors.ts';
import type { RepositoryName } from '../oci/names.ts';
import { answerJson } from './answer.ts';
import { readAttributes } from './attributes.ts';
import type { Exchange } from './exchange.ts';

interface RepositoryParameters {
  readonly name: RepositoryName;
}

/** What ACR tells of a repository (`az acr repository show`). */
export async function getRepository(exchange: Exchange, { name }: RepositoryParameters): Promise<void> {
  const { response, store, origin } = exchange;
  const record = (await store.describeRepository(name)) ?? refuse(name);
  answerJson(response, 200, {
    registry: origin.host,
    imageName: name,
    createdTime: record.created.toISOString(),
    lastUpdateTime: record.updated.toISOString(),
    manifestCount: record.manifests,
    tagCount: record.tags,
    changeableAttributes: store.locks.of(name),
  });
}

/** Locks or unlocks a repository and everything in it (`az acr repository update`). */
export async function changeRepository(exchange: Exchange, { name }: RepositoryParameters): Promise<void> {
  const changes = await readAttributes(exchange);
  if (!(await exchange.store.locks.change(name, undefined, changes))) refuse(name);
  await getRepository(exchange, { name });
}

/** Deletes a repository with everything in it, or, where anything is locked, nothing (`az acr repository delete`). */
export async function deleteRepository({ response, store }: Exchange, { name }: RepositoryParameters): Promise<void> {
  const removed = (await store.local.deleteRepository(name)) ?? refuse(name);
  answerJson(response, 202, { manifestsDeleted: removed.manifests, tagsDeleted: removed.tags });
}

function refuse(name: RepositoryName): never {
  throw new RegistryError('NAME_UNKNOWN', { detail: { name } });
}
