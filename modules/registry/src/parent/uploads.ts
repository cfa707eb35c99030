import { algorithmOf, type Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ImageTarget } from '../oci/registry.ts';
import type { Log } from '../status/log.ts';
import { mountAccess, pushAccess, type Access } from './access.ts';
import type { BlobPlaces } from './blob-places.ts';
import type { Patience } from './patience.ts';
import type { Answer, Sender } from './send.ts';
import type { KeptSessions, SessionBlob } from './kept-sessions.ts';
import type { ParentRegistry } from './parent.ts';
import { cancelSession, findSession, sessionOpened, type Session } from './session.ts';
import { openUpload } from './upload.ts';

type Uploads = Pick<ParentRegistry, 'beginBlob' | 'mountBlob' | 'dropUploads'>;

/** How blobs get to the parent (distribution-spec 1.1, end-4, end-11). */
export function createUploads(options: {
  readonly sender: Sender;
  readonly patience: Patience;
  readonly places: BlobPlaces;
  readonly kept: KeptSessions;
  readonly hasBlob: ImageTarget['hasBlob'];
  readonly log: Log;
}): Uploads {
  const { sender, patience, places, kept, hasBlob, log } = options;

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

  async function begin({ repository, digest }: SessionBlob, signal?: AbortSignal): Promise<Session> {
    const answer = await post(repository, digest, { access: pushAccess(repository), understands: [202], signal });
    return sessionOpened(answer, sender.parent);
  }

  /** The session kept for `blob`, as far as the parent still has it. */
  async function goOn(blob: SessionBlob, signal?: AbortSignal): Promise<Session | undefined> {
    const session = await kept.take(blob);
    if (!session || session.isFresh) return session;
    try {
      const found = await findSession(sender, blob.repository, session, { ...(signal && { signal }) });
      if (!found) kept.forget(blob);
      return found;
    } catch (error) {
      kept.putBack(blob);
      throw error;
    }
  }

  return {
    async beginBlob(repository, { digest, size }, { signal } = {}) {
      const blob = { repository, digest };
      const session = (await goOn(blob, signal)) ?? (await begin(blob, signal));
      return openUpload({
        sender,
        patience,
        repository,
        session,
        sizeBytes: size,
        hasBlob: (wanted, asked) => hasBlob(repository, wanted, asked),
        note: (now) => kept.note(blob, now),
        letGo: (now, { isEmpty }) => kept.letGo(blob, { ...now, isFresh: false }, { isEmpty }),
        forget: () => kept.forget(blob),
        onCommit: (committed) => places.note(committed, repository),
      });
    },
    async mountBlob(repository, digest, { signal } = {}) {
      if (await kept.has({ repository, digest })) return false; // it was asked before those bytes were sent
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
      const session = { ...sessionOpened(answer, sender.parent), isFresh: true };
      kept.letGo({ repository, digest }, session, { isEmpty: true });
      return false;
    },
    async dropUploads({ signal } = {}) {
      for (const { blob, session } of await kept.idle()) {
        if (signal?.aborted) return;
        kept.forget(blob);
        try {
          await cancelSession(sender, blob.repository, session, { ...(signal && { signal }) });
        } catch (error) {
          log.debug('An upload that nobody wants any more is left to expire at the parent.', { ...blob, error });
        }
      }
    },
  };
}
