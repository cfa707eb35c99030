import type { ChildIdentity } from './activation.ts';
import { statusAccess } from './access.ts';
import type { ParentRegistry } from './parent.ts';
import type { Sender } from './send.ts';

/** Tells a parent of our kind how we are; without a name of our own nothing is told. */
export function createChildStatus(options: {
  readonly sender: Sender;
  readonly self: ChildIdentity | undefined;
}): Pick<ParentRegistry, 'reportStatus'> {
  const { sender, self } = options;
  return {
    async reportStatus(report, { signal }) {
      if (!self) return;
      const { instanceId, registryName } = self;
      await sender.ask({
        method: 'PUT',
        to: `/acr/gateway/${registryName}/status`,
        access: statusAccess(registryName),
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify({ instanceId, ...report })),
        understands: [204, 404, 405],
        once: true,
        signal,
      });
    },
  };
}
