import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import type { RenderedDeployment } from '../deployment/render-deployment.ts';
import { cloudGrants, grantLimits, patternNotes, writtenRepositories } from './cloud-permissions.ts';
import { desiredProblems, desiredProperties } from './desired-properties.ts';
import { brokenHierarchyRules } from './hierarchy-rules.ts';
import { childrenOf, topDown, type Gateway, type Hierarchy, type Layer } from './hierarchy.ts';
import { foreignImages, pulledFrom } from './images.ts';
import { layerVariables, upstream } from './layer-variables.ts';
import { layerTokens, noTokens, type IssuedSecret, type LayerTokens } from './layer-tokens.ts';
import type { Issue } from './passwords.ts';
import { shareRepositories, type AddedRepository } from './share-repositories.ts';
import type { LayerState, State } from './state.ts';
import type { Wishes } from './wishes.ts';

export interface PlanOptions {
  readonly hierarchy: Hierarchy;
  readonly state: State;
  /** By layer: the plain password of its sync token, where it is known. */
  readonly passwords: ReadonlyMap<string, string>;
  readonly wishes: Wishes;
  readonly issue: Issue;
  readonly render: Render;
}

export type Render = (layer: Layer, content: RenderContent) => RenderedDeployment;

export interface RenderContent {
  readonly variables: Readonly<Record<string, string>>;
  readonly desired: JsonObject;
  /** Of the parent; undefined: the cloud registry. */
  readonly gateway: Gateway | undefined;
}

export interface PlannedLayer {
  readonly layer: Layer;
  readonly state: LayerState;
  readonly before: LayerState | undefined;
  /** For its `.env`; undefined while the cloud registry has not made its password. */
  readonly variables: Readonly<Record<string, string>> | undefined;
  /** Undefined with `variables`. */
  readonly manifest: JsonObject | undefined;
}

export interface Plan {
  /** Parents before children. */
  readonly layers: readonly PlannedLayer[];
  readonly added: readonly AddedRepository[];
  readonly notes: readonly Problem[];
  readonly secrets: readonly IssuedSecret[];
}

export type Planned =
  { readonly ok: true; readonly plan: Plan } | { readonly ok: false; readonly problems: readonly Problem[] };

/** Stands for a password in what is only checked. */
const unknownPassword = 'unknown';

/**
 * What every layer of a hierarchy needs: desired properties, passwords, permissions in the cloud, a manifest. Secrets
 * that exist are kept. Everything the rules refuse comes back as problems of the file, all at once where possible.
 */
export async function planHierarchy(options: PlanOptions): Promise<Planned> {
  const { hierarchy, state, wishes, passwords, issue, render } = options;
  const broken = [...brokenHierarchyRules(hierarchy), ...wishes.problems];
  if (broken.length > 0) return { ok: false, problems: broken };
  const shares = shareRepositories(hierarchy);
  if (shares.problems.length > 0) return { ok: false, problems: shares.problems };

  const { layers, cloud } = hierarchy;
  const before = new Map(state.layers.map((layer) => [layer.name, layer]));
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const children = childrenOf(layers);
  const problems: Problem[] = [];
  const notes: Problem[] = [...shares.notes];
  const secrets: IssuedSecret[] = [];
  const ordered = topDown(layers);
  const tokens = new Map<string, LayerTokens>();
  for (const layer of ordered) {
    const written = passwords.get(layer.name);
    const made = await layerTokens(layer, before.get(layer.name), {
      wishes,
      issue,
      written,
      loginServer: cloud.loginServer,
    });
    tokens.set(layer.name, made);
  }

  const planned = ordered.map((layer): PlannedLayer => {
    const { name, parent, device, iotHub = '', platform } = layer;
    const own = tokens.get(name) ?? noTokens;
    problems.push(...own.problems);
    secrets.push(...own.secrets);
    const above = byName.get(parent ?? '')?.gateway;
    const repositories = shares.kept.get(name) ?? [];
    const desired = desiredProperties({
      layer,
      gateway: above,
      repositories,
      clientPasswords: own.client,
      children: children(layer).map((child) => ({
        layer: child,
        repositories: shares.wanted.get(child.name) ?? [],
        passwords: tokens.get(child.name)?.sync ?? [],
      })),
    });
    problems.push(...desiredProblems(layer, desired));
    const variables = layerVariables(layer, above ?? cloud, own.password ?? unknownPassword);
    const rendered = render(layer, {
      desired,
      gateway: above,
      variables: { ...hierarchy.variables, ...layer.variables, ...variables },
    });
    if (!rendered.ok) problems.push(...rendered.problems.map((problem) => inTemplate(layer, problem)));
    const manifest = rendered.ok ? rendered.manifest : undefined;
    const pulled = pulledFrom(above ? upstream(above) : cloud.loginServer, manifest);
    const written = writtenRepositories(layer, children);
    const grants = above
      ? []
      : cloudGrants(
          repositories,
          written,
          pulled.map(({ repository }) => repository),
        );
    if (above) problems.push(...foreignImages(layer, pulled, shares.wanted.get(name) ?? []));
    else if (cloud.kind === 'acr') {
      problems.push(...grantLimits(layer, grants));
      notes.push(...patternNotes(layer, grants));
    }
    const isKnown = own.password !== undefined;
    return {
      layer,
      before: before.get(name),
      state: {
        name,
        ...(parent !== undefined && { parent }),
        device,
        iotHub,
        platform,
        desired,
        syncPasswords: own.sync,
        ...(!above && {
          cloud: { loginServer: cloud.loginServer, kind: cloud.kind, password: own.cloudPassword, grants },
        }),
      },
      variables: isKnown ? variables : undefined,
      manifest: isKnown ? manifest : undefined,
    };
  });
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, plan: { layers: planned, added: shares.added, notes, secrets } };
}

function inTemplate({ path, name }: Layer, problem: Problem): Problem {
  return { path, message: `the deployment of ${name} would be refused: ${problem.path} ${problem.message}` };
}
