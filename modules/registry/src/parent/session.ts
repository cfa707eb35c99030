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
}

/** Asks how far a session is (end-13); undefined: the parent has forgotten it. */
export async function findSession(
  sender: Sender,
  repository: RepositoryName,
  { location, offset }: Session,
  { signal }: Cancellable = {},
): Promise<Session | undefined> {
  const answer = await sender.ask({
    method: 'GET',
    to: location,
    access: pushAccess(repository),
    understands: [200, 202, 204, 404],
    signal,
  });
  return answer.status === 404 ? undefined : sessionIn(answer, sender.parent, offset);
}

/** Gives a session up (end-14). Registries that cannot be told let it expire. */
export async function cancelSession(sender: Sender, repository: RepositoryName, { location }: Session): Promise<void> {
  await sender.ask({
    method: 'DELETE',
    to: location,
    access: pushAccess(repository),
    understands: [200, 202, 204, 400, 404, 405],
  });
}

/** Where a session stands, from the answer to its POST, PATCH or GET; `expected` where the answer does not tell. */
export function sessionIn({ url, headers }: Pick<Answer, 'url' | 'headers'>, parent: URL, expected: number): Session {
  const { location, range } = headers;
  const next = location === undefined ? url : atParent(location, url, parent);
  if (!next) throw new ParentError('broken', `${url.host} names an upload location that is not a URL`);
  return { location: next, offset: offsetIn(range, expected) };
}

/** `Range: 0-499` is 500 bytes; `0-0` is said both for none and for one. */
function offsetIn(range: string | undefined, expected: number): number {
  const parsed = range === undefined ? undefined : parseChunkRange(range);
  if (!parsed) return expected;
  return parsed.end === 0 && expected === 0 ? 0 : parsed.end + 1;
}
