import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import proxyAddress from 'proxy-addr';

/** Who sent a request, and under which name it reached us. */
export interface Origin {
  /** The client's address. */
  readonly address: string;
  /** host[:port] as the client wrote it. */
  readonly host: string;
  readonly protocol: 'http' | 'https';
}

/** Whether the peer at `address`, `hop` proxies away, may speak for others. */
export type ProxyTrust = (address: string, hop: number) => boolean;

/** `names`: addresses, networks (`10.0.0.0/8`) and `loopback`, `linklocal`, `uniquelocal`. Throws on anything else. */
export function compileTrust(names: readonly string[]): ProxyTrust {
  return proxyAddress.compile([...names]);
}

/** X-Forwarded-* count only when the peer itself is a trusted proxy; a stranger cannot name our host. */
export function originOf(request: IncomingMessage, trust: ProxyTrust): Origin {
  const trusted = trust(request.socket.remoteAddress ?? '', 0);
  const host = (trusted && hostIn(request.headers['x-forwarded-host'])) || hostIn(request.headers.host) || 'localhost';
  const forwarded = trusted ? firstOf(request.headers['x-forwarded-proto']) : undefined;
  const own = request.socket instanceof TLSSocket ? 'https' : 'http';
  return {
    address: trusted ? proxyAddress(request, trust) : (request.socket.remoteAddress ?? ''),
    host,
    protocol: forwarded === 'http' || forwarded === 'https' ? forwarded : own,
  };
}

/** Whether a request to `host` is addressed to `loginServer`; the ports 80 and 443 need not be written. */
export function isAddressedTo(loginServer: string, host: string): boolean {
  return bareHost(loginServer) === bareHost(host);
}

function bareHost(text: string): string {
  return text.toLowerCase().replace(/:(?:80|443)$/, '');
}

/** A host is quoted in our answers, so it must look like one. */
function hostIn(header: string | string[] | undefined): string | undefined {
  const host = firstOf(header);
  return host !== undefined && /^[\w.\-:[\]]{1,255}$/.test(host) ? host : undefined;
}

function firstOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  return text?.split(',', 1)[0]?.trim();
}
