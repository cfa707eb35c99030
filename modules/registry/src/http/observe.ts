import type { Log } from '../status/log.ts';
import type { RequestSample } from '../status/metrics.ts';
import { isWrite } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import type { FoundMatch, Match } from './router.ts';

/**
 * Begins to measure. The sample is taken once the answer is out (or the connection gone) and the handler is done,
 * which is what the returned function tells: a broken-off push goes on writing what had arrived.
 */
export function observe(exchange: Exchange, match: Match, onEnd: (sample: RequestSample) => void): () => void {
  const { request, response } = exchange;
  const { socket } = request;
  const startedMs = performance.now();
  const sentBefore = socket.bytesWritten;
  let awaited = 2;
  const step = (): void => {
    awaited -= 1;
    if (awaited > 0) return;
    onEnd({
      endpoint: match.kind === 'found' ? match.endpoint.id : 'none',
      method: request.method ?? '',
      status: response.headersSent ? response.statusCode : 499,
      seconds: (performance.now() - startedMs) / 1000,
      bytesSent: socket.bytesWritten - sentBefore,
      bytesReceived: exchange.bytesReceived,
    });
  };
  response.once('close', step);
  return step;
}

/**
 * Whether an audit log has to tell of it: everything that changes content, every login, and credentials that were
 * refused. A request without any, refused, is only how a client asks where to log in.
 */
export function isAudited({ request }: Exchange, { endpoint }: FoundMatch, status: number): boolean {
  const isRefused = status === 403 || (status === 401 && request.headers.authorization !== undefined);
  return isWrite(endpoint.needs) || endpoint.id === 'token' || isRefused;
}

/** One line for each of them: who did, or tried, what to which image, from where. */
export function audit(log: Log, exchange: Exchange, { endpoint, raw }: FoundMatch, status: number): void {
  log.info('Audit', {
    principal: exchange.principal ?? 'anonymous',
    action: endpoint.id === 'token' ? 'login' : `${exchange.request.method ?? ''} ${endpoint.needs}`,
    repository: raw['name'],
    reference: raw['reference'] ?? raw['tag'] ?? raw['digest'] ?? raw['upload'],
    client: exchange.origin.address,
    status,
  });
}
