import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pullImage } from '../helpers/pull-image.ts';
import { describeClient, succeeded } from './client-contract.ts';
import { operator } from './client-stand.ts';
import { startContainersTool, type ContainersTool } from './containers-tools.ts';

let buildah: ContainersTool;

describeClient(
  {
    name: 'buildah',
    needs: ['buildah', 'nginx', 'root'],
    start: async (stand) => (buildah = await startContainersTool('buildah', stand)),
    resumes: 'never',
  },
  (context) => {
    for (const format of ['gzip', 'zstd']) {
      it(`builds an image from nothing and sends its layer as ${format}`, async () => {
        const { stand, way } = context();
        const [https, container] = [way('HTTPS'), `built-${format}`];
        const file = join(stand.directory, container);
        // Bytes of its own: a layer the registry has already would be mounted as it is.
        await writeFile(file, randomBytes(1000));
        succeeded(await buildah.run('from', '--name', container, 'scratch'));
        succeeded(await buildah.run('copy', container, file, '/readings'));
        succeeded(await buildah.run('commit', '--rm', container, container));
        const to = `docker://${https.host}/plant/buildah/built:${format}`;
        const push = ['push', '--format=oci', `--compression-format=${format}`, ...buildah.trust(https)];
        succeeded(await buildah.run(...push, container, to));

        const { manifest } = await pullImage(stand.url, operator, 'plant/buildah/built', format);
        const { layers } = JSON.parse(manifest.toString()) as { layers: { mediaType: string }[] };
        const types = layers.map(({ mediaType }) => mediaType);
        expect(types).to.deep.equal([`application/vnd.oci.image.layer.v1.tar+${format}`]);
        await buildah.forget();
        succeeded(await buildah.pull(https, `plant/buildah/built:${format}`));
      });
    }
  },
);
