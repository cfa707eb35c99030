import { verifyPassword } from '../../modules/registry/src/auth/password-hash.ts';
import type { DesiredPassword } from '../../modules/registry/src/settings/desired-properties.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Layer } from './hierarchy.ts';
import { passwordsOf, type Issue, type Wish } from './passwords.ts';
import { clientPasswordsOf, type CloudState, type LayerState } from './state.ts';
import type { Wishes } from './wishes.ts';

export interface IssuedSecret {
  readonly layer: string;
  readonly token: string;
  readonly kind: 'sync token' | 'client token';
  readonly passwordName: string;
  /** Undefined in a plan. */
  readonly password: string | undefined;
}

/** Everything secret of one layer. */
export interface LayerTokens {
  /** Of the sync token; undefined: not known yet. */
  readonly password: string | undefined;
  readonly sync: readonly DesiredPassword[];
  readonly cloudPassword: CloudState['password'];
  readonly client: ReadonlyMap<string, readonly DesiredPassword[]>;
  readonly secrets: readonly IssuedSecret[];
  readonly problems: readonly Problem[];
}

export const noTokens: LayerTokens = {
  password: undefined,
  sync: [],
  cloudPassword: 'password1',
  client: new Map(),
  secrets: [],
  problems: [],
};

export interface TokenOptions {
  readonly wishes: Wishes;
  readonly issue: Issue;
  /** host[:port] of the cloud registry. */
  readonly loginServer: string;
  /** The plain password of the sync token, where its `.env` holds one. */
  readonly written: string | undefined;
}

/** The passwords of a layer's sync token and client tokens: those it had before, and new ones where there is none. */
export async function layerTokens(
  layer: Layer,
  before: LayerState | undefined,
  { wishes, issue, loginServer, written }: TokenOptions,
): Promise<LayerTokens> {
  const client = new Map<string, readonly DesiredPassword[]>();
  const secrets: IssuedSecret[] = [];
  for (const { name } of layer.clientTokens) {
    const made = await passwordsOf(clientPasswordsOf(before, name), wishes.client(layer.name, name), issue);
    client.set(name, made.passwords);
    if (made.issued)
      secrets.push({
        layer: layer.name,
        token: name,
        kind: 'client token',
        passwordName: made.issued.name,
        password: made.issued.password,
      });
  }
  const wish = wishes.sync(layer.name);
  if (layer.parent === undefined) {
    return { ...noTokens, client, secrets, ...topToken(before, loginServer, wish, written) };
  }
  const { passwords: sync, issued } = await passwordsOf(before?.syncPasswords ?? [], wish, issue);
  if (issued) {
    secrets.push({
      layer: layer.name,
      token: layer.name,
      kind: 'sync token',
      passwordName: issued.name,
      password: issued.password,
    });
    return { ...noTokens, client, secrets, sync, password: issued.password };
  }
  const isRight = written !== undefined && (await verifyPassword(written, sync.at(-1)?.hash ?? ''));
  const message = `has lost the password of its sync token, or holds another one, in its .env; make a new one with --rotate ${layer.name}`;
  return {
    ...noTokens,
    client,
    secrets,
    sync,
    password: written,
    problems: isRight ? [] : [{ path: layer.path, message }],
  };
}

/** The cloud registry makes the password of a top layer; what stands in `.env` counts unless it is for another registry. */
function topToken(
  before: LayerState | undefined,
  loginServer: string,
  wish: Wish,
  written: string | undefined,
): Pick<LayerTokens, 'password' | 'cloudPassword'> {
  const inUse = before?.cloud?.password ?? 'password1';
  if (wish === 'rotate')
    return { password: undefined, cloudPassword: inUse === 'password1' ? 'password2' : 'password1' };
  const isForOther = before !== undefined && before.cloud?.loginServer !== loginServer;
  return { password: isForOther ? undefined : written, cloudPassword: inUse };
}
