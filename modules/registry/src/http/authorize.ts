import { RegistryError } from '../errors.ts';
import type { Access } from '../auth/auth.ts';
import { isGatewayAction } from '../settings/permission.ts';
import { challengeFor, scopeFor, type ChallengeError } from './challenge.ts';
import type { Need, PathParameters } from './endpoint.ts';
import type { Exchange } from './exchange.ts';

/** What a request is about: a repository, a child's gateway, or neither. */
export type Subject = Partial<Pick<PathParameters, 'name' | 'registry'>>;

/**
 * Identifies the caller and checks what the endpoint needs. Nothing in the store is looked at, so a repository that is
 * missing answers like one that is there.
 * Throws UNAUTHORIZED with a challenge: no or bad credentials · DENIED with a challenge (401): the bearer token is too
 * narrow and its owner may get a wider one, which is how docker and containerd learn which scope to ask for · DENIED (403): never.
 */
export async function authorize(exchange: Exchange, needs: Need, subject: Subject): Promise<void> {
  if (needs === 'none') return;
  const { authorization } = exchange.request.headers;
  const isBearer = /^bearer /i.test(authorization ?? '');
  const answer = await exchange.auth.authenticate(authorization);
  if (answer.kind !== 'authenticated') {
    throw challenged(exchange, needs, subject, 'UNAUTHORIZED', isBearer ? 'invalid_token' : undefined);
  }
  exchange.access = answer.access;
  exchange.principal = answer.access.principal;
  if (permits(answer.access, needs, subject)) return;
  if (permits(answer.access.unnarrowed, needs, subject)) {
    throw challenged(exchange, needs, subject, 'DENIED', 'insufficient_scope');
  }
  throw new RegistryError('DENIED');
}

export function permits(access: Access, needs: Need, { name, registry }: Subject): boolean {
  if (needs === 'none' || needs === 'authenticated') return true;
  if (needs === 'catalog') return access.allowsCatalog;
  if (isGatewayAction(needs)) return registry !== undefined && access.allowsGateway(registry, needs);
  return name !== undefined && access.allows(name, needs);
}

function challenged(
  { origin, response }: Exchange,
  needs: Need,
  subject: Subject,
  code: 'UNAUTHORIZED' | 'DENIED',
  error: ChallengeError | undefined,
): RegistryError {
  response.setHeader('WWW-Authenticate', challengeFor(origin, scopeFor(needs, subject), error));
  return new RegistryError(code);
}
