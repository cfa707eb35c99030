import { digestOf, type Digest } from '../oci/digest.ts';
import { parseManifest, type Descriptor, type Manifest } from '../oci/manifest.ts';
import { mediaTypes } from '../oci/media-types.ts';
import { referrersTag, type RepositoryName } from '../oci/names.ts';
import type { ImageSource, ImageTarget, ReferrersOptions, StoredManifest } from '../oci/registry.ts';
import type { Clock } from '../status/clock.ts';
import { pullAccess } from './access.ts';
import { ociErrors } from './failure.ts';
import type { Manifests } from './manifests.ts';
import { createOptionalApi } from './optional-api.ts';
import { readPages } from './pages.ts';
import { ParentError } from './parent.ts';
import type { Sender } from './send.ts';

type Referrers = Pick<ImageSource, 'listReferrers'> & Pick<ImageTarget, 'putManifest' | 'deleteManifest'>;

/**
 * What refers to a manifest: the referrers API (end-12) or, at a parent without it, the index under the fallback tag
 * (distribution-spec 1.1, "Referrers Tag Schema"), which then is ours to keep with every push and delete.
 */
export function createReferrers(options: {
  readonly sender: Sender;
  readonly manifests: Manifests;
  readonly clock: Clock;
}): Referrers {
  const { sender, manifests, clock } = options;
  const api = createOptionalApi(clock);
  /** The last edit of each fallback index that is being edited: edits read, change and write, one after the other. */
  const edits = new Map<string, Promise<unknown>>();

  async function* listReferrers(
    repository: RepositoryName,
    subject: Digest,
    { signal, isUrgent, allTags }: ReferrersOptions = {},
  ): AsyncGenerator<Descriptor> {
    const question = {
      method: 'GET',
      to: `/v2/${repository}/referrers/${subject}`,
      access: pullAccess(repository),
      headers: { accept: mediaTypes.ociIndex },
      understands: [200, 404, 405],
      isUrgent,
      signal,
    } as const;
    let answered = false;
    for await (const page of api.missing ? [] : readPages(sender, question)) {
      if (page.status === 200) {
        answered = true;
        api.markFound();
        yield* readIndex(page.body, `${page.url.host}${page.url.pathname}`);
      } else if (!ociErrors(page.body).some(({ code }) => code === 'NAME_UNKNOWN')) {
        // An unknown repository would say nothing about the API.
        api.markMissing();
      }
    }
    if (answered || allTags?.has(referrersTag(subject)) === false) return;
    yield* await readFallback(repository, subject, signal);
  }

  async function readFallback(
    repository: RepositoryName,
    subject: Digest,
    signal: AbortSignal | undefined,
  ): Promise<readonly Descriptor[]> {
    const tag = referrersTag(subject);
    const index = await manifests.findManifest(repository, tag, { ...(signal && { signal }) });
    return index?.mediaType === mediaTypes.ociIndex ? readIndex(index.bytes, `${repository}:${tag}`) : [];
  }

  /** Writes the fallback index anew as `change` wants it; undefined leaves it. */
  function editFallback(
    repository: RepositoryName,
    subject: Digest,
    signal: AbortSignal | undefined,
    change: (descriptors: readonly Descriptor[]) => readonly Descriptor[] | undefined,
  ): Promise<void> {
    const tag = referrersTag(subject);
    const key = `${repository}:${tag}`;
    const edit = async (): Promise<void> => {
      const changed = change(await readFallback(repository, subject, signal));
      if (!changed) return;
      const document = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: changed };
      const bytes = Buffer.from(JSON.stringify(document));
      const index = { digest: digestOf(bytes), mediaType: mediaTypes.ociIndex, bytes };
      await manifests.put(repository, index, tag, { ...(signal && { signal }) });
    };
    const running = (edits.get(key) ?? Promise.resolve()).then(edit, edit);
    edits.set(key, running);
    return running.finally(() => {
      if (edits.get(key) === running) edits.delete(key);
    });
  }

  return {
    listReferrers,
    /** `absent` is not for us: whether an index may be incomplete is the parent's to decide. */
    async putManifest(repository, manifest, { tag, signal } = {}) {
      const more = signal && { signal };
      const { tookSubject } = await manifests.put(repository, manifest, tag ?? manifest.digest, more);
      const parsed = tookSubject ? undefined : understood(manifest);
      if (!parsed?.subject) return;
      api.markMissing();
      const referrer = referrerOf(manifest, parsed);
      await editFallback(repository, parsed.subject.digest, signal, (descriptors) =>
        descriptors.some(({ digest }) => digest === referrer.digest) ? undefined : [...descriptors, referrer],
      );
    },
    async deleteManifest(repository, digest, { signal } = {}) {
      const more = signal && { signal };
      const manifest = api.found ? undefined : await manifests.findManifest(repository, digest, more);
      const subject = manifest && understood(manifest)?.subject;
      const deleted = await manifests.remove(repository, digest, more);
      if (subject) {
        await editFallback(repository, subject.digest, signal, (descriptors) => {
          const others = descriptors.filter((descriptor) => descriptor.digest !== digest);
          return others.length === descriptors.length ? undefined : others;
        });
      }
      return deleted;
    },
  };
}

function referrerOf({ digest, mediaType, bytes }: StoredManifest, manifest: Manifest): Descriptor {
  const { artifactType, annotations } = manifest;
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  };
}

/** Undefined for what has no structure we know, and so no subject we know. */
function understood({ bytes, mediaType }: StoredManifest): Manifest | undefined {
  try {
    return parseManifest(bytes, mediaType);
  } catch {
    return undefined;
  }
}

function readIndex(bytes: Buffer, where: string): readonly Descriptor[] {
  try {
    return parseManifest(bytes, mediaTypes.ociIndex).manifests;
  } catch (cause) {
    throw new ParentError('broken', `${where} is not an index of referrers`, { cause });
  }
}
