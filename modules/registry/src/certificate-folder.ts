import { join } from 'node:path';
import { readIfThere } from './status/read-if-there.ts';

/** PEM: a certificate with its issuers, and its key. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/** `tls.crt` and `tls.key` of the certificate folder; undefined: neither is there. One without the other is an error. */
export async function readServerCertificate(folder: string): Promise<CertificatePair | undefined> {
  const [cert, key] = await Promise.all(['tls.crt', 'tls.key'].map((name) => readIfThere(join(folder, name))));
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  throw new Error(`${folder} holds ${cert === undefined ? 'tls.key' : 'tls.crt'} alone; HTTPS needs both`);
}

/** `ca.crt` of the certificate folder: roots trusted at the parent, beside the system's and the IoT Edge trust bundle. */
export async function readParentRoots(folder: string): Promise<string | undefined> {
  return await readIfThere(join(folder, 'ca.crt'));
}
