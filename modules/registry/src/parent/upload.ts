import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { AppendOptions, BlobUpload, Cancellable, Pace } from '../oci/registry.ts';
import { pushAccess } from './access.ts';
import { paceBody } from './paced-body.ts';
import { ParentError } from './parent.ts';
import { inParts } from './parts.ts';
import type { Patience } from './patience.ts';
import type { Sender } from './send.ts';
import { cancelSession, findSession, sessionAfter, type Session } from './session.ts';

/**
 * What one PATCH carries. Parts, not one stream: a proxy that buffers requests passes on only whole ones, so a cut
 * costs one part; a part states its place (`Content-Range`), so it cannot land in another; and it can be sent again.
 */
export const partBytes = 8 * 1024 * 1024;

/** The unfinished upload of one blob (distribution-spec 1.1, end-5, end-6). */
export function openUpload(options: {
  readonly sender: Sender;
  readonly patience: Patience;
  readonly repository: RepositoryName;
  readonly session: Session;
  /** Of the whole blob. */
  readonly sizeBytes: number;
  readonly hasBlob: (digest: Digest, options: Cancellable) => Promise<boolean>;
  /** Where to go on after a crash. */
  readonly note: (session: Session) => void;
  /** Leaves the session to whoever begins the same blob next. */
  readonly letGo: (session: Session, options: { readonly isEmpty: boolean }) => void;
  /** The session has ended. */
  readonly forget: () => void;
  readonly onCommit: (digest: Digest) => void;
}): BlobUpload {
  const { sender, patience, repository, sizeBytes, hasBlob, note, letGo, forget, onCommit } = options;
  /** What the parent holds. May be ahead of `offset` after a failure; never behind it. */
  let session = options.session;
  let offset = session.offset;
  /** A part is under way, or failed: only the parent knows how much of it arrived. */
  let isUnsure = false;
  let pace: Pace | undefined;

  async function sendPart(part: Buffer, options: AppendOptions): Promise<void> {
    const { signal } = options;
    const end = offset + part.length;
    await sender.persist(async () => {
      if (isUnsure) session = await askSession(signal);
      isUnsure = false;
      if (session.offset < offset) throw lost(`holds ${session.offset} of ${offset} bytes`);
      while (session.offset < end) {
        isUnsure = true;
        if (sizeBytes > partBytes) note(session);
        session = await sendRest(part.subarray(session.offset - offset), end, options);
        isUnsure = false;
      }
    }, signal);
    offset = end;
  }

  /** Where the session stands after it: at `end`, or, where it had gone on unnoticed, where the next try begins. */
  async function sendRest(body: Buffer, end: number, options: AppendOptions): Promise<Session> {
    const { signal, partSignal = signal } = options;
    try {
      const answer = await sender.ask({
        method: 'PATCH',
        to: session.location,
        access: pushAccess(repository),
        headers: {
          'content-type': 'application/octet-stream',
          'content-range': `${session.offset}-${end - 1}`,
        },
        body: pace ? paceBody(body, pace, partSignal) : body,
        understands: [201, 202, 204],
        answerTimeoutMs: patience.writeTimeoutMs,
        once: true,
        signal: partSignal,
      });
      const after = sessionAfter(session, answer, sender.parent, end);
      if (after.offset !== end) throw lost(`holds ${after.offset} bytes after ${end}`);
      return after;
    } catch (error) {
      // Out of order: bytes that were given up with their connection have arrived after all.
      if (!(error instanceof ParentError && error.status === 416)) throw error;
      const told = await askSession(signal);
      if (told.offset <= session.offset) throw error;
      return told;
    }
  }

  async function askSession(signal: AbortSignal | undefined): Promise<Session> {
    const found = await findSession(sender, repository, session, { ...(signal && { signal }) });
    if (!found) throw lost('is gone');
    return found;
  }

  function lost(what: string): ParentError {
    return new ParentError('broken', `the upload session at ${sender.parent.host} ${what}`);
  }

  async function cancel(): Promise<void> {
    forget();
    await cancelSession(sender, repository, session);
  }

  return {
    get offset() {
      return offset;
    },
    paceWith(given) {
      pace = given;
    },
    async append(content, options = {}) {
      const length = Math.min(partBytes, Math.max(1, sizeBytes - offset));
      for await (const part of inParts(content, length)) {
        options.signal?.throwIfAborted();
        await sendPart(part, options);
      }
    },
    async commit(digest, options = {}) {
      const to = new URL(session.location);
      to.search += `${to.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
      try {
        const { status } = await sender.ask({
          method: 'PUT',
          to,
          access: pushAccess(repository),
          understands: [200, 201, 204, 404],
          answerTimeoutMs: patience.writeTimeoutMs,
          signal: options.signal,
        });
        // A commit whose answer was lost has ended the session that is asked again.
        if (status === 404 && !(await hasBlob(digest, options))) throw lost('is gone');
        forget();
        onCommit(digest);
      } catch (error) {
        if (error instanceof ParentError && error.status === 400) await cancel().catch(() => undefined);
        throw error;
      }
    },
    cancel,
    release() {
      letGo(session, { isEmpty: session.offset === 0 && !isUnsure });
      return Promise.resolve();
    },
  };
}
