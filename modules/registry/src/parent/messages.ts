import type { Clock } from '../status/clock.ts';
import type { ChildIdentity } from './activation.ts';
import { messagesAccess } from './access.ts';
import { createOptionalApi } from './optional-api.ts';
import { ParentError, type ParentRegistry } from './parent.ts';
import { parseObject } from './read-body.ts';
import type { Sender } from './send.ts';

/** Within every proxy's patience, and ours. */
const waitSeconds = 50;
const answerTimeoutMs = (waitSeconds + 20) * 1000;

/** The message feed of a parent of our kind. Without a name of our own there is no feed to ask for. */
export function createMessages(options: {
  readonly sender: Sender;
  readonly clock: Clock;
  readonly self: ChildIdentity | undefined;
}): Pick<ParentRegistry, 'readMessages'> {
  const { sender, clock, self } = options;
  const feed = createOptionalApi(clock);

  return {
    async readMessages({ after, signal }) {
      if (!self || feed.missing) return undefined;
      const { registryName } = self;
      const path = `/acr/gateway/${registryName}/messages`;
      const answer = await sender.ask({
        method: 'GET',
        to: after === undefined ? path : `${path}?after=${after}&wait=${waitSeconds}`,
        access: messagesAccess(registryName),
        understands: [200, 404, 405],
        answerTimeoutMs,
        once: true,
        signal,
      });
      if (answer.status !== 200) {
        feed.markMissing();
        return undefined;
      }
      const { head, messages } = parseObject(answer.body, answer.url.host);
      if (typeof head !== 'number' || !Array.isArray(messages)) {
        throw new ParentError('broken', `${answer.url.host} answered with something that is no message feed`);
      }
      // A head that went back: the parent began a new journal, and nobody knows what is in it.
      return { head, changed: messages.length > 0 || (after !== undefined && head < after) };
    },
  };
}
