import type { LogLevel, Mode, RemovalSettings, TransferBudget } from './settings.ts';

/** The desired properties as written, once `schema.ts` has accepted them and filled in its defaults. */
export interface DesiredProperties {
  readonly mode: Mode;
  readonly parent?: {
    readonly gatewayEndpoint?: string;
    readonly protocol?: 'http' | 'https';
    readonly syncToken?: { readonly name: string; readonly password: string };
    readonly syncProperties: { readonly schedule: string; readonly syncWindow?: string; readonly messageTtl: string };
  };
  readonly repositories: readonly (string | DesiredRepository)[];
  readonly clientTokens: readonly {
    readonly name: string;
    readonly status: 'enabled' | 'disabled';
    readonly scopeMap: string;
    readonly passwords: readonly DesiredPassword[];
  }[];
  readonly scopeMaps: readonly { readonly name: string; readonly actions: readonly string[] }[];
  readonly children: readonly {
    readonly name: string;
    readonly mode: Mode;
    readonly repositories: readonly string[];
    readonly syncToken: {
      readonly name: string;
      readonly status: 'enabled' | 'disabled';
      readonly passwords: readonly DesiredPassword[];
    };
  }[];
  readonly activation: { readonly status: 'Active' | 'Inactive' };
  readonly onDemand: boolean;
  readonly transfer: {
    readonly concurrency: number;
    readonly bytesPerSecond: number;
    readonly budgets: readonly TransferBudget[];
  };
  readonly removal: RemovalSettings;
  readonly storage: { readonly quotaBytes: number };
  readonly logging: { readonly logLevel: LogLevel; readonly auditLogStatus: 'Enabled' | 'Disabled' };
  readonly garbageCollection: { readonly enabled: boolean; readonly schedule: string };
  readonly notificationsList: readonly string[];
  readonly limits: { readonly clientTokens: number };
}

export interface DesiredRepository {
  readonly name: string;
  readonly tags: readonly string[];
  readonly semver?: string;
  readonly platforms: readonly string[];
}

export interface DesiredPassword {
  readonly name: string;
  readonly hash: string;
  readonly expiry?: string;
}
