import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { command, tryCommand, type CommandResult } from '../helpers/command.ts';
import { Program } from '../helpers/program.ts';
import { pullImage } from '../helpers/pull-image.ts';
import { describeClient, succeeded, type ImageClient, type LocalImage } from './client-contract.ts';
import { operator, type ClientStand, type Way } from './client-stand.ts';
import { mergeLayouts, writeArtifactLayout, writeOciLayout } from './oci-layout.ts';

describeClient(
  { name: 'skopeo', needs: ['skopeo', 'nginx'], start: async (stand) => skopeoAt(stand), resumes: 'never' },
  (context) => {
    it('keeps a zstd layer as it is', async () => {
      const { stand, way } = context();
      const client = skopeoAt(stand);
      // Layers of its own, not compressed: what the registry has as gzip would be mounted as it is.
      const image = { folder: 'for-zstd', tag: '1' };
      const platforms = [{ os: 'linux', architecture: 'amd64' }];
      const content = randomBytes(1000);
      await writeOciLayout(join(stand.directory, image.folder), { tag: '1', text: 'zstd', content, platforms });
      const plain = `dir:${join(stand.directory, 'plain')}`;
      succeeded(await client.copy(['--dest-decompress'], layoutOf(image), plain));
      const to = client.remote(way('HTTPS'), 'plant/skopeo/zstd:1');
      const trust = [`--dest-cert-dir=${stand.certificates}`];
      succeeded(await client.copy([...trust, '--dest-compress-format=zstd'], plain, to));
      const { manifest } = await pullImage(stand.url, operator, 'plant/skopeo/zstd', '1');
      expect(layerTypes(manifest)).to.deep.equal(Array(2).fill('application/vnd.oci.image.layer.v1.tar+zstd'));
    });

    it('keeps an artifact of types nobody knows, byte for byte', async () => {
      const { stand, way } = context();
      const client = skopeoAt(stand);
      await writeArtifactLayout(join(stand.directory, 'artifact'), { tag: '1', content: 'temperature,21.5\n' });
      const sent = await indexedDigest(join(stand.directory, 'artifact'));
      succeeded(await client.push({ folder: 'artifact', tag: '1' }, way('HTTPS'), 'plant/skopeo/artifact:1'));
      const { digest, contents } = await pullImage(stand.url, operator, 'plant/skopeo/artifact', '1');
      expect(digest).to.equal(sent);
      expect(contents).to.have.property('size', 3);
      await client.forget();
      succeeded(await client.pull(way('HTTPS'), 'plant/skopeo/artifact:1'));
      expect(await client.pulledIdentity(way('HTTPS'), 'plant/skopeo/artifact:1')).to.equal(sent);
    });
  },
);

interface Skopeo extends ImageClient {
  copy(options: readonly string[], from: string, to: string): Promise<CommandResult>;
  remote(way: Way, remote: string): string;
}

/** skopeo keeps nothing but credentials: images of the machine are OCI layouts. */
function skopeoAt(stand: ClientStand): Skopeo {
  const options = { cwd: stand.directory, env: { REGISTRY_AUTH_FILE: join(stand.directory, 'skopeo-auth.json') } };
  const run = (...args: readonly string[]): Promise<CommandResult> => tryCommand('skopeo', args, options);
  const trust = ({ tls }: Way, side: '' | 'src-' | 'dest-' = ''): string =>
    tls ? `--${side}cert-dir=${stand.certificates}` : `--${side}tls-verify=false`;
  const remoteAt = (way: Way, remote: string): string => `docker://${way.host}/${remote}`;
  const pulled = 'pulled';
  const copyArguments = (...rest: readonly string[]): string[] => ['--insecure-policy', 'copy', ...rest];
  const copy = (more: readonly string[], from: string, to: string): Promise<CommandResult> =>
    run(...copyArguments(...more, from, to));
  const pullArguments = (way: Way, remote: string, ...more: readonly string[]): string[] =>
    copyArguments(...more, trust(way, 'src-'), remoteAt(way, remote), `oci:${pulled}:1`);

  return {
    copy,
    remote: remoteAt,
    version: () => command('skopeo', ['--version']),
    login: (way, { name, password }) =>
      tryCommand('skopeo', ['login', trust(way), `--username=${name}`, '--password-stdin', way.host], {
        ...options,
        stdin: password,
      }),
    push: (image, way, remote) => copy([trust(way, 'dest-')], layoutOf(image), remoteAt(way, remote)),
    pull: (way, remote) => run(...pullArguments(way, remote)),
    pulledIdentity: () => indexedDigest(join(stand.directory, pulled)),
    sentIdentity: ({ folder }) => indexedDigest(join(stand.directory, folder)),
    forget: () => rm(join(stand.directory, pulled), { recursive: true, force: true }),
    async pushIndex(images, way, remote) {
      const merged = join(stand.directory, 'merged');
      await mergeLayouts(
        merged,
        images.map(({ folder }) => join(stand.directory, folder)),
      );
      return copy(['--all', trust(way, 'dest-')], 'oci:merged:1', remoteAt(way, remote));
    },
    pullIndex: (way, remote) => run(...pullArguments(way, remote, '--all')),
    startPull: (way, remote) =>
      new Program({
        command: 'skopeo',
        arguments: pullArguments(way, remote),
        cwd: options.cwd,
        environment: options.env,
      }),
    listTags: (way, repository) => run('list-tags', trust(way), remoteAt(way, repository)),
    delete: (way, remote) => run('delete', trust(way), remoteAt(way, remote)),
    close: () => Promise.resolve(),
  };
}

function layoutOf({ folder, tag }: LocalImage): string {
  return `oci:${folder}:${tag}`;
}

/** What the only entry of a layout's index points at. */
async function indexedDigest(layout: string): Promise<string> {
  const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[];
  };
  expect(manifests).to.have.length(1);
  return manifests[0]!.digest;
}

function layerTypes(manifest: Buffer): string[] {
  const { layers } = JSON.parse(manifest.toString()) as { layers: { mediaType: string }[] };
  return layers.map(({ mediaType }) => mediaType);
}
