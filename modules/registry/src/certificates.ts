import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Certificates {
  /** `tls.crt` and `tls.key`: switch HTTPS on. */
  readonly server: { readonly cert: string; readonly key: string } | undefined;
  /** `ca.crt`: roots trusted at the parent, beside the system's and the IoT Edge trust bundle. */
  readonly roots: string | undefined;
}

/** What the certificate folder holds. One of `tls.crt` and `tls.key` without the other is an error. */
export async function readCertificates(folder: string): Promise<Certificates> {
  const [cert, key, roots] = await Promise.all(
    ['tls.crt', 'tls.key', 'ca.crt'].map((name) => readIfThere(join(folder, name))),
  );
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error(`${folder} holds ${cert === undefined ? 'tls.key' : 'tls.crt'} alone; HTTPS needs both`);
  }
  return { server: cert !== undefined && key !== undefined ? { cert, key } : undefined, roots };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
