import type { DesiredPassword } from '../../modules/registry/src/settings/desired-properties.ts';
import { generatePassword, hashPassword, decoyHash } from '../../modules/registry/src/auth/password-hash.ts';

/** Makes a password, or stands in for one while nothing is to be made. */
export type Issue = () => Promise<IssuedPassword>;

export interface IssuedPassword {
  /** Undefined: not made, `hash` stands for the one that will be. */
  readonly password: string | undefined;
  readonly hash: string;
}

/** For `apply`. */
export async function issuePassword(): Promise<IssuedPassword> {
  const password = generatePassword();
  return { password, hash: await hashPassword(password) };
}

/** For `plan`. */
export function pretendPassword(): Promise<IssuedPassword> {
  return Promise.resolve({ password: undefined, hash: decoyHash() });
}

export type Wish = 'keep' | 'rotate' | 'retire';

export interface TokenPasswords {
  /** The newest last. */
  readonly passwords: readonly DesiredPassword[];
  readonly issued: (IssuedPassword & { readonly name: string }) | undefined;
}

const [first, second] = ['password1', 'password2'] as const;

/**
 * The passwords of a token: those it had, or a first one. `rotate` adds one under the free name, so that the old one
 * works on; where both names are taken the older goes. `retire` leaves only the newest.
 */
export async function passwordsOf(
  before: readonly DesiredPassword[],
  wish: Wish,
  issue: Issue,
): Promise<TokenPasswords> {
  const newest = before.at(-1);
  if (newest && wish !== 'rotate') return { passwords: wish === 'retire' ? [newest] : before, issued: undefined };
  const name = newest?.name === first ? second : first;
  const issued = { name, ...(await issue()) };
  return { passwords: [...(newest ? [newest] : []), { name, hash: issued.hash }], issued };
}
