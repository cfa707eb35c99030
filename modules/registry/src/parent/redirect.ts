/** Redirects followed for one request. */
export const redirectLimit = 5;

/** Where `status` and `location` send a request for `url`; undefined: this is no redirect. Fragments are dropped. */
export function redirectTarget(status: number, location: string | undefined, url: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined || !URL.canParse(location, url.href)) {
    return undefined;
  }
  const target = new URL(location, url);
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return undefined;
  // Credentials in a URL are not ours to send on.
  target.username = target.password = target.hash = '';
  return target;
}

/**
 * Upload sessions and next pages stay at the parent: of `location` the path and the query count, the host is ours.
 * A registry behind a proxy often writes its own idea of the host there (API proxies in a hierarchy, TLS ended in
 * front of a plain HTTP registry), and credentials must not follow it.
 */
export function atParent(location: string, url: URL, parent: URL): URL | undefined {
  if (!URL.canParse(location, url.href)) return undefined;
  const { pathname, search } = new URL(location, url);
  const target = new URL(parent);
  target.pathname = pathname;
  target.search = search;
  return target;
}
