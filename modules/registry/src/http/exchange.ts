import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access, Auth } from '../auth/auth.ts';
import type { Gateway } from '../gateway/open-gateway.ts';
import type { Store } from '../store/store.ts';
import type { Headers } from './answer.ts';
import type { OnMiss } from './on-miss.ts';
import type { Origin } from './origin.ts';
import type { Pieces } from './pieces.ts';

/** One request and its answer, with what a handler needs to serve it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** Who sent it and under which name we were called; trusted proxies already looked through. */
  readonly origin: Origin;
  readonly store: Store;
  readonly auth: Auth;
  readonly gateway: Gateway;
  readonly pieces: Pieces;
  /** Lets the same read be answered from memory while nothing changes. */
  readonly remember: (headers: Headers, bytes: Buffer) => void;
  /** Asks elsewhere for what the store does not have; set for callers who may read. */
  onMiss: OnMiss;
  /** Ends an answer that waits for something: new settings may change what the caller may see, or this registry closes. */
  readonly patience: AbortSignal;
  /** Set once the caller is identified; undefined only where an endpoint needs nobody. */
  access: Access | undefined;
  /** For the audit line: the name that was proven, or claimed at a login. */
  principal: string | undefined;
  /** Body bytes taken in so far. */
  bytesReceived: number;
}
