import { RegistryError } from '../errors.ts';
import type { ChildActivation } from '../gateway/activation-register.ts';
import type { ActivationRequest } from '../gateway/refuse-activation.ts';
import { parseRepositoryPattern } from '../oci/pattern.ts';
import { answerEmpty, answerJson } from './answer.ts';
import type { ParametersOf } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import { readGatewayBody, refuseField, textIn } from './gateway-body.ts';

type Child = ParametersOf<'/acr/gateway/<registry>/activation'>;

/** Who is active under a child's name. */
export function getActivation({ gateway, response }: Exchange, { registry }: Child): void {
  answerJson(response, 200, describe(registry, gateway.holder(registry)), { 'Cache-Control': 'no-store' });
}

/** A child becomes active, or says again that it is. Idempotent for the instance that holds the name. */
export async function activate(exchange: Exchange, { registry }: Child): Promise<void> {
  const request = requestIn(await readGatewayBody(exchange));
  answerJson(exchange.response, 200, describe(registry, await exchange.gateway.activate(registry, request)));
}

/**
 * With `instance` that instance lets the name go. Without, an operator takes it from whoever holds it; a sync token is
 * no operator: two deployments share it, and one must not push the other out.
 */
export async function deactivate({ gateway, query, response, access }: Exchange, { registry }: Child): Promise<void> {
  const instanceId = query.get('instance') ?? undefined;
  if (instanceId === undefined && access?.kind === 'sync-token') {
    throw new RegistryError('DENIED', { message: 'a sync token releases only the instance it names' });
  }
  await gateway.release(registry, instanceId);
  answerEmpty(response, 204);
}

function describe(name: string, holder: ChildActivation | undefined): Record<string, unknown> {
  if (!holder) return { name, status: 'Inactive' };
  return { name, status: 'Active', ...holder, since: holder.since.toISOString() };
}

function requestIn(body: Readonly<Record<string, unknown>>): ActivationRequest {
  const { mode, repositories } = body;
  if (mode !== 'ReadOnly' && mode !== 'ReadWrite') throw refuseField('mode', mode, 'must be ReadOnly or ReadWrite');
  if (!Array.isArray(repositories)) throw refuseField('repositories', repositories, 'must be a list of patterns');
  return {
    instanceId: textIn(body, 'instanceId'),
    version: textIn(body, 'version'),
    mode,
    repositories: repositories.map((text: unknown, index) => {
      const pattern = typeof text === 'string' ? parseRepositoryPattern(text) : undefined;
      if (!pattern) throw refuseField(`repositories/${index}`, text, 'must be a repository name or pattern');
      return pattern;
    }),
  };
}
