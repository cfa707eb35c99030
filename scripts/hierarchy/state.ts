import { readFile } from 'node:fs/promises';
import type { DesiredPassword } from '../../modules/registry/src/settings/desired-properties.ts';
import { createCheck } from '../../modules/registry/src/settings/schema-problems.ts';
import { schema as settings } from '../../modules/registry/src/settings/schema.ts';
import { choice, group, list, text, type Schema } from '../../modules/registry/src/settings/schema-words.ts';
import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import { platforms, type Platform } from '../deployment/module-source.ts';
import type { CloudGrant } from './cloud-permissions.ts';

/** What the last `apply` made: hashes, never a password. */
export interface State {
  readonly version: 1;
  readonly layers: readonly LayerState[];
}

export interface LayerState {
  readonly name: string;
  readonly parent?: string;
  readonly device: string;
  readonly iotHub: string;
  readonly platform: Platform;
  readonly desired: JsonObject;
  /** Of the sync token, where the parent is one of the layers; the newest last. */
  readonly syncPasswords: readonly DesiredPassword[];
  /** Of a top layer. */
  readonly cloud?: CloudState;
}

export interface CloudState {
  readonly loginServer: string;
  readonly kind: 'acr' | 'oci';
  /** Which of the two passwords of the cloud registry's token is in use. */
  readonly password: 'password1' | 'password2';
  readonly grants: readonly CloudGrant[];
}

export const stateFileName = 'hierarchy.state.json';
export const emptyState: State = { version: 1, layers: [] };

const passwords: Schema = settings.properties?.['clientTokens']?.items?.properties?.['passwords'] ?? { type: 'array' };

const checkState = createCheck<Omit<State, 'version'>>(
  group(
    {
      version: { type: 'integer', minimum: 1, maximum: 1 },
      layers: list(
        'layers',
        group(
          {
            name: text('name'),
            parent: text('parent'),
            device: text('device'),
            iotHub: text('hub'),
            platform: choice('platform', platforms),
            desired: { type: 'object' },
            syncPasswords: passwords,
            cloud: group(
              {
                loginServer: text('host'),
                kind: choice('kind', ['acr', 'oci']),
                password: choice('password', ['password1', 'password2']),
                grants: list(
                  'grants',
                  group({ repository: text('repository'), actions: list('actions', text('action')) }),
                ),
              },
              { required: ['loginServer', 'kind', 'password', 'grants'] },
            ),
          },
          { required: ['name', 'device', 'iotHub', 'platform', 'desired', 'syncPasswords'] },
        ),
      ),
    },
    { required: ['version', 'layers'] },
  ),
);

/** The state in `file`; the empty one where there is no file. Throws with the reason where it cannot be used. */
export async function readState(file: string): Promise<State> {
  const content = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (content === undefined) return emptyState;
  const checked = checkState(parse(content, file));
  if (checked.ok) return { ...checked.document, version: 1 };
  const [problem] = checked.problems;
  throw new Error(`${file} is not the state of a hierarchy: ${problem?.path ?? ''} ${problem?.message ?? ''}`);
}

function parse(content: string, file: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new Error(`${file} is not JSON; restore it, or remove it to make every secret anew`);
  }
}

/** The passwords that a client token had. */
export function clientPasswordsOf(state: LayerState | undefined, token: string): readonly DesiredPassword[] {
  const tokens = state?.desired['clientTokens'] as
    readonly { name: string; passwords: DesiredPassword[] }[] | undefined;
  // The expiry is that of the file, not of the password.
  return tokens?.find(({ name }) => name === token)?.passwords.map(({ name, hash }) => ({ name, hash })) ?? [];
}
