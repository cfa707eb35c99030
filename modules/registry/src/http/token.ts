import { RegistryError } from '../errors.ts';
import type { Access } from '../auth/auth.ts';
import { parseScopes } from '../auth/scope.ts';
import { answerJson } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { readBody } from './request-body.ts';

/** Room for a refresh token and many scopes. */
const formBytesLimit = 64 * 1024;

/**
 * Bearer tokens: GET with Basic credentials (Docker token authentication), POST with a form
 * (`grant_type=password` or `refresh_token`, Docker OAuth2). A scope the caller may not have is left out of the token,
 * not refused: docker asks for push and pull together. Throws UNAUTHORIZED, with a Basic challenge on GET.
 */
export async function issueToken(exchange: Exchange): Promise<void> {
  const { request, response, auth, origin } = exchange;
  const isForm = request.method === 'POST';
  const parameters = isForm ? await readForm(exchange) : exchange.query;
  const access = isForm ? await accessOfForm(exchange, parameters) : await accessOfBasic(exchange);
  if (!access) {
    if (!isForm) response.setHeader('WWW-Authenticate', `Basic realm="${origin.host}"`);
    throw new RegistryError('UNAUTHORIZED');
  }
  exchange.access = access;
  exchange.principal = access.principal;
  const token = await auth.issue(access, parseScopes(parameters.getAll('scope')));
  const wantsRefresh = parameters.get('offline_token') === 'true' || parameters.get('access_type') === 'offline';
  answerJson(
    response,
    200,
    {
      access_token: token.accessToken,
      token: token.accessToken,
      ...(wantsRefresh && { refresh_token: await auth.issueRefreshToken(access) }),
      expires_in: token.expiresInSeconds,
      issued_at: token.issuedAt.toISOString(),
    },
    { 'Cache-Control': 'no-store' },
  );
}

/** Basic only: a bearer token that could renew itself would never end. */
async function accessOfBasic({ request, auth }: Exchange): Promise<Access | undefined> {
  const { authorization } = request.headers;
  if (!/^basic /i.test(authorization ?? '')) return undefined;
  const answer = await auth.authenticate(authorization);
  return answer.kind === 'authenticated' ? answer.access : undefined;
}

async function accessOfForm(exchange: Exchange, form: URLSearchParams): Promise<Access | undefined> {
  const { auth } = exchange;
  switch (form.get('grant_type')) {
    case 'password': {
      const name = form.get('username') ?? '';
      exchange.principal = name;
      return auth.login(name, form.get('password') ?? '');
    }
    case 'refresh_token':
      return auth.refresh(form.get('refresh_token') ?? '');
    default:
      return undefined;
  }
}

async function readForm(exchange: Exchange): Promise<URLSearchParams> {
  return new URLSearchParams((await readBody(exchange, formBytesLimit, 'UNAUTHORIZED')).toString('utf8'));
}
