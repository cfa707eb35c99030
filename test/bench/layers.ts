import { join } from 'node:path';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { ask } from '../helpers/ask.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { repository, tag } from '../helpers/names.ts';
import type { Account } from '../helpers/pull-image.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { until } from '../helpers/until.ts';
import { layerSettings, operator, passwordsOf } from '../hierarchy/layer-settings.ts';
import { startArguments, startDockerRegistry } from './contenders.ts';
import type { Stage } from './stage.ts';
import type { Work } from './work.ts';

const MiB = 1024 * 1024;
const name = 'plant/layers';
const syncToken: Account = { name: 'layersync', password: 'layer-sync-password' };
/** The top syncs when it is told to. */
const seldom = { syncProperties: { schedule: '0 0 29 2 *', syncWindow: 'PT1H' } };

interface Site {
  /** host:port of a docker-registry. */
  readonly cloud: string;
  readonly top: Layer;
  readonly bottom: Layer;
}

/** A new image in docker-registry, and three module processes below each other: how much later the bottom has it. */
export function layers(stage: Stage): Work[] {
  const shapes: Readonly<Record<string, readonly number[]>> = {
    'one layer of 512 MiB': [512 * MiB],
    '4 layers of 128 MiB': Array.from({ length: 4 }, () => 128 * MiB),
  };
  return Object.entries(shapes).map(([shape, sizes]) => ({
    name: `three registries deep, ${shape}: until the bottom has it ÷ until the top has it`,
    unit: '×',
    goal: { atMost: 1.5 },
    measure: { ours: () => bottomToTop(stage, sizes) },
  }));
}

let images = 0;

async function bottomToTop(stage: Stage, sizes: readonly number[]): Promise<number> {
  const { cloud, top, bottom } = await stage.once('three registries deep', () => openSite(stage));
  const version = `v${++images}`;
  const digest = await push(cloud, version, await contents(stage, sizes));
  const beganMs = performance.now();
  const { status } = await top.site.hub.invokeMethod('registry', 'resync');
  if (status !== 202) throw new Error(`resync: ${status}`);
  const [topMs, bottomMs] = await Promise.all([top, bottom].map((layer) => arrivalMs(layer, version, digest)));
  console.error(`  ${version}: top ${elapsed(topMs)}, bottom ${elapsed(bottomMs)}`);
  return ((bottomMs ?? NaN) - beganMs) / ((topMs ?? NaN) - beganMs);

  function elapsed(ms = NaN): string {
    return `${((ms - beganMs) / 1000).toFixed(2)} s`;
  }
}

async function arrivalMs({ url, name: layer }: Layer, version: string, digest: string): Promise<number> {
  const path = `${url}/v2/${name}/manifests/${version}`;
  const isThere = async (): Promise<boolean> => {
    const { headers } = await ask(path, operator, { method: 'HEAD' });
    return headers.get('docker-content-digest') === digest;
  };
  await until(`${layer} has ${version}`, isThere, 120_000);
  return performance.now();
}

/** Layers nobody has yet, in this many bytes. */
async function contents(stage: Stage, sizes: readonly number[]): Promise<Buffer[]> {
  return Promise.all(
    sizes.map(async (size, index) => {
      const layer = Buffer.from(await stage.bytes(size));
      layer.writeUInt32BE(images * 16 + index);
      return layer;
    }),
  );
}

async function push(endpoint: string, version: string, layersOfImage: readonly Buffer[]): Promise<string> {
  const client = connectParent({ endpoint, protocol: 'http', clock: systemClock, log: new RecordingLog() });
  const image = sampleImage(layersOfImage);
  await pushImage(client, repository(name), image, tag(version));
  await client.close();
  return image.manifest.digest;
}

async function openSite(stage: Stage): Promise<Site> {
  const registry = stage.keep(await startDockerRegistry({ directory: await stage.directory('layers-cloud') }));
  const cloud = new URL(registry.url).host;
  const passwords = await passwordsOf(syncToken);
  const child = { mode: 'ReadOnly', repositories: ['plant/*'], syncToken: { name: syncToken.name, passwords } };
  const variables = { NODE_OPTIONS: (await startArguments()).slice(0, -1).join(' ') };
  const opened: Layer[] = [];
  let parent = cloud;
  for (const [index, layer] of ['toplayer', 'middlelayer', 'bottomlayer'].entries()) {
    const below = ['middlelayer', 'bottomlayer'][index];
    const one = await startLayer({
      name: layer,
      directory: join(await stage.directory('layers'), layer),
      parent: { endpoint: parent, syncToken },
      desired: await layerSettings({
        mode: 'ReadOnly',
        ...(index === 0 && { parent: seldom }),
        children: below === undefined ? [] : [{ ...child, name: below }],
      }),
      built: 'dist',
      variables,
    });
    stage.closing(() => one.close());
    opened.push(one);
    parent = one.endpoint;
  }
  const [top, middle, bottom] = opened;
  if (!top || !middle || !bottom) throw new Error('three were to be started');
  for (const layer of [middle, bottom]) await layer.reported('that it is in sync', ({ inSync }) => inSync === true);
  return { cloud, top, bottom };
}
