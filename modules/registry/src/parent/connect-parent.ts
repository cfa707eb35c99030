import type { Credentials } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { anyAccess } from './access.ts';
import { createActivation, type ChildIdentity } from './activation.ts';
import { createAuthorizer } from './authorizer.ts';
import { createBlobPlaces } from './blob-places.ts';
import { createBlobs } from './blobs.ts';
import { createChildStatus } from './child-status.ts';
import { createConnection } from './connection.ts';
import { createContents } from './contents.ts';
import { createKeptSessions, type SessionRecords } from './kept-sessions.ts';
import { createListings } from './listings.ts';
import { createManifests } from './manifests.ts';
import { createMessages } from './messages.ts';
import type { ParentRegistry } from './parent.ts';
import { defaultPatience, type Patience } from './patience.ts';
import { createReferrers } from './referrers.ts';
import { createSender } from './send.ts';
import { createTrust } from './trust.ts';
import { createUploads } from './uploads.ts';

export interface ConnectParentOptions {
  /** host[:port] */
  readonly endpoint: string;
  readonly protocol: 'http' | 'https';
  /** Without: anonymous. */
  readonly credentials?: Credentials;
  /** PEM roots trusted beside Node's; asked again, at most once a minute, while a certificate is not trusted. */
  readonly certificateAuthorities?: () => Promise<readonly string[]>;
  /** Where unfinished uploads are written down; without, they are forgotten with this connection. */
  readonly records?: SessionRecords;
  readonly clock: Clock;
  readonly log: Log;
  readonly patience?: Partial<Patience>;
  readonly userAgent?: string;
  /** Who we are at a parent of our kind; without it neither its activation nor its message feed is asked for. */
  readonly self?: ChildIdentity | undefined;
}

/**
 * The client of the registry above: docker-registry, ACR, a connected registry of ours, any OCI registry.
 * Connects with the first request. Every method throws ParentError, or the reason of its signal.
 */
export function connectParent(options: ConnectParentOptions): ParentRegistry {
  const { endpoint, protocol, credentials, certificateAuthorities, records, clock, log } = options;
  const { userAgent = 'connected-registry' } = options;
  const parent = new URL(`${protocol}://${endpoint}`);
  const patience = { ...defaultPatience, ...options.patience };
  const closing = new AbortController();

  const trust = createTrust({ clock, ...(certificateAuthorities && { certificateAuthorities }) });
  const connection = createConnection({ trust, patience, userAgent });
  const authorizer = createAuthorizer({ parent, connection, credentials, clock });
  const sender = createSender({ parent, connection, authorizer, patience, clock, log, closing: closing.signal });

  const listings = createListings({ sender, clock, log });
  const activation = createActivation({ sender, clock, self: options.self });
  const contents = createContents({ sender, clock, log, self: options.self, isOurs: () => activation.isOurs });
  const manifests = createManifests({ sender, patience, contents });
  const referrers = createReferrers({ sender, manifests, clock });
  const { readMessages } = createMessages({ sender, clock, self: options.self });
  const places = createBlobPlaces();
  const blobs = createBlobs({ sender, places });
  const kept = createKeptSessions({ records, parent, clock, log });
  const uploads = createUploads({ sender, patience, places, kept, hasBlob: blobs.hasBlob, log });

  return {
    endpoint,
    get answers() {
      return sender.answers;
    },
    readMessages,
    activate: activation.activate,
    deactivate: activation.deactivate,
    reportStatus: createChildStatus({ sender, self: options.self }).reportStatus,
    async ping({ signal } = {}) {
      const answerTimeoutMs = patience.pingTimeoutMs;
      await sender.ask({ method: 'GET', to: '/v2/', access: anyAccess, understands: [200], answerTimeoutMs, signal });
    },
    listRepositories: listings.listRepositories,
    listTags: listings.listTags,
    resolveTag: manifests.resolveTag,
    findManifest: manifests.findManifest,
    listReferrers: referrers.listReferrers,
    readBlob: blobs.readBlob,
    get readSmallBlob() {
      return contents.isOffered ? contents.readBlob : undefined;
    },
    statBlob: blobs.statBlob,
    hasManifest: manifests.hasManifest,
    hasBlob: blobs.hasBlob,
    mountBlob: uploads.mountBlob,
    beginBlob: uploads.beginBlob,
    dropUploads: uploads.dropUploads,
    putManifest: referrers.putManifest,
    deleteTag: manifests.deleteTag,
    deleteManifest: referrers.deleteManifest,
    async close() {
      closing.abort(new Error('the connection to the parent is closed'));
      await connection.close();
      await kept.written();
    },
  };
}
