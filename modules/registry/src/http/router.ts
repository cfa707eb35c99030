import type { Endpoint } from './endpoint.ts';

export interface FoundMatch {
  readonly kind: 'found';
  readonly endpoint: Endpoint;
  /** The path's parameters as the client wrote them. */
  readonly raw: Readonly<Record<string, string>>;
}

export type Match =
  FoundMatch | { readonly kind: 'wrong-method'; readonly allowed: readonly string[] } | { readonly kind: 'unknown' };

/**
 * Finds the row for a method and a path (no query). `<name>` takes slashes, every other parameter is one segment;
 * nothing is decoded or normalised here, so a path means what it says.
 */
export function createRouter(endpoints: readonly Endpoint[]): (method: string, path: string) => Match {
  const rows = endpoints.map((endpoint) => ({ endpoint, pattern: patternOf(endpoint.path) }));
  return (method, path) => {
    const allowed: string[] = [];
    for (const { endpoint, pattern } of rows) {
      const match = pattern.exec(path);
      if (!match) continue;
      const methods: readonly string[] = endpoint.methods;
      if (methods.includes(method)) return { kind: 'found', endpoint, raw: match.groups ?? {} };
      allowed.push(...methods);
    }
    return allowed.length > 0 ? { kind: 'wrong-method', allowed: [...new Set(allowed)] } : { kind: 'unknown' };
  };
}

function patternOf(template: string): RegExp {
  const source = template
    .replaceAll('.', '\\.')
    .replaceAll('<name>', '(?<name>.+)')
    .replaceAll(/<(\w+)>/g, (whole, key: string) => (key === 'name' ? whole : `(?<${key}>[^/]+)`));
  return new RegExp(`^${source}/?$`);
}
