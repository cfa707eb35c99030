import { RegistryError } from '../errors.ts';
import type { RepositoryName } from '../oci/names.ts';
import { answerJson } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { nextLink, pageRequestIn, takePage } from './page.ts';

/** [end-8] The tags of a repository, sorted, a page at a time. */
export async function listTags(exchange: Exchange, { name }: { readonly name: RepositoryName }): Promise<void> {
  const { query, response, store } = exchange;
  const { limit, after } = pageRequestIn(query);
  if (!(await store.hasRepository(name))) throw new RegistryError('NAME_UNKNOWN', { detail: { name } });
  const entries = store.listTags(name, after === undefined ? {} : { after });
  const { rows, more } = await takePage(entries, limit, ({ tag }) => store.locks.of(name, tag).listEnabled);
  const tags = rows.map((row) => row.tag);
  const last = tags.at(-1);
  const link = more && last !== undefined ? nextLink(`/v2/${name}/tags/list`, { n: limit, last }) : {};
  answerJson(response, 200, { name, tags }, link);
}
