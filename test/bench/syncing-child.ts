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
  passEnded(): Promise<void>;
}

const childName = 'benchchild';
const syncToken = { name: 'childsync', password: 'child-sync-password' };

/** One that was begun anew says `state=Pending`. */
const passEnd = /A sync pass ended\..* state=(?!Pending)/;
const passLimitMs = 300_000;

/** Desired properties of a parent of ours that lets the child in, and how the child reaches it. */
export async function asParent() {
  const passwords = [{ name: 'password1', hash: await hashPassword(syncToken.password) }];
  const child = { name: childName, mode: 'ReadOnly', repositories: ['*'] };
  return {
    desired: { children: [{ ...child, syncToken: { name: syncToken.name, passwords } }] },
    parent: { syncToken },
  };
}

/** Starts the build below `parent`; nobody waits for its first pass. */
export async function launchChild(options: {
  readonly directory: string;
  readonly parent: ParentOfChild;
  readonly repositories: readonly string[];
  readonly preload?: string;
}): Promise<SyncingChild> {
  const { directory, parent, repositories, preload } = options;
  const { endpoint, syncToken: token } = parent;
  const child = await launchOurs({
    directory,
    ...(preload !== undefined && { preload }),
    desired: { mode: 'ReadOnly', repositories, logging: { logLevel: 'Debug' } },
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
  };
}
