import { parseArgs } from 'node:util';
import { generatePassword, hashPassword } from '../modules/registry/src/auth/password-hash.ts';
import { isName } from '../modules/registry/src/settings/names.ts';

export interface CreatedToken {
  /** Known only here: shown once, kept nowhere. */
  readonly password: string;
  /** An element of the desired property `clientTokens`. */
  readonly clientToken: {
    readonly name: string;
    readonly status: 'enabled';
    readonly scopeMap: string;
    readonly passwords: readonly { readonly name: string; readonly hash: string; readonly expiry?: string }[];
  };
}

export const createTokenUsage =
  'npm run create-token -- --name line3 --scope-map pullers [--expiry 2027-01-01T00:00:00Z]';

/** Makes a client token from command line arguments. Throws an Error with a sentence for the operator. */
export async function createClientToken(commandLine: readonly string[], now: Date): Promise<CreatedToken> {
  const { values } = parseArgs({
    args: [...commandLine],
    options: { name: { type: 'string' }, 'scope-map': { type: 'string' }, expiry: { type: 'string' } },
  });
  const name = nameIn(values.name, '--name');
  const scopeMap = nameIn(values['scope-map'], '--scope-map');
  const expiry = values.expiry === undefined ? undefined : expiryIn(values.expiry, now);
  const password = generatePassword();
  const hash = await hashPassword(password);
  const passwords = [{ name: 'password1', hash, ...(expiry !== undefined && { expiry }) }];
  return { password, clientToken: { name, status: 'enabled', scopeMap, passwords } };
}

function nameIn(text: string | undefined, option: string): string {
  if (text === undefined) throw new Error(`${option} is required`);
  if (!isName(text)) throw new Error(`${option} must be letters, digits, ".", "_" and "-", 50 at most`);
  return text;
}

/** With its zone, so that it means the same instant here and at the site. */
function expiryIn(text: string, now: Date): string {
  const expiry = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}T.*(?:Z|[+-]\d{2}:\d{2})$/.test(text) || Number.isNaN(expiry.getTime())) {
    throw new Error('--expiry must be an ISO 8601 date and time with its zone');
  }
  if (expiry <= now) throw new Error('--expiry lies in the past');
  return expiry.toISOString();
}
