import { createHmac, randomBytes } from 'node:crypto';
import PQueue from 'p-queue';
import { RegistryError } from '../errors.ts';
import { decoyHash, verifyPassword } from './password-hash.ts';

export interface PasswordChecker {
  /**
   * The first of `hashes` that `password` matches. A login that fails costs two checks or more, whether the name is
   * known or not. Throws TOOMANYREQUESTS when too many different passwords wait under one `bucket`.
   */
  find(bucket: string, password: string, hashes: readonly string[]): Promise<string | undefined>;
  /** Forgets what was learned about every other hash. */
  keepOnly(hashes: ReadonlySet<string>): void;
}

/** scrypt takes tens of megabytes and a thread of the pool that file access needs too. */
const checksAtOnce = 2;
/** Different passwords that may wait under one name, so that guessing at one name does not lock out the others. */
const waitingLimit = 8;
/** Wrong passwords remembered: a device with an old password that keeps trying costs one check. */
const refusedLimit = 1000;

/**
 * Checks passwords few at a time, and each only once: verdicts are kept in memory, as an HMAC of hash and password
 * under a key that lives and dies with this process.
 */
export function createPasswordChecker(): PasswordChecker {
  const key = randomBytes(32);
  const queue = new PQueue({ concurrency: checksAtOnce });
  const decoys = [decoyHash(), decoyHash()];
  /** hash -> proof of its password */
  const known = new Map<string, string>();
  const refused = new Set<string>();
  /** proof -> the check that runs for it; askers of the same thing share one. */
  const running = new Map<string, Promise<boolean>>();
  const waiting = new Map<string, number>();

  return {
    async find(bucket, password, hashes) {
      const remembered = hashes.find((hash) => known.get(hash) === proofOf(hash, password));
      if (remembered !== undefined) return remembered;
      for (const hash of [...hashes, ...decoys.slice(hashes.length)]) {
        if (await check(bucket, password, hash)) return hash;
      }
      return undefined;
    },

    keepOnly(hashes) {
      for (const hash of known.keys()) if (!hashes.has(hash)) known.delete(hash);
    },
  };

  function check(bucket: string, password: string, hash: string): Promise<boolean> {
    const proof = proofOf(hash, password);
    if (refused.has(proof)) return Promise.resolve(false);
    const shared = running.get(proof);
    if (shared) return shared;
    const fresh = run(bucket, password, hash, proof).finally(() => running.delete(proof));
    running.set(proof, fresh);
    return fresh;
  }

  async function run(bucket: string, password: string, hash: string, proof: string): Promise<boolean> {
    const ahead = waiting.get(bucket) ?? 0;
    if (ahead >= waitingLimit) throw new RegistryError('TOOMANYREQUESTS', { retryAfterSeconds: 1 });
    waiting.set(bucket, ahead + 1);
    try {
      const matches = await queue.add(() => verifyPassword(password, hash));
      if (matches) known.set(hash, proof);
      else refuse(proof);
      return matches;
    } finally {
      const left = (waiting.get(bucket) ?? 1) - 1;
      if (left === 0) waiting.delete(bucket);
      else waiting.set(bucket, left);
    }
  }

  function refuse(proof: string): void {
    refused.add(proof);
    const [oldest] = refused;
    if (refused.size > refusedLimit && oldest !== undefined) refused.delete(oldest);
  }

  function proofOf(hash: string, password: string): string {
    return createHmac('sha256', key).update(`${hash}\0${password}`).digest('base64');
  }
}
