import type { RepositoryName } from '../oci/names.ts';
import { answerJson } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { nextLink, pageRequestIn, takePage } from './page.ts';

/**
 * The repositories whose metadata the caller may read, sorted, a page at a time
 * (Docker registry API, "Catalog"; the same answer at ACR's `/acr/v1/_catalog`).
 */
export async function listRepositories({ query, request, response, store, access }: Exchange): Promise<void> {
  const { limit, after } = pageRequestIn(query);
  const isVisible = (name: RepositoryName): boolean => access?.allows(name, 'metadata/read') === true;
  const names = store.listRepositories(after === undefined ? {} : { after });
  const { rows: repositories, more } = await takePage(names, limit, isVisible);
  const last = repositories.at(-1);
  const link = more && last !== undefined ? nextLink(pathOf(request.url), { n: limit, last }) : {};
  answerJson(response, 200, { repositories }, link);
}

function pathOf(url = ''): string {
  return url.startsWith('/acr/') ? '/acr/v1/_catalog' : '/v2/_catalog';
}
