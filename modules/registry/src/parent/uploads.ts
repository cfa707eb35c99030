import { algorithmOf, type Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ImageTarget } from '../oci/registry.ts';
import { mountAccess, pushAccess, type Access } from './access.ts';
import type { BlobPlaces } from './blob-places.ts';
import type { Patience } from './patience.ts';
import type { Answer, Sender } from './send.ts';
import { findSession, sessionIn, type Session } from './session.ts';
import { openUpload } from './upload.ts';

type Uploads = Pick<ImageTarget, 'beginBlob' | 'mountBlob'>;

/** Sessions let go that may still be gone on with; the oldest are forgotten and expire at the parent. */
const keptSessionsLimit = 256;

interface KeptSession extends Session {
  /** A mount that was not possible has opened it: the blob that now has to be sent begins there. */
  readonly isFresh: boolean;
}

/** How blobs get to the parent (distribution-spec 1.1, end-4, end-11). Kept sessions do not survive this process. */
export function createUploads(options: {
  readonly sender: Sender;
  readonly patience: Patience;
  readonly places: BlobPlaces;
  readonly hasBlob: ImageTarget['hasBlob'];
}): Uploads {
  const { sender, patience, places, hasBlob } = options;
  const kept = new Map<string, KeptSession>();

  function keep(key: string, session: KeptSession): void {
    kept.delete(key);
    kept.set(key, session);
    for (const oldest of kept.keys()) {
      if (kept.size <= keptSessionsLimit) break;
      kept.delete(oldest);
    }
  }

  function post(
    repository: RepositoryName,
    digest: Digest,
    more: {
      readonly access: Access;
      readonly query?: Record<string, string>;
      readonly understands: readonly number[];
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<Answer> {
    const { access, query, understands, signal } = more;
    const algorithm = algorithmOf(digest);
    const parameters = new URLSearchParams({
      ...query,
      ...(algorithm !== 'sha256' && { 'digest-algorithm': algorithm }),
    });
    const search = parameters.size === 0 ? '' : `?${parameters.toString()}`;
    return sender.ask({
      method: 'POST',
      to: `/v2/${repository}/blobs/uploads/${search}`,
      access,
      understands,
      signal,
    });
  }

  async function begin(repository: RepositoryName, digest: Digest, signal?: AbortSignal): Promise<Session> {
    const answer = await post(repository, digest, { access: pushAccess(repository), understands: [202], signal });
    return freshSession(answer, sender.parent);
  }

  /** The session kept under `key`, as far as the parent still has it; nobody else gets it meanwhile. */
  async function goOn(repository: RepositoryName, key: string, signal?: AbortSignal): Promise<Session | undefined> {
    const session = kept.get(key);
    kept.delete(key);
    if (!session || session.isFresh) return session;
    try {
      return await findSession(sender, repository, session, { ...(signal && { signal }) });
    } catch (error) {
      keep(key, session);
      throw error;
    }
  }

  return {
    async beginBlob(repository, { digest, size }, { signal } = {}) {
      const key = `${repository}@${digest}`;
      const session = (await goOn(repository, key, signal)) ?? (await begin(repository, digest, signal));
      return openUpload({
        sender,
        patience,
        repository,
        session,
        sizeBytes: size,
        hasBlob: (wanted) => hasBlob(repository, wanted),
        keep: ({ location, offset }) => keep(key, { location, offset, isFresh: false }),
        onCommit: (committed) => places.note(committed, repository),
      });
    },
    async mountBlob(repository, digest, { signal } = {}) {
      const session = kept.get(`${repository}@${digest}`);
      if (session && session.offset > 0) return false; // it was asked before those bytes were sent
      const from = places.find(digest);
      const answer = await post(repository, digest, {
        access: from === undefined ? pushAccess(repository) : mountAccess(repository, from),
        query: { mount: digest, ...(from !== undefined && { from }) },
        understands: [201, 202],
        signal,
      });
      if (answer.status === 201) {
        places.note(digest, repository);
        return true;
      }
      keep(`${repository}@${digest}`, { ...freshSession(answer, sender.parent), isFresh: true });
      return false;
    },
  };
}

/** A session that was just opened holds nothing, whatever its `Range` says. */
function freshSession(answer: Answer, parent: URL): Session {
  return { ...sessionIn(answer, parent, 0), offset: 0 };
}
