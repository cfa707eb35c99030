import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import type { Clock } from '../status/clock.ts';
import { ParentError } from './parent.ts';

/** How often the extra roots are asked for again while a certificate is not trusted. */
const refreshIntervalMs = 60_000;

/** Which certificates the parent may show. */
export interface Trust {
  /** Undefined: Node's defaults. */
  context(): Promise<SecureContext | undefined>;
  /** Asks for the extra roots again, at most once a minute; true when they changed. */
  refresh(): Promise<boolean>;
}

/** Node's roots and those `certificateAuthorities` gives (PEM): the IoT Edge trust bundle, configured roots. */
export function createTrust(options: {
  readonly certificateAuthorities?: () => Promise<readonly string[]>;
  readonly clock: Clock;
}): Trust {
  const { certificateAuthorities, clock } = options;
  let roots: Promise<readonly string[]> | undefined;
  let askedAtMs = 0;

  function ask(): Promise<readonly string[]> {
    askedAtMs = clock.now().getTime();
    const asked = (certificateAuthorities?.() ?? Promise.resolve([])).catch((cause: unknown) => {
      if (roots === asked) roots = undefined;
      throw new ParentError('unreachable', 'the certificates to trust at the parent cannot be read', { cause });
    });
    return asked;
  }

  return {
    async context() {
      roots ??= ask();
      const extra = await roots;
      if (extra.length === 0) return undefined;
      try {
        return createSecureContext({ ca: [...rootCertificates, ...extra] });
      } catch (cause) {
        throw new ParentError('unreachable', 'a certificate to trust at the parent is not valid PEM', { cause });
      }
    },
    async refresh() {
      if (!certificateAuthorities || clock.now().getTime() - askedAtMs < refreshIntervalMs) return false;
      const before = await roots;
      roots = ask();
      return (await roots).join('\n') !== before?.join('\n');
    },
  };
}
