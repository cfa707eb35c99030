import type { Credentials } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Connection, HttpRequest } from './connection.ts';
import { answerFailure } from './failure.ts';
import { ParentError } from './parent.ts';
import { parseObject, readBody } from './read-body.ts';
import type { BearerToken } from './token-cache.ts';

/** Where a Bearer challenge sends its clients. */
export interface TokenService {
  readonly realm: URL;
  readonly service: string | undefined;
}

/** Docker token authentication: a token without `expires_in` lives 60 seconds. */
const defaultLifetimeSeconds = 60;
const tokenBytesLimit = 1024 * 1024;

export function basicAuthorization({ name, password }: Credentials): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}

/**
 * A bearer token for `scope` (several, divided by spaces; '' for any valid token), anonymous without credentials.
 * GET with Basic as Docker does; where that is not known (404, 405), POST with the password grant (OAuth 2).
 * Throws ParentError; `unauthorized` when the credentials are refused.
 */
export async function fetchToken(options: {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly service: TokenService;
  readonly credentials: Credentials | undefined;
  readonly scope: string;
}): Promise<BearerToken> {
  const { connection, clock, service, credentials, scope } = options;
  const { realm } = service;
  const query = new URLSearchParams(realm.search);
  if (service.service !== undefined) query.set('service', service.service);
  for (const part of scope.split(' ').filter(Boolean)) query.append('scope', part);
  const withQuery = new URL(realm);
  withQuery.search = query.toString();

  let answer = await ask({
    method: 'GET',
    url: withQuery,
    headers: credentials ? { authorization: basicAuthorization(credentials) } : {},
  });
  if (credentials && (answer.status === 404 || answer.status === 405)) {
    const form = new URLSearchParams({
      grant_type: 'password',
      username: credentials.name,
      password: credentials.password,
      client_id: 'connected-registry',
      scope,
      ...(service.service !== undefined && { service: service.service }),
    });
    answer = await ask({
      method: 'POST',
      url: realm,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    });
  }
  if (answer.status === 401 && credentials) {
    throw new ParentError('unauthorized', `${realm.host} refused the sync token ${credentials.name}`, { status: 401 });
  }
  if (answer.status !== 200) throw answerFailure(answer, clock.now());
  return tokenIn(parseObject(answer.body, realm.host), realm.host);

  async function ask(request: HttpRequest) {
    const { status, headers, body } = await connection.exchange(request);
    return {
      request: `${request.method} ${realm.host}${realm.pathname}`,
      status,
      retryAfter: headers['retry-after'],
      body: await readBody(body, realm.host, tokenBytesLimit),
      foreign: false,
    };
  }
}

function tokenIn(document: Record<string, unknown>, host: string): BearerToken {
  const { token, access_token: accessToken, expires_in: expiresIn } = document;
  const value = typeof token === 'string' && token !== '' ? token : accessToken;
  if (typeof value !== 'string' || value === '') {
    throw new ParentError('broken', `the token endpoint at ${host} answers without a token`);
  }
  const lifetimeSeconds = typeof expiresIn === 'number' && expiresIn > 0 ? expiresIn : defaultLifetimeSeconds;
  return { value, lifetimeSeconds };
}
