import { RegistryError } from '../errors.ts';
import type { RepositoryName } from '../oci/names.ts';
import { answerJson } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { nextLink, pageRequestIn, takePage } from './page.ts';

/** ACR's own tag listing, which tells each tag's digest and time: what `az acr` and a child's sync read. */
export async function listAcrTags(exchange: Exchange, { name }: { readonly name: RepositoryName }): Promise<void> {
  const { query, response, store, origin } = exchange;
  const { limit, after } = pageRequestIn(query);
  if (!(await store.hasRepository(name))) throw new RegistryError('NAME_UNKNOWN', { detail: { name } });
  const { rows, more } = await takePage(store.listTags(name, after === undefined ? {} : { after }), limit);
  const tags = await Promise.all(
    rows.map(async ({ tag, digest }) => ({
      name: tag,
      digest,
      lastUpdateTime: (await store.describeTag(name, tag))?.updated.toISOString(),
    })),
  );
  const last = tags.at(-1)?.name;
  const link = more && last !== undefined ? nextLink(`/acr/v1/${name}/_tags`, { n: limit, last }) : {};
  answerJson(response, 200, { registry: origin.host, imageName: name, tags }, link);
}
