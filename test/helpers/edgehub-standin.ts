import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Aedes } from 'aedes';
import { checkToken, mergeSection, replacementPatch, reportedRefusal, type Properties } from './edgehub-rules.ts';

type Client = ReturnType<Aedes['handle']>;

export interface EdgeHubStandinOptions {
  readonly cert: string;
  readonly key: string;
  readonly hubName: string;
  readonly deviceId: string;
  /** Module id -> base64 key. */
  readonly modules: Readonly<Record<string, string>>;
}

/** The hub's side of one module's twin. Without `synced` the answer has no `$version`, as before the first cloud contact. */
export interface HubTwin {
  desired: Properties;
  reported: Properties;
  desiredVersion: number;
  reportedVersion: number;
  synced: boolean;
}

/** An answer in place of the right one, or none at all. */
export type TwinFault = { readonly status: number; readonly body?: string } | 'silent' | undefined;

export interface HubEvent {
  readonly moduleId: string;
  readonly output: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HubConnect {
  readonly moduleId: string;
  readonly userName: string;
  readonly token: string;
  readonly clean: boolean;
  readonly keepaliveSeconds: number;
  /** Why it was refused; absent: it was not. */
  readonly refusal?: string;
}

interface HubEvents {
  connect: [HubConnect];
  connected: [string];
  disconnected: [string];
  subscribed: [string, string];
  twinRequest: ['GET' | 'PATCH', string];
  reported: [string, Properties];
  event: [HubEvent];
  methodAnswer: [string];
  socket: [];
  /** After each of the others. */
  anything: [];
}

/**
 * Stand-in for edgeHub's MQTT endpoint: CONNECT with SAS tokens, stored sessions, twin, methods, events; and the
 * faults a test can ask for. Topics and status codes follow Azure/iotedge edge-hub (TwinAddressHelper,
 * DeviceMessageHandler, ReportedPropertiesValidator).
 */
export class EdgeHubStandin extends EventEmitter<HubEvents> {
  readonly connects: HubConnect[] = [];
  readonly events: HubEvent[] = [];
  /** Refuse every CONNECT with code 5. */
  refuseConnects = false;
  /** Take TCP connections and never say a word. */
  mute = false;
  twinFault: (operation: 'GET' | 'PATCH', moduleId: string) => TwinFault = () => undefined;
  readonly #options: EdgeHubStandinOptions;
  readonly #twins = new Map<string, HubTwin>();
  /** The MQTT sessions: topic filters by module, kept over reconnects (clean=false). */
  readonly #sessions = new Map<string, Map<string, number>>();
  readonly #online = new Map<string, Client>();
  readonly #expiry = new Map<Client, NodeJS.Timeout>();
  readonly #methods = new Map<string, (answer: { status: number; payload: unknown }) => void>();
  readonly #sockets = new Set<TLSSocket>();
  readonly #broker: Aedes;
  #server: Server | undefined;
  #port = 0;

  private constructor(options: EdgeHubStandinOptions, broker: Aedes) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
    this.#broker = broker;
    for (const moduleId of Object.keys(options.modules)) {
      this.#twins.set(moduleId, { desired: {}, reported: {}, desiredVersion: 1, reportedVersion: 1, synced: true });
    }
    this.#wire();
  }

  static async start(options: EdgeHubStandinOptions): Promise<EdgeHubStandin> {
    const broker = await Aedes.createBroker({ connectTimeout: 60_000, heartbeatInterval: 60_000 });
    const hub = new EdgeHubStandin(options, broker);
    await hub.listen();
    return hub;
  }

  get port(): number {
    return this.#port;
  }

  twin(moduleId: string): HubTwin {
    const twin = this.#twins.get(moduleId);
    if (!twin) throw new Error(`the hub knows no module ${moduleId}`);
    return twin;
  }

  isOnline(moduleId: string): boolean {
    return this.#online.has(moduleId);
  }

  /** Resolves once `condition` holds; looks at it after each event. Rejects after `limitMs`. */
  async waitFor(condition: (hub: this) => boolean, limitMs = 10_000): Promise<void> {
    const limit = AbortSignal.timeout(limitMs);
    while (!condition(this)) await once(this, 'anything', { signal: limit });
  }

  // ---- what the operator does in the cloud

  /** False: the module was not there to hear it. */
  patchDesired(moduleId: string, patch: Properties): boolean {
    const twin = this.twin(moduleId);
    twin.desired = mergeSection(twin.desired, patch);
    twin.desiredVersion++;
    return this.sendDesiredPatch(moduleId, { ...patch, $version: twin.desiredVersion }, twin.desiredVersion);
  }

  replaceDesired(moduleId: string, document: Properties): boolean {
    return this.patchDesired(moduleId, replacementPatch(this.twin(moduleId).desired, document));
  }

  /** Any text as a desired patch, right or wrong. */
  sendDesiredPatch(moduleId: string, patch: Properties | string, version: number): boolean {
    const text = typeof patch === 'string' ? patch : JSON.stringify(patch);
    return this.#deliver(moduleId, `$iothub/twin/PATCH/properties/desired/?$version=${version}`, text);
  }

  /** Rejects like IoT Hub: 404 when the module is not there, 504 without an answer. */
  async invokeMethod(
    moduleId: string,
    name: string,
    payload?: unknown,
    timeoutMs = 10_000,
  ): Promise<{ status: number; payload: unknown }> {
    const id = randomUUID();
    const answered = new Promise<{ status: number; payload: unknown }>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('504 the method timed out')), timeoutMs);
      this.#methods.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      const body = payload === undefined ? '' : JSON.stringify(payload);
      if (!this.#deliver(moduleId, `$iothub/methods/POST/${name}/?$rid=${id}`, body)) {
        clearTimeout(timer);
        reject(new Error('404 the module is not online'));
      }
    });
    return answered.finally(() => this.#methods.delete(id));
  }

  // ---- what goes wrong

  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** As a container re-created without host storage. */
  forgetSessions(): void {
    this.#sessions.clear();
  }

  async stopListening(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    this.dropConnections();
    await closed;
    await this.waitFor((hub) => hub.#online.size === 0);
  }

  /** Takes connections (again), on the same port. */
  async listen(): Promise<void> {
    const { cert, key } = this.#options;
    const server = createServer({ cert, key, minVersion: 'TLSv1.2' }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
      if (!this.mute) this.#broker.handle(socket);
      this.#tell('socket');
    });
    server.on('tlsClientError', () => undefined);
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    await this.stopListening();
    for (const timer of this.#expiry.values()) clearTimeout(timer);
    await new Promise<void>((resolve) => this.#broker.close(resolve));
  }

  // ---- MQTT

  #wire(): void {
    const broker = this.#broker;
    const packets = new WeakMap<Client, { clean: boolean; keepalive: number }>();
    broker.preConnect = (client, packet, done) => {
      packets.set(client, { clean: packet.clean ?? true, keepalive: packet.keepalive ?? 0 });
      done(null, true);
    };
    broker.authenticate = (client, userName = '', password, done) => {
      const token = password?.toString() ?? '';
      const { clean = true, keepalive = 0 } = packets.get(client) ?? {};
      const checked = this.#identify(client.id, userName, token);
      const moduleId = moduleOf(client.id);
      const refusal = 'refusal' in checked ? checked.refusal : undefined;
      const connect = { moduleId, userName, token, clean, keepaliveSeconds: keepalive };
      this.connects.push(refusal === undefined ? connect : { ...connect, refusal });
      if ('refusal' in checked) done(Object.assign(new Error(checked.refusal), { returnCode: 5 }), null);
      else {
        if (clean) this.#sessions.delete(moduleId);
        // edgeHub looks at its clients' tokens again and again and drops the expired (ConnectionReauthenticator).
        this.#expiry.set(
          client,
          setTimeout(() => client.conn.destroy(), Math.min(checked.expiresAt - Date.now(), 2 ** 31 - 1)),
        );
        done(null, true);
      }
      this.#tell('connect', refusal === undefined ? connect : { ...connect, refusal });
    };
    broker.authorizeSubscribe = (client, subscription, done) => {
      // aedes asks again when it restores a kept session: only what this hub still remembers comes back.
      const restoring = !(client as unknown as { connackSent: boolean }).connackSent;
      const known = this.#sessions.get(moduleOf(client.id))?.has(subscription.topic) ?? false;
      done(null, restoring && !known ? null : subscription);
    };
    broker.authorizePublish = (client, packet, done) => {
      if (!client) done(null);
      else if (this.#take(moduleOf(client.id), packet.topic, packet.payload.toString())) done(null);
      else done(new Error('unsupported topic')); // closes the connection, as IoT Hub does
    };
    // Modules never see each other's packets; what the hub itself sends passes here as well.
    broker.authorizeForward = (_client, packet) =>
      /^\$iothub\/(twin\/(res|PATCH\/properties\/desired)|methods\/POST)\//.test(packet.topic) ? packet : null;
    broker.on('subscribe', (subscriptions, client) => {
      const moduleId = moduleOf(client.id);
      const session = this.#sessions.get(moduleId) ?? new Map<string, number>();
      this.#sessions.set(moduleId, session);
      for (const { topic, qos } of subscriptions) {
        session.set(topic, qos);
        this.#tell('subscribed', moduleId, topic);
      }
    });
    broker.on('clientReady', (client) => {
      this.#online.set(moduleOf(client.id), client);
      this.#tell('connected', moduleOf(client.id));
    });
    broker.on('clientDisconnect', (client) => {
      clearTimeout(this.#expiry.get(client));
      this.#expiry.delete(client);
      if (this.#online.get(moduleOf(client.id)) === client) this.#online.delete(moduleOf(client.id));
      this.#tell('disconnected', moduleOf(client.id));
    });
  }

  /** User name: `<hub>/<device>/<module>/?api-version=…&…`; client id: `<device>/<module>`. */
  #identify(clientId: string, userName: string, token: string): ReturnType<typeof checkToken> {
    if (this.refuseConnects) return { refusal: 'injected' };
    const { hubName, deviceId, modules } = this.#options;
    const [host, device, moduleId = '', rest = ''] = userName.split('/');
    if (!new URLSearchParams(rest).has('api-version')) return { refusal: 'no api-version' };
    if (clientId !== `${device}/${moduleId}`) return { refusal: 'client id and user name differ' };
    const key = modules[moduleId];
    if (host !== hubName || device !== deviceId || key === undefined) return { refusal: 'unknown identity' };
    return checkToken(token, { hubName, deviceId, moduleId, key });
  }

  /** False: nothing a module may publish to. */
  #take(moduleId: string, topic: string, body: string): boolean {
    const twin = /^\$iothub\/twin\/(GET|PATCH\/properties\/reported)\/\?\$rid=(.+)$/.exec(topic);
    const method = /^\$iothub\/methods\/res\/(-?\d+)\/\?\$rid=(.+)$/.exec(topic);
    const event = /^devices\/[^/]+\/modules\/[^/]+\/messages\/events\/([^/]*)\/?$/.exec(topic);
    if (twin) {
      const operation = twin[1] === 'GET' ? 'GET' : 'PATCH';
      setImmediate(() => this.#answerTwin(operation, moduleId, twin[2] ?? '', body));
    } else if (method) {
      const payload: unknown = body === '' ? undefined : JSON.parse(body);
      this.#methods.get(method[2] ?? '')?.({ status: Number(method[1]), payload });
      this.#tell('methodAnswer', moduleId);
    } else if (event) {
      const properties = Object.fromEntries(new URLSearchParams(event[1]));
      const taken = { moduleId, output: properties['$.on'], properties, body };
      this.events.push(taken);
      this.#tell('event', taken);
    } else return false;
    return true;
  }

  #answerTwin(operation: 'GET' | 'PATCH', moduleId: string, id: string, body: string): void {
    const twin = this.twin(moduleId);
    const fault = this.twinFault(operation, moduleId);
    const answer = (status: number, payload: string): void =>
      void this.#deliver(moduleId, `$iothub/twin/res/${status}/?$rid=${id}`, payload);
    if (fault === 'silent') {
      // Not a word.
    } else if (fault) answer(fault.status, fault.body ?? '');
    else if (operation === 'GET') {
      const desired = twin.synced ? { ...twin.desired, $version: twin.desiredVersion } : {};
      const reported = twin.synced ? { ...twin.reported, $version: twin.reportedVersion } : {};
      answer(200, JSON.stringify({ desired, reported }));
    } else {
      const patch = JSON.parse(body) as Properties;
      if (reportedRefusal(patch) === undefined) {
        twin.reported = mergeSection(twin.reported, patch);
        twin.reportedVersion++;
        answer(204, ''); // edgeHub: without &$version=, which IoT Hub appends
        this.#tell('reported', moduleId, patch);
      } else answer(400, ''); // edgeHub: with an empty body
    }
    this.#tell('twinRequest', operation, moduleId);
  }

  /** To one module, and only where its session has a filter for it. */
  #deliver(moduleId: string, topic: string, payload: string): boolean {
    const filters = [...(this.#sessions.get(moduleId)?.keys() ?? [])];
    const client = this.#online.get(moduleId);
    if (!client || !filters.some((filter) => topic.startsWith(filter.replace(/#$/, '')))) return false;
    client.publish({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false }, () => undefined);
    return true;
  }

  #tell<Name extends keyof HubEvents>(name: Name, ...details: HubEvents[Name]): void {
    (this as EventEmitter).emit(name, ...(details as unknown[]));
    this.emit('anything');
  }
}

function moduleOf(clientId: string): string {
  return clientId.slice(clientId.indexOf('/') + 1);
}
