import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseDigest } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import type { Reference } from '../../modules/registry/src/oci/names.ts';
import { MemoryRegistry } from '../sync/memory-registry.ts';
import { digest, repository, tag } from './names.ts';

/** What a registry of the plainest kind does not do, each found in the wild. */
export interface Quirks {
  /** Answers 200 with everything to a Range request. */
  readonly ignoresRange?: boolean;
  readonly lacksReferrersApi?: boolean;
  readonly lacksDigestHeader?: boolean;
  readonly refusesDeletes?: boolean;
  readonly pageSize?: number;
}

export interface OciStandin {
  readonly endpoint: string;
  readonly content: MemoryRegistry;
  /** `GET /v2/plant/hello/tags/list`, in order, without the query. */
  readonly requests: string[];
  /** How many it was asked for, whatever became of them. */
  readonly connections: number;
  /** May answer in place of the registry, and then is true. */
  before: (request: IncomingMessage, response: ServerResponse, url: URL) => boolean | Promise<boolean>;
  close(): Promise<void>;
}

/** A real HTTP server over content in memory, that can be read and, where it lets it, deleted from. */
export async function startOciStandin(quirks: Quirks = {}): Promise<OciStandin> {
  const content = new MemoryRegistry();
  const requests: string[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://standin');
    requests.push(`${request.method ?? ''} ${url.pathname}`);
    void (async () => {
      try {
        if (!(await standin.before(request, response, url))) await answerOci(content, quirks, request, response, url);
      } catch (error) {
        response.writeHead(599).end(String(error));
      }
    })();
  });
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const standin: OciStandin = {
    before: () => false,
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    content,
    requests,
    get connections() {
      return connections;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return standin;
}

const paths = /^\/v2\/(.+)\/(manifests|blobs|referrers|tags)\/([^/]+)$/;

/** Answers as the distribution specification has it, but for the quirks. */
export async function answerOci(
  content: MemoryRegistry,
  quirks: Quirks,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<unknown> {
  if (url.pathname === '/v2/') return answerJson(response, {});
  if (url.pathname === '/v2/_catalog') {
    return answerJson(response, { repositories: await all(content.listRepositories()) });
  }
  const [, name = '', noun = '', last = ''] = paths.exec(url.pathname) ?? [];
  if (name === '') return answerError(response, 404, 'UNSUPPORTED');
  const where = repository(name);
  switch (noun) {
    case 'tags': {
      const rows = await all(content.listTags(where));
      const { rows: tags, link } = page(rows, quirks.pageSize ?? 1000, url, (row) => row.tag);
      return answerJson(response, { name, tags: tags.map((row) => row.tag) }, link);
    }
    case 'manifests': {
      const reference: Reference = parseDigest(last) ?? tag(last);
      if (request.method === 'DELETE') {
        if (quirks.refusesDeletes) return answerError(response, 405, 'UNSUPPORTED');
        const known = parseDigest(last);
        const removed = await (known ? content.deleteManifest(where, known) : content.deleteTag(where, tag(last)));
        return removed ? response.writeHead(202).end() : answerError(response, 404, 'MANIFEST_UNKNOWN');
      }
      const manifest = await content.findManifest(where, reference);
      if (!manifest) return answerError(response, 404, 'MANIFEST_UNKNOWN');
      response.writeHead(200, {
        'content-type': manifest.mediaType,
        'content-length': manifest.bytes.length,
        ...(!quirks.lacksDigestHeader && { 'docker-content-digest': manifest.digest }),
      });
      return response.end(request.method === 'HEAD' ? undefined : manifest.bytes);
    }
    case 'referrers': {
      if (quirks.lacksReferrersApi) return answerError(response, 404, 'UNSUPPORTED');
      const manifests = await all(content.listReferrers(where, digest(last)));
      return answerJson(response, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
    }
    default: {
      const bytes = await blobOf(content, name, last);
      if (!bytes) return answerError(response, 404, 'BLOB_UNKNOWN');
      const [, start] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
      const offset = quirks.ignoresRange ? 0 : Number(start ?? 0);
      response.writeHead(offset > 0 ? 206 : 200, {
        'content-length': bytes.length - offset,
        ...(offset > 0 && { 'content-range': `bytes ${offset}-${bytes.length - 1}/${bytes.length}` }),
      });
      return response.end(request.method === 'HEAD' ? undefined : bytes.subarray(offset));
    }
  }
}

export async function blobOf(content: MemoryRegistry, name: string, text: string): Promise<Buffer | undefined> {
  const stream = await content.readBlob(repository(name), digest(text));
  return stream && Buffer.concat((await all(stream)) as Buffer[]);
}

/** Rows after `last`, at most `n` and `pageSize`, and the Link to the rest. */
export function page<Row>(rows: readonly Row[], pageSize: number, url: URL, nameOf: (row: Row) => string) {
  const after = url.searchParams.get('last') ?? '';
  const size = Math.min(pageSize, Number(url.searchParams.get('n') ?? pageSize));
  const rest = rows.filter((row) => nameOf(row) > after);
  const shown = rest.slice(0, size);
  const end = shown.at(-1);
  const next = rest.length > size && end ? `<${url.pathname}?last=${nameOf(end)}&n=${size}>; rel="next"` : undefined;
  const link: Record<string, string> = next === undefined ? {} : { link: next };
  return { rows: shown, link };
}

export function answerJson(response: ServerResponse, document: unknown, headers: Record<string, string> = {}): unknown {
  return response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(document));
}

export function answerError(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): unknown {
  return response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify({ errors: [{ code, message: code }] }));
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
