import type { RepositoryRecord } from '../store/descriptions.ts';
import { answerJson } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { nextLink, pageRequestIn, takePage } from './page.ts';

/**
 * The repositories whose metadata the caller may read, sorted, a page at a time
 * (Docker registry API, "Catalog"; the same answer at ACR's `/acr/v1/_catalog`).
 */
export async function listRepositories({ query, request, response, store, access }: Exchange): Promise<void> {
  const { limit, after } = pageRequestIn(query);
  const isVisible = ({ name, manifests }: RepositoryRecord): boolean =>
    manifests > 0 && access?.allows(name, 'metadata/read') === true && store.locks.of(name).listEnabled;
  const records = store.describeRepositories(after === undefined ? {} : { after });
  const { rows, more } = await takePage(records, limit, isVisible);
  const repositories = rows.map(({ name }) => name);
  const last = repositories.at(-1);
  const link = more && last !== undefined ? nextLink(pathOf(request.url), { n: limit, last }) : {};
  answerJson(response, 200, { repositories }, link);
}

function pathOf(url = ''): string {
  return url.startsWith('/acr/') ? '/acr/v1/_catalog' : '/v2/_catalog';
}
