import { isGatewayAction } from '../settings/permission.ts';
import type { RepositoryAction } from '../settings/settings.ts';
import type { Subject } from './authorize.ts';
import type { Need } from './endpoint.ts';
import type { Origin } from './origin.ts';

/** Docker's words for our actions; a writer also reads, as every client expects. */
const dockerActions: Record<RepositoryAction, string> = {
  'content/read': 'pull',
  'content/write': 'pull,push',
  'content/delete': 'pull,delete',
  'metadata/read': 'pull',
  'metadata/write': 'pull,push',
};

/** RFC 6750, 3.1: `invalid_token`: get a new one · `insufficient_scope`: get one for `scope`. */
export type ChallengeError = 'invalid_token' | 'insufficient_scope';

/** The scope to ask the token endpoint for; undefined where any valid token will do. */
export function scopeFor(needs: Need, { name, registry }: Subject): string | undefined {
  if (needs === 'catalog') return 'registry:catalog:*';
  if (needs === 'authenticated' || needs === 'none') return undefined;
  if (isGatewayAction(needs)) return registry && `gateway:${registry}:${needs.replace('/', '_')}`;
  return name && `repository:${name}:${dockerActions[needs]}`;
}

/**
 * The `WWW-Authenticate` value that sends a client to our token endpoint (Docker token authentication).
 * The realm lies under `/acr`, the one prefix besides `/v2` that the IoT Edge API proxy lets through.
 */
export function challengeFor(origin: Origin, scope: string | undefined, error?: ChallengeError): string {
  const parts = [`realm="${origin.protocol}://${origin.host}/acr/oauth2/token"`, `service="${origin.host}"`];
  if (scope !== undefined) parts.push(`scope="${scope}"`);
  if (error) parts.push(`error="${error}"`);
  return `Bearer ${parts.join(',')}`;
}
