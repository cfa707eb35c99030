export type Key = string | number;
/** A value of a document, and where it is. */
export interface Place {
  readonly keys: readonly Key[];
  readonly value: unknown;
}

/** A valid document that says everything there is to say. */
export function fullDocument() {
  const hash = '$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5';
  return {
    mode: 'ReadWrite',
    parent: {
      gatewayEndpoint: 'contoso.azurecr.io',
      protocol: 'https',
      syncToken: { name: 'plant7-sync', password: 'not-so-secret+/=' },
      syncProperties: { schedule: '0 22 * * *', syncWindow: 'PT3H', messageTtl: 'P2D' },
    },
    repositories: [
      'plant/*',
      {
        name: 'azureiotedge-hub',
        tags: ['1.5*', '!*-rc*'],
        semver: '>=1.5 <2',
        platforms: ['linux/amd64', 'linux/arm/v7'],
      },
    ],
    clientTokens: [
      {
        name: 'line3',
        status: 'enabled',
        scopeMap: 'pullers',
        passwords: [
          { name: 'password1', hash, expiry: '2027-01-01T00:00:00Z' },
          { name: 'password2', hash },
        ],
      },
    ],
    scopeMaps: [
      {
        name: 'pullers',
        actions: [
          'repositories/plant/*/content/read',
          'repositories/plant/*/metadata/read',
          'gateway/plant7line3/message/read',
        ],
      },
    ],
    children: [
      {
        name: 'plant7line3',
        mode: 'ReadOnly',
        repositories: ['plant/*'],
        syncToken: {
          name: 'plant7line3-sync',
          status: 'disabled',
          passwords: [{ name: 'password1', hash, expiry: '2027-01-01T00:00:00Z' }],
        },
      },
    ],
    activation: { status: 'Active' },
    onDemand: false,
    transfer: {
      concurrency: 4,
      bytesPerSecond: 0,
      budgets: [{ from: '06:00', to: '22:00', days: ['Mon'], bytesPerSecond: 125_000 }],
    },
    removal: { maxPercent: 30, freeTags: 5 },
    storage: { quotaBytes: 0 },
    logging: { logLevel: 'Information', auditLogStatus: 'Disabled' },
    garbageCollection: { enabled: true, schedule: '0 5 * * *' },
    notificationsList: ['plant/*:*:push'],
    limits: { clientTokens: 30 },
  };
}

/** The full document with one value replaced; undefined takes it out. */
export function changed({ keys, value }: Place): unknown {
  const document: unknown = fullDocument();
  if (keys.length === 0) return value;
  let node = document as Record<Key, unknown>;
  for (const key of keys.slice(0, -1)) node = node[key] as Record<Key, unknown>;
  const last = keys.at(-1)!;
  if (value === undefined) Reflect.deleteProperty(node, last);
  else Object.defineProperty(node, last, { value, enumerable: true, configurable: true, writable: true });
  return document;
}

export function placesOf(value: unknown, keys: readonly Key[] = []): Place[] {
  if (typeof value !== 'object' || value === null) return [{ keys, value }];
  const inner = Array.isArray(value)
    ? value.flatMap((item, index) => placesOf(item, [...keys, index]))
    : Object.entries(value).flatMap(([key, item]) => placesOf(item, [...keys, key]));
  return [{ keys, value }, ...inner];
}
