import { digestFrom, startHash, algorithmOf, type Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { ParentError } from '../parent/parent.ts';
import type { Link } from './link.ts';

/** Part of a blob straight from the parent, with nothing kept: where there is no room for it here. */
export interface Passage {
  /** Reads on where the last read ended; 0 at the end. */
  read(buffer: Uint8Array): Promise<number>;
  close(): void;
}

/** From byte `offset` on. A blob read from its first byte is verified before its last piece is given. */
export function openPassage(options: {
  readonly link: Link;
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly size: number;
  readonly offset: number;
  readonly signal: AbortSignal;
}): Passage {
  const { size, offset } = options;
  const hash = offset === 0 ? startHash(algorithmOf(options.digest)) : undefined;
  const pieces = piecesOf(options);
  let rest: Uint8Array = new Uint8Array(0);
  let position = offset;

  async function nextPiece(): Promise<Uint8Array> {
    const { done, value } = await pieces.next();
    if (done) return new Uint8Array(0);
    hash?.update(value);
    position += value.length;
    const isWrong =
      position > size ||
      (position === size && hash && digestFrom(algorithmOf(options.digest), hash) !== options.digest);
    if (isWrong) throw new ParentError('broken', `the parent sent wrong content for ${options.digest}`);
    return value;
  }

  return {
    async read(buffer) {
      if (rest.length === 0) rest = await nextPiece();
      const part = rest.subarray(0, buffer.length);
      buffer.set(part);
      rest = rest.subarray(part.length);
      return part.length;
    },
    close: () => void pieces.return(undefined).catch(() => undefined),
  };
}

async function* piecesOf({ link, repository, digest, offset, signal }: Parameters<typeof openPassage>[0]) {
  const { parent, transfers } = link;
  const content = await parent.readBlob(repository, digest, { offset, signal });
  if (!content) throw new ParentError('broken', `the parent has ${digest} no more`);
  for await (const chunk of content as AsyncIterable<Buffer>) {
    for (let passed = 0; passed < chunk.length;) {
      const granted = await transfers.rate.take(chunk.length - passed, { signal, isUrgent: () => true });
      yield chunk.subarray(passed, passed + granted);
      passed += granted;
    }
  }
}
