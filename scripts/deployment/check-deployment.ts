import type { Problem } from '../../modules/registry/src/settings/settings.ts';

/** The name our module has in every template: routes, the API proxy's address and the metrics URL depend on it. */
export const registryModule = 'connectedregistry';

/** Every way in which IoT Hub, edgeAgent, edgeHub or the registry module itself would refuse `manifest`. */
export function checkDeployment(manifest: unknown): readonly Problem[] {
  return manifest === undefined ? [{ path: '', message: 'not yet' }] : [];
}
