import { RegistryError } from '../errors.ts';
import { coversPattern, type RepositoryPattern } from '../oci/pattern.ts';
import type { ChildRegistry, Mode, Settings } from '../settings/settings.ts';

/** What a child says of itself when it wants to be active. */
export interface ActivationRequest {
  /** Born with its data volume: tells it from another deployment under the same name. */
  readonly instanceId: string;
  readonly mode: Mode;
  readonly version: string;
  /** What its rules ask for. */
  readonly repositories: readonly RepositoryPattern[];
}

/**
 * Whether this parent takes the child as it is: known, in a mode that both this registry and the child's entry allow,
 * and asking only for what the entry lists. Throws ACTIVATION_REFUSED with the rule that is broken.
 */
export function refuseUnfit(
  name: string,
  request: ActivationRequest,
  { mode, children }: Pick<Settings, 'mode' | 'children'>,
): void {
  const child = childNamed(children, name);
  if (!child) refuse(`${name} is not among the children of this registry; add it to its children setting`);
  if (request.mode === 'ReadWrite' && mode === 'ReadOnly') {
    refuse(`${name} is ReadWrite, and a ReadOnly registry accepts only ReadOnly children`);
  }
  if (request.mode === 'ReadWrite' && child.mode === 'ReadOnly') {
    refuse(`${name} is ReadWrite, and the children setting of this registry says ReadOnly`);
  }
  const outside = request.repositories.filter(
    (wanted) => !child.repositories.some((given) => coversPattern(given, wanted)),
  );
  if (outside.length > 0) {
    const shown = outside.slice(0, 5).join(', ');
    const more = outside.length > 5 ? ` and ${outside.length - 5} more` : '';
    refuse(`${name} asks for ${shown}${more}, which the children setting of this registry does not give it`);
  }
}

/** Names differ by more than case, as in ACR. */
export function childNamed(children: readonly ChildRegistry[], name: string): ChildRegistry | undefined {
  return children.find((child) => child.name.toLowerCase() === name.toLowerCase());
}

function refuse(message: string): never {
  throw new RegistryError('ACTIVATION_REFUSED', { message });
}
