import { readFile } from 'node:fs/promises';
import type { ModuleClient } from 'azure-iot-device';
import type { Mqtt } from 'azure-iot-device-mqtt';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { backOffMs } from '../status/back-off.ts';
import type { EdgeIdentity } from './edge-identity.ts';
import { cutConnection, safeTransport, type Sdk } from './edge-sdk.ts';
import { messageOf } from './twin-error.ts';
import { within } from './within.ts';
import { createWorkloadApi } from './workload-api.ts';

export interface EdgeClientOptions {
  readonly sdk: Sdk;
  readonly identity: EdgeIdentity;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: EdgeLimits;
  /** Ends attempts to renew a token, and a connection that is being made. */
  readonly signal: AbortSignal;
  /** Something happened after which this connection is not to be trusted. */
  readonly onDoubt: (reason: Error) => void;
  /** The SDK reconnected to show a new token: it says so to nobody. */
  readonly onReconnected: () => void;
  readonly onUnreadable: (topic: string) => void;
}

export interface EdgeLimits {
  /** Trust bundle, token, TLS and MQTT CONNECT, each. */
  readonly openMs: number;
  /** Twin reads, reported patches, messages. */
  readonly answerMs: number;
  /** An orderly end; after that the connection is cut. */
  readonly closeMs: number;
  readonly tokenValidMs: number;
  /** How long before its end a token is replaced. */
  readonly tokenMarginMs: number;
}

export interface EdgeClient {
  readonly module: ModuleClient;
  close(): Promise<void>;
}

/** edgeHub refuses keepalives above ten minutes; a dead connection shows within one and a half of these. */
const keepaliveSeconds = 60;
/** Every reconnection is a new client, made by us: one that reconnects by itself forgets its subscriptions. */
const noRetry = { shouldRetry: () => false, nextRetryTimeout: () => -1 };
const renewalBackOff = { firstMs: 5_000, longestMs: 60_000 };

/** Connects as `identity`. Rejects when that fails; nothing is left open then. */
export async function connectEdgeClient(options: EdgeClientOptions): Promise<EdgeClient> {
  const { sdk, identity, clock, log, limits, signal, onDoubt } = options;
  const ca = await trustedRoots(identity, limits.openMs);
  signal.throwIfAborted();
  const provider = createProvider(sdk, identity, limits);
  const transports: Mqtt[] = [];
  let closed = false;
  const Transport = safeTransport(sdk.Mqtt, options.onUnreadable);
  const module = sdk.ModuleClient.fromAuthenticationProvider(
    provider,
    class extends Transport {
      constructor(...details: ConstructorParameters<typeof Mqtt>) {
        super(...details);
        transports.push(this);
      }
    },
  );
  module.setRetryPolicy(noRetry);
  module.on('error', onDoubt);
  module.on('disconnect', () => onDoubt(new Error('the hub closed the connection')));
  provider.on('newTokenAvailable', () => (closed ? provider.stop() : options.onReconnected()));
  // Without this listener the SDK ends the process; without a retry it never asks for a token again.
  provider.on('error', (error: Error) => {
    log.warn('access token not renewed; the old one is used while it lasts', { error: messageOf(error) });
    void renewLater().catch(() => undefined);
  });

  try {
    // One call with everything: each replaces what the last one set.
    await module.setOptions({ ...(ca !== undefined && { ca }), keepalive: keepaliveSeconds });
    await within(module.open(), { clock, timeoutMs: limits.openMs, what: 'connecting to the hub', signal });
  } catch (error) {
    await close();
    throw error;
  }
  return { module, close };

  async function renewLater(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      await clock.wait(backOffMs(attempt, renewalBackOff), signal);
      try {
        await tryToken();
        break;
      } catch (error) {
        log.debug('access token still not renewed', { error: messageOf(error) });
      }
    }
    onDoubt(new Error('connecting anew with a fresh access token'));
  }

  /** Asks for a token as the next connection will, so that this one is not given up for nothing. */
  async function tryToken(): Promise<void> {
    const probe = createProvider(sdk, identity, limits);
    const token = probe.getDeviceCredentials().finally(() => probe.stop());
    await within(token, { clock, timeoutMs: limits.openMs, what: 'asking for an access token', signal });
  }

  async function close(): Promise<void> {
    closed = true;
    provider.stop();
    try {
      await within(module.close(), { clock, timeoutMs: limits.closeMs, what: 'closing the connection' });
    } catch (error) {
      log.debug('the connection to the hub did not end in order', { error: messageOf(error) });
    }
    // A token that arrives only now starts the SDK's renewal timer once more.
    for (const transport of transports) cutConnection(transport, () => provider.stop());
  }
}

/** Replaces the system's roots for the connection to the hub; undefined keeps them. */
async function trustedRoots(identity: EdgeIdentity, timeoutMs: number): Promise<string | undefined> {
  if (identity.kind === 'workload') {
    const { workloadUri: uri, apiVersion, moduleId, generationId } = identity;
    return createWorkloadApi({ uri, apiVersion, moduleId, generationId, timeoutMs }).trustBundle();
  }
  return identity.caFile === undefined ? undefined : readFile(identity.caFile, 'utf8');
}

function createProvider(sdk: Sdk, identity: EdgeIdentity, limits: EdgeLimits) {
  const validSeconds = limits.tokenValidMs / 1000;
  const marginSeconds = limits.tokenMarginMs / 1000;
  if (identity.kind === 'connectionString') {
    const { connectionString } = identity;
    return sdk.SharedAccessKeyAuthenticationProvider.fromConnectionString(
      connectionString,
      validSeconds,
      marginSeconds,
    );
  }
  return new sdk.IotEdgeAuthenticationProvider(
    {
      workloadUri: identity.workloadUri,
      deviceId: identity.deviceId,
      moduleId: identity.moduleId,
      iothubHostName: identity.hubHost,
      authScheme: 'sasToken',
      gatewayHostName: identity.gatewayHost ?? '',
      generationId: identity.generationId,
    },
    validSeconds,
    marginSeconds,
  );
}
