import { connectionStates } from '../gateway/child-status.ts';
import type { ConnectionState } from '../status/sync-status.ts';
import { answerEmpty } from './answer.ts';
import type { ParametersOf } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import { readGatewayBody, refuseField, textIn } from './gateway-body.ts';

type Body = Readonly<Record<string, unknown>>;

/** The active instance of a child tells how it is. Throws ALREADY_ACTIVATED, NOT_ACTIVATED, GATEWAY_INVALID. */
export async function putStatus(
  exchange: Exchange,
  { registry }: ParametersOf<'/acr/gateway/<registry>/status'>,
): Promise<void> {
  const { gateway, response } = exchange;
  const body = await readGatewayBody(exchange);
  gateway.refuseOthers(registry, textIn(body, 'instanceId'));
  const { inSync, lastSync, children } = body;
  if (typeof inSync !== 'boolean') throw refuseField('inSync', inSync, 'must be true or false');
  const since = typeof lastSync === 'string' ? new Date(lastSync) : undefined;
  if (lastSync !== undefined && (!since || Number.isNaN(since.getTime()))) {
    throw refuseField('lastSync', lastSync, 'must be an ISO 8601 time');
  }
  await gateway.note(registry, {
    connectionState: stateIn(body, 'connectionState'),
    inSync,
    ...(since && { lastSync: since }),
    outboxPending: countIn(body, 'outboxPending'),
    ...(isObject(children) && {
      below: {
        total: countIn(children, 'total'),
        inSync: countIn(children, 'inSync'),
        worst: stateIn(children, 'worst'),
      },
    }),
  });
  answerEmpty(response, 204);
}

function stateIn(body: Body, field: string): ConnectionState {
  const state = connectionStates.find((known) => known === body[field]);
  if (!state) throw refuseField(field, body[field], `must be one of ${connectionStates.join(', ')}`);
  return state;
}

function countIn(body: Body, field: string): number {
  const count = body[field];
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0) {
    throw refuseField(field, count, 'must be a whole number that is not negative');
  }
  return count;
}

function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
