import { algorithmOf, digestOf, parseDigest, type Digest } from '../oci/digest.ts';
import { declaredMediaType } from '../oci/manifest.ts';
import { bareMediaType, manifestMediaTypes } from '../oci/media-types.ts';
import { isDigest, type Reference, type RepositoryName, type Tag } from '../oci/names.ts';
import type { Cancellable, ImageSource, ImageTarget, StoredManifest } from '../oci/registry.ts';
import { RegistryError } from '../errors.ts';
import { deleteAccess, pullAccess, pushAccess } from './access.ts';
import type { Contents } from './contents.ts';
import { ParentError } from './parent.ts';
import type { Patience } from './patience.ts';
import type { Answer, Sender } from './send.ts';

export interface Manifests
  extends Pick<ImageSource, 'resolveTag' | 'findManifest'>, Pick<ImageTarget, 'hasManifest' | 'deleteTag'> {
  /** Puts the bytes under `reference`; true when the parent itself takes note of their `subject`. */
  put(
    repository: RepositoryName,
    manifest: StoredManifest,
    reference: Reference,
    options?: Cancellable,
  ): Promise<{ readonly tookSubject: boolean }>;
  /** DELETE of a tag or a digest; false when there was none. */
  remove(repository: RepositoryName, reference: Reference, options?: Cancellable): Promise<boolean>;
}

const accept = { accept: manifestMediaTypes.join(', ') };
/** Answers of registries, and of proxies before them, that do not take HEAD here. */
const headRefused = [400, 405, 501];

/** Manifests of the parent (distribution-spec 1.1, end-3, end-7, end-9). */
export function createManifests(options: {
  readonly sender: Sender;
  readonly patience: Patience;
  readonly contents: Contents;
}): Manifests {
  const { sender, patience, contents } = options;

  async function findManifest(
    repository: RepositoryName,
    reference: Reference,
    { signal, isUrgent }: Cancellable = {},
  ): Promise<StoredManifest | undefined> {
    const together =
      isDigest(reference) && !isUrgent ? await contents.findManifest(repository, reference, { signal }) : undefined;
    if (together) return together;
    const answer = await sender.ask({
      method: 'GET',
      to: pathOf(repository, reference),
      access: pullAccess(repository),
      headers: accept,
      understands: [200, 404],
      isUrgent,
      signal,
    });
    return answer.status === 404 ? undefined : verified(answer, reference);
  }

  /** The digest HEAD tells; undefined: not there. Asks with GET where HEAD does not help. */
  async function resolve(
    repository: RepositoryName,
    reference: Reference,
    { signal }: Cancellable = {},
    access = pullAccess(repository),
  ): Promise<Digest | undefined> {
    const { status, headers } = await sender.ask({
      method: 'HEAD',
      to: pathOf(repository, reference),
      access,
      headers: accept,
      understands: [200, 404, ...headRefused],
      signal,
    });
    if (status === 404) return undefined;
    const told = status === 200 ? digestIn(headers['docker-content-digest']) : undefined;
    return told ?? (await findManifest(repository, reference, { ...(signal && { signal }) }))?.digest;
  }

  async function remove(
    repository: RepositoryName,
    reference: Reference,
    { signal }: Cancellable = {},
  ): Promise<boolean> {
    const { status } = await sender.ask({
      method: 'DELETE',
      to: pathOf(repository, reference),
      access: deleteAccess(repository),
      understands: [200, 202, 204, 404],
      signal,
    });
    return status !== 404;
  }

  return {
    findManifest,
    remove,
    resolveTag: (repository, tag, more) => resolve(repository, tag, more),
    /** Asked as who pushes, like `hasBlob`. */
    hasManifest: async (repository, digest, more) =>
      (await resolve(repository, digest, more, pushAccess(repository))) !== undefined,
    async deleteTag(repository, tag, more) {
      try {
        return await remove(repository, tag, more);
      } catch (error) {
        // docker-registry 2.8 takes every tag here for a bad digest, whether there is one or not.
        if (!(error instanceof ParentError) || error.status !== 400) throw error;
        if ((await resolve(repository, tag, more)) === undefined) return false;
        throw new ParentError('denied', `the parent does not delete tags alone: ${error.message}`, { cause: error });
      }
    },
    async put(repository, { digest, mediaType, bytes }, reference, { signal } = {}) {
      const actual = digestOf(bytes, algorithmOf(digest));
      if (actual !== digest) throw new RegistryError('DIGEST_INVALID', { detail: { announced: digest, actual } });
      const { url, status, headers } = await sender.ask({
        method: 'PUT',
        to: pathOf(repository, reference),
        access: pushAccess(repository),
        headers: { 'content-type': mediaType },
        body: bytes,
        understands: [200, 201, 202, 204],
        answerTimeoutMs: patience.writeTimeoutMs,
        signal,
      });
      const kept = digestIn(headers['docker-content-digest']);
      if (kept && kept !== digestOf(bytes, algorithmOf(kept))) {
        throw new ParentError('broken', `${url.host} kept ${repository}@${digest} as something else: ${kept}`);
      }
      // A proxy that answers everything with a page of its own keeps nothing (distribution-spec 1.1, end-7: 201).
      if (!kept && status !== 201) {
        throw new ParentError('broken', `${url.host} does not say that it kept ${repository}@${digest}: ${status}`);
      }
      return { tookSubject: headers['oci-subject'] !== undefined };
    },
  };
}

/** Checked names need no escaping: their grammar holds nothing that has a meaning in a path. */
function pathOf(repository: RepositoryName, reference: Reference): string {
  return `/v2/${repository}/manifests/${reference}`;
}

/** The manifest in `answer`, its bytes checked against the digest that was asked for, or announced. */
function verified({ url, headers, body }: Answer, reference: Tag | Digest): StoredManifest {
  const expected = isDigest(reference) ? reference : digestIn(headers['docker-content-digest']);
  const digest = digestOf(body, expected && algorithmOf(expected));
  if (expected && digest !== expected) {
    throw new ParentError('broken', `${url.host}${url.pathname}: the content is ${digest}, not ${expected}`);
  }
  const told = bareMediaType(headers['content-type'] ?? '');
  return { digest, mediaType: manifestMediaTypes.includes(told) ? told : declared(body, told, url), bytes: body };
}

/** The type a manifest claims for itself, where the header says `application/json` or the like. */
function declared(body: Buffer, told: string, url: URL): string {
  try {
    return declaredMediaType(body) ?? told;
  } catch (cause) {
    throw new ParentError('broken', `${url.host}${url.pathname} is not a manifest`, { cause });
  }
}

function digestIn(header: string | string[] | undefined): Digest | undefined {
  return typeof header === 'string' ? parseDigest(header) : undefined;
}
