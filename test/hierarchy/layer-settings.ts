import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import type { Properties } from '../helpers/edgehub-rules.ts';
import type { Account } from '../helpers/pull-image.ts';

/** Pulls and pushes at every layer of these tests. */
export const operator: Account = { name: 'operator', password: 'operator-password' };
/** Of the topmost connected registry, and of who pushes to the cloud. */
export const cloudAccount: Account = { name: 'cloudsync', password: 'cloud-sync-password' };

const verbs = ['content/read', 'content/write', 'content/delete', 'metadata/read', 'metadata/write'];

/** Desired properties of a layer that keeps `plant/*`, where `operator` may do everything; `more` replaces sections. */
export async function layerSettings(more: Properties = {}): Promise<Properties> {
  return {
    mode: 'ReadWrite',
    parent: { syncProperties: { schedule: '* * * * *' } },
    repositories: ['plant/*'],
    scopeMaps: [{ name: 'operators', actions: verbs.map((verb) => `repositories/plant/*/${verb}`) }],
    clientTokens: [{ name: operator.name, scopeMap: 'operators', passwords: await passwordsOf(operator) }],
    ...more,
  };
}

export async function passwordsOf({ password }: Account): Promise<Properties[]> {
  return [{ name: 'password1', hash: await hashPassword(password) }];
}
