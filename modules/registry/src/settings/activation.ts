export type ActivationDecision =
  | { readonly state: 'active' }
  | { readonly state: 'inactive' }
  /** Another instance is active under this name: no writes, no sync, until it is released. */
  | { readonly state: 'held'; readonly by: string };

export interface ActivationQuestion {
  readonly desired: 'Active' | 'Inactive';
  /** The twin's `reported.activation`, written by whichever instance was here last. */
  readonly reported: unknown;
  readonly instanceId: string;
}

/** Only one instance may be active under a name (product contract, "Activation"). */
export function decideActivation({ desired, reported, instanceId }: ActivationQuestion): ActivationDecision {
  if (desired === 'Inactive') return { state: 'inactive' };
  const { status, instanceId: holder } = (reported ?? {}) as { status?: unknown; instanceId?: unknown };
  const held = status === 'Active' && typeof holder === 'string' && holder !== '' && holder !== instanceId;
  return held ? { state: 'held', by: holder } : { state: 'active' };
}
