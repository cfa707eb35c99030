import type { DeviceMethodRequest, DeviceMethodResponse, Twin as SdkTwin } from 'azure-iot-device';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { connectEdgeClient, type EdgeClient, type EdgeLimits } from './edge-client.ts';
import type { EdgeIdentity } from './edge-identity.ts';
import type { Sdk } from './edge-sdk.ts';
import { isJsonObject } from './merge-patch.ts';
import type { Methods } from './methods.ts';
import { messageOf, TwinError } from './twin-error.ts';
import { asTwinError } from './twin-messages.ts';
import { createTwinReader } from './twin-reader.ts';
import type { Json, JsonObject, TwinDocument } from './twin.ts';
import { within } from './within.ts';

export interface EdgeSessionOptions {
  readonly sdk: Sdk;
  readonly identity: EdgeIdentity;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: EdgeLimits;
  readonly rereadMs: RereadIntervals;
  readonly methods: Methods;
  readonly onDocument: (document: TwinDocument) => void;
  readonly signal: AbortSignal;
}

export interface RereadIntervals {
  /** A token renewal reconnects in silence, and patches sent meanwhile are lost. */
  readonly synced: number;
  /** While edgeHub has never had the twin from the cloud. */
  readonly unsynced: number;
}

/** As the SDK has it; it types everything in a section as `any`. */
interface ReportedSection {
  update(patch: JsonObject, done: (error?: Error) => void): void;
}

/** One connection, from CONNECT until the first doubt. */
export interface EdgeSession {
  /** Reads the twin and keeps it current; resolves with the reason once this connection is not to be trusted. */
  run(): Promise<Error>;
  report(patch: JsonObject): Promise<void>;
  send(output: string, message: Json): Promise<void>;
  listen(method: string): void;
  close(): Promise<void>;
}

/**
 * Connects and subscribes; `run` then reads the whole twin: in that order nothing is missed.
 * Rejects when the connection fails; nothing is left open then.
 */
export async function openEdgeSession(options: EdgeSessionOptions): Promise<EdgeSession> {
  const { sdk, clock, log, limits, methods } = options;
  const life = new AbortController();
  const signal = AbortSignal.any([options.signal, life.signal]);
  let onDoubt: (reason: unknown) => void = () => undefined;
  const doubted = new Promise<Error>((resolve) => {
    onDoubt = (reason) => resolve(asTwinError(reason));
  });
  signal.addEventListener('abort', () => onDoubt(signal.reason), { once: true });
  const limited = <T>(work: Promise<T>, what: string): Promise<T> =>
    within(work, { clock, timeoutMs: limits.answerMs, what, signal });

  const client = await connectEdgeClient({
    ...options,
    signal,
    onDoubt,
    onReconnected: refresh,
    onUnreadable: (topic) => {
      log.warn('a message of the hub could not be read', { topic });
      refresh();
    },
  });
  const reader = createTwinReader({
    read: async () => {
      const { properties } = await limited(client.module.getTwin(), 'reading the twin');
      return properties;
    },
    onDocument: options.onDocument,
    onFailure: onDoubt,
  });

  let twin: SdkTwin;
  try {
    twin = await limited(client.module.getTwin(), 'reading the twin');
    twin.on('error', onDoubt);
    twin.on('properties.desired', (patch: unknown) => {
      const copy: unknown = structuredClone(patch);
      if (isJsonObject(copy)) reader.takePatch(copy);
    });
    for (const name of methods.names()) listen(name);
  } catch (error) {
    await end(client);
    throw asTwinError(error);
  }

  return {
    run: () => Promise.race([doubted, keepCurrent().catch((error: unknown) => asTwinError(error))]),
    listen,
    close: () => end(client),

    async report(patch) {
      try {
        // The callback is not optional, and no promise comes back, whatever the SDK's documentation says.
        const section = twin.properties.reported as ReportedSection;
        const taken = new Promise<void>((resolve, reject) => {
          section.update(patch, (error?: Error) => (error ? reject(error) : resolve()));
        });
        await limited(taken, 'reporting');
        reader.noteReported(patch);
      } catch (error) {
        throw afterFailure(error);
      }
    },

    async send(output, message) {
      try {
        const sent = new sdk.Message(JSON.stringify(message));
        sent.contentType = 'application/json';
        sent.contentEncoding = 'utf-8';
        await limited(client.module.sendOutputEvent(output, sent), `sending to output ${output}`);
      } catch (error) {
        throw afterFailure(error);
      }
    },
  };

  function refresh(): void {
    reader.refresh().catch(onDoubt);
  }

  async function keepCurrent(): Promise<never> {
    await reader.refresh();
    log.info('connected to the hub');
    for (;;) {
      if (!reader.synced) log.warn('the hub has no desired properties yet; what was in force stays in force');
      await clock.wait(reader.synced ? options.rereadMs.synced : options.rereadMs.unsynced, signal);
      await reader.refresh();
    }
  }

  function listen(name: string): void {
    client.module.onMethod(name, (request?: DeviceMethodRequest, response?: DeviceMethodResponse) => {
      if (!request || !response) return;
      void methods
        .call(name, (request.payload as Json | undefined) ?? null)
        .then(({ status, payload }) => response.send(status, payload))
        .catch((error: unknown) => log.warn('answer to a direct method not sent', { name, error: messageOf(error) }));
    });
  }

  /** No answer: nobody knows what this connection is worth. A refusal is an answer. */
  function afterFailure(error: unknown): TwinError {
    const known = asTwinError(error);
    if (known.code !== 'REFUSED') onDoubt(known);
    return known;
  }

  async function end(ending: EdgeClient): Promise<void> {
    life.abort(new TwinError('OFFLINE', 'the connection to the hub was closed'));
    await ending.close();
  }
}
