import type { ChildFacts, ChildrenSummary } from '../status/reported-properties.ts';
import type { ConnectionState } from '../status/sync-status.ts';

export const connectionStates: readonly ConnectionState[] = ['Online', 'Syncing', 'Offline', 'Unhealthy'];

/** Two reports missed: nobody knows how the child is. */
export const silentAfterMs = 25 * 60_000;

/** Everybody below in one line: how many, how many of them in sync, and the worst state; undefined with nobody below. */
export function summarize(children: readonly ChildFacts[]): ChildrenSummary | undefined {
  if (children.length === 0) return undefined;
  let [total, inSync, worst] = [0, 0, 0];
  for (const { connectionState = 'Offline', inSync: isInSync, below } of children) {
    total += 1 + (below?.total ?? 0);
    inSync += (isInSync === true ? 1 : 0) + (below?.inSync ?? 0);
    worst = Math.max(worst, rank(connectionState), below ? rank(below.worst) : 0);
  }
  return { total, inSync, worst: connectionStates[worst] ?? 'Unhealthy' };
}

function rank(state: ConnectionState): number {
  return connectionStates.indexOf(state);
}
