import type { ArtifactEvent } from './settings/notification.ts';
import type { JsonObject } from './twin/twin.ts';

const eventTypes = { push: 'ImagePushed', delete: 'ImageDeleted' } as const;

/**
 * An event as Azure Container Registry sends it to Event Grid (schema `Microsoft.ContainerRegistry`, data version 2.0,
 * with the connected registry named). `id` is the same each time one change is told, so that receivers can drop repeats.
 */
export function eventGridEvent(options: {
  readonly id: string;
  readonly registryName: string;
  readonly event: ArtifactEvent;
  /** Of the manifest, where it is still here. */
  readonly manifest?: { readonly mediaType: string; readonly sizeBytes: number } | undefined;
  readonly at: Date;
}): JsonObject {
  const { id, registryName, event, manifest, at } = options;
  const { action, repository, tag, digest } = event;
  const time = at.toISOString();
  return {
    id,
    topic: `/connectedRegistries/${registryName}`,
    subject: `${repository}${tag === undefined ? `@${digest ?? ''}` : `:${tag}`}`,
    eventType: `Microsoft.ContainerRegistry.${eventTypes[action]}`,
    eventTime: time,
    dataVersion: '2.0',
    metadataVersion: '1',
    data: {
      id,
      timestamp: time,
      action,
      target: {
        ...(manifest && { mediaType: manifest.mediaType, size: manifest.sizeBytes, length: manifest.sizeBytes }),
        ...(digest !== undefined && { digest }),
        repository,
        ...(tag !== undefined && { tag }),
      },
      connectedregistry: { name: registryName },
    },
  };
}
