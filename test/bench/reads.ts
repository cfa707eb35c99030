import { blobPath, benchRepository, pushContent, pushSmallImage, writeContent } from './contenders.ts';
import type { Stage } from './stage.ts';
import type { ServerSide, Work } from './work.ts';
import { load, type Throughput } from './wrk.ts';

const MiB = 1024 * 1024;
const manifestPath = `/v2/${benchRepository}/manifests/latest`;

/** Blobs of three sizes, manifests, and small images whole. */
export function reads(stage: Stage): Work[] {
  const paths = (side: ServerSide, kind: 'manifest' | 'image'): Promise<string[]> =>
    stage
      .once(`image ${side}`, async () => {
        const { bytes } = await pushSmallImage(await stage.contender(side));
        return JSON.parse(bytes.toString()) as { config: { digest: string }; layers: { digest: string }[] };
      })
      .then(({ config, layers }) =>
        kind === 'manifest'
          ? [manifestPath]
          : [manifestPath, ...[config, ...layers].map(({ digest }) => blobPath(digest))],
      );
  const image = (kind: 'manifest' | 'image', connections: number, method: 'GET' | 'HEAD' = 'GET'): Work['measure'] => {
    const measure = (side: ServerSide) => async () =>
      (await ask(stage, side, await paths(side, kind), connections, { method })).requestsPerSecond;
    return { ours: measure('ours'), 'docker-registry': measure('docker-registry') };
  };

  return [
    {
      name: 'blob GET 64 MiB, 1 client',
      unit: 'MB/s',
      goal: { timesDockerRegistry: 1.2, timesNginx: 1 },
      measure: blobReads(stage, 64 * MiB, 1, megabytes),
    },
    {
      name: 'blob GET 64 MiB, 8 clients',
      unit: 'MB/s',
      goal: { timesDockerRegistry: 1.4, timesNginx: 1 },
      measure: blobReads(stage, 64 * MiB, 8, megabytes),
    },
    {
      name: 'blob GET 1 MiB, 8 clients',
      unit: 'MB/s',
      goal: { timesDockerRegistry: 4 },
      measure: blobReads(stage, MiB, 8, megabytes),
    },
    {
      name: 'blob GET 1 KB, 8 clients',
      unit: '/s',
      goal: { timesDockerRegistry: 40 },
      measure: blobReads(stage, 1024, 8, requests),
    },
    {
      name: 'blob GET 64 MiB over TLS, 8 clients',
      unit: 'MB/s',
      goal: { timesNginx: 1 },
      measure: blobReads(stage, 64 * MiB, 8, megabytes, 'https'),
    },
    {
      name: 'manifest GET by tag, 32 connections',
      unit: '/s',
      goal: { timesDockerRegistry: 25 },
      measure: image('manifest', 32),
    },
    {
      name: 'manifest HEAD by tag, 32 connections',
      unit: '/s',
      goal: { timesDockerRegistry: 20 },
      measure: image('manifest', 32, 'HEAD'),
    },
    {
      name: 'small image pull, requests, 32 clients',
      unit: '/s',
      goal: { timesDockerRegistry: 10 },
      measure: image('image', 32),
    },
  ];
}

const megabytes = ({ bytesPerSecond }: Throughput): number => bytesPerSecond / 1e6;
const requests = ({ requestsPerSecond }: Throughput): number => requestsPerSecond;

function blobReads(
  stage: Stage,
  length: number,
  connections: number,
  figure: (throughput: Throughput) => number,
  protocol: 'http' | 'https' = 'http',
): Work['measure'] {
  const measure = (side: ServerSide) => async () => {
    const digest = await blobAt(stage, side, length, protocol);
    return figure(await ask(stage, side, [blobPath(digest)], connections, { protocol }));
  };
  return { ours: measure('ours'), 'docker-registry': measure('docker-registry'), nginx: measure('nginx') };
}

/** The same blob at every side. */
function blobAt(stage: Stage, side: ServerSide, length: number, protocol: 'http' | 'https'): Promise<string> {
  return stage.once(`blob ${length} ${side} ${protocol}`, async () => {
    const bytes = await stage.bytes(length);
    const contender = await stage.contender(side, protocol);
    if (side !== 'nginx') return pushContent(contender, bytes);
    return writeContent(stage.nginxDirectory(protocol), bytes);
  });
}

async function ask(
  stage: Stage,
  side: ServerSide,
  paths: readonly string[],
  connections: number,
  options: { method?: 'GET' | 'HEAD'; protocol?: 'http' | 'https' } = {},
): Promise<Throughput> {
  const { url, headers } = await stage.contender(side, options.protocol);
  return load({
    directory: await stage.directory('wrk'),
    ...{ url, paths, connections, seconds: stage.seconds },
    ...(options.method && { method: options.method }),
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json', ...headers },
  });
}
