import { isIPv4, isIPv6 } from 'node:net';

const hostShape =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*$/;

/** Whether `text` is `host[:port]`: a name, an IPv4 address or an IPv6 address in brackets; no scheme, no path. */
export function isEndpoint(text: string): boolean {
  const [, bracketed, host = '', port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return false;
  return bracketed === undefined ? isHost(host) : isIPv6(bracketed);
}

function isHost(text: string): boolean {
  // Four numbers that are no address are a typing error, not a name.
  return /^[0-9.]+$/.test(text) ? isIPv4(text) : hostShape.test(text);
}
