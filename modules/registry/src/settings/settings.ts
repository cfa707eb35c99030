import type { Platform } from '../oci/manifest.ts';
import type { RepositoryPattern } from '../oci/pattern.ts';

/** The checked, frozen form of the desired properties. Every default is filled in. */
export interface Settings {
  readonly mode: Mode;
  /** Undefined: this registry has no parent and syncs nothing. */
  readonly parent: ParentSettings | undefined;
  readonly repositories: readonly RepositoryRule[];
  readonly clientTokens: readonly ClientToken[];
  readonly scopeMaps: readonly ScopeMap[];
  readonly children: readonly ChildRegistry[];
  readonly activation: { readonly status: 'Active' | 'Inactive' };
  readonly onDemand: boolean;
  readonly transfer: TransferSettings;
  readonly removal: RemovalSettings;
  readonly storage: { readonly quotaBytes: number };
  readonly logging: { readonly logLevel: LogLevel; readonly auditLogStatus: 'Enabled' | 'Disabled' };
  readonly garbageCollection: { readonly enabled: boolean; readonly schedule: string };
  readonly notificationsList: readonly string[];
}

export type Mode = 'ReadOnly' | 'ReadWrite';
export type LogLevel = 'Debug' | 'Information' | 'Warning' | 'Error' | 'None';

export interface ParentSettings {
  /** host[:port], `$NAME`s already replaced. */
  readonly gatewayEndpoint: string;
  readonly protocol: 'http' | 'https';
  readonly syncToken: Credentials | undefined;
  readonly syncProperties: SyncProperties;
}

export interface Credentials {
  readonly name: string;
  readonly password: string;
}

export interface SyncProperties {
  /** Cron, five fields, UTC. `* * * * *` is continuous. */
  readonly schedule: string;
  /** Undefined only when continuous. */
  readonly syncWindowMs: number | undefined;
  readonly messageTtlMs: number;
}

export interface RepositoryRule {
  readonly name: RepositoryPattern;
  /** Globs; `!` in front excludes. Empty: every tag. */
  readonly tags: readonly string[];
  /** Range of versions (node-semver); beside the globs, not in their place. Undefined: every tag they take. */
  readonly semver?: string;
  /** Empty: every platform. */
  readonly platforms: readonly Platform[];
}

export interface ClientToken {
  readonly name: string;
  readonly status: 'enabled' | 'disabled';
  readonly scopeMap: string;
  readonly passwords: readonly TokenPassword[];
}

export interface TokenPassword {
  readonly name: string;
  /** PHC string, `$scrypt$ln=15,r=8,p=1$<salt>$<key>`. */
  readonly hash: string;
  readonly expiry: Date | undefined;
}

export interface ScopeMap {
  readonly name: string;
  readonly permissions: readonly Permission[];
}

/** One parsed scope-map action: `repositories/<pattern>/content/read` or `gateway/<registry>/message/read`. */
export type Permission =
  | { readonly kind: 'repository'; readonly pattern: RepositoryPattern; readonly action: RepositoryAction }
  | { readonly kind: 'gateway'; readonly registry: string; readonly action: GatewayAction };

export type RepositoryAction = 'content/read' | 'content/write' | 'content/delete' | 'metadata/read' | 'metadata/write';
export type GatewayAction = 'config/read' | 'config/write' | 'message/read' | 'message/write';

export interface ChildRegistry {
  readonly name: string;
  readonly mode: Mode;
  readonly repositories: readonly RepositoryPattern[];
  readonly syncToken: {
    readonly name: string;
    readonly status: 'enabled' | 'disabled';
    readonly passwords: readonly TokenPassword[];
  };
}

/** What sync may remove within a day without being confirmed: both have to be exceeded before anything waits. */
export interface RemovalSettings {
  readonly freeTags: number;
  /** Of the tags held. */
  readonly maxPercent: number;
}

export interface TransferSettings {
  readonly concurrency: number;
  /** 0: no limit. */
  readonly bytesPerSecond: number;
  readonly budgets: readonly TransferBudget[];
}

export interface TransferBudget {
  /** `HH:MM`, UTC. */
  readonly from: string;
  readonly to: string;
  /** On which it begins; empty: every day. */
  readonly days: readonly Weekday[];
  readonly bytesPerSecond: number;
}

export type Weekday = 'Mon' | 'Tue' | 'Wed' | 'Thu' | 'Fri' | 'Sat' | 'Sun';

/** One thing wrong with a document: where, and the rule that is broken. Never shows a secret. */
export interface Problem {
  /** JSON pointer, `/clientTokens/0/scopeMap`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
}

export type ParsedSettings =
  | {
      readonly ok: true;
      readonly settings: Settings;
      /** Accepted, but without effect. */ readonly warnings: readonly Problem[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };
