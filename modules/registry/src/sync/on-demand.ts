import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import { isDigest, type Reference, type RepositoryName } from '../oci/names.ts';
import type { StoredManifest } from '../oci/registry.ts';
import { ruleFor, wantsTag } from '../settings/repository-rules.ts';
import type { RepositoryRule, Settings } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { OnDemandResult } from '../status/metrics.ts';
import type { Store } from '../store/store.ts';
import { readAlong, type Fetch, type ReadableBlob } from './arriving-blob.ts';
import { copyImage, referrersLimit } from './copy-image.ts';
import { freshStop } from './fresh-stop.ts';
import type { Link } from './link.ts';
import { openPassage } from './passage.ts';
import { pendingChanges } from './pass.ts';
import { createQuestions, unavailable } from './questions.ts';

/**
 * Fetches from the parent what a client misses, in the repositories that the rules name. Undefined: it is not there
 * either, or may not be fetched. Throws UNAVAILABLE while the parent cannot be asked. Who may read what is for the
 * caller to have checked.
 */
export interface OnDemand {
  apply(settings: Settings, options: { readonly active: boolean }): void;
  /** What is found joins the replica in the background: an image with its layers, of an index only itself. */
  findManifest(repository: RepositoryName, reference: Reference): Promise<StoredManifest | undefined>;
  /** Asks only; nothing is fetched. */
  statBlob(repository: RepositoryName, digest: Digest): Promise<{ readonly size: number } | undefined>;
  /** Streams while it is stored, from one fetch however many ask; that goes on to its end when they leave. */
  openBlob(repository: RepositoryName, digest: Digest): Promise<ReadableBlob | undefined>;
  /** In digest order, with those held here. Undefined: what is here counts, for sync keeps it. */
  listReferrers(repository: RepositoryName, subject: Digest): Promise<readonly Descriptor[] | undefined>;
  /** Stops what is under way; what was received stays. Resolves when nothing runs any more. */
  close(): Promise<void>;
}

export interface OnDemandOptions {
  readonly store: Store;
  readonly link: () => Link | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Once for each question the parent was asked. */
  readonly onAnswer?: (result: OnDemandResult) => void;
}

export function createOnDemand({ store, link, clock, log, onAnswer }: OnDemandOptions): OnDemand {
  const { replica } = store;
  const questions = createQuestions({ clock, log, onAnswer, stop: () => stop.signal });
  const fetches = new Map<string, Fetch>();
  /** By tag and by digest: found, and not stored yet with all that belongs to it. */
  const arriving = new Map<string, StoredManifest>();
  const jobs = new Set<Promise<void>>();
  let settings: Settings | undefined;
  let stop = freshStop();

  /** The rule to fetch by, and the link to fetch over; undefined: a miss is a miss. */
  function wayTo(repository: RepositoryName): { readonly rule: RepositoryRule; readonly to: Link } | undefined {
    const rule = settings && ruleFor(settings.repositories, repository);
    const to = rule && link();
    return to && { rule, to };
  }

  async function isRemovedHere(repository: RepositoryName, reference: Reference, digest: Digest): Promise<boolean> {
    const pending = await pendingChanges(store.outbox.read());
    return pending.hasDelete(repository, digest) || pending.hasTag(repository, reference);
  }

  function hasRoom(): boolean {
    const quotaBytes = settings?.storage.quotaBytes ?? 0;
    return quotaBytes === 0 || store.contents.usedBytes < quotaBytes;
  }

  function begin(work: Promise<void>): void {
    const job = work.finally(() => jobs.delete(job));
    jobs.add(job);
  }

  /** Tags that no rule names would grow stale: sync does not look after them. */
  async function keep(
    { rule, to }: { readonly rule: RepositoryRule; readonly to: Link },
    repository: RepositoryName,
    reference: Reference,
    manifest: StoredManifest,
  ): Promise<void> {
    const { digest } = manifest;
    const tag = isDigest(reference) || !wantsTag(rule, reference) ? undefined : reference;
    const { signal } = stop;
    const names = [`${repository}@${digest}`, ...(tag === undefined ? [] : [`${repository}:${tag}`])];
    for (const name of names) arriving.set(name, manifest);
    try {
      await copyImage(
        to.parent,
        replica,
        {
          ...{ repository, reference: digest, manifest, tag, children: false },
          mayTag: async () =>
            tag !== undefined &&
            (await store.describeTag(repository, tag)) === undefined &&
            !(await isRemovedHere(repository, tag, digest)),
        },
        { signal, transfers: to.transfers, log },
      );
      log.info('An image was fetched on demand.', { repository, digest, tag });
    } catch (error) {
      if (signal.aborted) return;
      log.warn('An image asked for by a client could not be fetched completely.', { repository, digest, tag, error });
    } finally {
      for (const name of names) if (arriving.get(name) === manifest) arriving.delete(name);
    }
  }

  function fetchBlob(to: Link, repository: RepositoryName, digest: Digest, size: number): Fetch {
    const key = `${repository}@${digest}`;
    const under = fetches.get(key);
    if (under) return under;
    const { signal } = stop;
    const following = to.transfers.follow(replica, digest);
    const fetch: { -readonly [K in keyof Fetch]: Fetch[K] } = {
      ...{ size, arrival: following.arrival },
      outcome: hasRoom() ? 'under way' : new RegistryError('STORAGE_FULL'),
    };
    if (fetch.outcome !== 'under way') {
      following.close();
      return fetch;
    }
    const blob = { digest, size, mediaType: 'application/octet-stream' };
    const transfer = { source: to.parent, target: replica, repository, blob, signal };
    fetches.set(key, fetch);
    begin(
      to.transfers
        .carry(transfer, { lane: 'urgent' })
        .then(
          (outcome) => {
            fetch.outcome = outcome === 'absent' ? new RegistryError('BLOB_UNKNOWN') : 'here';
          },
          (error: unknown) => {
            fetch.outcome = error instanceof Error ? error : new Error(String(error));
            if (!signal.aborted)
              log.warn('A blob asked for by a client could not be fetched.', { repository, digest, error });
          },
        )
        .then(() => {
          fetches.delete(key);
          following.arrival.wake();
          following.close();
        }),
    );
    return fetch;
  }

  async function statBlob(repository: RepositoryName, digest: Digest): Promise<{ readonly size: number } | undefined> {
    const key = `${repository}@${digest}`;
    const way = wayTo(repository);
    if (!way) return undefined;
    const ask = (signal: AbortSignal) => way.to.parent.statBlob(repository, digest, { signal, isUrgent: true });
    return fetches.get(key) ?? questions.ask(`blob ${key}`, ask);
  }

  return {
    apply(next, { active }) {
      settings = active && next.onDemand && next.parent ? next : undefined;
      questions.forget();
      if (settings) return;
      stop.abort(unavailable());
      stop = freshStop();
    },

    async findManifest(repository, reference) {
      const way = wayTo(repository);
      const name = `${repository}${isDigest(reference) ? '@' : ':'}${reference}`;
      const known = way && arriving.get(name);
      if (!way || known) return known;
      return questions.ask(`manifest ${name}`, async (signal) => {
        const manifest = await way.to.parent.findManifest(repository, reference, { signal, isUrgent: true });
        if (!manifest || (await isRemovedHere(repository, reference, manifest.digest))) return undefined;
        if (hasRoom()) begin(keep(way, repository, reference, manifest));
        return manifest;
      });
    },

    statBlob,

    async openBlob(repository, digest) {
      const found = await statBlob(repository, digest);
      const to = found && wayTo(repository)?.to;
      if (!to) return undefined;
      const { size } = found;
      const { signal } = stop;
      return readAlong(fetchBlob(to, repository, digest, size), {
        openStored: () => store.openBlob(repository, digest),
        openPassage: (offset) => openPassage({ link: to, repository, digest, size, offset, signal }),
      });
    },

    async listReferrers(repository, subject) {
      const way = wayTo(repository);
      const isArriving = arriving.has(`${repository}@${subject}`);
      if (!way || (!isArriving && (await store.findManifest(repository, subject)))) return undefined;
      const found = new Map<Digest, Descriptor>();
      for await (const referrer of store.listReferrers(repository, subject)) found.set(referrer.digest, referrer);
      const above = await questions.ask(`referrers ${repository}@${subject}`, async (signal) => {
        const listed: Descriptor[] = [];
        for await (const referrer of way.to.parent.listReferrers(repository, subject, { signal, isUrgent: true })) {
          if (listed.push(referrer) === referrersLimit) break;
        }
        return listed;
      });
      for (const referrer of above ?? []) found.set(referrer.digest, referrer);
      return [...found.values()].sort((one, other) => (one.digest < other.digest ? -1 : 1));
    },

    async close() {
      settings = undefined;
      stop.abort(unavailable());
      await Promise.all(jobs);
    },
  };
}
