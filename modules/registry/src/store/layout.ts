/**
 * <data>/
 * ├── index/          LevelDB, one sublevel a row; changed only by batch
 * │   ├── repository  <name>                          -> created, updated, number of manifests, tags and linked blobs
 * │   ├── manifest    <name> NUL <digest>             -> media type, added, subject?, artifactType?, bytes
 * │   ├── tag         <name> NUL <tag>                -> digest, created, updated, origin local|parent, base digest
 * │   ├── tagged      <name> NUL <digest>             -> the tags that point at this manifest
 * │   ├── link        <name> NUL <digest>             -> this blob may be seen in this repository
 * │   ├── holder      <digest> NUL <name>             -> the same, the other way round
 * │   ├── needed      <name> NUL <digest> NUL <digest of a manifest> -> which refers to that blob or child
 * │   ├── referrer    <name> NUL <subject> NUL <digest> -> descriptor
 * │   ├── lock        <name> NUL [<tag or digest>]    -> attributes; only where something is not allowed
 * │   ├── blob        <digest>                        -> size, added
 * │   ├── content     <digest>                        -> the bytes of a blob of up to 64 KiB
 * │   ├── suspect     manifest|link|blob NUL <its key> -> since when it may be that nothing needs it
 * │   ├── upload      <id>                            -> repository, started, digest?; only of one that is large or was let go
 * │   ├── journal     <sequence>                      -> what changed: push, tag, untag, delete
 * │   ├── outbox      <sequence of the journal>       -> what is still to be carried to the parent
 * │   └── record      <kind> NUL <id>                 -> `fact`: other rooms' records · `store`: totals
 * ├── blobs/sha256/ab/abcdef…    larger blobs: complete, verified, never changed
 * ├── uploads/<id>               received so far; its length is the offset
 * └── damaged/                   what a repair took out of sight; nothing reads it
 *
 * Every key, range and path is built here and nowhere else.
 */
import { join } from 'node:path';
import type { AbstractLevel, AbstractSublevel } from 'abstract-level';
import { algorithmOf, encodedOf, type Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { Reference, RepositoryName, Tag } from '../oci/names.ts';
import type { Attributes } from './attributes.ts';
import { manifestEncoding } from './manifest-encoding.ts';
import type { BlobRow, ChangeRow, ManifestRow, RepositoryRow, SuspectRow, TagRow, UploadRow } from './rows.ts';

type Format = string | Buffer | Uint8Array;
/** Any LevelDB of the `level` family: `level` on disk, `memory-level` in tests. */
export type Index = AbstractLevel<Format>;
export type Table<Row> = AbstractSublevel<Index, Format, string, Row>;
export type Tables = ReturnType<typeof openTables>;

export function openTables(index: Index) {
  const json = <Row>(name: string): Table<Row> => index.sublevel<string, Row>(name, { valueEncoding: 'json' });
  return {
    repository: json<RepositoryRow>('repository'),
    manifest: index.sublevel<string, ManifestRow>('manifest', { valueEncoding: manifestEncoding }),
    tag: json<TagRow>('tag'),
    tagged: json<readonly Tag[]>('tagged'),
    link: json<true>('link'),
    holder: json<true>('holder'),
    needed: json<true>('needed'),
    referrer: json<Descriptor>('referrer'),
    lock: json<Attributes>('lock'),
    blob: json<BlobRow>('blob'),
    content: index.sublevel<string, Buffer>('content', { valueEncoding: 'buffer' }),
    suspect: json<SuspectRow>('suspect'),
    upload: json<UploadRow>('upload'),
    journal: json<ChangeRow>('journal'),
    outbox: json<ChangeRow>('outbox'),
    record: json<unknown>('record'),
  };
}

/** Up to here a blob is a row: it becomes durable with the batch that makes it visible. LevelDB is slow with more. */
export const smallBlobBytes = 64 * 1024;

/** Sorts before every character a name, tag or digest may hold, so that `plant` never meets `plant2`. */
const separator = '\0';
const afterSeparator = '\x01';

/** The key of something within a repository: a manifest, a link (digest), a tag. */
export function keyWithin(repository: RepositoryName, id: Reference): string {
  return `${repository}${separator}${id}`;
}

/** The key of a lock on the repository itself, or on something within it. */
export function lockKey(repository: RepositoryName, reference: Reference | undefined): string {
  return `${repository}${separator}${reference ?? ''}`;
}

/** All keys within a repository, or those after `after`, which need not exist. */
export function rangeWithin(repository: RepositoryName, after = ''): { gt: string; lt: string } {
  return { gt: `${repository}${separator}${after}`, lt: `${repository}${afterSeparator}` };
}

/** Tags that name a digest, whatever its algorithm: `sha256-…`, `sha512-…` (distribution-spec 1.1, "Referrers Tag Schema"). */
export function fallbackTagRange(repository: RepositoryName): { gt: string; lt: string } {
  return { gt: keyWithin(repository, 'sha' as Tag), lt: keyWithin(repository, 'shb' as Tag) };
}

/** The first part of the key of something within a repository. */
export function repositoryOf(key: string): RepositoryName {
  return key.slice(0, key.indexOf(separator)) as RepositoryName;
}

/** The last part of a key: a tag, a digest, of a holder its repository. */
export function idOf(key: string): string {
  return key.slice(key.lastIndexOf(separator) + 1);
}

/** What manifest `from` says of `to`: that it is its subject (referrer), or a part of it (needed). */
export function relationKey(repository: RepositoryName, to: Digest, from: Digest): string {
  return `${repository}${separator}${to}${separator}${from}`;
}

export function relationRange(repository: RepositoryName, to: Digest): { gt: string; lt: string } {
  return rangeUnder(keyWithin(repository, to));
}

export function holderKey(digest: Digest, repository: RepositoryName): string {
  return `${digest}${separator}${repository}`;
}

export function holderRange(digest: Digest): { gt: string; lt: string } {
  return rangeUnder(digest);
}

export type SuspectKind = 'manifest' | 'link' | 'blob';

export function suspectKey(kind: 'manifest' | 'link', repository: RepositoryName, digest: Digest): string {
  return `${kind}${separator}${keyWithin(repository, digest)}`;
}

export function blobSuspectKey(digest: Digest): string {
  return `blob${separator}${digest}`;
}

export function suspectRange(kind: SuspectKind): { gt: string; lt: string } {
  return rangeUnder(kind);
}

/** The repository in a suspect's key; a blob has none. */
export function suspectRepositoryOf(key: string): RepositoryName {
  return key.slice(key.indexOf(separator) + 1, key.lastIndexOf(separator)) as RepositoryName;
}

function rangeUnder(prefix: string): { gt: string; lt: string } {
  return { gt: `${prefix}${separator}`, lt: `${prefix}${afterSeparator}` };
}

/** Sixteen digits hold every safe integer, so that the order of keys is the order of numbers. */
export function sequenceKey(sequence: number): string {
  return String(sequence).padStart(16, '0');
}

export function sequenceOf(key: string): number {
  return Number(key);
}

export function recordKey(kind: 'fact' | 'store', id: string): string {
  return `${kind}${separator}${id}`;
}

/** The totals, as `rows.ts` has them. */
export const totalsKey = recordKey('store', 'totals');
/** Up to this sequence the journal's gaps were found and told. */
export const knownGapKey = recordKey('store', 'known-gap');

/** The upload of a blob known by digest: one per digest, and never the shape of a session's UUID. */
export function blobUploadId(digest: Digest): string {
  return `${algorithmOf(digest)}-${encodedOf(digest)}`;
}

/** The UUID of an HTTP session, checked because it becomes a file name. */
export function isSessionId(id: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
}

export const indexDirectory = (data: string): string => join(data, 'index');
export const blobsDirectory = (data: string): string => join(data, 'blobs');
export const uploadsDirectory = (data: string): string => join(data, 'uploads');
export const damagedDirectory = (data: string): string => join(data, 'damaged');
export const uploadPath = (data: string, id: string): string => join(uploadsDirectory(data), id);

export function blobPath(data: string, digest: Digest): string {
  const encoded = encodedOf(digest);
  return join(blobsDirectory(data), algorithmOf(digest), encoded.slice(0, 2), encoded);
}
