import { RegistryError } from '../errors.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { TagRecord } from '../store/descriptions.ts';
import type { Store } from '../store/store.ts';
import { answerEmpty, answerJson } from './answer.ts';
import { readAttributes } from './attributes.ts';
import type { Exchange } from './exchange.ts';
import { takeOrderedPage } from './ordered-page.ts';

interface TagParameters {
  readonly name: RepositoryName;
  readonly tag: Tag;
}

/** Tags with digests and times: what `az acr repository show-tags` and a child's sync read. `digest` filters. */
export async function listAcrTags(exchange: Exchange, { name }: Pick<TagParameters, 'name'>): Promise<void> {
  const { query, response, store, origin } = exchange;
  if (!(await store.hasRepository(name))) throw new RegistryError('NAME_UNKNOWN', { detail: { name } });
  const digest = query.get('digest') ?? undefined;
  const { rows, link } = await takeOrderedPage({
    query,
    path: `/acr/v1/${name}/_tags`,
    rows: (start) => store.describeTags(name, start),
    isWanted: (row) => (digest === undefined || row.digest === digest) && store.locks.of(name, row.tag).listEnabled,
    nameOf: (row) => row.tag,
    timeOf: (row) => row.updated,
    filter: { digest },
  });
  const tags = rows.map((row) => tagJson(store, name, row));
  // ACR has no such field: it spares a child one question for each image.
  const hasReferrers = await store.hasReferrers(name);
  answerJson(response, 200, { registry: origin.host, imageName: name, tags, hasReferrers }, link);
}

export async function getAcrTag(exchange: Exchange, { name, tag }: TagParameters): Promise<void> {
  const { response, store, origin } = exchange;
  const record = (await store.describeTag(name, tag)) ?? refuse(tag);
  answerJson(response, 200, { registry: origin.host, imageName: name, tag: tagJson(store, name, record) });
}

/** Locks or unlocks a tag. */
export async function changeAcrTag(exchange: Exchange, { name, tag }: TagParameters): Promise<void> {
  const changes = await readAttributes(exchange);
  if (!(await exchange.store.locks.change(name, tag, changes))) refuse(tag);
  await getAcrTag(exchange, { name, tag });
}

/** Takes the tag only (`az acr repository untag`). */
export async function deleteAcrTag({ response, store }: Exchange, { name, tag }: TagParameters): Promise<void> {
  if (!(await store.local.deleteTag(name, tag))) refuse(tag);
  answerEmpty(response, 202);
}

function tagJson(store: Store, name: RepositoryName, { tag, digest, created, updated }: TagRecord) {
  return {
    name: tag,
    digest,
    createdTime: created.toISOString(),
    lastUpdateTime: updated.toISOString(),
    // Docker Content Trust, which nothing here speaks.
    signed: false,
    changeableAttributes: store.locks.of(name, tag),
  };
}

function refuse(tag: Tag): never {
  throw new RegistryError('MANIFEST_UNKNOWN', { detail: { reference: tag } });
}
