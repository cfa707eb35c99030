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
  const { headers, socket } = request;
  const peer = socket.remoteAddress ?? '';
  const named = hostIn(headers.host) ?? 'localhost';
  const own = socket instanceof TLSSocket ? 'https' : 'http';
  const isForwarded = forwardedHeaders.some((name) => headers[name] !== undefined); // else trust changes nothing
  if (!isForwarded || !trust(peer, 0)) return { address: peer, host: named, protocol: own };
  const protocol = firstOf(headers['x-forwarded-proto']);
  return {
    address: proxyAddress(request, trust),
    host: hostIn(headers['x-forwarded-host']) ?? named,
    protocol: protocol === 'http' || protocol === 'https' ? protocol : own,
  };
}

const forwardedHeaders = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'] as const;

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
