import { RegistryError } from '../errors.ts';
import { readMessages } from '../gateway/message-feed.ts';
import { answerJson } from './answer.ts';
import type { ParametersOf } from './endpoint.ts';
import type { Exchange } from './exchange.ts';

/** Shorter than any proxy's patience. */
const longestWaitSeconds = 60;

/**
 * The message feed of a child: what changed here after `after` in the journal `journal` (this one, when absent), in the
 * repositories it may see. With nothing new the answer waits up to `wait` seconds for something to happen (long poll).
 * With `arriving` (the `arriving.head` of the last answer, or 0) it is told as well, and woken by, which blobs are on their
 * way here for images that it will see.
 * Only the active `instance` is served, where it names itself. Throws ALREADY_ACTIVATED, NOT_ACTIVATED.
 */
export async function listMessages(
  exchange: Exchange,
  { registry }: ParametersOf<'/acr/gateway/<registry>/messages'>,
): Promise<void> {
  const { query, response, store, gateway, access, patience } = exchange;
  const instanceId = query.get('instance');
  if (instanceId !== null) gateway.refuseOthers(registry, instanceId);
  const { journalId, arrivals } = gateway;
  const head = wholeNumberIn(query, 'after');
  const told = wholeNumberIn(query, 'arriving');
  const waitSeconds = Math.min(wholeNumberIn(query, 'wait') ?? 0, longestWaitSeconds);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const messages = await readMessages(store.journal, {
    journalId,
    after: head === undefined ? undefined : { journal: query.get('journal') ?? journalId, head },
    // The feed's bearer token names no repositories; what counts is what the child may see.
    sees: (repository) => access?.unnarrowed.allows(repository, 'metadata/read') === true,
    hints: told === undefined ? undefined : { arrivals, after: told },
    signal: AbortSignal.any([gone.signal, patience, AbortSignal.timeout(waitSeconds * 1000)]),
  });
  answerJson(response, 200, messages, { 'Cache-Control': 'no-store' });
}

function wholeNumberIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new RegistryError('PAGINATION_NUMBER_INVALID', {
    message: `${name} must be a whole number`,
    detail: { [name]: text },
  });
}
