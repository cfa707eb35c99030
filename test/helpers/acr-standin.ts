import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { MemoryRegistry } from '../sync/memory-registry.ts';
import { repository } from './names.ts';
import { answerError, answerJson, answerOci, blobOf, page, startOciStandin } from './oci-standin.ts';

export interface AcrStandin {
  readonly endpoint: string;
  readonly content: MemoryRegistry;
  /** At the registry, in order, without the query; a request that was refused for want of a token counts too. */
  readonly requests: string[];
  /** Blobs fetched from the data endpoint. */
  readonly dataRequests: string[];
  /** At the data endpoint, with a header that must not go there. */
  readonly leaks: string[];
  close(): Promise<void>;
}

export interface AcrStandinOptions {
  readonly token: { readonly name: string; readonly password: string };
  /** What its scope map allows: repositories by name. */
  readonly repositories: readonly string[];
  readonly pageSize?: number;
  /** Every so manieth request is answered 429; never by default. */
  readonly throttlesEvery?: number;
}

/**
 * Behaves like Azure Container Registry towards the sync token of a connected registry: a token endpoint with scopes a
 * repository (what the scope map does not hold is left out of the token, and refused where it is needed), no catalog for
 * scoped tokens, `/acr/v1/<repository>/_tags` with digests, blobs on another port behind a signature, 429 now and then.
 */
export async function startAcrStandin(options: AcrStandinOptions): Promise<AcrStandin> {
  const { token, repositories, pageSize = 100, throttlesEvery = Infinity } = options;
  const registry = await startOciStandin();
  const { content, endpoint } = registry;
  /** Bearer token → scopes it holds. */
  const tokens = new Map<string, ReadonlySet<string>>();
  const signatures = new Map<string, string>();
  const dataRequests: string[] = [];
  const leaks: string[] = [];
  let count = 0;

  const data = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://data');
    const name = signatures.get(url.searchParams.get('sig') ?? '');
    dataRequests.push(url.pathname);
    // Azure storage answers 400 to a second kind of credentials.
    if (request.headers.authorization !== undefined) leaks.push(url.pathname);
    if (request.headers.authorization !== undefined || name === undefined) {
      response.writeHead(400).end('<Error><Code>InvalidAuthenticationInfo</Code></Error>');
      return;
    }
    const blobPath = new URL(`/v2/${name}/blobs${url.pathname}`, 'http://data');
    answerOci(content, {}, request, response, blobPath).catch((error: unknown) => response.destroy(error as Error));
  });
  data.listen(0, '127.0.0.1');
  await once(data, 'listening');
  const dataEndpoint = `127.0.0.1:${(data.address() as AddressInfo).port}`;

  function giveToken(request: IncomingMessage, response: ServerResponse, url: URL): unknown {
    const expected = `Basic ${Buffer.from(`${token.name}:${token.password}`).toString('base64')}`;
    if (request.headers.authorization !== expected) return answerError(response, 401, 'UNAUTHORIZED');
    const scopes = url.searchParams.getAll('scope').filter((scope) => {
      const [, name = ''] = /^repository:(.+):[a-z_,]+$/.exec(scope) ?? [];
      return repositories.includes(name);
    });
    const value = randomUUID();
    tokens.set(value, new Set(scopes));
    return answerJson(response, { access_token: value, expires_in: 4500 });
  }

  /** Undefined: it may. */
  function refusalFor(request: IncomingMessage, scope: string | undefined): Record<string, string> | undefined {
    const [, value = ''] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    const held = tokens.get(value);
    if (held && (scope === undefined || held.has(scope))) return undefined;
    const challenge = `Bearer realm="http://${endpoint}/oauth2/token",service="${endpoint}"`;
    const asks = scope === undefined ? '' : `,scope="${scope}"`;
    return { 'www-authenticate': `${challenge}${asks}${held ? ',error="insufficient_scope"' : ''}` };
  }

  registry.before = async (request, response, url) => {
    count += 1;
    if (url.pathname === '/oauth2/token') {
      giveToken(request, response, url);
      return true;
    }
    if (count % throttlesEvery === 0) {
      answerError(response, 429, 'TOOMANYREQUESTS', { 'retry-after': '2' });
      return true;
    }
    const refusal = refusalFor(request, scopeOf(url));
    if (refusal) {
      answerError(response, 401, 'UNAUTHORIZED', refusal);
      return true;
    }
    const [, tagsOf] = /^\/acr\/v1\/(.+)\/_tags$/.exec(url.pathname) ?? [];
    if (tagsOf !== undefined) {
      await answerTags(response, url, tagsOf);
      return true;
    }
    const [, name = '', digest] = /^\/v2\/(.+)\/blobs\/([^/]+)$/.exec(url.pathname) ?? [];
    if (digest === undefined || !(await blobOf(content, name, digest))) return false;
    const signature = randomUUID();
    signatures.set(signature, name);
    response.writeHead(307, { location: `http://${dataEndpoint}/${digest}?sig=${signature}` }).end();
    return true;
  };

  async function answerTags(response: ServerResponse, url: URL, name: string): Promise<unknown> {
    const rows: { name: string; digest: string | undefined }[] = [];
    for await (const { tag, digest } of content.listTags(repository(name))) rows.push({ name: tag, digest });
    if (rows.length === 0) return answerError(response, 404, 'NAME_UNKNOWN');
    const shown = page(rows, pageSize, url, (row) => row.name);
    return answerJson(response, { registry: endpoint, imageName: name, tags: shown.rows }, shown.link);
  }

  return {
    ...{ endpoint, content, requests: registry.requests, dataRequests, leaks },
    async close() {
      data.closeAllConnections();
      await new Promise((resolve) => data.close(resolve));
      await registry.close();
    },
  };
}

/** What ACR asks of a token for this path. */
function scopeOf({ pathname }: URL): string | undefined {
  if (pathname === '/v2/') return undefined;
  if (pathname === '/v2/_catalog') return 'registry:catalog:*';
  const [, tagsOf] = /^\/(?:acr\/v1|v2)\/(.+)\/(?:_tags|tags\/list)$/.exec(pathname) ?? [];
  if (tagsOf !== undefined) return `repository:${tagsOf}:metadata_read`;
  const [, name = ''] = /^\/v2\/(.+)\/(?:manifests|blobs|referrers)\/[^/]+$/.exec(pathname) ?? [];
  return `repository:${name}:pull`;
}
