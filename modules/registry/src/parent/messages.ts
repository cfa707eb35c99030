import { parseDigest } from '../oci/digest.ts';
import { parseRepositoryName, parseTag } from '../oci/names.ts';
import type { Clock } from '../status/clock.ts';
import type { ChildIdentity } from './activation.ts';
import { messagesAccess } from './access.ts';
import { ociErrors } from './failure.ts';
import { arrivingIn } from './arriving.ts';
import { createOptionalApi } from './optional-api.ts';
import { ParentError, type FeedCursor, type ParentMessage, type ParentRegistry } from './parent.ts';
import { parseObject } from './read-body.ts';
import type { Sender } from './send.ts';

/** What the parent may need beyond the wait it was asked for. */
const answerMs = 20_000;
const actions: readonly ParentMessage['action'][] = ['push', 'tag', 'untag', 'delete'];

/** The message feed of a parent of our kind. Without a name of our own there is no feed to ask for. */
export function createMessages(options: {
  readonly sender: Sender;
  readonly clock: Clock;
  readonly self: ChildIdentity | undefined;
}): Pick<ParentRegistry, 'readMessages'> {
  const { sender, clock, self } = options;
  const feed = createOptionalApi(clock);

  return {
    async readMessages({ after, arriving, waitSeconds = 0, signal }) {
      if (!self || feed.missing) return undefined;
      const answer = await sender.ask({
        method: 'GET',
        to: pathFor(self, { after, arriving, waitSeconds }),
        access: messagesAccess(self.registryName),
        understands: [200, 404, 405, 409],
        ...(waitSeconds > 0 && { answerTimeoutMs: waitSeconds * 1000 + answerMs }),
        // Whoever waits goes on from where it was by itself.
        once: waitSeconds > 0,
        signal,
      });
      const { status, url, body } = answer;
      if (status === 409) {
        throw new ParentError('held', `${url.host}: ${ociErrors(body)[0]?.message ?? 'not active'}`, { status });
      }
      if (status !== 200) {
        feed.markMissing();
        return undefined;
      }
      const { journal, head, messages, expired, more, arriving: told } = parseObject(body, url.host);
      const hints = arrivingIn(told);
      if (typeof journal !== 'string' || typeof head !== 'number' || !Array.isArray(messages)) throw noFeed(url.host);
      return {
        cursor: { journal, head },
        messages: messages.map((message) => messageIn(message) ?? refuse(url.host)),
        expired: expired === true,
        more: more === true,
        ...(hints && { arriving: hints }),
      };
    },
  };
}

function pathFor(
  { registryName, instanceId }: ChildIdentity,
  asked: {
    readonly after: FeedCursor | undefined;
    readonly arriving: number | undefined;
    readonly waitSeconds: number;
  },
): string {
  const { after, arriving, waitSeconds } = asked;
  const query = new URLSearchParams({
    instance: instanceId,
    ...(after && { after: String(after.head), journal: after.journal }),
    ...(arriving !== undefined && { arriving: String(arriving) }),
    ...(waitSeconds > 0 && { wait: String(waitSeconds) }),
  });
  return `/acr/gateway/${registryName}/messages?${query.toString()}`;
}

function messageIn(value: unknown): ParentMessage | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const action = actions.find((known) => known === fields['action']);
  const repository = parseRepositoryName(textOf(fields['repository']));
  const digest = parseDigest(textOf(fields['digest']));
  const tag = fields['tag'] === undefined ? undefined : parseTag(textOf(fields['tag']));
  if (!action || !repository || !digest || (fields['tag'] !== undefined && !tag)) return undefined;
  return { action, repository, digest, ...(tag && { tag }) };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function refuse(host: string): never {
  throw noFeed(host);
}

function noFeed(host: string): ParentError {
  return new ParentError('broken', `${host} answered with something that is no message feed`);
}
