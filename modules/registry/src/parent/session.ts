import type { RepositoryName } from '../oci/names.ts';
import { parseChunkRange } from '../oci/range.ts';
import type { Cancellable } from '../oci/registry.ts';
import { pushAccess } from './access.ts';
import { ParentError } from './parent.ts';
import { atParent } from './redirect.ts';
import type { Answer, Sender } from './send.ts';

/** An upload session at the parent, and how many bytes it holds. */
export interface Session {
  readonly location: URL;
  readonly offset: number;
  /** The parent wrote the location without a host: it holds at whatever address the parent has. */
  readonly isRelative: boolean;
}

/** A GET that is answered so finds nothing to go on with: docker-registry gives up what a cut PATCH has spoilt. */
const goneStatuses = [400, 404, 405, 410, 416];

/** Asks how far a session is (end-13); undefined: at the parent there is nothing to go on with. */
export async function findSession(
  sender: Sender,
  repository: RepositoryName,
  session: Session,
  { signal }: Cancellable = {},
): Promise<Session | undefined> {
  const answer = await sender.ask({
    method: 'GET',
    to: session.location,
    access: pushAccess(repository),
    understands: [200, 202, 204, ...goneStatuses],
    signal,
  });
  return goneStatuses.includes(answer.status) ? undefined : sessionAfter(session, answer, sender.parent);
}

/** Gives a session up (end-14). Registries that cannot be told let it expire. */
export async function cancelSession(
  sender: Sender,
  repository: RepositoryName,
  { location }: Session,
  { signal }: Cancellable = {},
): Promise<void> {
  await sender.ask({
    method: 'DELETE',
    to: location,
    access: pushAccess(repository),
    understands: [200, 202, 204, 400, 404, 405],
    signal,
  });
}

/** The session that the answer to a POST has opened; it holds nothing, whatever its `Range` says. */
export function sessionOpened(answer: Pick<Answer, 'url' | 'headers'>, parent: URL): Session {
  const location = answer.url;
  return { ...sessionAfter({ location, offset: 0, isRelative: false }, answer, parent), offset: 0 };
}

/**
 * Where `session` stands after a PATCH or GET: at `expected` where the answer does not tell. Its location may be
 * another one after each (docker-registry and ACR keep state in it): the last one counts.
 */
export function sessionAfter(
  { isRelative, offset }: Session,
  { url, headers }: Pick<Answer, 'url' | 'headers'>,
  parent: URL,
  expected = offset,
): Session {
  const { location, range } = headers;
  const next = location === undefined ? url : atParent(location, url, parent);
  if (!next) throw new ParentError('broken', `${url.host} names an upload location that is not a URL`);
  return {
    location: next,
    offset: offsetIn(range, expected),
    isRelative: location === undefined ? isRelative : location.startsWith('/') && !location.startsWith('//'),
  };
}

/** `Range: 0-499` is 500 bytes; `0-0` is said both for none and for one. */
function offsetIn(range: string | undefined, expected: number): number {
  const parsed = range === undefined ? undefined : parseChunkRange(range);
  if (!parsed) return expected;
  return parsed.end === 0 && expected === 0 ? 0 : parsed.end + 1;
}
