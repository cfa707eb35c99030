import type { Clock } from '../status/clock.ts';

export interface BearerToken {
  readonly value: string;
  readonly lifetimeSeconds: number;
}

export interface TokenCache {
  /** The token for `scope`; asked for once, however many want it. */
  get(scope: string): Promise<string>;
  /** Forgets the token for `scope`, if it still is `value`: many 401s at once lead to one new token. */
  drop(scope: string, value: string): void;
  clear(): void;
}

/** A token is not used in its last seconds: it has to hold until the request arrives. */
const marginSeconds = 30;

interface Entry {
  readonly asked: Promise<BearerToken>;
  value?: string;
  endsMs: number;
}

export function createTokenCache(options: {
  readonly fetchToken: (scope: string) => Promise<BearerToken>;
  readonly clock: Clock;
}): TokenCache {
  const { fetchToken, clock } = options;
  const entries = new Map<string, Entry>();

  function ask(scope: string): Entry {
    const entry: Entry = { asked: fetchToken(scope), endsMs: Infinity };
    entry.asked.then(
      ({ value, lifetimeSeconds }) => {
        entry.value = value;
        const usableSeconds = lifetimeSeconds - Math.min(marginSeconds, lifetimeSeconds / 4);
        entry.endsMs = clock.now().getTime() + usableSeconds * 1000;
      },
      () => {
        if (entries.get(scope) === entry) entries.delete(scope);
      },
    );
    return entry;
  }

  return {
    async get(scope) {
      const nowMs = clock.now().getTime();
      let entry = entries.get(scope);
      if (!entry || entry.endsMs <= nowMs) {
        // The moment to tidy: a registry of many repositories needs many tokens, each for a short time.
        for (const [name, { endsMs }] of entries) if (endsMs <= nowMs) entries.delete(name);
        entry = ask(scope);
        entries.set(scope, entry);
      }
      return (await entry.asked).value;
    },
    drop(scope, value) {
      if (entries.get(scope)?.value === value) entries.delete(scope);
    },
    clear: () => entries.clear(),
  };
}
