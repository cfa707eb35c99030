import { parseDigest } from '../oci/digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName } from '../oci/names.ts';
import type { Cancellable, ImageSource, TagEntry } from '../oci/registry.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { catalogAccess, tagsAccess } from './access.ts';
import { ociErrors } from './failure.ts';
import { createOptionalApi } from './optional-api.ts';
import { readPages } from './pages.ts';
import { ParentError } from './parent.ts';
import { parseObject } from './read-body.ts';
import type { Answer, Sender } from './send.ts';

type Listings = Pick<ImageSource, 'listRepositories' | 'listTags'>;

const pageSize = 1000;

/** Repositories and tags of the parent. Each page is put in order here: not every registry does it. */
export function createListings(options: {
  readonly sender: Sender;
  readonly clock: Clock;
  readonly log: Log;
}): Listings {
  const { sender, clock, log } = options;
  /** `/acr/v1/<repository>/_tags`: ACR and connected registries tell the digest with each tag. */
  const tagDigests = createOptionalApi(clock);

  async function* listRepositories({ signal }: Cancellable = {}): AsyncGenerator<RepositoryName> {
    const question = {
      method: 'GET',
      to: `/v2/_catalog?n=${pageSize}`,
      access: catalogAccess,
      understands: [200],
      signal,
    } as const;
    try {
      for await (const page of readPages(sender, question)) {
        yield* ordered(arrayIn(page, 'repositories'), parseName);
      }
    } catch (error) {
      throw error instanceof ParentError && [401, 403, 404].includes(error.status ?? 0) ? catalogDenied(error) : error;
    }
  }

  async function* listTags(repository: RepositoryName, { signal }: Cancellable = {}): AsyncGenerator<TagEntry> {
    let told = false;
    try {
      for await (const page of tagDigests.missing ? [] : acrPages(repository, signal)) {
        told = true;
        if (page.status === 404) continue;
        const none = parseObject(page.body, page.url.host)['hasReferrers'] === false;
        for (const entry of ordered(arrayIn(page, 'tags'), parseEntry)) {
          yield none ? { ...entry, hasReferrers: false } : entry;
        }
      }
    } catch (error) {
      if (told || !(error instanceof ParentError) || ![401, 403].includes(error.status ?? 0)) throw error;
      tagDigests.markMissing();
    }
    if (told) return;
    const to = `/v2/${repository}/tags/list?n=${pageSize}`;
    const question = { method: 'GET', to, access: tagsAccess(repository), understands: [200, 404], signal } as const;
    for await (const page of readPages(sender, question)) {
      if (page.status === 404) return;
      yield* ordered(arrayIn(page, 'tags'), parseEntry);
    }
  }

  /** Nothing where the API is not there; where the repository is not there, the 404 that says so. */
  async function* acrPages(repository: RepositoryName, signal: AbortSignal | undefined): AsyncGenerator<Answer> {
    const to = `/acr/v1/${repository}/_tags?n=${pageSize}`;
    const question = { method: 'GET', to, access: tagsAccess(repository), understands: [200, 404], signal } as const;
    for await (const page of readPages(sender, question)) {
      // A web server that answers every path with its own page is no ACR either.
      const isAcr =
        page.status === 200 ? isJson(page) : ociErrors(page.body).some(({ code }) => code === 'NAME_UNKNOWN');
      if (!isAcr) tagDigests.markMissing();
      else if (page.status === 200) tagDigests.markFound();
      // Another kind of registry may know no such path in OCI's own words.
      if (tagDigests.found) yield page;
    }
  }

  /** What cannot be a name under the grammar cannot be copied; it is left out, and said. */
  function* ordered<T extends string | TagEntry>(
    items: readonly unknown[],
    parse: (item: unknown) => T | undefined,
  ): Generator<T> {
    const parsed: T[] = [];
    for (const item of items) {
      const value = parse(item);
      if (value !== undefined) parsed.push(value);
      else log.warn('the parent lists a name outside the OCI grammar; it is left out', { parent: sender.parent.host });
    }
    yield* parsed.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  return { listRepositories, listTags };
}

function nameOf(item: string | TagEntry): string {
  return typeof item === 'string' ? item : item.tag;
}

function parseName(item: unknown): RepositoryName | undefined {
  return typeof item === 'string' ? parseRepositoryName(item) : undefined;
}

/** `"1.0"` of the OCI listing, or `{ "name": "1.0", "digest": "sha256:…" }` of ACR's. */
function parseEntry(item: unknown): TagEntry | undefined {
  if (typeof item === 'string') {
    const tag = parseTag(item);
    return tag && { tag };
  }
  if (typeof item !== 'object' || item === null || !('name' in item) || typeof item.name !== 'string') return undefined;
  const tag = parseTag(item.name);
  const digest = 'digest' in item && typeof item.digest === 'string' ? parseDigest(item.digest) : undefined;
  return tag && { tag, ...(digest && { digest }) };
}

/** A null list is an empty one: distribution answers `"tags": null`. Without the field it is no such listing. */
function arrayIn({ body, url }: Answer, field: string): unknown[] {
  const told = parseObject(body, url.host)[field];
  const list = told === null ? [] : told;
  if (!Array.isArray(list)) throw new ParentError('broken', `${url.host}${url.pathname}: ${field} is not a list`);
  return list;
}

function isJson({ headers }: Answer): boolean {
  return /\bjson\b/i.test(headers['content-type'] ?? '');
}

function catalogDenied(cause: ParentError): ParentError {
  return new ParentError(
    'denied',
    `the parent does not list its repositories to this token (${cause.message}); name the repositories to sync instead`,
    { cause, ...(cause.status !== undefined && { status: cause.status }) },
  );
}
