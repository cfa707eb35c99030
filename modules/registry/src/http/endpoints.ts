import { changeAcrManifest, getAcrManifest, listAcrManifests } from './acr-manifests.ts';
import { changeRepository, deleteRepository, getRepository } from './acr-repository.ts';
import { changeAcrTag, deleteAcrTag, getAcrTag, listAcrTags } from './acr-tags.ts';
import { deleteBlob, getBlob } from './blob.ts';
import { listRepositories } from './catalog.ts';
import { putStatus } from './child-status.ts';
import { readContents } from './contents.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { listExtensions } from './extensions.ts';
import { activate, deactivate, getActivation } from './activation.ts';
import { listMessages } from './gateway.ts';
import { deleteManifest, getManifest, putManifest } from './manifest.ts';
import { ping } from './ping.ts';
import { listReferrers } from './referrers.ts';
import { listTags } from './tags.ts';
import { issueToken } from './token.ts';
import { cancelUpload, finishUpload, getUpload, patchUpload, startUpload } from './upload.ts';

/**
 * The whole API (distribution-spec 1.1, "Endpoints", then what Docker and ACR clients use beyond it).
 * `end-4` serves 4a, 4b, 4c and the mounts of end-11; `end-7`, `end-8` and `end-12` serve their a and b forms.
 */
export const endpoints: readonly Endpoint[] = [
  endpoint({
    id: 'end-2',
    methods: ['GET', 'HEAD'],
    path: '/v2/<name>/blobs/<digest>',
    needs: 'content/read',
    handler: getBlob,
  }),
  endpoint({
    id: 'end-3',
    methods: ['GET', 'HEAD'],
    path: '/v2/<name>/manifests/<reference>',
    needs: 'content/read',
    handler: getManifest,
  }),
  endpoint({ id: 'end-1', methods: ['GET', 'HEAD'], path: '/v2', needs: 'authenticated', handler: ping }),
  endpoint({
    id: 'end-4',
    methods: ['POST'],
    path: '/v2/<name>/blobs/uploads',
    needs: 'content/write',
    handler: startUpload,
  }),
  endpoint({
    id: 'end-5',
    methods: ['PATCH'],
    path: '/v2/<name>/blobs/uploads/<upload>',
    needs: 'content/write',
    handler: patchUpload,
  }),
  endpoint({
    id: 'end-6',
    methods: ['PUT'],
    path: '/v2/<name>/blobs/uploads/<upload>',
    needs: 'content/write',
    handler: finishUpload,
  }),
  endpoint({
    id: 'end-7',
    methods: ['PUT'],
    path: '/v2/<name>/manifests/<reference>',
    needs: 'content/write',
    handler: putManifest,
  }),
  endpoint({
    id: 'end-8',
    methods: ['GET', 'HEAD'],
    path: '/v2/<name>/tags/list',
    needs: 'metadata/read',
    handler: listTags,
  }),
  endpoint({
    id: 'end-9',
    methods: ['DELETE'],
    path: '/v2/<name>/manifests/<reference>',
    needs: 'content/delete',
    handler: deleteManifest,
  }),
  endpoint({
    id: 'end-10',
    methods: ['DELETE'],
    path: '/v2/<name>/blobs/<digest>',
    needs: 'content/delete',
    handler: deleteBlob,
  }),
  endpoint({
    id: 'end-12',
    methods: ['GET', 'HEAD'],
    path: '/v2/<name>/referrers/<digest>',
    needs: 'content/read',
    handler: listReferrers,
  }),
  endpoint({
    id: 'end-13',
    methods: ['GET'],
    path: '/v2/<name>/blobs/uploads/<upload>',
    needs: 'content/write',
    handler: getUpload,
  }),
  endpoint({
    id: 'end-14',
    methods: ['DELETE'],
    path: '/v2/<name>/blobs/uploads/<upload>',
    needs: 'content/write',
    handler: cancelUpload,
  }),
  endpoint({
    id: 'catalog',
    methods: ['GET', 'HEAD'],
    path: '/v2/_catalog',
    needs: 'catalog',
    handler: listRepositories,
  }),
  endpoint({
    id: 'extensions',
    methods: ['GET', 'HEAD'],
    path: '/v2/_oci/ext/discover',
    needs: 'authenticated',
    handler: listExtensions,
  }),
  endpoint({
    id: 'extensions',
    methods: ['GET', 'HEAD'],
    path: '/v2/<name>/_oci/ext/discover',
    needs: 'metadata/read',
    handler: listExtensions,
  }),
  endpoint({ id: 'token', methods: ['GET', 'POST'], path: '/acr/oauth2/token', needs: 'none', handler: issueToken }),
  endpoint({ id: 'token', methods: ['GET', 'POST'], path: '/oauth2/token', needs: 'none', handler: issueToken }),
  endpoint({
    id: 'acr-catalog',
    methods: ['GET'],
    path: '/acr/v1/_catalog',
    needs: 'catalog',
    handler: listRepositories,
  }),
  endpoint({
    id: 'acr-tags',
    methods: ['GET'],
    path: '/acr/v1/<name>/_tags',
    needs: 'metadata/read',
    handler: listAcrTags,
  }),
  endpoint({
    id: 'acr-tag',
    methods: ['GET'],
    path: '/acr/v1/<name>/_tags/<tag>',
    needs: 'metadata/read',
    handler: getAcrTag,
  }),
  endpoint({
    id: 'acr-tag',
    methods: ['PATCH'],
    path: '/acr/v1/<name>/_tags/<tag>',
    needs: 'metadata/write',
    handler: changeAcrTag,
  }),
  endpoint({
    id: 'acr-tag',
    methods: ['DELETE'],
    path: '/acr/v1/<name>/_tags/<tag>',
    needs: 'content/delete',
    handler: deleteAcrTag,
  }),
  endpoint({
    id: 'acr-manifests',
    methods: ['GET'],
    path: '/acr/v1/<name>/_manifests',
    needs: 'metadata/read',
    handler: listAcrManifests,
  }),
  endpoint({
    id: 'acr-manifest',
    methods: ['GET'],
    path: '/acr/v1/<name>/_manifests/<digest>',
    needs: 'metadata/read',
    handler: getAcrManifest,
  }),
  endpoint({
    id: 'acr-manifest',
    methods: ['PATCH'],
    path: '/acr/v1/<name>/_manifests/<digest>',
    needs: 'metadata/write',
    handler: changeAcrManifest,
  }),
  endpoint({
    id: 'acr-repository',
    methods: ['GET'],
    path: '/acr/v1/<name>',
    needs: 'metadata/read',
    handler: getRepository,
  }),
  endpoint({
    id: 'acr-repository',
    methods: ['PATCH'],
    path: '/acr/v1/<name>',
    needs: 'metadata/write',
    handler: changeRepository,
  }),
  endpoint({
    id: 'acr-repository',
    methods: ['DELETE'],
    path: '/acr/v1/<name>',
    needs: 'content/delete',
    handler: deleteRepository,
  }),
  endpoint({
    id: 'gateway-activation',
    methods: ['GET'],
    path: '/acr/gateway/<registry>/activation',
    needs: 'config/read',
    handler: getActivation,
  }),
  endpoint({
    id: 'gateway-activation',
    methods: ['PUT'],
    path: '/acr/gateway/<registry>/activation',
    needs: 'config/write',
    handler: activate,
  }),
  endpoint({
    id: 'gateway-activation',
    methods: ['DELETE'],
    path: '/acr/gateway/<registry>/activation',
    needs: 'config/write',
    handler: deactivate,
  }),
  endpoint({
    id: 'gateway-status',
    methods: ['PUT'],
    path: '/acr/gateway/<registry>/status',
    needs: 'message/write',
    handler: putStatus,
  }),
  endpoint({
    id: 'gateway-messages',
    methods: ['GET'],
    path: '/acr/gateway/<registry>/messages',
    needs: 'message/read',
    handler: listMessages,
  }),
  endpoint({
    id: 'gateway-contents',
    methods: ['POST'],
    path: '/acr/gateway/<registry>/contents',
    needs: 'message/read',
    handler: readContents,
  }),
];
