import { parseDigest, type Digest } from '../oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import type { Exchange } from './exchange.ts';
import { refuseDigest } from './parameters.ts';

/** Without `from`, so many readable repositories are looked into before the client is asked to send the blob. */
const anonymousMountLimit = 200;

/**
 * [end-11] Makes a blob that the caller may already read visible in `name`; the digest when that worked.
 * Anything else, a missing right on `from` included, falls back to an upload: knowing a digest gives nobody its content.
 * What counts is what the client token may read, not the bearer token's scopes: clients ask for those of the target
 * alone, and no challenge could name a source that the request does not.
 */
export async function tryMount(exchange: Exchange, name: RepositoryName): Promise<Digest | undefined> {
  const { query, store } = exchange;
  const text = query.get('mount');
  if (text === null) return undefined;
  const digest = parseDigest(text) ?? refuseDigest(text);
  const holder = await findHolder(exchange, digest);
  return holder !== undefined && (await store.local.mountBlob(name, digest)) ? digest : undefined;
}

async function findHolder({ query, store, access }: Exchange, digest: Digest): Promise<RepositoryName | undefined> {
  const holds = async (repository: RepositoryName): Promise<boolean> =>
    access?.unnarrowed.allows(repository, 'content/read') === true &&
    store.locks.of(repository).readEnabled &&
    (await store.statBlob(repository, digest)) !== undefined;
  const from = query.get('from');
  if (from !== null) {
    const repository = parseRepositoryName(from);
    return repository !== undefined && (await holds(repository)) ? repository : undefined;
  }
  let visited = 0;
  for await (const { name: repository } of store.describeRepositories()) {
    if (await holds(repository)) return repository;
    visited += 1;
    if (visited === anonymousMountLimit) break;
  }
  return undefined;
}
