import type { Clock } from '../status/clock.ts';
import { activationAccess, anyAccess } from './access.ts';
import { ociErrors } from './failure.ts';
import { createOptionalApi } from './optional-api.ts';
import { ParentError, type ParentRegistry } from './parent.ts';
import type { Answer, Sender } from './send.ts';

/** Who we are at a parent of our kind. */
export interface ChildIdentity {
  readonly registryName: string;
  readonly instanceId: string;
  readonly version: string;
}

export interface Activation extends Pick<ParentRegistry, 'activate' | 'deactivate'> {
  /** The parent took us: it is of our kind. */
  readonly isOurs: boolean;
}

/**
 * Activation at a parent of our kind. Every other kind has none, and answers anything between 401 and 405 to the
 * question: what does not carry our header is not from one of ours.
 */
export function createActivation(options: {
  readonly sender: Sender;
  readonly clock: Clock;
  readonly self: ChildIdentity | undefined;
}): Activation {
  const { sender, clock, self } = options;
  const api = createOptionalApi(clock);
  let isOurs = false;

  async function ask(
    method: 'PUT' | 'DELETE',
    { registryName, instanceId }: ChildIdentity,
    body: Buffer | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Answer | undefined> {
    const path = `/acr/gateway/${registryName}/activation`;
    let answer: Answer;
    try {
      answer = await sender.ask({
        method,
        to: method === 'DELETE' ? `${path}?instance=${encodeURIComponent(instanceId)}` : path,
        access: activationAccess(registryName),
        headers: body ? { 'content-type': 'application/json' } : {},
        ...(body && { body }),
        understands: [200, 204, 400, 401, 403, 404, 405, 409],
        signal,
      });
    } catch (error) {
      if (!(error instanceof ParentError) || (error.failure !== 'unauthorized' && error.failure !== 'refused'))
        throw error;
      // Wrong credentials fail here as well; else it is a token service that knows no such scope.
      await sender.ask({ method: 'GET', to: '/v2/', access: anyAccess, understands: [200], signal });
      return undefined;
    }
    return answer.headers['connected-registry'] === 'gateway' ? answer : undefined;
  }

  return {
    get isOurs() {
      return isOurs;
    },
    async activate({ mode, repositories, signal }) {
      if (!self || api.missing) return false;
      const { instanceId, version } = self;
      const body = Buffer.from(JSON.stringify({ instanceId, version, mode, repositories }));
      const answer = await ask('PUT', self, body, signal);
      if (!answer || answer.status === 404 || answer.status === 405) {
        api.markMissing();
        return (isOurs = false);
      }
      if (answer.status !== 200) throw refusal(answer);
      return (isOurs = true);
    },
    async deactivate({ signal } = {}) {
      if (!self) return;
      const answer = await ask('DELETE', self, undefined, signal);
      // Held by another instance, or not ours to release any more: we do not hold it, which is what was wanted.
      if (answer && answer.status === 401) throw refusal(answer);
    },
  };
}

function refusal({ status, url, body }: Answer): ParentError {
  const [first] = ociErrors(body);
  const said = first ? `${first.code} ${first.message}` : `activation answered ${status}`;
  const failure = status === 401 ? 'unauthorized' : status === 409 ? 'held' : 'unfit';
  return new ParentError(failure, `${url.host}: ${said}`, { status });
}
