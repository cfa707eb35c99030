import { randomUUID, X509Certificate } from 'node:crypto';
import { readServerCertificate, type CertificatePair } from './certificate-folder.ts';
import type { Clock } from './status/clock.ts';
import type { Log } from './status/log.ts';
import type { StatusDetail } from './status/sync-status.ts';

export interface HttpsCertificateOptions {
  /** Its `tls.crt` and `tls.key` come first, and are read again each minute. */
  readonly folder: string;
  /** Asked where the folder holds none: a certificate from the device's Edge CA. Absent outside IoT Edge. */
  readonly issue?: () => Promise<CertificatePair>;
  /** Serves with this certificate from the next handshake on; rejects when it cannot be used. */
  readonly use: (pair: CertificatePair) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: () => void;
}

/** Keeps the certificate of HTTPS fresh, for as long as it runs. The key is only ever in memory here. */
export interface HttpsCertificate {
  /** When the certificate in use ends; undefined: HTTPS is off. */
  readonly expires: Date | undefined;
  details(): readonly StatusDetail[];
  close(): Promise<void>;
}

/** Conditions this file reports. */
export const certificateDetailTable = {
  CERTIFICATE_UNUSABLE: { type: 'Certificate' },
  CERTIFICATE_EXPIRING: { type: 'Certificate' },
} as const satisfies Record<string, { type: string }>;
type CertificateDetail = keyof typeof certificateDetailTable;

/** Wall clocks jump: the time left is looked at again and again, never slept away in one long timer. */
const checkMs = 60_000;

interface InUse extends CertificatePair {
  readonly expires: Date;
  readonly lifetimeMs: number;
}

/**
 * HTTPS starts as soon as there is a certificate and goes on with each newer one; connections stay. What is in use
 * stays in use until something better is there. Resolves once the folder has been looked at; the daemon may take longer.
 */
export async function keepHttpsCertificate(options: HttpsCertificateOptions): Promise<HttpsCertificate> {
  const { folder, issue, use, clock, log, onChange } = options;
  const closing = new AbortController();
  const conditions = new Map<CertificateDetail, StatusDetail>();
  let inUse: InUse | undefined;

  await attempt(fromFolder);
  const running = run();

  return {
    get expires() {
      return inUse?.expires;
    },
    details: () => [...conditions.values()],
    async close() {
      closing.abort();
      await running;
    },
  };

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      await attempt(async () => (await fromFolder()) || fromDaemon());
      watchExpiry();
      await clock.wait(checkMs, closing.signal).catch(() => undefined);
    }
  }

  async function fromFolder(): Promise<boolean> {
    const pair = await readServerCertificate(folder);
    if (pair) await adopt(pair);
    return pair !== undefined;
  }

  async function fromDaemon(): Promise<void> {
    // A third is left: a daemon away for days is back in time.
    if (!issue || (inUse && leftMs(inUse) > inUse.lifetimeMs / 3)) return;
    const pair = await issue();
    // The folder may have been filled meanwhile, or the registry closed.
    if (!closing.signal.aborted) await adopt(pair);
  }

  async function adopt({ cert, key }: CertificatePair): Promise<void> {
    if (cert === inUse?.cert && key === inUse.key) return;
    const { validFrom, validTo } = new X509Certificate(cert);
    const expires = new Date(validTo);
    await use({ cert, key });
    inUse = { cert, key, expires, lifetimeMs: expires.getTime() - new Date(validFrom).getTime() };
    log.info('HTTPS uses a new certificate.', { expires: expires.toISOString() });
    onChange();
  }

  /** Never rejects: a registry without HTTPS still serves the proxy in front of it. */
  async function attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      tell('CERTIFICATE_UNUSABLE', undefined);
    } catch (error) {
      tell('CERTIFICATE_UNUSABLE', error instanceof Error ? error.message : String(error));
    }
  }

  function watchExpiry(): void {
    const near = inUse && leftMs(inUse) < inUse.lifetimeMs / 6;
    tell('CERTIFICATE_EXPIRING', near ? `the HTTPS certificate ends at ${inUse?.expires.toISOString()}` : undefined);
  }

  function leftMs({ expires }: InUse): number {
    return expires.getTime() - clock.now().getTime();
  }

  function tell(code: CertificateDetail, description: string | undefined): void {
    if (conditions.get(code)?.description === description) return;
    if (description === undefined) conditions.delete(code);
    else {
      log.warn(description, { code });
      const { type } = certificateDetailTable[code];
      conditions.set(code, { type, code, description, timestamp: clock.now(), correlationId: randomUUID() });
    }
    onChange();
  }
}
