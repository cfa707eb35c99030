import { parseDurationMs } from './duration.ts';
import { limits } from './limits.ts';
import { continuousSchedule } from './schedule.ts';
import { choice, flag, group, list, text, wholeNumber, type Schema } from './schema-words.ts';
import { weekdays } from './transfer-rate.ts';

const passwords = list(
  'hashes that are accepted; two, so that one can be changed while the other works',
  group(
    {
      name: text('tells the passwords apart', { format: 'name' }),
      hash: text('scrypt hash as a PHC string', { format: 'scrypt-hash' }),
      expiry: text('when it stops working; never without it', { format: 'timestamp' }),
    },
    { required: ['name', 'hash'] },
  ),
  { default: [], maxItems: limits.passwordsPerToken.value },
);

const modes = ['ReadOnly', 'ReadWrite'];

const repositoryRule: Schema = {
  ...group(
    {
      name: text('repository name, or a pattern with *', { format: 'repository-pattern' }),
      tags: list('tags wanted, as globs; ! excludes; empty: all', text('tag glob', { format: 'tag-glob' }), {
        default: [],
      }),
      semver: text('range of the versions wanted, such as >=1.5 <2; tags that are no version are left out', {
        format: 'semver-range',
      }),
      platforms: list('platforms wanted of an image index; empty: all', text('platform', { format: 'platform' }), {
        default: [],
      }),
    },
    { required: ['name'] },
  ),
  type: ['string', 'object'],
  format: 'repository-pattern',
};

const defaultMessageTtl = 'P2D';
/** Of a registry without a parent too: its children's changes. */
export const defaultMessageTtlMs = parseDurationMs(defaultMessageTtl) ?? 0;

/**
 * The desired properties (product contract, "Desired properties"): the one table of settings, with their defaults
 * and meanings. What JSON Schema cannot say stands in `rules.ts`.
 */
export const schema: Schema = group({
  mode: choice('ReadOnly serves pulls only; ReadWrite also takes pushes and carries them up', modes, {
    default: 'ReadWrite',
  }),
  parent: group({
    gatewayEndpoint: text('host[:port] of the parent; from the connection string when absent', { format: 'endpoint' }),
    protocol: choice('how to reach the parent; that of the connection string where its endpoint is used, else https', [
      'http',
      'https',
    ]),
    syncToken: group(
      {
        name: text('name of the sync token, in place of that in the connection string', { format: 'user-name' }),
        password: text('its password; rotates without a restart'),
      },
      { required: ['name', 'password'] },
    ),
    syncProperties: group(
      {
        schedule: text('cron, UTC; * * * * * is continuous', { format: 'cron', default: continuousSchedule }),
        syncWindow: text('how long a run may last, PT1H to P7D; required unless continuous', { format: 'sync-window' }),
        messageTtl: text('how long changes are kept for children, P1D to P90D', {
          format: 'message-ttl',
          default: defaultMessageTtl,
        }),
      },
      { default: {} },
    ),
  }),
  repositories: list('what is kept in sync with the parent, in this order, each a name or an object', repositoryRule, {
    default: [],
  }),
  clientTokens: list(
    `who may log in, at most ${limits.clientTokens.value} (see limits.clientTokens)`,
    group(
      {
        name: text('user name', { format: 'name' }),
        status: choice('disabled shuts it out at once', ['enabled', 'disabled'], { default: 'enabled' }),
        scopeMap: text('name of the scope map that says what it may do', { format: 'name' }),
        passwords,
      },
      { required: ['name', 'scopeMap'] },
    ),
    { default: [] },
  ),
  scopeMaps: list(
    'named sets of permissions',
    group(
      {
        name: text('name tokens refer to', { format: 'name' }),
        actions: list(
          `permissions, at most ${limits.repositoryPermissions.value} on repositories`,
          text('permission', { format: 'permission' }),
          { default: [] },
        ),
      },
      { required: ['name'] },
    ),
    { default: [] },
  ),
  children: list(
    'connected registries below this one',
    group(
      {
        name: text('name of the child', { format: 'registry-name' }),
        mode: choice('mode of the child; a ReadOnly registry accepts only ReadOnly children', modes, {
          default: 'ReadOnly',
        }),
        repositories: list(
          'what the child may have, within what this registry has',
          text('repository pattern', { format: 'repository-pattern' }),
          { default: [] },
        ),
        syncToken: group(
          {
            name: text('user name of the child', { format: 'name' }),
            status: choice('disabled switches the child off: it may neither sync nor pull', ['enabled', 'disabled'], {
              default: 'enabled',
            }),
            passwords,
          },
          { required: ['name'] },
        ),
      },
      { required: ['name', 'syncToken'] },
    ),
    { default: [] },
  ),
  activation: group(
    {
      status: choice('Inactive stops serving and syncing and keeps the data', ['Active', 'Inactive'], {
        default: 'Active',
      }),
    },
    { default: {} },
  ),
  onDemand: flag('fetch from the parent, in the repositories above, what a client misses', { default: false }),
  transfer: group(
    {
      concurrency: wholeNumber(
        'blobs at a time; of those up to 64 KiB 4 times as many, 32 times at a parent of ours',
        1,
        {
          maximum: limits.transferConcurrency.value,
          default: 4,
        },
      ),
      bytesPerSecond: wholeNumber('bytes per second from and to the parent, in all; 0: no limit', 0, { default: 0 }),
      budgets: list(
        'other rates by time of day; the first whose time it is counts',
        group(
          {
            from: text('begin, HH:MM UTC', { format: 'time-of-day' }),
            to: text('end, HH:MM UTC; earlier than from: on the next day', { format: 'time-of-day' }),
            days: list('days on which it begins, Mon to Sun; empty: every day', choice('weekday', weekdays), {
              default: [],
            }),
            bytesPerSecond: wholeNumber('bytes per second in this time; 0: no limit', 0),
          },
          { required: ['from', 'to', 'bytesPerSecond'] },
        ),
        { default: [] },
      ),
    },
    { default: {} },
  ),
  removal: group(
    {
      maxPercent: wholeNumber(
        'share of the tags held, in percent; what sync would remove within a day beyond it waits for a confirmation',
        0,
        { maximum: 100, default: 50 },
      ),
      freeTags: wholeNumber('so many tags a day go without confirmation, whatever their share', 0, { default: 20 }),
    },
    { default: {} },
  ),
  storage: group(
    { quotaBytes: wholeNumber('bytes this registry may fill; 0: no limit', 0, { default: 0 }) },
    { default: {} },
  ),
  logging: group(
    {
      logLevel: choice('least important lines shown', ['Debug', 'Information', 'Warning', 'Error', 'None'], {
        default: 'Information',
      }),
      auditLogStatus: choice('Enabled logs who did what', ['Enabled', 'Disabled'], { default: 'Disabled' }),
    },
    { default: {} },
  ),
  garbageCollection: group(
    {
      enabled: flag('remove what nothing refers to', { default: true }),
      schedule: text('cron, UTC', { format: 'cron', default: '0 5 * * *' }),
    },
    { default: {} },
  ),
  notificationsList: list(
    'events told to the cloud, name[:tag][@digest]:action',
    text('notification filter', { format: 'notification' }),
    { default: [] },
  ),
  limits: group(
    {
      clientTokens: wholeNumber('client tokens accepted', 1, {
        maximum: limits.clientTokensRaised.value,
        default: limits.clientTokens.value,
      }),
    },
    { default: {} },
  ),
});
