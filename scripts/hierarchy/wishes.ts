import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Hierarchy } from './hierarchy.ts';
import type { Wish } from './passwords.ts';

/** Which tokens of which layers are to get another password, or to lose their older one. */
export interface Wishes {
  sync(layer: string): Wish;
  client(layer: string, token: string): Wish;
  readonly problems: readonly Problem[];
}

interface Found {
  readonly layer: string;
  /** Undefined: the layer's sync token. */
  readonly token: string | undefined;
}

/** Reads the names given to `--rotate` and `--retire`: `<layer>` is a sync token, `<token>` or `<layer>/<token>` a client's. */
export function readWishes({ layers }: Hierarchy, rotate: readonly string[], retire: readonly string[]): Wishes {
  const tokens = layers.flatMap(({ name, clientTokens }): Found[] => [
    { layer: name, token: undefined },
    ...clientTokens.map((token) => ({ layer: name, token: token.name })),
  ]);
  const wishes = new Map<string, Wish>();
  const problems: Problem[] = [];
  const tops = new Set(layers.filter(({ parent }) => parent === undefined).map(({ name }) => name));
  const wished = [
    ...rotate.map((text) => ['rotate', text] as const),
    ...retire.map((text) => ['retire', text] as const),
  ];
  for (const [wish, text] of wished) {
    const found = tokens.filter(({ layer, token }) => [token ?? layer, `${layer}/${token ?? layer}`].includes(text));
    const [one] = found;
    const path = `--${wish}`;
    if (!one)
      problems.push({
        path,
        message: `${text} is no token of the hierarchy; name a layer, a client token, or layer/token`,
      });
    else if (found.length > 1)
      problems.push({ path, message: `${text} is a token of several layers; name one of ${listOf(found)}` });
    else if (wish === 'retire' && one.token === undefined && tops.has(one.layer))
      problems.push({ path, message: `${text} is a top layer, whose older password the cloud registry must retire` });
    else if (wishes.has(keyOf(one))) problems.push({ path, message: `${text} is named twice` });
    else wishes.set(keyOf(one), wish);
  }
  return {
    sync: (layer) => wishes.get(keyOf({ layer, token: undefined })) ?? 'keep',
    client: (layer, token) => wishes.get(keyOf({ layer, token })) ?? 'keep',
    problems,
  };
}

function keyOf({ layer, token }: Found): string {
  return token === undefined ? layer : `${layer}/${token}`;
}

function listOf(found: readonly Found[]): string {
  return found.map(({ layer, token }) => `${layer}/${token ?? layer}`).join(', ');
}
