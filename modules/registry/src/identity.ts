import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatePassword, hashPassword } from './auth/password-hash.ts';
import { limits } from './settings/limits.ts';
import type { Records } from './store/store.ts';

/** What is born with the data volume and stays in it. */
export interface Identity {
  /** Tells this deployment from another one under the same name (product contract, "Activation"). */
  readonly instanceId: string;
  /** Signs bearer tokens; 32 bytes. */
  readonly signingKey: Buffer;
}

/**
 * The id also stands in a file: an index lost to a bad disk must not make the registry another instance, which would
 * wait for ever for the activation that it holds itself.
 */
export async function readIdentity(records: Records, dataVolume: string): Promise<Identity> {
  const file = join(dataVolume, 'instance-id');
  const kept = await readFile(file, 'utf8').catch(() => '');
  const known = /^[0-9a-f-]{36}$/.test(kept.trim()) ? kept.trim() : undefined;
  const instanceId = await once(records, 'instance-id', () => known ?? randomUUID());
  if (instanceId !== known) await writeFile(file, `${instanceId}\n`, { flush: true });
  const signingKey = await once(records, 'signing-key', () => randomBytes(32).toString('base64'));
  return { instanceId, signingKey: Buffer.from(signingKey, 'base64') };
}

export interface Admin {
  readonly name: string;
  readonly hash: string;
}

/**
 * The admin of a registry outside IoT Edge. The first start makes a password and hands it to `show`, once;
 * only its hash is kept. Delete the record `admin-hash` (a new data volume) to get another.
 */
export async function readAdmin(records: Records, show: (name: string, password: string) => void): Promise<Admin> {
  const name = 'admin';
  const stored = await records.get('admin-hash');
  if (typeof stored === 'string') return { name, hash: stored };
  const password = generatePassword();
  // Nobody guesses 192 random bits, however fast a guess is: no reason to wait for a slow hash.
  const hash = await hashPassword(password, { ln: limits.scryptLnSmallest.value });
  await records.put('admin-hash', hash);
  show(name, password);
  return { name, hash };
}

async function once(records: Records, key: string, make: () => string): Promise<string> {
  const stored = await records.get(key);
  if (typeof stored === 'string') return stored;
  const made = make();
  await records.put(key, made);
  return made;
}
