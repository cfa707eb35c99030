import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { until } from '../helpers/until.ts';
import { launchOurs, type Contender } from './contenders.ts';

export interface ParentOfChild {
  readonly endpoint: string;
  readonly syncToken?: { readonly name: string; readonly password: string };
}

/** A connected registry that syncs, outside IoT Edge. */
export interface SyncingChild extends Contender {
  /** The pass after the last one that was waited for; throws unless it succeeded. */
  readonly passEnded: () => Promise<void>;
  /** Another order of repositories: a pass begins at once. */
  readonly reorder: (repositories: readonly string[]) => Promise<void>;
}

const childName = 'benchchild';
export const syncToken = { name: 'childsync', password: 'child-sync-password' };

/** One that was begun anew says `state=Pending`. */
const passEnd = /A sync pass ended\..* state=(?!Pending)/;
const passLimitMs = 300_000;

/** Desired properties of a parent of ours that lets the child in. */
export async function parentSettings(): Promise<object> {
  const passwords = [{ name: 'password1', hash: await hashPassword(syncToken.password) }];
  const child = { name: childName, mode: 'ReadOnly', repositories: ['*'] };
  return { children: [{ ...child, syncToken: { name: syncToken.name, passwords } }] };
}

/** Starts the build below `parent`; nobody waits for its first pass. */
export async function launchChild(options: {
  readonly directory: string;
  readonly parent: ParentOfChild;
  readonly repositories: readonly string[];
  /** Instead of one pass a minute. */
  readonly syncProperties?: { readonly schedule: string; readonly syncWindow: string };
  readonly preload?: string;
}): Promise<SyncingChild> {
  const { directory, parent, repositories, syncProperties, preload } = options;
  const { endpoint, syncToken: token } = parent;
  const child = await launchOurs({
    directory,
    ...(preload !== undefined && { preload }),
    desired: {
      ...{ mode: 'ReadOnly', repositories, logging: { logLevel: 'Debug' } },
      ...(syncProperties && { parent: { syncProperties } }),
    },
    environment: {
      ACR_REGISTRY_CONNECTION_STRING: [
        `ConnectedRegistryName=${childName}`,
        `SyncTokenName=${token?.name ?? 'nobody'}`,
        `SyncTokenPassword=${token?.password ?? 'nothing'}`,
        `ParentGatewayEndpoint=${endpoint}`,
        'ParentEndpointProtocol=http',
      ].join(';'),
    },
  });
  let passes = 0;
  return {
    ...child,
    async passEnded() {
      passes += 1;
      const ended = child.program.exited.then((code) => {
        throw new Error(`the child ended with ${String(code)}: ${child.program.output}`);
      });
      ended.catch(() => undefined);
      const pass = until(
        `the child's pass ${passes} ends`,
        async () => child.program.lines.filter((line) => passEnd.test(line))[passes - 1],
        passLimitMs,
      );
      const line = await Promise.race([pass, ended]);
      if (!line.includes('Succeeded')) throw new Error(`a pass failed: ${child.program.output}`);
    },
    async reorder(reordered) {
      const file = join(directory, 'settings.json');
      const desired = JSON.parse(await readFile(file, 'utf8')) as object;
      await writeFile(file, JSON.stringify({ ...desired, repositories: reordered }));
    },
  };
}
