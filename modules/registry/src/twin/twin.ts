export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Both sections of the module twin as the hub has them, whole; `$version` apart. */
export interface TwinDocument {
  readonly version: number;
  readonly desired: JsonObject;
  readonly reported: JsonObject;
}

export interface MethodResult {
  /** HTTP-like: 200 done, 202 begun, 400 bad payload, 409 not now. */
  readonly status: number;
  readonly payload: Json;
}

/** The operator's side: desired properties in, reported properties out. Two kinds: IoT Edge, and a settings file. */
export interface Twin {
  /** Called with the whole document at the first contact, after each change and each reconnect. Set before `start`. */
  onDesired(listener: (document: TwinDocument) => void): void;
  onMethod(name: string, handler: (payload: Json) => Promise<MethodResult>): void;
  /** Begins to connect and keeps at it; never rejects because the hub is away. */
  start(): void;
  /** Sends one merge patch; rejects while offline, when it is refused, or without an answer in time. */
  report(patch: JsonObject): Promise<void>;
  /** An output message, at least once; rejects when the hub did not take it. */
  send(output: string, message: Json): Promise<void>;
  close(): Promise<void>;
}
